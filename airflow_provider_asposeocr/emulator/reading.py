"""
The eyes of the emulator: from an image to a :class:`~.page.Page` of text in reading order.

The filters are :mod:`~airflow_provider_asposeocr.emulator.filters`', finding and reading lines is the engine's, the
reading order is :mod:`~airflow_provider_asposeocr.emulator.layout`'s. Every place in a result is in pixels of the image
as sent: filters that change the geometry are tracked in one map, and what the engine finds is mapped back through it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from PIL import Image

from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.emulator.alphabets import kept_to_alphabet
from airflow_provider_asposeocr.emulator.decoding import Sheet
from airflow_provider_asposeocr.emulator.engine import TextReader, as_corners
from airflow_provider_asposeocr.emulator.filters import (
    Step,
    binarized,
    flattening,
    grey,
    page_outline,
    rotated,
    straightened,
    upsampled,
    with_full_contrast,
)
from airflow_provider_asposeocr.emulator.geometry import Affine, identity, inverse, mapped, mapped_box, shift
from airflow_provider_asposeocr.emulator.layout import blocks_in_reading_order
from airflow_provider_asposeocr.emulator.page import Box, Corners, Fragment, Page

# Text that touches the edge of an image is not found; a cropped region gets this much of its own edge around it.
_CROP_MARGIN = 12
# The engine makes every image as small as its longest side asks for: of a strip, nothing would be left to read.
_STRIP_RATIO = 4.0
_STRIP_SIDE = 1400
_TILE_RATIO = 1.6
# Pixels below which the engine finds no lines reliably, and to what they are enlarged for it.
_SMALL_SIDE = 700
_TURNED_SHARE = 0.6
# Measured: upright pages, print of 7 pixels included, are read with 0.94 and more, upside down with 0.64 to 0.75.
_CERTAINTY = 0.82
_ENOUGH_LETTERS = 12

FILTERS: Mapping[str, Callable[[Image.Image], Step]] = MappingProxyType(
    {"contrast": with_full_contrast, "binarize": binarized, "skew": straightened, "upsample": upsampled}
)


class Preparation(Value, frozen=True):
    """
    What is done to an image before it is read, and how it is read.

    :param rotate: degrees, clockwise.
    :param filters: names of :data:`FILTERS`, in the order in which they are applied.
    :param find_columns: look for columns, and group lines to blocks.
    :param language: whose alphabet the text is kept to.
    """

    rotate: int = 0
    filters: tuple[str, ...] = ("contrast", "skew")
    find_columns: bool = True
    language: str = "English"


class PageReader:
    """
    Reads images.

    :param reader: finds and reads the text.
    """

    def __init__(self, reader: TextReader) -> None:
        self._reader = reader

    def with_reader(self, reader: TextReader) -> PageReader:
        """
        The same with other eyes.

        :param reader: finds and reads the text.
        """
        return PageReader(reader)

    def read_page(self, sheet: Sheet, preparation: Preparation) -> Page:
        """
        Read a whole image.

        :param sheet: as decoded.
        :param preparation: what to do before.
        """
        return self._read(sheet, sheet.image, Box(0, 0, *sheet.size), sheet.to_sent, preparation)

    def read_region(self, sheet: Sheet, area: Box, preparation: Preparation) -> Page | None:
        """
        Read a part of an image, as if it was cut out.

        :param sheet: as decoded.
        :param area: the part, in pixels of the image as sent; what of it lies outside of the image is left out.
        :param preparation: what to do before.
        :returns: ``None`` if all of it lies outside.
        """
        sent = Box(max(0, area.left), max(0, area.top), min(sheet.size[0], area.right), min(sheet.size[1], area.bottom))
        if sent.right <= sent.left or sent.bottom <= sent.top:
            return None
        inside = mapped_box(inverse(sheet.to_sent), sent)
        left, top = max(0, int(inside.left)), max(0, int(inside.top))
        right = min(sheet.image.width, max(left + 1, round(inside.right)))
        bottom = min(sheet.image.height, max(top + 1, round(inside.bottom)))
        crop = np.asarray(sheet.image.crop((left, top, right, bottom)))
        padded = np.pad(crop, ((_CROP_MARGIN, _CROP_MARGIN), (_CROP_MARGIN, _CROP_MARGIN), (0, 0)), mode="edge")
        to_sent = sheet.to_sent @ shift(left - _CROP_MARGIN, top - _CROP_MARGIN)
        return self._read(sheet, Image.fromarray(padded), sent, to_sent, preparation)

    def _read(self, sheet: Sheet, image: Image.Image, area: Box, to_sent: Affine, preparation: Preparation) -> Page:
        prepared, to_input = _prepared(image, preparation)
        fragments = [
            fragment.reworded(lambda word: kept_to_alphabet(word, preparation.language))
            for fragment in self._fragments(prepared)
        ]
        outline = page_outline(prepared) if preparation.find_columns and fragments else None
        blocks = blocks_in_reading_order(
            fragments,
            correct_skew="skew" in preparation.filters,
            find_columns=preparation.find_columns,
            flattening=None if outline is None else _flatten(flattening(outline)[0]),
        )
        way = to_sent @ to_input

        def as_sent(corners: Corners) -> Corners:
            # The margin around a crop may carry a corner out of the region.
            return as_corners(area.nearest(point) for point in mapped(way, corners))

        return Page(
            blocks=tuple(block.changed(lambda fragment: fragment.moved(as_sent)) for block in blocks),
            area=area,
            image=prepared,
            image_blocks=tuple(blocks),
            dpi=sheet.dpi and sheet.dpi * prepared.width / max(1.0, mapped_box(way, Box(0, 0, *prepared.size)).width),
            bilevel=sheet.bilevel or "binarize" in preparation.filters,
            warnings=(*sheet.warnings, *_seems_turned(fragments, preparation)),
        )

    def _fragments(self, image: Image.Image) -> list[Fragment]:
        """What the engine finds: of a strip piece by piece, so that none is made too small to be read."""
        found: list[Fragment] = []
        for left, top, right, bottom in _tiles(image):
            tile = image if (right - left, bottom - top) == image.size else image.crop((left, top, right, bottom))
            found += [fragment.moved(_moving(left, top)) for fragment in self._reader.read(tile)]
        return found


def _moving(left: int, top: int) -> Callable[[Corners], Corners]:
    return lambda corners: as_corners((x + left, y + top) for x, y in corners)


def _flatten(way: Affine) -> Callable[[Corners], Corners]:
    return lambda corners: as_corners(mapped(way, corners))


def _prepared(image: Image.Image, preparation: Preparation) -> tuple[Image.Image, Affine]:
    """Apply the filters in their order; the map leads from pixels of the outcome to those of the input."""
    to_input: Affine = identity()
    if preparation.rotate % 360:
        image, step = rotated(image, preparation.rotate % 360)
        to_input = to_input @ step
    for name in preparation.filters:
        image, step = FILTERS[name](image)
        to_input = to_input @ step
    return image, to_input


def _tiles(image: Image.Image) -> list[tuple[int, int, int, int]]:
    """The pieces of a strip, cut where nothing is printed; the whole of any other image."""
    width, height = image.size
    long, short = max(width, height), min(width, height)
    if long < _STRIP_SIDE or long < _STRIP_RATIO * short:
        return [(0, 0, width, height)]
    upright = height >= width
    ink = _ink(image).sum(axis=1 if upright else 0)
    cuts = [0]
    length = max(round(_TILE_RATIO * short), _SMALL_SIDE)
    while long - cuts[-1] > 1.4 * length:
        first, last = cuts[-1] + length // 2, cuts[-1] + length
        cuts.append(first + _emptiest(ink[first:last]))
    cuts.append(long)
    pieces = pairwise(cuts)
    return [(0, start, width, end) if upright else (start, 0, end, height) for start, end in pieces]


def _ink(image: Image.Image) -> npt.NDArray[np.int64]:
    shades = grey(image).astype(np.int64)
    return (np.abs(shades - int(np.median(shades))) > 60).astype(np.int64)


def _emptiest(ink: npt.NDArray[np.int64]) -> int:
    """The middle of the longest run of the least ink; of equal ones the last, so that pieces are few."""
    least = ink.min()
    best, start = (0, 0), None
    for at, amount in enumerate([*ink.tolist(), least + 1]):
        if amount == least and start is None:
            start = at
        elif amount != least and start is not None:
            if at - start >= best[1] - best[0]:
                best = start, at
            start = None
    return sum(best) // 2


def _seems_turned(fragments: Sequence[Fragment], preparation: Preparation) -> list[str]:
    """A warning for a page whose lines run up or down, or that is read with so little certainty as one upside down."""
    boxes = [Box.around(fragment.corners) for fragment in fragments if len(fragment.text) > 3]
    standing = sum(box.height > 1.5 * box.width for box in boxes)
    if len(boxes) >= 3 and standing >= _TURNED_SHARE * len(boxes):
        return [
            f"The lines of this image run up or down: it seems to be turned. Set `rotate` to "
            f"{(preparation.rotate + 90) % 360} or {(preparation.rotate + 270) % 360} to have it read."
        ]
    letters = sum(len(fragment.text) for fragment in fragments)
    certain = sum(len(fragment.text) * fragment.confidence for fragment in fragments)
    if letters >= _ENOUGH_LETTERS and certain < _CERTAINTY * letters:
        return [
            f"The text was read with little certainty ({certain / letters:.2f} of 1): is the image upside down, or "
            f"blurred? For the former set `rotate` to {(preparation.rotate + 180) % 360}."
        ]
    return []
