"""
The formats a recognition result can be asked for, made from the pages that were read.

Places in hOCR and JSON are in pixels of the image as sent; a Pdf or ImagePNG shows the preprocessed image.
"""

from __future__ import annotations

import functools
import io
import json
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal
from xml.etree import ElementTree

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import newTable
from fontTools.ttLib.tables._c_m_a_p import CmapSubtable
from fontTools.ttLib.tables._g_l_y_f import Glyph
from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from airflow_provider_asposeocr.emulator.page import Box, Fragment, Page, TextBlock, Word

_HOCR_DOCTYPE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" '
    '"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">\n'
)
_USUAL_DPI = 150.0  # where a scan does not say its resolution, this makes a typical one a page of usual size
_POINTS_PER_INCH = 72.0
_INVISIBLE: Literal[3] = 3  # text rendering mode "neither fill nor stroke". Source: ISO 32000-1, 9.3.6
_GLYPHLESS_FONT = "Glyphless"
_GLYPH_WIDTH = 0.5  # of the font's size
_DESCENT = 0.2  # likewise
_font_making = threading.Lock()


def rendered(pages: Sequence[Page], part: str) -> list[bytes]:
    """
    Return pages in one format: one file for all, but for pictures, of which each page is one.

    :param pages: what was read.
    :param part: type of a result entry: ``Text``, ``Hocr``, ``JSON``, ``Pdf`` or ``ImagePNG``.
    """
    if part == "ImagePNG":
        return [as_png(page.image, bilevel=page.bilevel) for page in pages]
    return [_RENDERERS[part](pages)]


def _as_text(pages: Sequence[Page]) -> bytes:
    return "\n".join(page.text for page in pages).encode()


def _as_json(pages: Sequence[Page]) -> bytes:
    blocks = [
        {**({"page": number} if len(pages) > 1 else {}), "corners": _corners_of(block.box), "text": block.text}
        for number, page in enumerate(pages, start=1)
        for block in page.blocks
    ]
    return json.dumps(blocks, ensure_ascii=False).encode()


def _corners_of(box: Box) -> list[dict[str, int]]:
    """Top left and bottom right. Source: "Result format", docs.aspose.cloud/ocr/result-format/."""
    left, top, right, bottom = _whole_pixels(box)
    return [{"x": left, "y": top}, {"x": right, "y": bottom}]


def _whole_pixels(box: Box) -> tuple[int, int, int, int]:
    return math.floor(box.left), math.floor(box.top), math.ceil(box.right), math.ceil(box.bottom)


def region_of(block: TextBlock) -> list[int]:
    """
    The rectangle of a block as DetectRegions gives it: ``[x1, y1, x2, y2]``.

    :param block: of a page that was read.
    """
    return list(_whole_pixels(block.box))


def _as_hocr(pages: Sequence[Page]) -> bytes:
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
    for number, page in enumerate(pages, start=1):
        _hocr_page(body, number, page)
    markup: bytes = ElementTree.tostring(html, encoding="utf-8")
    return _HOCR_DOCTYPE.encode() + markup


def _hocr_page(body: ElementTree.Element, at: int, page: Page) -> None:
    properties = f"; ppageno {at - 1}" + (f"; scan_res {round(page.dpi)} {round(page.dpi)}" if page.dpi else "")
    sheet = _hocr(body, "div", "ocr_page", f"page_{at}", box=page.area, properties=properties)
    counts = {"line": 0, "word": 0}
    for number, block in enumerate(page.blocks, start=1):
        area = _hocr(sheet, "div", "ocr_carea", f"block_{at}_{number}", box=block.box)
        paragraph = _hocr(area, "p", "ocr_par", f"par_{at}_{number}", box=block.box)
        for line in block.lines:
            counts["line"] += 1
            row = _hocr(paragraph, "span", "ocr_line", f"line_{at}_{counts['line']}", box=line.box)
            for fragment in line.fragments:
                for word in fragment.placed_words():
                    counts["word"] += 1
                    name, certainty = f"word_{at}_{counts['word']}", f"; x_wconf {round(100 * fragment.confidence)}"
                    span = _hocr(row, "span", "ocrx_word", name, box=Box.around(word.corners), properties=certainty)
                    span.text, span.tail = word.text, " "


def _hocr(
    parent: ElementTree.Element, tag: str, kind: str, name: str, *, box: Box, properties: str = ""
) -> ElementTree.Element:
    left, top, right, bottom = _whole_pixels(box)
    title = f"bbox {left} {top} {right} {bottom}{properties}"
    return ElementTree.SubElement(parent, tag, {"class": kind, "id": name, "title": title})


def as_png(image: Image.Image, *, bilevel: bool = False) -> bytes:
    """
    An image as a PNG file.

    :param image: in mode RGB.
    :param bilevel: whether one bit per pixel says all there is.
    """
    file = io.BytesIO()
    (_one_bit(image) if bilevel else image).save(file, "PNG")
    return file.getvalue()


def _one_bit(image: Image.Image) -> Image.Image:
    return image.convert("L").point(lambda shade: 255 * (shade > 127)).convert("1", dither=Image.Dither.NONE)


def _as_pdf(pages: Sequence[Page]) -> bytes:
    """The preprocessed images, and over each its text, invisible but there to be searched and copied."""
    file = io.BytesIO()
    _register_glyphless_font()
    # `invariant`: no date in the file, so that the same image gives the same bytes.
    canvas = Canvas(file, invariant=1)
    canvas.setCreator("aspose-ocr-emulator")
    canvas.setTitle("Recognized document")
    # Else reportlab writes "anonymous" and "unspecified".
    canvas.setAuthor("")
    canvas.setSubject("")
    for page in pages:
        _add_pdf_page(canvas, page)
    canvas.save()
    return file.getvalue()


def _add_pdf_page(canvas: Canvas, page: Page) -> None:
    scale = _POINTS_PER_INCH / (page.dpi or _USUAL_DPI)
    width, height = page.image.width * scale, page.image.height * scale
    canvas.setPageSize((width, height))
    picture = io.BytesIO()
    if page.bilevel:
        # Of two shades a JPEG makes ten times as much, and blurs them.
        _one_bit(page.image).convert("L").save(picture, "PNG")
    else:
        page.image.save(picture, "JPEG", quality=85)
    canvas.drawImage(ImageReader(picture), 0, 0, width, height)
    for block in page.image_blocks:
        for line in block.lines:
            for fragment in line.fragments:
                _write_invisibly(canvas, fragment, scale, height)
    canvas.showPage()


def _write_invisibly(canvas: Canvas, fragment: Fragment, scale: float, page_height: float) -> None:
    words = list(fragment.placed_words())
    for at, word in enumerate(words):
        _write_word(canvas, word, " " if at < len(words) - 1 else "", scale, page_height)


def _write_word(canvas: Canvas, word: Word, behind: str, scale: float, page_height: float) -> None:
    top_left, _, bottom_right, bottom_left = ((x * scale, page_height - y * scale) for x, y in word.corners)
    # reportlab cannot say in a PDF which character it means beyond the Basic Multilingual Plane (rare Chinese ones).
    content = "".join(character if ord(character) < 0x10000 else "\ufffd" for character in word.text)
    size = math.dist(top_left, bottom_left)
    width = math.dist(bottom_left, bottom_right)
    if size <= 0 or width <= 0:
        return
    tilt = math.atan2(bottom_right[1] - bottom_left[1], bottom_right[0] - bottom_left[0])
    # The font goes a fifth of its size below the line of writing, as print does.
    foot = bottom_left[0] - _DESCENT * size * math.sin(tilt), bottom_left[1] + _DESCENT * size * math.cos(tilt)
    text = canvas.beginText()
    text.setTextRenderMode(_INVISIBLE)
    text.setFont(_GLYPHLESS_FONT, size)
    text.setHorizScale(100 * width / (len(content) * _GLYPH_WIDTH * size))
    text.setTextTransform(math.cos(tilt), math.sin(tilt), -math.sin(tilt), math.cos(tilt), *foot)
    text.textOut(content + behind)
    canvas.drawText(text)


def _register_glyphless_font() -> None:
    """
    Give reportlab a font that has every character, all of one shape: a box.

    The standard fonts of PDF lack most letters, and a real font for all that can be recognized would be large: what is
    invisible needs no shapes of its own.
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
    # It is never drawn. But what a viewer marks when text is selected is its outline.
    pen = TTGlyphPen(None)
    foot, head = -round(_DESCENT * units), units - round(_DESCENT * units)
    pen.moveTo((0, foot))
    for corner in ((0, head), (advance, head), (advance, foot)):
        pen.lineTo(corner)
    pen.closePath()
    builder.setupGlyf({".notdef": Glyph(), "blank": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (advance, 0), "blank": (advance, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": _GLYPHLESS_FONT, "styleName": "Regular", "psName": _GLYPHLESS_FONT})
    builder.setupOS2(sTypoAscender=800, sTypoDescender=-200)
    builder.setupPost()
    file = io.BytesIO()
    builder.save(file)
    return file.getvalue()


_RENDERERS: Mapping[str, Callable[[Sequence[Page]], bytes]] = MappingProxyType(
    {"Text": _as_text, "Hocr": _as_hocr, "JSON": _as_json, "Pdf": _as_pdf}
)
