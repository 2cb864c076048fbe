"""
Reading order: from the scattered fragments that the engine finds to lines and blocks as a person would read them.

The engine returns fragments from top to bottom over the full width, so the lines of two columns come interleaved. A
recursive XY-cut over the boxes of the fragments puts that right: where a run of rows has a gutter from top to bottom
and looks like columns of prose, its left part is read before its right part; what stands above the run (a heading over
both columns) is read before it, what stands below after it. Tables, forms and receipts, whose rows pair up over the
gutter, keep their rows.

Nothing here looks at pixels, or at more of the text than its length.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from statistics import median
from typing import ClassVar

from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.emulator.filters import MAX_SKEW_DEGREES
from airflow_provider_asposeocr.emulator.page import Box, Corners, Fragment, TextBlock, TextLine

Flattening = Callable[[Corners], Corners]

# All lengths below are in heights of a line of text, so that they hold at any resolution.
_MIN_GUTTER = 0.8  # narrower gaps are word spaces
_PROSE_WIDTH = 12.0  # about 25 letters: a column whose lines are at least this wide is prose, never cells of a table
_LETTER_WIDTH = 0.5  # so many heights is a letter wide, spaces included
_CELL_WIDTH = 5.0  # about 10 letters: a column of such short lines that pair with a neighbour's rows is a table's
_MAX_LINE_GAP = 0.75  # a wider gap between two lines begins a new block
_MAX_HEIGHT_RATIO = 1.6  # a line this much higher than its neighbour is a heading: a block of its own
_BOX_MARGIN = 0.4  # the engine draws boxes about this much larger than the ink


class _Item(Value, frozen=True):
    """A fragment, and its box after the tilt of the page is taken out."""

    UNSAID: ClassVar[tuple[str, ...]] = ("fragment",)

    fragment: Fragment
    box: Box


@dataclass
class _Line:
    """Items at the same height, all of them: its measures are taken once, as they are asked for often."""

    items: list[_Item]
    starts_block: bool = False

    @cached_property
    def box(self) -> Box:
        return _extent(self.items)

    @cached_property
    def height(self) -> float:
        return _height(self.items)

    @cached_property
    def breadth(self) -> float:
        """Its width in heights of a line. On a photo, boxes are higher than print is: its letters tell too."""
        letters = sum(len(item.fragment.text) for item in self.items)
        return max(self.box.width / self.height, letters * _LETTER_WIDTH)

    def finished(self) -> TextLine:
        return TextLine(tuple(item.fragment for item in self.items))


@dataclass(slots=True)
class _Flow:
    """Lines in reading order, and asides: lines beside them (a caption, a margin note), each with where it starts."""

    lines: list[_Line] = field(default_factory=list)
    asides: list[tuple[int, list[_Line]]] = field(default_factory=list)

    def append(self, other: _Flow) -> None:
        self.asides += [(at + len(self.lines), lines) for at, lines in other.asides]
        self.lines += other.lines


def blocks_in_reading_order(
    fragments: Sequence[Fragment], *, correct_skew: bool, find_columns: bool, flattening: Flattening | None = None
) -> list[TextBlock]:
    """
    Arrange fragments as a person would read them.

    :param fragments: what the engine found, in any order.
    :param correct_skew: take a tilt of the page of up to 15 degrees out before looking for rows and columns.
    :param find_columns: whether to look for columns; without, rows are read over the full width.
    :param flattening: leads corners on a page seen from the side to where they stand on the flat page.
    """
    flat = [fragment.moved(flattening) for fragment in fragments] if flattening else fragments
    boxes = _upright(flat, skew(flat) if correct_skew else 0.0)
    items = [_Item(fragment, box) for fragment, box in zip(fragments, boxes, strict=True)]
    if not items:
        return []
    flow = _columns_first(items) if find_columns else _Flow(_rows(items))
    everything = flow.lines + [line for _, lines in flow.asides for line in lines]
    blocks = _grouped(flow.lines, everything)
    asides = {at: _grouped(lines, everything) for at, lines in flow.asides}
    arranged: list[list[_Line]] = []
    position = 0
    for block in blocks:
        # An aside is read before the block beside which it stands, never in the middle of its sentences.
        for at in [at for at in sorted(asides) if position <= at < position + len(block)]:
            arranged += asides[at]
        arranged.append(block)
        position += len(block)
    return [TextBlock(tuple(line.finished() for line in block)) for block in arranged]


def skew(fragments: Iterable[Fragment]) -> float:
    """
    The tilt of the lines in degrees, positive where they fall to the right; 0 where it is beyond what is corrected.

    :param fragments: what the engine found.
    """
    tilts: list[tuple[float, float]] = []
    for fragment in fragments:
        top_left, top_right, bottom_right, bottom_left = fragment.corners
        width, height = math.dist(top_left, top_right), math.dist(top_left, bottom_left)
        # Short fragments say little about the tilt: their corners are known to a pixel at best.
        if width > 3 * height:
            for start, end in ((top_left, top_right), (bottom_left, bottom_right)):
                tilts.append((math.degrees(math.atan2(end[1] - start[1], end[0] - start[0])), width))
    tilts.sort()
    half = sum(weight for _, weight in tilts) / 2
    for angle, weight in tilts:
        half -= weight
        if half <= 0:
            return angle if abs(angle) <= MAX_SKEW_DEGREES else 0.0
    return 0.0


def _upright(fragments: Iterable[Fragment], degrees: float) -> Iterator[Box]:
    cosine, sine = math.cos(math.radians(-degrees)), math.sin(math.radians(-degrees))
    for fragment in fragments:
        turned = [(x * cosine - y * sine, x * sine + y * cosine) for x, y in fragment.corners]
        yield Box.around(turned)


def _columns_first(items: list[_Item]) -> _Flow:
    """The recursive XY-cut."""
    cut = _largest_columns(items)
    if cut is None:
        return _Flow(_rows(items))
    before, left, right, after = cut
    flow = _columns_first(before) if before else _Flow()
    aside, main = _aside_and_main(left, right)
    if aside:
        flow.asides.append((len(flow.lines), _columns_first(aside).lines))
        flow.append(_columns_first(main))
    else:
        for column in (left, right):
            part = _columns_first(column)
            part.lines[0].starts_block = True
            flow.append(part)
    if after:
        rest = _columns_first(after)
        rest.lines[0].starts_block = rest.lines[0].starts_block or not aside
        flow.append(rest)
    return flow


def _aside_and_main(left: list[_Item], right: list[_Item]) -> tuple[list[_Item], list[_Item]]:
    """The smaller part, if it is a line or two beside much text, and the other; else nothing and nothing."""
    left_rows, right_rows = len(_rows(left)), len(_rows(right))
    if left_rows <= 2 and right_rows >= 5:
        return left, right
    if right_rows <= 2 and left_rows >= 5:
        return right, left
    return [], []


_Cut = tuple[list[_Item], list[_Item], list[_Item], list[_Item]]


def _largest_columns(items: list[_Item]) -> _Cut | None:
    """
    Find the run of bands with most fragments that a gutter divides into columns.

    :returns: what is above the run, left of the gutter, right of it, and below the run.
    """
    height = _height(items)
    bands = _bands(items)
    whole = _extent(items)
    best: _Cut | None = None
    best_size = 0
    for first in range(len(bands)):
        if sum(map(len, bands[first:])) <= best_size:
            break
        gaps = [(whole.left, whole.right)]
        run: list[_Item] = []
        longest: tuple[int, list[_Item], list[tuple[float, float]]] | None = None
        for last in range(first, len(bands)):
            gaps = list(_without(gaps, (item.box for item in bands[last]), _MIN_GUTTER * height))
            if not gaps:
                break
            run = run + bands[last]
            if any(_divides(gap, run) for gap in gaps):
                longest = last, run, gaps
        if longest is None or len(longest[1]) <= best_size:
            continue
        last, run, gaps = longest
        for gap in sorted(gaps, key=lambda gap: gap[0] - gap[1]):
            left = [item for item in run if item.box.right <= gap[0]]
            right = [item for item in run if item.box.left >= gap[1]]
            if left and right and _are_columns(left, right):
                before = [item for band in bands[:first] for item in band]
                after = [item for band in bands[last + 1 :] for item in band]
                best, best_size = (before, left, right, after), len(run)
                break
    return best


def _bands(items: list[_Item]) -> list[list[_Item]]:
    """Cut at every horizontal gap. Only the middle of each box counts: boxes of neighbouring lines touch."""
    bands: list[list[_Item]] = []
    reach = -math.inf
    for item in sorted(items, key=lambda item: item.box.top + item.box.height / 4):
        if item.box.top + item.box.height / 4 >= reach:
            bands.append([])
        bands[-1].append(item)
        reach = max(reach, item.box.bottom - item.box.height / 4)
    return bands


def _without(gaps: list[tuple[float, float]], boxes: Iterable[Box], min_width: float) -> Iterator[tuple[float, float]]:
    """What is left of the gaps once the boxes are taken out, if it is still wide enough."""
    boxes = list(boxes)
    for start, end in gaps:
        pieces = [(start, end)]
        for box in boxes:
            pieces = [
                piece
                for low, high in pieces
                for piece in ((low, min(high, box.left)), (max(low, box.right), high))
                if piece[1] - piece[0] >= min_width
            ]
        # The same piece comes out twice where a box lies outside of it.
        yield from sorted(set(pieces))


def _divides(gap: tuple[float, float], items: list[_Item]) -> bool:
    return any(item.box.right <= gap[0] for item in items) and any(item.box.left >= gap[1] for item in items)


def _are_columns(left: list[_Item], right: list[_Item]) -> bool:
    """Whether the two sides are to be read one after the other, and not row by row as in a table."""
    sides = [_rows(left), _rows(right)]
    fewer, more = sorted(sides, key=len)
    if len(more) < 3:
        return False
    left_box, right_box = _extent(left), _extent(right)
    common = min(left_box.bottom, right_box.bottom) - max(left_box.top, right_box.top)
    if common < 0.5 * min(left_box.height, right_box.height):
        return False  # one below the other: the order is plain
    widths = [median(line.breadth for line in side) for side in sides]
    if min(widths) >= _PROSE_WIDTH and len(fewer) >= 2:
        return True
    places = sorted((line.box.middle, line.height) for line in more)
    paired = sum(_is_beside(line, places) for line in fewer)
    if paired < 0.5 * len(fewer):
        return True
    return paired < 0.3 * len(more) and min(widths) >= _CELL_WIDTH


def _is_beside(line: _Line, places: Sequence[tuple[float, float]]) -> bool:
    """Whether one of the places, each a middle and a height, in ascending order, is in the row of a line."""
    middle, height = line.box.middle, line.height
    first, last = (bisect(places, (middle + way * 0.35 * height, way * math.inf)) for way in (-1, 1))
    return any(abs(middle - other) <= 0.35 * min(height, its_height) for other, its_height in places[first:last])


def _rows(items: list[_Item]) -> list[_Line]:
    """Fragments at the same height are one line."""
    rows: list[list[_Item]] = []
    middle = height = 0.0
    for item in sorted(items, key=lambda item: item.box.middle):
        if rows and abs(middle - item.box.middle) <= 0.6 * min(height, item.box.height):
            rows[-1].append(item)
            middle = sum(other.box.middle for other in rows[-1]) / len(rows[-1])
            height = _height(rows[-1])
        else:
            rows.append([item])
            middle, height = item.box.middle, item.box.height
    return [_Line(sorted(row, key=lambda item: item.box.left)) for row in rows]


def _height(items: Iterable[_Item]) -> float:
    return median(item.box.height for item in items)


def _grouped(lines: list[_Line], everything: list[_Line]) -> list[list[_Line]]:
    """Group consecutive lines to blocks, such that the rectangle of a block touches no line of another."""
    if not lines:
        return []
    groups = [[lines[0]]]
    for previous, line in pairwise(lines):
        group = groups[-1]
        if _continues(previous, line) and _is_free(group, line, everything):
            group.append(line)
        else:
            groups.append([line])
    return groups


def _continues(previous: _Line, line: _Line) -> bool:
    height = (previous.height + line.height) / 2
    above, below = previous.box, line.box
    return (
        not line.starts_block
        and below.top - above.bottom <= _MAX_LINE_GAP * height
        and min(above.right, below.right) > max(above.left, below.left)
        and max(previous.height, line.height) <= _MAX_HEIGHT_RATIO * min(previous.height, line.height)
    )


def _is_free(group: list[_Line], line: _Line, everything: list[_Line]) -> bool:
    area = _extent([item for member in [*group, line] for item in member.items])
    inside = {id(member) for member in [*group, line]}
    return not any(
        area.overlaps(other.box.shrunk(_BOX_MARGIN * other.height)) for other in everything if id(other) not in inside
    )


def _extent(items: Sequence[_Item]) -> Box:
    box = items[0].box
    for item in items[1:]:
        box = box.union(item.box)
    return box
