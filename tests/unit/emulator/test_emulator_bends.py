"""A page that did not lie flat has curved lines: DewarpImage takes out what one curve for the whole page explains."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

LINES = [(30, 60 + 40 * at, "Rows of words that fill a page from side to side", 26) for at in range(8)]


def png(shades: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(shades).save(file, "PNG")
    return file.getvalue()


def bent(shades: np.ndarray, depth: float) -> np.ndarray:
    """The page as it looks where its middle is nearer: each column is moved up by its part of an arc."""
    moved = np.full_like(shades, 255)
    for x in range(shades.shape[1]):
        shift = round(depth * math.sin(math.pi * x / shades.shape[1]))
        moved[: shades.shape[0] - shift, x] = shades[shift:, x]
    return moved


def levelness(shades: np.ndarray) -> float:
    """Rows of level lines alternate between ink and none."""
    return float(np.var((255.0 - shades).mean(axis=1)))


@pytest.fixture
def page(sheet: Callable[..., bytes]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(sheet((700, 420), *LINES))).convert("L"))


def dewarped(reading: Any, shades: np.ndarray) -> tuple[np.ndarray, list[str]]:
    answer = reading.answer("DewarpImage", reading.submit("DewarpImage", png(shades)))
    (entry,) = answer["results"]
    picture = Image.open(io.BytesIO(base64.b64decode(entry["data"]))).convert("L")
    return np.asarray(picture), answer["error"]["warnings"]


@pytest.mark.parametrize("depth", [14, 28])
def test_curved_lines_become_level(reading: Any, page: np.ndarray, depth: float) -> None:
    """The rows of an arched page are nearly as level again as those of the flat one, and `warnings` tell of it."""
    arched = bent(page, depth)
    assert levelness(arched) < 0.7 * levelness(page)
    flat, warnings = dewarped(reading, arched)
    assert flat.shape == page.shape
    assert levelness(flat) > 0.75 * levelness(page)
    assert any("curved" in warning and "pixels" in warning for warning in warnings)


def test_level_lines_stay_as_they_are(reading: Any, page: np.ndarray) -> None:
    """A flat page is not touched, and `warnings` say that no curve was seen."""
    same, warnings = dewarped(reading, page)
    assert np.array_equal(same, page)
    assert any("no curved lines" in warning for warning in warnings)


def test_a_picture_without_lines_stays_as_it_is(reading: Any) -> None:
    noise = np.random.default_rng(7).integers(0, 256, (300, 400), dtype=np.uint8)
    same, _ = dewarped(reading, noise)
    assert np.array_equal(same, noise)
