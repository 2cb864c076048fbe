"""
The formats a recognition result can be asked for, made from a page that was read.

Places in hOCR and JSON are in pixels of the image as sent; a Pdf or ImagePNG shows the preprocessed image.
"""

from __future__ import annotations

import functools
import io
import json
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Literal
from xml.etree import ElementTree

from fontTools.fontBuilder import FontBuilder
from fontTools.ttLib import newTable
from fontTools.ttLib.tables._c_m_a_p import CmapSubtable
from fontTools.ttLib.tables._g_l_y_f import Glyph
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from airflow_provider_asposeocr.emulator.page import Box, Fragment, Page, TextBlock

_HOCR_DOCTYPE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" '
    '"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">\n'
)
_POINTS_PER_PIXEL = 72 / 150  # scans seldom say their resolution; 150 dpi makes a typical one a page of usual size
_INVISIBLE: Literal[3] = 3  # text rendering mode "neither fill nor stroke". Source: ISO 32000-1, 9.3.6
_GLYPHLESS_FONT = "Glyphless"
_GLYPH_WIDTH = 0.5  # of the font's size
_font_making = threading.Lock()


def rendered(page: Page, part: str) -> bytes:
    """
    Return a page in one format.

    :param page: what was read.
    :param part: type of a result entry: ``Text``, ``Hocr``, ``JSON``, ``Pdf`` or ``ImagePNG``.
    """
    return _RENDERERS[part](page)


def _as_text(page: Page) -> bytes:
    return page.text.encode()


def _as_json(page: Page) -> bytes:
    blocks = [{"corners": _corners_of(block.box), "text": block.text} for block in page.blocks]
    return json.dumps(blocks, ensure_ascii=False).encode()


def _corners_of(box: Box) -> list[dict[str, int]]:
    left, top, right, bottom = _whole_pixels(box)
    return [{"x": x, "y": y} for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))]


def _whole_pixels(box: Box) -> tuple[int, int, int, int]:
    return math.floor(box.left), math.floor(box.top), math.ceil(box.right), math.ceil(box.bottom)


def region_of(block: TextBlock) -> list[int]:
    """
    The rectangle of a block as DetectRegions gives it: ``[x1, y1, x2, y2]``.

    :param block: of a page that was read.
    """
    return list(_whole_pixels(block.box))


def _as_hocr(page: Page) -> bytes:
    """The open format of http://kba.github.io/hocr-spec/1.2/."""
    html = ElementTree.Element("html", xmlns="http://www.w3.org/1999/xhtml")
    head = ElementTree.SubElement(html, "head")
    ElementTree.SubElement(head, "title")
    ElementTree.SubElement(head, "meta", {"http-equiv": "Content-Type", "content": "text/html; charset=utf-8"})
    ElementTree.SubElement(head, "meta", name="ocr-system", content="aspose-ocr-emulator")
    ElementTree.SubElement(
        head, "meta", name="ocr-capabilities", content="ocr_page ocr_carea ocr_par ocr_line ocrx_word"
    )
    body = ElementTree.SubElement(html, "body")
    sheet = _hocr(body, "div", "ocr_page", "page_1", box=page.area, properties="; ppageno 0")
    counts = {"line": 0, "word": 0}
    for number, block in enumerate(page.blocks, start=1):
        area = _hocr(sheet, "div", "ocr_carea", f"block_1_{number}", box=block.box)
        paragraph = _hocr(area, "p", "ocr_par", f"par_1_{number}", box=block.box)
        for line in block.lines:
            counts["line"] += 1
            row = _hocr(paragraph, "span", "ocr_line", f"line_1_{counts['line']}", box=line.box)
            for fragment in line.fragments:
                for word, box in _words(fragment):
                    counts["word"] += 1
                    certainty = f"; x_wconf {round(100 * fragment.confidence)}"
                    _hocr(
                        row, "span", "ocrx_word", f"word_1_{counts['word']}", box=box, properties=certainty
                    ).text = word
    markup: bytes = ElementTree.tostring(html, encoding="utf-8")
    return _HOCR_DOCTYPE.encode() + markup


def _hocr(
    parent: ElementTree.Element, tag: str, kind: str, name: str, *, box: Box, properties: str = ""
) -> ElementTree.Element:
    left, top, right, bottom = _whole_pixels(box)
    title = f"bbox {left} {top} {right} {bottom}{properties}"
    return ElementTree.SubElement(parent, tag, {"class": kind, "id": name, "title": title})


def _words(fragment: Fragment) -> Iterator[tuple[str, Box]]:
    """The words and their places. The engine places whole lines only, so the letters are taken to be equally wide."""
    top_left, top_right, bottom_right, bottom_left = fragment.corners
    start = 0
    for word in fragment.text.split(" "):
        share = start / len(fragment.text), (start + len(word)) / len(fragment.text)
        if word:
            along = [
                (edge[0][0] + part * (edge[1][0] - edge[0][0]), edge[0][1] + part * (edge[1][1] - edge[0][1]))
                for edge in ((top_left, top_right), (bottom_left, bottom_right))
                for part in share
            ]
            yield word, Box.around(along)
        start += len(word) + 1


def _as_png(page: Page) -> bytes:
    file = io.BytesIO()
    page.image.save(file, "PNG")
    return file.getvalue()


def _as_pdf(page: Page) -> bytes:
    """The preprocessed image, and over it the text, invisible but there to be searched and copied."""
    width, height = page.image.width * _POINTS_PER_PIXEL, page.image.height * _POINTS_PER_PIXEL
    picture = io.BytesIO()
    page.image.save(picture, "JPEG", quality=85)
    file = io.BytesIO()
    _register_glyphless_font()
    # `invariant`: no date in the file, so that the same image gives the same bytes.
    canvas = Canvas(file, pagesize=(width, height), invariant=1)
    canvas.setCreator("aspose-ocr-emulator")
    canvas.drawImage(ImageReader(picture), 0, 0, width, height)
    for block in page.image_blocks:
        for line in block.lines:
            for fragment in line.fragments:
                _write_invisibly(canvas, fragment, height)
    canvas.showPage()
    canvas.save()
    return file.getvalue()


def _write_invisibly(canvas: Canvas, fragment: Fragment, page_height: float) -> None:
    top_left, _, bottom_right, bottom_left = (
        (x * _POINTS_PER_PIXEL, page_height - y * _POINTS_PER_PIXEL) for x, y in fragment.corners
    )
    # reportlab cannot say in a PDF which character it means beyond the Basic Multilingual Plane (rare Chinese ones).
    content = "".join(character if ord(character) < 0x10000 else "\ufffd" for character in fragment.text)
    size = math.dist(top_left, bottom_left)
    width = math.dist(bottom_left, bottom_right)
    if size <= 0 or width <= 0:
        return
    tilt = math.atan2(bottom_right[1] - bottom_left[1], bottom_right[0] - bottom_left[0])
    text = canvas.beginText()
    text.setTextRenderMode(_INVISIBLE)
    text.setFont(_GLYPHLESS_FONT, size)
    text.setHorizScale(100 * width / (len(content) * _GLYPH_WIDTH * size))
    text.setTextTransform(math.cos(tilt), math.sin(tilt), -math.sin(tilt), math.cos(tilt), *bottom_left)
    text.textOut(content)
    canvas.drawText(text)


def _register_glyphless_font() -> None:
    """
    Give reportlab a font that has every character and draws none.

    The standard fonts of PDF lack most letters, and a real font for all that can be recognized would be large: what is
    invisible needs no shapes.
    """
    with _font_making:
        if _GLYPHLESS_FONT not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(_GLYPHLESS_FONT, io.BytesIO(_glyphless_font())))


@functools.cache
def _glyphless_font() -> bytes:
    units = 1000
    advance = round(units * _GLYPH_WIDTH)
    builder = FontBuilder(units, isTTF=True)
    builder.setupGlyphOrder([".notdef", "blank"])
    # Format 13 of the character map is made for fonts like this one: a whole range of characters on one glyph.
    characters = CmapSubtable.newSubtable(13)
    characters.platformID, characters.platEncID, characters.language = 3, 10, 0
    characters.cmap = dict.fromkeys(range(0x20, 0x10000), "blank")
    builder.font["cmap"] = character_map = newTable("cmap")
    character_map.tableVersion, character_map.tables = 0, [characters]
    builder.setupGlyf({".notdef": Glyph(), "blank": Glyph()})
    builder.setupHorizontalMetrics({".notdef": (advance, 0), "blank": (advance, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": _GLYPHLESS_FONT, "styleName": "Regular", "psName": _GLYPHLESS_FONT})
    builder.setupOS2(sTypoAscender=800, sTypoDescender=-200)
    builder.setupPost()
    file = io.BytesIO()
    builder.save(file)
    return file.getvalue()


_RENDERERS: Mapping[str, Callable[[Page], bytes]] = MappingProxyType(
    {"Text": _as_text, "Hocr": _as_hocr, "JSON": _as_json, "Pdf": _as_pdf, "ImagePNG": _as_png}
)
