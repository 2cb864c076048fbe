"""
What reading an image gives: fragments of text with their place, lines, blocks, a page.

Plain values that the reader, the layout analysis and the renderings of results hand to each other. All places are in
pixels of the image as the client sent it, whatever was done to the image on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar

from msgspec.structs import replace
from PIL.Image import Image

from airflow_provider_asposeocr.api.values import Value

Point = tuple[float, float]
Corners = tuple[Point, Point, Point, Point]


class Box(Value, frozen=True):
    """
    An upright rectangle.

    :param left: left edge.
    :param top: upper edge.
    :param right: right edge.
    :param bottom: lower edge.
    """

    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def around(cls, points: Iterable[Point]) -> Box:
        """
        The smallest box around points.

        :param points: at least one.
        """
        xs, ys = zip(*points, strict=True)
        return cls(min(xs), min(ys), max(xs), max(ys))

    @property
    def width(self) -> float:
        """Extent from left to right."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Extent from top to bottom."""
        return self.bottom - self.top

    @property
    def middle(self) -> float:
        """Height of its centre."""
        return (self.top + self.bottom) / 2

    @property
    def corners(self) -> Corners:
        """Top left, top right, bottom right, bottom left."""
        return (self.left, self.top), (self.right, self.top), (self.right, self.bottom), (self.left, self.bottom)

    def union(self, other: Box) -> Box:
        """
        The smallest box around both.

        :param other: another box.
        """
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    def shrunk(self, by: float) -> Box:
        """
        The box with each edge moved inwards, at most to its middle.

        :param by: pixels.
        """
        x, y = min(by, self.width / 2), min(by, self.height / 2)
        return Box(self.left + x, self.top + y, self.right - x, self.bottom - y)

    def nearest(self, point: Point) -> Point:
        """
        The point itself where it lies inside, else the nearest one that does.

        :param point: any.
        """
        return min(max(point[0], self.left), self.right), min(max(point[1], self.top), self.bottom)

    def overlaps(self, other: Box) -> bool:
        """
        Whether the two share an area.

        :param other: another box.
        """
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


class Word(Value, frozen=True):
    """
    A word of a fragment.

    :param text: what it says.
    :param corners: top left, top right, bottom right, bottom left, as seen by the reader of the text.
    """

    UNSAID: ClassVar[tuple[str, ...]] = ("text",)

    text: str
    corners: Corners


class Fragment(Value, frozen=True):
    """
    A piece of one line of text, as the engine finds it.

    :param text: what it says.
    :param confidence: how sure the engine is, 0 to 1.
    :param corners: top left, top right, bottom right, bottom left, as seen by the reader of the text.
    :param words: its words with their own places, where the engine knows them.
    """

    UNSAID: ClassVar[tuple[str, ...]] = ("text", "words")

    text: str
    confidence: float
    corners: Corners
    words: tuple[Word, ...] = ()

    def placed_words(self) -> Iterator[Word]:
        """Its words. Where the engine placed the line alone, the letters are taken to be equally wide."""
        if [word.text for word in self.words] == self.text.split():
            yield from self.words
            return
        top_left, top_right, bottom_right, bottom_left = self.corners
        start = 0
        for text in self.text.split(" "):
            if text:
                first, last = start / len(self.text), (start + len(text)) / len(self.text)
                yield Word(
                    text,
                    (
                        _between(top_left, top_right, first),
                        _between(top_left, top_right, last),
                        _between(bottom_left, bottom_right, last),
                        _between(bottom_left, bottom_right, first),
                    ),
                )
            start += len(text) + 1

    def reworded(self, change: Callable[[str], str]) -> Fragment:
        """
        The fragment with each of its words changed; words stay one word.

        :param change: from what is said to what is to be said.
        """
        return replace(
            self,
            text=" ".join(change(word) if word else word for word in self.text.split(" ")),
            words=tuple(replace(word, text=change(word.text)) for word in self.words),
        )

    def moved(self, move: Callable[[Corners], Corners]) -> Fragment:
        """
        The fragment at another place.

        :param move: from corners to corners.
        """
        words = tuple(replace(word, corners=move(word.corners)) for word in self.words)
        return replace(self, corners=move(self.corners), words=words)


def _between(start: Point, end: Point, share: float) -> Point:
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])


class TextLine(Value, frozen=True):
    """
    One line of text.

    :param fragments: its pieces, from left to right.
    """

    UNSAID: ClassVar[tuple[str, ...]] = ("fragments",)

    fragments: tuple[Fragment, ...]

    @property
    def text(self) -> str:
        """The pieces, joined by spaces."""
        return " ".join(fragment.text for fragment in self.fragments)

    @property
    def box(self) -> Box:
        """Where it is."""
        return Box.around(point for fragment in self.fragments for point in fragment.corners)


class TextBlock(Value, frozen=True):
    """
    Lines that belong together: a paragraph, a column, a caption.

    :param lines: from top to bottom.
    """

    UNSAID: ClassVar[tuple[str, ...]] = ("lines",)

    lines: tuple[TextLine, ...]

    @property
    def text(self) -> str:
        """The lines, joined by newlines."""
        return "\n".join(line.text for line in self.lines)

    def changed(self, change: Callable[[Fragment], Fragment]) -> TextBlock:
        """
        The block with each of its fragments changed.

        :param change: from a fragment to what stands in its place.
        """
        return TextBlock(tuple(TextLine(tuple(map(change, line.fragments))) for line in self.lines))

    @property
    def box(self) -> Box:
        """Where it is."""
        return Box.around(point for line in self.lines for point in line.box.corners)


class Page(Value, frozen=True):
    """
    An image that was read, or one region of it.

    :param blocks: in reading order.
    :param area: the part of the sent image that was read.
    :param image: that part after preprocessing; what the Pdf and ImagePNG results show.
    :param image_blocks: the same blocks, placed in pixels of ``image``.
    :param dpi: pixels per inch of ``image``, where that is known.
    :param bilevel: whether ``image`` has two shades only.
    :param warnings: what a user should know of how it was read.
    """

    UNSAID: ClassVar[tuple[str, ...]] = ("blocks", "image", "image_blocks")

    blocks: tuple[TextBlock, ...]
    area: Box
    image: Image
    image_blocks: tuple[TextBlock, ...]
    dpi: float | None = None
    bilevel: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All blocks, joined by newlines."""
        return "\n".join(block.text for block in self.blocks)

    def changed(self, change: Callable[[Fragment], Fragment]) -> Page:
        """
        The page with each of its fragments changed.

        :param change: from a fragment to what stands in its place.
        """
        return replace(
            self,
            blocks=tuple(block.changed(change) for block in self.blocks),
            image_blocks=tuple(block.changed(change) for block in self.image_blocks),
        )
