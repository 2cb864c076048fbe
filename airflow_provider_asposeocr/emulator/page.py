"""
What reading an image gives: fragments of text with their place, lines, blocks, a page.

Plain values that the reader, the layout analysis and the renderings of results hand to each other. All places are in
pixels of the image as the client sent it, whatever was done to the image on the way.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from PIL.Image import Image

Point = tuple[float, float]
Corners = tuple[Point, Point, Point, Point]


@dataclass(frozen=True, slots=True)
class Box:
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

    def overlaps(self, other: Box) -> bool:
        """
        Whether the two share an area.

        :param other: another box.
        """
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


@dataclass(frozen=True, slots=True)
class Fragment:
    """
    A piece of one line of text, as the engine finds it.

    :param text: what it says.
    :param confidence: how sure the engine is, 0 to 1.
    :param corners: top left, top right, bottom right, bottom left, as seen by the reader of the text.
    """

    text: str
    confidence: float
    corners: Corners


@dataclass(frozen=True, slots=True)
class TextLine:
    """
    One line of text.

    :param fragments: its pieces, from left to right.
    """

    fragments: tuple[Fragment, ...]

    @property
    def text(self) -> str:
        """The pieces, joined by spaces."""
        return " ".join(fragment.text for fragment in self.fragments)

    @property
    def box(self) -> Box:
        """Where it is."""
        return Box.around(point for fragment in self.fragments for point in fragment.corners)


@dataclass(frozen=True, slots=True)
class TextBlock:
    """
    Lines that belong together: a paragraph, a column, a caption.

    :param lines: from top to bottom.
    """

    lines: tuple[TextLine, ...]

    @property
    def text(self) -> str:
        """The lines, joined by newlines."""
        return "\n".join(line.text for line in self.lines)

    @property
    def box(self) -> Box:
        """Where it is."""
        return Box.around(point for line in self.lines for point in line.box.corners)


@dataclass(frozen=True, slots=True)
class Page:
    """
    An image that was read, or one region of it.

    :param blocks: in reading order.
    :param area: the part of the sent image that was read.
    :param image: that part after preprocessing; what the Pdf and ImagePNG results show.
    :param image_blocks: the same blocks, placed in pixels of ``image``.
    """

    blocks: tuple[TextBlock, ...]
    area: Box
    image: Image
    image_blocks: tuple[TextBlock, ...]

    @property
    def text(self) -> str:
        """All blocks, joined by newlines."""
        return "\n".join(block.text for block in self.blocks)
