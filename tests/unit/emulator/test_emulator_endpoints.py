"""Every endpoint of the emulator really does its work: PDFs, tables, invoices, fonts, images, DjVu, speech."""

from __future__ import annotations

import csv
import io
import json
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from airflow_provider_asposeocr.api.typed_results import fonts_from_text, invoice_from_json, rows_from_csv
from tests.unit.emulator.conftest import png

DEJAVU = Path("/usr/share/fonts/truetype/dejavu")
GOODS = [["Item", "Count", "Price"], ["Black tea", "2", "6.85"], ["Rye bread", "1", "4.20"], ["Plum jam", "3", "3.90"]]
INVOICE = [
    (40, 40, "Harbour Supplies Ltd", 34),
    (40, 90, "12 Quay Street, Lowport", 24),
    (40, 125, "mail@harbour.example", 24),
    (560, 40, "INVOICE", 34),
    (560, 90, "Invoice date: 2024-03-14", 24),
    (560, 125, "Due date: 2024-04-13", 24),
    (40, 220, "Bill to:", 24),
    (40, 255, "Odette Marsh", 24),
    (40, 290, "3 Mill Lane, Fennick", 24),
    (560, 420, "Subtotal 1,000.00", 24),
    (560, 455, "VAT 20% 200.00", 24),
    (560, 490, "Total EUR 1,200.00", 24),
    (40, 600, "IBAN: DE89 3704 0044 0532 0130 00", 24),
    (40, 635, "BIC: COBADEFFXXX", 24),
]


def table(ruled: bool) -> bytes:
    sheet = Image.new("RGB", (700, 290), "white")
    draw = ImageDraw.Draw(sheet)
    for at, row in enumerate(GOODS):
        for x, text in zip((40, 330, 520), row, strict=True):
            draw.text((x, 34 + 60 * at), text, fill="black", font=ImageFont.load_default(28))
    if ruled:
        for y in range(20, 261, 60):
            draw.line((20, y, 680, y), fill="black", width=2)
        for x in (20, 300, 490, 680):
            draw.line((x, 20, x, 260), fill="black", width=2)
    return png(sheet)


@pytest.mark.parametrize("ruled", [True, False])
def test_the_csv_of_a_table_is_the_drawn_table(reading, ruled):
    """The cells of a table come back row by row, whether or not its lines are drawn."""
    ((kind, data),) = reading.results("RecognizeTable", table(ruled), {"resultTypeTable": "Csv"})
    assert kind == "Csv"
    assert next(csv.reader(io.StringIO(data.decode()))) == ["0", "1", "2"]
    assert rows_from_csv(data.decode()) == GOODS


def test_a_table_as_text_and_as_a_workbook(reading):
    """A table comes as plain text and as an Excel workbook too."""
    openpyxl = pytest.importorskip("openpyxl")
    (kind, text), *_ = reading.results("RecognizeTable", table(True))
    assert (kind, [line.split("  ")[0] for line in text.decode().splitlines()]) == ("Text", [row[0] for row in GOODS])
    entries = dict(reading.results("RecognizeTable", table(True), {"resultTypeTable": "CsvAndExcel"}))
    assert list(entries) == ["Csv", "Excel"]
    sheet = openpyxl.load_workbook(io.BytesIO(entries["Excel"])).active
    assert [[cell.value for cell in row] for row in sheet.rows] == GOODS


def test_a_blank_page_is_an_empty_table(reading, image):
    assert reading.results("RecognizeTable", image, {"resultTypeTable": "Csv"}) == [("Csv", b"")]


def test_an_invoice_becomes_its_fields(reading, sheet):
    """Names, dates and amounts of an invoice come back as fields."""
    ((kind, data),) = reading.results("RecognizeAndParseInvoice", sheet((1000, 700), *INVOICE))
    assert kind == "Text"
    fields = invoice_from_json(data.decode())
    expected = {
        "issue_date": "2024-03-14",
        "due_date": "2024-04-13",
        "supplier_name": "Harbour Supplies Ltd",
        "supplier_email": "mail@harbour.example",
        "receiver_name": "Odette Marsh",
        "currency": "EUR",
        "total_amount": 1200.0,
        "net_amount": 1000.0,
        "vat": 20.0,
        "bic": "COBADEFFXXX",
        "account": "DE89 3704 0044 0532 0130 00",
    }
    assert {name: fields[name] for name in expected} == expected


def test_an_invoice_without_anything_has_all_fields(reading, image):
    """What is missing is said as the service says it."""
    fields = json.loads(reading.text("RecognizeAndParseInvoice", image))
    assert len(fields) == 17
    assert (fields["vat"], fields["issue_date"], fields["supplier_name"]) == (-1, "", "")


@pytest.mark.skipif(not DEJAVU.is_dir(), reason="the font is not installed")
@pytest.mark.parametrize(
    ("file", "name", "style"),
    [
        ("DejaVuSerif.ttf", "dejavu serif", "regular"),
        ("DejaVuSansMono.ttf", "dejavu sans mono", "regular"),
        ("DejaVuSans-Bold.ttf", "dejavu sans", "bold"),
    ],
)
def test_a_font_is_told_by_its_looks(reading, file, name, style):
    """The font a page is set in is the first of those that are named."""
    paper = Image.new("RGB", (900, 90), "white")
    font = ImageFont.truetype(DEJAVU / file, 34)
    ImageDraw.Draw(paper).text((20, 20), "Harbour lights are gleaming again", fill="black", font=font)
    found, fonts = fonts_from_text(reading.text("IdentifyFont", png(paper)))
    assert fonts[0] == name
    assert found == style


def test_a_font_without_words_is_an_error_that_says_so(reading, image):
    answer = reading.answer("IdentifyFont", reading.submit("IdentifyFont", image))
    assert "No words" in answer["error"]["messages"][0]


def pdf(*pages: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    pages[0].save(file, "PDF", save_all=True, append_images=list(pages[1:]), resolution=100, **options)
    return file.getvalue()


def test_all_pages_of_a_pdf_are_read(reading, sheet):
    """The pages of a PDF are read in their order; its searchable PDF has as many."""
    pypdf = pytest.importorskip("pypdf")
    sheets = [Image.open(io.BytesIO(sheet((420, 80), (15, 20, text, 30)))) for text in ("First page", "Second page")]
    document = pdf(*sheets)
    assert reading.text("RecognizePdf", document) == "First page\nSecond page"
    entries = dict(reading.results("RecognizePdf", document, {"resultType": "PdfAndHocr"}))
    written = pypdf.PdfReader(io.BytesIO(entries["Pdf"]))
    assert [page.extract_text().split() for page in written.pages] == [["First", "page"], ["Second", "page"]]
    assert written.pages[0].mediabox.width == pytest.approx(420 * 72 / 100, abs=1)
    assert entries["Hocr"].count(b'class="ocr_page"') == 2
    pictures = reading.results("RecognizePdf", document, {"resultType": "ImagePNG"})
    assert [kind for kind, _ in pictures] == ["ImagePNG", "ImagePNG"]


@pytest.mark.parametrize(
    ("endpoint", "data", "says"),
    [
        ("RecognizePdf", b"\x89PNG\r\n\x1a\n", "RecognizeImage takes images"),
        ("RecognizePdf", b"%PDF-1.7 broken", "cannot be opened"),
        ("DjVu2PDF", b"%PDF-1.7", "no DjVu"),
        ("DjVu2PDF", b"AT&TFORM\x00\x00\x00\x00DJVU", "broken"),
        ("BinarizeImage", b"no image", "cannot be decoded"),
    ],
)
def test_a_file_of_another_kind_ends_as_error_that_says_so(reading, endpoint, data, says):
    answer = reading.answer(endpoint, reading.submit(endpoint, data))
    assert answer["taskStatus"] == "Error"
    assert says in answer["error"]["messages"][0]


def test_receipts_and_labels_are_read(reading, sheet):
    """Receipts and labels are read as images are, and take their own settings."""
    line = sheet((420, 60), (10, 12, "Net weight 250 g", 30))
    assert reading.text("RecognizeReceipt", line) == "Net weight 250 g"
    assert reading.text("RecognizeLabel", line, {"makeUpsampling": True}) == "Net weight 250 g"


def shades(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("L"))


def in_shadow(data: bytes) -> bytes:
    sheet = np.asarray(Image.open(io.BytesIO(data)).convert("L"), np.float64)
    sheet[:, sheet.shape[1] // 2 :] *= 0.3
    return png(Image.fromarray(sheet.astype(np.uint8)))


def test_binarize_leaves_no_shadow(reading, sheet):
    """Black on white comes out of a page that lies half in shadow."""
    page = in_shadow(sheet((600, 120), (20, 40, "Half of it lies in shadow", 36)))
    ((kind, data),) = reading.results("BinarizeImage", page)
    assert kind == "ImagePNG"
    found = shades(data)
    assert set(np.unique(found)) == {0, 255}
    assert (found == 255).mean() > 0.85
    assert reading.text("RecognizeImage", data) == "Half of it lies in shadow"


def paragraph(sheet: object) -> Image.Image:
    lines = [(30, 30 + 40 * at, "Rows of words that fill a page from side to side", 26) for at in range(8)]
    return Image.open(io.BytesIO(sheet((700, 380), *lines)))  # type: ignore[operator]


def tilt_of(data: bytes) -> float:
    """Rows of a straight page alternate between ink and none: the turn that makes them do so most is the tilt."""
    image = Image.open(io.BytesIO(data)).convert("L")

    def sharpness(degrees: float) -> float:
        return float(np.var(np.asarray(image.rotate(degrees, fillcolor=255)).mean(axis=1)))

    return max((degrees / 2 for degrees in range(-16, 17)), key=sharpness)


@pytest.mark.parametrize("degrees", [-7, 4])
def test_deskew_makes_the_lines_level(reading, sheet, degrees):
    """A tilted page comes back straight."""
    tilted = paragraph(sheet).rotate(degrees, expand=True, fillcolor="white", resample=Image.Resampling.BICUBIC)
    ((_, data),) = reading.results("DeskewImage", png(tilted))
    assert abs(tilt_of(png(tilted)) + degrees) <= 0.5
    assert abs(tilt_of(data)) <= 0.5


def test_skew_correction_straightens_the_pixels_that_are_shown(reading, sheet):
    """A picture of the preprocessed page is straight, and places still are in pixels of the image as sent."""
    tilted = png(paragraph(sheet).rotate(6, expand=True, fillcolor="white", resample=Image.Resampling.BICUBIC))
    ((_, data),) = reading.results("RecognizeImage", tilted, {"resultType": "ImagePNG"})
    assert abs(tilt_of(data)) <= 0.5
    ((_, kept),) = reading.results("RecognizeImage", tilted, {"resultType": "ImagePNG", "makeSkewCorrect": False})
    assert abs(tilt_of(kept) + 6) <= 0.5
    with Image.open(io.BytesIO(tilted)) as image:
        for left, top, right, bottom in json.loads(reading.results("DetectRegions", tilted)[0][1]):
            assert 0 <= left < right <= image.width
            assert 0 <= top < bottom <= image.height


def test_upscale_doubles_the_size(reading, sheet):
    ((_, data),) = reading.results("UpscaleImage", sheet((200, 60), (10, 12, "small", 20)))
    assert shades(data).shape == (120, 400)


def test_dewarp_takes_the_perspective_out(reading, sheet):
    """A page on a dark table, seen from the side, comes back as a rectangle that fills the picture."""
    cv2 = pytest.importorskip("cv2")
    flat = np.asarray(paragraph(sheet))
    corners = np.array([[0, 0], [700, 0], [700, 380], [0, 380]], np.float32)
    seen = np.array([[90, 60], [700, 100], [740, 470], [50, 430]], np.float32)
    photo = cv2.warpPerspective(flat, cv2.getPerspectiveTransform(corners, seen), (800, 540), borderValue=(60, 50, 45))
    job_id = reading.submit("DewarpImage", png(Image.fromarray(photo)))
    answer = reading.answer("DewarpImage", job_id)
    assert "perspective" in answer["error"]["warnings"][0]
    ((_, data),) = reading.results("DewarpImage", png(Image.fromarray(photo)))
    assert (shades(data)[5:-5, 5:-5] < 75).mean() < 0.12
    unchanged = reading.answer("DewarpImage", reading.submit("DewarpImage", png(paragraph(sheet))))
    assert "no outline" in unchanged["error"]["warnings"][0]


def test_djvu_becomes_a_pdf_that_is_read(reading, scans):
    """A DjVu file becomes a PDF, which RecognizePdf reads."""
    document = (scans / "page.djvu").read_bytes()
    ((kind, data),) = reading.results("DjVu2PDF", document)
    assert kind == "Pdf"
    assert reading.text("RecognizePdf", data) == "A page in DjVu"


def spoken(reading: object, endpoint: str, text: str) -> dict:
    sent = reading.call("POST", f"/v5.0/ocr/{endpoint}", json={"text": text, "settings": {}})  # type: ignore[attr-defined]
    return reading.answer(endpoint, sent.text)  # type: ignore[attr-defined]


def test_text_is_spoken_and_longer_text_longer(reading):
    """Speech comes as a sound file that can be played, and lasts as long as its text."""
    import base64

    seconds = []
    for text in ("Hello.", "Hello, the lamp at the end of the pier is lit again."):
        (entry,) = spoken(reading, "ConvertTextToSpeech", text)["results"]
        assert entry["type"] == "WavFile"
        with wave.open(io.BytesIO(base64.b64decode(entry["data"]))) as sound:
            assert (sound.getnchannels(), sound.getsampwidth()) == (1, 2)
            assert max(abs(np.frombuffer(sound.readframes(sound.getnframes()), np.int16).astype(int))) > 1000
            seconds.append(sound.getnframes() / sound.getframerate())
    assert 0.2 < seconds[0] < seconds[1]


def test_the_trial_speaks_500_characters(reading):
    assert spoken(reading, "ConvertTextToSpeechTrial", "a " * 250)["taskStatus"] == "Completed"
    assert "500" in spoken(reading, "ConvertTextToSpeechTrial", "a " * 251)["error"]["messages"][0]


@pytest.mark.parametrize(
    ("module", "endpoint", "data", "names"),
    [
        ("pypdfium2", "RecognizePdf", b"%PDF-1.7", "pypdfium2"),
        ("openpyxl", "RecognizeTable", None, "openpyxl"),
        ("resvg_py", "BinarizeImage", b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", "resvg-py"),
    ],
)
def test_a_missing_tool_ends_the_job_as_error_that_names_it(reading, monkeypatch, image, module, endpoint, data, names):
    """What is not installed is named, with the extra that brings it."""
    monkeypatch.setitem(sys.modules, module, None)
    settings = {"resultTypeTable": "Excel"} if endpoint == "RecognizeTable" else None
    answer = reading.answer(endpoint, reading.submit(endpoint, data or image, settings))
    assert answer["taskStatus"] == "Error"
    assert f"pip install {names}" in answer["error"]["messages"][0]
    assert "[emulator]" in answer["error"]["messages"][0]


def test_older_paths_of_the_vendors_client(reading, sheet):
    """The paths of older versions take a form and a flat JSON, and bring the file itself."""
    page = sheet((200, 60), (10, 12, "older", 20))
    for path, endpoint in (("PostBinarizationFile", "BinarizeImage"), ("PostUpsamplingImageFile", "UpscaleImage")):
        sent = reading.call("POST", f"/v5.0/ocr/ImageProcessing/{path}", files={"file": ("page.png", page)})
        reading.answer("ImageProcessing/GetResultTask", sent.text)
        file = reading.get("ImageProcessing/GetResultFile", sent.text)
        assert file.content == reading.results(endpoint, page)[0][1]
    body = {"text": "Hello", "language": "English", "resultType": "Wav"}
    sent = reading.call("POST", "/v5.0/ocr/TextToSpeech/PostTextToSpeech", json=body)
    assert reading.answer("TextToSpeech/GetTextToSpeechResult", sent.text)["taskStatus"] == "Completed"
    assert reading.get("TextToSpeech/GetTextToSpeechResultFile", sent.text).content.startswith(b"RIFF")
    assert reading.get("ImageProcessing/GetResultTask", sent.text).json()["taskStatus"] == "NotExist"
