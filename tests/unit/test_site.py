"""The documentation site is built without a warning, is whole, and asks no other host for anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="the site is built beside Airflow 3.3")

ROOT = Path(__file__).parents[2]

# What a browser fetches by itself; a link is only followed by the reader.
_FETCHED = re.compile(
    r"<(?:script|img|iframe|source|video|audio|embed)\b[^>]*?\bsrc=[\"']?([^\"'\s>]+)"
    r"|<link\b(?![^>]*rel=[\"']?(?:canonical|prev|next|alternate))[^>]*?\bhref=[\"']?([^\"'\s>]+)",
    re.IGNORECASE,
)
_IN_CSS = re.compile(r"(?:url\(|@import\s+)[\"']?((?:https?:)?//[^\"')\s]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as ``make site`` does: warnings are errors."""
    place = tmp_path_factory.mktemp("site")
    ended = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(place)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    return place


def test_nothing_is_fetched_from_another_host(site: Path) -> None:
    """No page and no style sheet names a script, a font or a picture elsewhere."""
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text()
        fetched = [first or second for first, second in _FETCHED.findall(text)]
        assert fetched, page
        assert [url for url in fetched if re.match(r"(?:https?:)?//", url)] == [], page
        assert _IN_CSS.findall(text) == [], page
    for style in site.rglob("*.css"):
        assert _IN_CSS.findall(style.read_text()) == [], style


def test_nothing_lets_the_theme_fetch_what_it_fetches_at_run_time(site: Path) -> None:
    """The theme's script would load Mermaid for a diagram that is text, and count the stars of a repository."""
    for page in site.rglob("*.html"):
        text = page.read_text()
        assert 'class="mermaid"' not in text, page
        assert 'data-md-component="source"' not in text, page


def test_every_page_is_in_the_navigation(site: Path) -> None:
    """Each page of docs/ can be reached from the home page's navigation."""
    home = (site / "index.html").read_text()
    pages = {str(page.relative_to(site)) for page in site.rglob("*.html")} - {"404.html", "index.html"}
    assert {page for page in pages if f'href="{page}"' not in home and f"href={page}" not in home} == set()


def test_the_reference_knows_the_public_names(site: Path) -> None:
    """Each public operator, hook and error has its place in the reference, and in ``objects.inv``."""
    import zlib

    from airflow_provider_asposeocr import exceptions
    from airflow_provider_asposeocr.hooks import aspose_ocr as hooks
    from airflow_provider_asposeocr.operators import aspose_ocr as operators

    raw = (site / "objects.inv").read_bytes()
    names = zlib.decompress(raw.split(b"\n", 4)[4]).decode()
    for module in (operators, hooks):
        for name in module.__all__:
            assert f"{module.__name__}.{name} py:class" in names, name
    for name, value in vars(exceptions).items():
        if isinstance(value, type) and value.__module__ == exceptions.__name__ and not name.startswith("_"):
            assert f"{exceptions.__name__}.{name} py:class" in names, name
    reference = "".join(page.read_text() for page in (site / "reference").glob("*.html"))
    assert not re.search(r":(?:class|meth|mod|func|attr):", reference)
