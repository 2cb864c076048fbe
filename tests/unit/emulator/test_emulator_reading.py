"""The emulator really reads: images printed here come back as text, in reading order, in every format."""

from __future__ import annotations

import io
import json
from xml.etree import ElementTree

import pytest
from PIL import Image

XHTML = "{http://www.w3.org/1999/xhtml}"
LEFT = ["The lamp at the end of the", "pier had never gone out in", "thirty winters of storms"]
RIGHT = ["Then the keeper read the", "letter twice and went down", "to fetch the book again"]


@pytest.fixture(scope="module")
def two_columns(sheet):
    lines = [(150, 20, "A heading over both columns", 40)]
    lines += [(30, 100 + 36 * at, text, 24) for at, text in enumerate(LEFT)]
    lines += [(430, 112 + 36 * at, text, 24) for at, text in enumerate(RIGHT)]
    return sheet((800, 260), *lines)


def test_one_line(reading, sheet):
    """A printed line is read."""
    line = sheet((420, 60), (10, 12, "Invoice 2024-117 paid", 30))
    assert reading.text("RecognizeImage", line) == "Invoice 2024-117 paid"


def test_blank_image_has_no_text_and_no_regions(reading, image):
    assert reading.results("RecognizeImage", image) == [("Text", b"")]
    assert reading.results("DetectRegions", image) == [("Other", b"[]")]


def test_heading_first_then_column_by_column(reading, two_columns):
    """A heading is read first, then one column after the other."""
    expected = "\n".join(["A heading over both columns", *LEFT, *RIGHT])
    assert reading.text("RecognizeImage", two_columns) == expected
    by_rows = reading.text("RecognizeImage", two_columns, {"dsrMode": "NoDsrNoFilter"})
    assert by_rows != expected


def test_rows_of_a_receipt_stay_together(reading, sheet):
    goods = [("Black tea", "6.85"), ("Rye bread", "4.20"), ("Plum jam", "3.90"), ("TOTAL", "14.95")]
    prints = [
        (x, 20 + 50 * at, text, 28) for at, row in enumerate(goods) for x, text in zip((30, 330), row, strict=True)
    ]
    assert reading.text("RecognizeImage", sheet((450, 230), *prints)) == "\n".join(map(" ".join, goods))


def test_detected_regions_recognize_to_the_same_text(reading, two_columns):
    ((kind, data),) = reading.results("DetectRegions", two_columns)
    rectangles = json.loads(data)
    assert kind == "Other"
    assert len(rectangles) == 3
    for left, top, right, bottom in rectangles:
        assert 0 <= left < right <= 800
        assert 0 <= top < bottom <= 260
    names = ("topLeftX", "topLeftY", "bottomRightX", "bottomRightY")
    regions = [
        {"rect": dict(zip(names, rectangle, strict=True)), "order": order} for order, rectangle in enumerate(rectangles)
    ]
    texts = [data.decode() for _, data in reading.results("RecognizeRegions", two_columns, {"regions": regions})]
    assert texts == ["A heading over both columns", "\n".join(LEFT), "\n".join(RIGHT)]


def test_line_detector_gives_a_region_per_line(reading, two_columns):
    ((_, data),) = reading.results("DetectRegions", two_columns, {"dsrMode": "LineDetector"})
    assert len(json.loads(data)) == 7


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotate_turns_clockwise_and_regions_stay_in_pixels_of_the_sent_image(reading, sheet, degrees):
    upright = Image.open(io.BytesIO(sheet((420, 80), (15, 20, "Turned on its side", 32))))
    file = io.BytesIO()
    upright.rotate(degrees, expand=True).save(file, "PNG")  # Pillow turns counterclockwise
    sent = file.getvalue()
    assert reading.text("RecognizeImage", sent, {"rotate": degrees}) == "Turned on its side"
    ((_, data),) = reading.results("DetectRegions", sent, {"rotate": degrees})
    ((left, top, right, bottom),) = json.loads(data)
    rect = {"topLeftX": left, "topLeftY": top, "bottomRightX": right, "bottomRightY": bottom}
    settings = {"rotate": degrees, "regions": [{"rect": rect, "order": 0}]}
    assert reading.text("RecognizeRegions", sent, settings) == "Turned on its side"


def test_tilted_columns_are_read_as_if_straight(reading, two_columns):
    file = io.BytesIO()
    straight = Image.open(io.BytesIO(two_columns))
    straight.rotate(6, expand=True, fillcolor="white", resample=Image.Resampling.BICUBIC).save(file, "PNG")
    expected = "\n".join(["A heading over both columns", *LEFT, *RIGHT])
    assert reading.text("RecognizeImage", file.getvalue()) == expected


@pytest.mark.parametrize(
    "settings", [{"makeBinarization": True}, {"makeUpsampling": True}, {"makeContrastCorrection": False}]
)
def test_filters_keep_the_text_and_its_place(reading, sheet, settings):
    line = sheet((420, 80), (15, 20, "Plain words here", 32))
    assert reading.text("RecognizeImage", line, settings) == "Plain words here"
    plain, filtered = (
        json.loads(reading.results("DetectRegions", line, chosen)[0][1])[0] for chosen in (None, settings)
    )
    assert filtered == pytest.approx(plain, abs=6)


def test_contrast_correction_stretches_a_pale_image(reading, sheet):
    pale = Image.open(io.BytesIO(sheet((300, 60), (10, 12, "Faint words", 30)))).point(lambda shade: 200 + shade // 10)
    file = io.BytesIO()
    pale.save(file, "PNG")
    ((_, corrected),) = reading.results("RecognizeImage", file.getvalue(), {"resultType": "ImagePNG"})
    with Image.open(io.BytesIO(corrected)) as image:
        assert image.convert("L").getextrema() == (0, 255)


MODES = {
    "PNG": "L 1 P RGBA LA I;16",
    "TIFF": "L 1 P RGBA CMYK I;16",
    "GIF": "L 1 P",
    "BMP": "L 1 P",
    "JPEG": "L CMYK",
}


@pytest.mark.parametrize(
    ("file_format", "mode"), [(file_format, mode) for file_format, modes in MODES.items() for mode in modes.split()]
)
def test_formats_and_pixel_modes(reading, sheet, file_format, mode):
    """Every format is read in every pixel mode it has."""
    page = Image.open(io.BytesIO(sheet((300, 60), (10, 12, "Any format", 30))))
    if mode == "I;16":
        page = page.convert("L").convert("I").point(lambda shade: shade * 256).convert("I;16")
    elif mode == "LA":
        page = page.convert("L").convert("LA")
    else:
        page = page.convert(mode)
    file = io.BytesIO()
    page.save(file, file_format)
    assert reading.text("RecognizeImage", file.getvalue()) == "Any format"


def test_text_on_transparent_ground(reading, sheet):
    """Text on a transparent ground is read."""
    page = Image.open(io.BytesIO(sheet((300, 60), (10, 12, "On glass", 30)))).convert("RGBA")
    page.putalpha(page.convert("L").point(lambda shade: 255 - shade))
    file = io.BytesIO()
    page.save(file, "PNG")
    assert reading.text("RecognizeImage", file.getvalue()) == "On glass"


def test_combined_result_types_are_several_entries(reading, sheet):
    line = sheet((300, 60), (10, 12, "Two words", 30))
    entries = dict(reading.results("RecognizeImage", line, {"resultType": "TextAndPdfAndHocr"}))
    assert list(entries) == ["Text", "Pdf", "Hocr"]
    assert entries["Text"] == b"Two words"
    assert entries["Pdf"].startswith(b"%PDF-")
    root = ElementTree.fromstring(entries["Hocr"])
    words = [element for element in root.iter(f"{XHTML}span") if element.get("class") == "ocrx_word"]
    assert [word.text for word in words] == ["Two", "words"]
    for word in words:
        assert word.get("title", "").startswith("bbox ")
        assert "; x_wconf " in word.get("title", "")
    pages = [element for element in root.iter(f"{XHTML}div") if element.get("class") == "ocr_page"]
    assert pages[0].get("title") == "bbox 0 0 300 60; ppageno 0"


def test_pdf_is_searchable(reading, sheet):
    pypdf = pytest.importorskip("pypdf")
    line = sheet((300, 120), (10, 12, "Zażółć gęślą", 30), (10, 70, "Ånd", 30))
    ((_, data),) = reading.results("RecognizeImage", line, {"resultType": "Pdf", "language": "Polish"})
    text = reading.text("RecognizeImage", line, {"language": "Polish"})
    (page,) = pypdf.PdfReader(io.BytesIO(data)).pages
    assert page.extract_text().split() == text.split()
    assert len(page.images) == 1


def test_json_has_blocks_with_corners_and_text(reading, sheet):
    ((kind, data),) = reading.results(
        "RecognizeImage", sheet((300, 60), (10, 12, "A block", 30)), {"resultType": "JSON"}
    )
    (block,) = json.loads(data)
    assert (kind, block["text"]) == ("JSON", "A block")
    (left, top), (right, bottom) = ((corner["x"], corner["y"]) for corner in block["corners"])
    assert 0 <= left < right <= 300
    assert 0 <= top < bottom <= 60


def test_spell_check_mends_words_in_lower_case(reading, sheet):
    """Words that nearly are one of the dictionary become it; what may be a name stays."""
    line = sheet((520, 60), (10, 12, "Wrods of Odette, wthout a doubt", 30))
    assert reading.text("RecognizeImage", line, {"makeSpellCheck": True}) == "Wrods of Odette, without a doubt"


def test_spell_check_without_a_dictionary_warns(reading, sheet):
    """Of a language without a dictionary, makeSpellCheck is left out with a warning."""
    settings = {"makeSpellCheck": True, "language": "Finnish"}
    job_id = reading.submit("RecognizeImage", sheet((200, 60), (10, 12, "wrods", 30)), settings)
    assert "makeSpellCheck" in reading.answer("RecognizeImage", job_id)["error"]["warnings"][0]


def test_languages_that_can_be_read_are_names_of_the_service():
    from airflow_provider_asposeocr.api.languages import LANGUAGES
    from airflow_provider_asposeocr.emulator.languages import READABLE_LANGUAGES, TESSERACT_LANGUAGES

    assert set(LANGUAGES) >= READABLE_LANGUAGES | set(TESSERACT_LANGUAGES)
    assert not READABLE_LANGUAGES & set(TESSERACT_LANGUAGES)
    assert {"Japanese", "HWT_ENG"} <= READABLE_LANGUAGES
    assert not READABLE_LANGUAGES & {"Russian", "Arabic", "Hindi", "Greek", "Korean"}
