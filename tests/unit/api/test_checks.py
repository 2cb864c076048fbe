"""Regions are cut at the edges of the image, and refused where they lie outside of it."""

from __future__ import annotations

import pytest

from airflow_provider_asposeocr.api.checks import parse_settings, regions_inside
from airflow_provider_asposeocr.api.images import ImageFacts
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError

SCAN = ImageFacts("PNG", 300, 400)
PHOTO = ImageFacts("JPEG", 300, 400, is_turned=True)
DRAWING = ImageFacts("SVG", None, None)


def sent(region, facts, rotate=0):
    settings = parse_settings("RecognizeRegions", {"rotate": rotate}, [{"rect": [1, 2, 3, 4], "order": 9}, region])
    inside, warnings = regions_inside(settings, facts)
    first, second = inside.to_wire()["regions"]
    assert (first["order"], second["order"]) == (9, 1)
    assert list(first["rect"].values()) == [1, 2, 3, 4]
    return list(second["rect"].values()), warnings


@pytest.mark.parametrize(
    ("region", "facts", "rotate"),
    [
        ([0, 0, 300, 400], SCAN, 0),
        ([0, 0, 400, 300], SCAN, 90),
        ([0, 0, 400, 300], PHOTO, 0),
        ([0, 0, 9000, 9000], DRAWING, 0),
    ],
)
def test_inside(region, facts, rotate):
    """A region inside the image is sent as it is; one may be meant in the image as it is stored, seen or rotated."""
    assert sent(region, facts, rotate) == (region, [])


@pytest.mark.parametrize(
    ("region", "facts", "rotate", "cut"),
    [
        ([-1, 2, 50, 101], ImageFacts("PNG", 100, 100), 0, [0, 2, 50, 100]),
        ([0, -7, 301, 400], SCAN, 0, [0, 0, 300, 400]),
        ([0, 0, 400, 300], SCAN, 180, [0, 0, 300, 300]),
        ([0, 0, 501, 300], SCAN, 45, [0, 0, 500, 300]),
        ([0, 0, 401, 401], PHOTO, 0, [0, 0, 400, 400]),
        ([-1, 0, 9000, 9000], DRAWING, 0, [0, 0, 9000, 9000]),
    ],
)
def test_partly_outside(region, facts, rotate, cut):
    """A region that reaches beyond the image is cut at its edges, with a warning that names both."""
    corners, (warning,) = sent(region, facts, rotate)
    assert corners == cut
    assert f"Region 1 {region} reaches beyond the image" in warning
    assert str(cut) in warning


@pytest.mark.parametrize("region", [[300, 0, 310, 10], [0, 400, 10, 410], [-10, 0, 0, 10], [0, -10, 10, 0]])
def test_outside(region):
    """A region that lies outside the image is refused."""
    with pytest.raises(AsposeOcrInputError, match=r"Region 1 .* lies outside the image, which is 300 x 400 pixels"):
        sent(region, SCAN)


def test_no_regions():
    """Settings without regions fit any image."""
    settings = parse_settings("RecognizeImage", None)
    assert regions_inside(settings, SCAN) == (settings, [])
