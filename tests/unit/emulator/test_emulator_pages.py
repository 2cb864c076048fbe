# ruff: noqa: RUF001 - the letters are meant
"""Pages as phones, scanners and programs make them: turned, transparent, drawn, very long, very large, bilevel."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from airflow_provider_asposeocr.emulator import EmulatorServer, Fragment
from airflow_provider_asposeocr.emulator.decoding import READ_PIXELS, UnreadableImageError, decoded
from tests.unit.emulator.conftest import Client, png

SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="300" height="60"><rect width="300" height="60" fill="white"/>'
    b'<text x="10" y="40" font-family="DejaVu Sans" font-size="30">Drawn words</text></svg>'
)


class OneLine:
    """Finds one text over the whole of each image it is shown, and remembers their sizes."""

    def __init__(self, text: str, corners: Sequence[tuple[float, float]] | None = None, count: int = 1) -> None:
        self.text, self.corners, self.count = text, corners, count
        self.seen: list[tuple[int, int]] = []

    def read(self, image: Image.Image) -> list[Fragment]:
        self.seen.append(image.size)
        right, bottom = image.width - 5.0, image.height - 5.0
        corners = self.corners or ((5.0, 5.0), (right, 5.0), (right, bottom), (5.0, bottom))
        return [
            Fragment(self.text, 0.9, tuple((x + 60 * at, y) for x, y in corners))  # type: ignore[arg-type]
            for at in range(self.count)
        ]


def told(reader: OneLine, endpoint: str, data: bytes, settings: dict | None = None) -> tuple[str, list[str]]:
    """The text of the result, and the warnings."""
    with EmulatorServer(reader=reader) as server:
        client = Client(server.url)
        with client.session:
            client.authorize()
            answer = client.answer(endpoint, client.submit(endpoint, data, settings))
    assert answer["taskStatus"] == "Completed", answer
    import base64

    return base64.b64decode(answer["results"][0]["data"]).decode(), (answer["error"] or {}).get("warnings", [])


@pytest.mark.parametrize(("orientation", "turn"), [(3, 180), (6, 90), (8, 270)])
def test_a_photo_turned_by_its_exif_tag_is_read_and_its_places_are_those_of_the_file(reading, sheet, orientation, turn):
    """A viewer turns such a photo, and so does the reader; regions stay in pixels as they are stored."""
    upright = Image.open(io.BytesIO(sheet((420, 80), (15, 20, "Held sideways", 32))))
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    stored = upright.rotate(turn, expand=True)
    stored.save(file, "JPEG", exif=exif, quality=95)
    assert reading.text("RecognizeImage", file.getvalue()) == "Held sideways"
    ((left, top, right, bottom),) = json.loads(reading.results("DetectRegions", file.getvalue())[0][1])
    assert (right - left > bottom - top) == (turn == 180)
    assert right <= stored.width
    assert bottom <= stored.height
    rect = {"topLeftX": left, "topLeftY": top, "bottomRightX": right, "bottomRightY": bottom}
    settings = {"regions": [{"rect": rect, "order": 0}]}
    assert reading.text("RecognizeRegions", file.getvalue(), settings) == "Held sideways"


def test_white_print_on_a_transparent_ground_is_read(reading, sheet):
    """Transparent ground becomes the paper on which the print can be seen."""
    page = Image.open(io.BytesIO(sheet((300, 60), (10, 12, "White ink", 30)))).convert("L")
    glass = Image.new("RGBA", page.size, (255, 255, 255, 0))
    glass.putalpha(Image.eval(page, lambda shade: 255 - shade))
    assert reading.text("RecognizeImage", png(glass)) == "White ink"


def test_an_svg_is_drawn_and_read(reading):
    """An SVG is read, and its places are in its own pixels."""
    pytest.importorskip("resvg_py")
    assert reading.text("RecognizeImage", SVG) == "Drawn words"
    ((left, top, right, bottom),) = json.loads(reading.results("DetectRegions", SVG)[0][1])
    assert 0 <= left < right <= 300
    assert 0 <= top < bottom <= 60


@pytest.mark.parametrize(
    "size",
    [
        b'width="99999" height="99999"',
        b'viewBox="0 0 99999 99999"',
        b"width='900in' height='900in'",
        b'width="1e9" height="9"',
    ],
)
def test_an_svg_too_large_is_refused_before_it_is_drawn(size):
    """The size of an SVG is checked in whichever way it is written."""
    with pytest.raises(UnreadableImageError, match="at most"):
        decoded(b'<svg xmlns="http://www.w3.org/2000/svg" ' + size + b"></svg>")


@pytest.mark.parametrize("kind", ["WEBP", "ICO", "PPM", "TGA", "EPS"])
def test_only_the_documented_formats_are_taken(reading, image, kind):
    """What the service does not document is not read, whatever Pillow can."""
    file = io.BytesIO()
    Image.open(io.BytesIO(image)).save(file, kind)
    answer = reading.answer("RecognizeImage", reading.submit("RecognizeImage", file.getvalue()))
    assert answer["taskStatus"] == "Error"
    assert "cannot be decoded" in answer["error"]["messages"][0]


def test_of_a_tiff_of_several_pages_the_first_is_read_with_a_warning(reading, sheet):
    """The further pages of a TIFF are not read, and that is said."""
    pages = [Image.open(io.BytesIO(sheet((300, 60), (10, 12, text, 30)))) for text in ("First", "Second")]
    file = io.BytesIO()
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    answer = reading.answer("RecognizeImage", reading.submit("RecognizeImage", file.getvalue()))
    assert "2 pages" in answer["error"]["warnings"][0]


def test_a_strip_is_read_piece_by_piece():
    """No piece of a strip is made too small to be read, and none is cut through its print."""
    strip = Image.new("RGB", (200, 6000), "white")
    for y in range(20, 5980, 40):
        ImageDraw.Draw(strip).text((10, y), "printed", fill="black", font=ImageFont.load_default(24))
    reader = OneLine("piece")
    text, _ = told(reader, "RecognizeImage", png(strip), {"makeSkewCorrect": False})
    assert len(reader.seen) > 5
    assert all(height <= 5 * width for width, height in reader.seen)
    assert sum(height for _, height in reader.seen) == 6000
    assert text.split() == ["piece"] * len(reader.seen)


def test_of_a_page_nothing_is_cut():
    reader = OneLine("whole")
    told(reader, "RecognizeImage", png(Image.new("RGB", (1200, 3000), "white")))
    assert reader.seen == [(1200, 3000)]


def test_columns_of_a_photo_are_read_one_after_the_other(reading, sheet):
    """A page seen from the side, on a dark table, is read by columns and not across them."""
    left = ["The lamp at the end of the", "pier had never gone out in", "thirty winters of storms"]
    right = ["Then the keeper read the", "letter twice and went down", "to fetch the book again"]
    lines = [(30, 40 + 36 * at, text, 24) for at, text in enumerate(left)]
    lines += [(430, 40 + 36 * at, text, 24) for at, text in enumerate(right)]
    page = np.asarray(Image.open(io.BytesIO(sheet((800, 190), *lines))))
    corners = np.array([[0, 0], [800, 0], [800, 190], [0, 190]], np.float32)
    seen = np.array([[110, 50], [820, 130], [900, 380], [60, 290]], np.float32)
    photo = cv2.warpPerspective(page, cv2.getPerspectiveTransform(corners, seen), (960, 430), borderValue=(60, 50, 45))
    assert reading.text("RecognizeImage", png(Image.fromarray(photo))).split("\n") == left + right


@pytest.mark.parametrize(
    ("language", "found", "kept"),
    [
        ("English", "İCI ÃIR, café – 5 €", "ICI AIR, café – 5 €"),
        ("English", "（full）", "(full)"),
        ("Turkish", "İstanbul ışık Ãir", "İstanbul ışık Air"),
        ("German", "Straße łos", "Straße los"),
        ("Chinese", "İ 你好。", "İ 你好。"),
    ],
)
def test_text_keeps_to_the_alphabet_of_its_language(image, language, found, kept):
    """Letters that a language does not have become those they look like."""
    assert told(OneLine(found), "RecognizeImage", image, {"language": language})[0] == kept


@pytest.mark.parametrize(
    ("endpoint", "settings", "says"),
    [
        ("RecognizeImage", {"dsrMode": "TextDetector"}, "dsrMode TextDetector acts as Regions"),
        ("RecognizeImage", {"dsrMode": "LineDetector"}, "dsrMode LineDetector acts as Regions"),
        ("RecognizeImage", {"dsrConfidence": "Ultra"}, "dsrConfidence Ultra has no effect"),
        ("DetectRegions", {"dsrMode": "LineDetector"}, None),
        ("RecognizeImage", {"dsrMode": "NoDsrNoFilter", "dsrConfidence": "Mid"}, None),
    ],
)
def test_settings_without_effect_say_so(image, endpoint, settings, says):
    """What the emulator does not do as the service does is a warning."""
    _, warnings = told(OneLine("a"), endpoint, image, settings)
    assert [says in warning for warning in warnings] == ([True] if says else [])


def test_a_page_on_its_side_is_warned_of(image):
    """Lines that run up or down are garbage when read: the warning names the setting."""
    upright = ((5.0, 5.0), (25.0, 5.0), (25.0, 55.0), (5.0, 55.0))
    _, warnings = told(
        OneLine("garbage", upright, count=4), "RecognizeImage", png(Image.new("RGB", (300, 60), "white"))
    )
    assert "`rotate` to 90 or 270" in warnings[0]


def test_a_page_upside_down_is_warned_of(reading, sheet):
    """A page that is read with little certainty may be upside down: the warning names the setting."""
    lines = [(30, 30 + 40 * at, "Rows of words that fill a page", 26) for at in range(2)]
    page = Image.open(io.BytesIO(sheet((500, 140), *lines)))
    answer = reading.answer("RecognizeImage", reading.submit("RecognizeImage", png(page.rotate(180))))
    assert "`rotate` to 180" in answer["error"]["warnings"][0]
    assert reading.answer("RecognizeImage", reading.submit("RecognizeImage", png(page)))["error"] is None


def test_hocr_places_words_where_they_are(reading, sheet):
    """Words have their own places: narrow letters are not as wide as broad ones."""
    line = sheet((500, 60), (10, 12, "illicit WWWWWWW", 30))
    ((_, data),) = reading.results("RecognizeImage", line, {"resultType": "Hocr"})
    spans = [element for element in ElementTree.fromstring(data).iter() if element.get("class") == "ocrx_word"]
    widths = []
    for span in spans:
        left, _, right, _ = map(int, span.get("title", "").removeprefix("bbox ").split(";")[0].split())
        widths.append(right - left)
    assert [span.text for span in spans] == ["illicit", "WWWWWWW"]
    assert widths[1] > 2 * widths[0]


def bilevel_page() -> bytes:
    sheet = Image.new("1", (1654, 2339), 1)
    for y in range(100, 2200, 60):
        ImageDraw.Draw(sheet).text((120, y), "Rows of print " * 6, fill=0, font=ImageFont.load_default(34))
    return png(sheet, dpi=(200, 200))


def test_a_bilevel_scan_does_not_become_a_large_pdf():
    """A page of two shades is kept as it is, in the size that its resolution says, without a word of nobody."""
    pypdf = pytest.importorskip("pypdf")
    page = bilevel_page()
    with EmulatorServer(reader=OneLine("words over all of the page")) as server:
        client = Client(server.url)
        with client.session:
            client.authorize()
            ((_, data),) = client.results("RecognizeImage", page, {"resultType": "Pdf"})
    assert len(data) < 60_000  # with a JPEG of the page it had 971 kB
    document = pypdf.PdfReader(io.BytesIO(data))
    assert document.pages[0].mediabox.width == pytest.approx(1654 * 72 / 200, abs=1)
    assert "anonymous" not in str(document.metadata)
    assert document.pages[0].extract_text().split() == ["words", "over", "all", "of", "the", "page"]


def test_words_of_a_pdf_can_be_selected_where_they_stand():
    """A viewer finds a box with an area for every letter of the invisible text."""
    pdfium = pytest.importorskip("pypdfium2")
    with EmulatorServer(reader=OneLine("select me")) as server:
        client = Client(server.url)
        with client.session:
            client.authorize()
            ((_, data),) = client.results("RecognizeImage", png(Image.new("RGB", (300, 60))), {"resultType": "Pdf"})
    with pdfium.PdfDocument(data) as document:
        text = document[0].get_textpage()
        for at in range(6):
            left, bottom, right, top = text.get_charbox(at)
            assert right - left > 2
            assert top - bottom > 5


def test_a_very_large_image_is_made_smaller_before_it_costs_memory():
    """Memory is bounded by what is worked on, and places still are those of the image as sent."""
    file = io.BytesIO()
    Image.new("1", (8000, 9000), 1).save(file, "PNG")
    sheet = decoded(file.getvalue())
    assert sheet.image.width * sheet.image.height <= READ_PIXELS * 1.01
    assert sheet.size == (8000, 9000)
    x, y, _ = sheet.to_sent @ np.array([sheet.image.width, sheet.image.height, 1.0])
    assert (x, y) == (pytest.approx(8000), pytest.approx(9000))
    assert "was read at" in sheet.warnings[0]
