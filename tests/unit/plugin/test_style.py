"""What the page's style and markup must keep for those who see less, and in the frame of Airflow's UI."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

PLUGIN = files("airflow_provider_asposeocr.plugin")
COLORS = dict(
    re.findall(r"--([a-z-]+): light-dark\((#\w+, #\w+)\)", (PLUGIN / "static" / "page.css").read_text(encoding="utf-8"))
)


def color(name: str, theme: int) -> str:
    return name if name.startswith("#") else COLORS[name].split(", ")[theme]


def luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "ground", "least"),
    [
        *((ink, ground, 4.5) for ink in ("ink", "quiet", "accent") for ground in ("ground", "soft")),
        *((ink, f"{ink}-ground", 4.5) for ink in ("good", "bad", "middling")),
        ("#ffffff", "label", 4.5),
        ("ground", "accent", 4.5),
        ("edge", "ground", 3),
    ],
)
def test_text_and_controls_stand_out_as_wcag_asks(ink, ground, least, theme):
    """At level AA: text by 4.5 to 1, the edges of controls by 3 to 1."""
    darker, lighter = sorted((luminance(color(ink, theme)), luminance(color(ground, theme))))
    assert (lighter + 0.05) / (darker + 0.05) >= least


def test_no_link_opens_another_window():
    """The frame in Airflow's UI may not open any: such a link does nothing there."""
    for template in (PLUGIN / "templates").iterdir():
        assert "target=" not in template.read_text(encoding="utf-8")
