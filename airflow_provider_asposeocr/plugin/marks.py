"""What stands where on a page: its regions and words as values for the template."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from airflow_provider_asposeocr.api.hocr import HocrBlock, HocrPage
from airflow_provider_asposeocr.api.values import Value

MOST_WORDS = 6000
"""On a page: a browser draws no more in time."""
MOST_REGIONS = 2000


class Rect(Value, frozen=True):
    """
    A rectangle in pixels, as SVG draws it.

    :param x: of its left edge.
    :param y: of its top edge.
    :param width: in pixels.
    :param height: in pixels.
    """

    x: int
    y: int
    width: int
    height: int


class MarkedWord(Value, frozen=True):
    """
    One word.

    :param name: tells it from the others of its page.
    :param rect: where it stands, if that is known.
    :param text: the word.
    """

    UNSAID: ClassVar[tuple[str, ...]] = ("text",)

    name: str
    rect: Rect | None
    text: str


class MarkedRegion(Value, frozen=True):
    """
    One region.

    :param number: from 1, in reading order.
    :param rect: where it stands, if that is known.
    :param lines: its text: lines of words, where these are known.
    :param text: its text as a whole, where no words are known.
    """

    UNSAID: ClassVar[tuple[str, ...]] = ("lines", "text")

    number: int
    rect: Rect | None
    text: str = ""
    lines: tuple[tuple[MarkedWord, ...], ...] = ()

    @property
    def words(self) -> list[MarkedWord]:
        """All its words."""
        return [word for line in self.lines for word in line]


class Sheet(Value, frozen=True):
    """
    One page with what stands on it.

    :param regions: its regions.
    :param size: width and height in pixels, where they are known.
    """

    UNSAID: ClassVar[tuple[str, ...]] = ("regions",)

    regions: list[MarkedRegion] = msgspec.field(default_factory=list)
    size: tuple[int, int] | None = None

    @property
    def has_boxes(self) -> bool:
        """Whether there is anything to draw."""
        return any(region.rect for region in self.regions)

    @property
    def has_text(self) -> bool:
        """Whether it tells what was read."""
        return any(region.text or region.lines for region in self.regions)

    @property
    def has_words(self) -> bool:
        """Whether it tells where each word stands."""
        return any(region.lines for region in self.regions)

    @property
    def extent(self) -> tuple[int, int]:
        """Width and height that hold all its boxes, where its size is not known."""
        rects = [region.rect for region in self.regions if region.rect]
        if not rects:
            return (1000, 1000)
        return max(each.x + each.width for each in rects) + 10, max(each.y + each.height for each in rects) + 10


def sheets_of_hocr(pages: Sequence[HocrPage], notes: list[str]) -> list[Sheet]:
    """
    Return the pages of an hOCR.

    :param pages: as they were read.
    :param notes: is told what is left out.
    """
    return [_sheet(page, notes) for page in pages]


def _sheet(page: HocrPage, notes: list[str]) -> Sheet:
    place = rect_of(page.rect)
    right, bottom = (place.x + place.width, place.y + place.height) if place else (0, 0)
    size = (right, bottom) if right > 0 and bottom > 0 else None
    words = sum(len(line) for block in page.blocks for line in block.lines)
    if words > MOST_WORDS:
        notes.append(f"The page has {words:,} words: their boxes are left out, those of the regions are drawn.")
    regions = [
        _region(number, block, with_words=words <= MOST_WORDS)
        for number, block in enumerate(page.blocks[:MOST_REGIONS], start=1)
    ]
    return Sheet(regions, size)


def _region(number: int, block: HocrBlock, *, with_words: bool) -> MarkedRegion:
    lines: list[tuple[MarkedWord, ...]] = []
    count = 0
    for line in block.lines if with_words else ():
        lines.append(
            tuple(
                MarkedWord(f"{number}.{count + at}", rect_of(word.rect), word.text)
                for at, word in enumerate(line, start=1)
            )
        )
        count += len(line)
    return MarkedRegion(number, rect_of(block.rect), block.text, tuple(lines))


def sheet_of_regions(regions: Iterable[Any]) -> Sheet:
    """
    Return a page of regions as an XCom has them.

    :param regions: ``[x1, y1, x2, y2]`` each, or mappings with ``rect`` and ``text``.
    """
    marked = []
    for number, region in enumerate(list(regions)[:MOST_REGIONS], start=1):
        corners = region.get("rect") if isinstance(region, Mapping) else region
        text = region.get("text") if isinstance(region, Mapping) else ""
        marked.append(MarkedRegion(number, rect_of(corners), text if isinstance(text, str) else ""))
    return Sheet(marked)


def rect_of(corners: Any) -> Rect | None:
    """
    Return a rectangle; ``None`` where it is none.

    :param corners: ``[x1, y1, x2, y2]``.
    """
    if not isinstance(corners, list | tuple) or len(corners) != 4:
        return None
    if any(isinstance(edge, bool) or not isinstance(edge, int | float) or not abs(edge) < 1e7 for edge in corners):
        return None
    left, top, right, bottom = (round(edge) for edge in corners)
    return Rect(left, top, right - left, bottom - top) if right > left and bottom > top else None
