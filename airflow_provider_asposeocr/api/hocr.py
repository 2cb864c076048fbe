"""
hOCR as values: pages, their blocks of text, and the words in them with their places.

Source of the format: http://kba.github.io/hocr-spec/1.2/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar
from xml.etree import ElementTree

from airflow_provider_asposeocr.api.values import Value

_PAGES = frozenset({"ocr_page"})
_BLOCKS = frozenset({"ocr_carea", "ocrx_block"})
_LINES = frozenset({"ocr_line"})
_WORDS = frozenset({"ocrx_word"})
_BBOX = re.compile(r"\bbbox (-?\d+) (-?\d+) (-?\d+) (-?\d+)")


class HocrWord(Value, frozen=True):
    """
    One word.

    :param rect: ``[x1, y1, x2, y2]`` in pixels, if it says so.
    :param text: the word.
    """

    UNSAID: ClassVar[tuple[str, ...]] = ("text",)

    rect: list[int] | None
    text: str


class HocrBlock(Value, frozen=True):
    """
    One content area.

    :param rect: ``[x1, y1, x2, y2]`` in pixels, if it says so.
    :param lines: its lines, each as its words.
    :param text: the same as text, a line each.
    """

    UNSAID: ClassVar[tuple[str, ...]] = ("lines", "text")

    rect: list[int] | None
    lines: list[list[HocrWord]]
    text: str


class HocrPage(Value, frozen=True):
    """
    One page.

    :param rect: ``[x1, y1, x2, y2]`` in pixels, if it says so.
    :param blocks: what is on it.
    """

    rect: list[int] | None
    blocks: list[HocrBlock]


def pages_from_hocr(text: str) -> list[HocrPage]:
    """
    Return the pages of an hOCR result. One without pages is one page.

    :param text: the hOCR.
    :raises ValueError: where it is not well-formed, or declares what unfolds.
    """
    root = _parsed(text)
    sheets = list(_outermost(root, _PAGES)) or [root]
    return [HocrPage(_bbox(sheet), [_block(element) for element in _outermost(sheet, _BLOCKS)]) for sheet in sheets]


def blocks_from_hocr(text: str) -> list[dict[str, Any]]:
    """
    Return the content areas of an hOCR result: ``[{"rect": [x1, y1, x2, y2], "text"}, ...]`` in pixels.

    The text keeps its lines.

    :param text: the hOCR.
    :raises ValueError: where it is not well-formed, or declares what unfolds.
    """
    return [{"rect": _bbox(element), "text": _text(element)} for element in _outermost(_parsed(text), _BLOCKS)]


def _parsed(text: str) -> ElementTree.Element:
    if "\0" in text:
        # XML has none: the parser would take it for UTF-16, and find other words in it than are looked for here.
        raise ValueError("it is not well-formed XML: it holds NUL characters")
    if "<!ENTITY" in text or "<!ATTLIST" in text:
        # An entity is unfolded wherever it stands, the default value of an attribute in every element.
        raise ValueError("it declares entities or attributes, which hOCR does not need")
    try:
        # As text: it is decoded already, whatever encoding it names.
        return ElementTree.fromstring(text)  # noqa: S314 - what unfolds is refused above
    except ElementTree.ParseError as error:
        raise ValueError(f"it is not well-formed XML: {error}") from None


def _outermost(root: ElementTree.Element, names: frozenset[str]) -> Iterator[ElementTree.Element]:
    """
    The elements of these classes, and none inside another one: what is nested has its words once, and takes no more
    time than what is flat.
    """
    waiting = [root]
    while waiting:
        element = waiting.pop()
        if _classes(element) & names:
            yield element
        else:
            waiting.extend(reversed(element))


def _block(element: ElementTree.Element) -> HocrBlock:
    lines = [
        [HocrWord(_bbox(word), " ".join("".join(word.itertext()).split())) for word in _outermost(line, _WORDS)]
        for line in _outermost(element, _LINES)
    ]
    return HocrBlock(_bbox(element), [line for line in lines if line], _text(element))


def _classes(element: ElementTree.Element) -> set[str]:
    return set(element.get("class", "").split())


def _bbox(element: ElementTree.Element) -> list[int] | None:
    found = _BBOX.search(element.get("title", ""))
    return [int(edge) for edge in found.groups()] if found else None


def _text(block: ElementTree.Element) -> str:
    lines = list(_outermost(block, _LINES)) or [block]
    return "\n".join(" ".join(" ".join(line.itertext()).split()) for line in lines)
