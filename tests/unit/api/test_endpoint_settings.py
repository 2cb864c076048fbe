"""What each endpoint takes: its settings, its files, languages by code; and that a new endpoint is one row."""

from __future__ import annotations

import io
import json

import pytest
from PIL import Image

from airflow_provider_asposeocr.api.bodies import submission_body
from airflow_provider_asposeocr.api.checks import checked_ocr_task_id, parse_settings
from airflow_provider_asposeocr.api.endpoints import ENDPOINTS, Endpoint, ResultShape
from airflow_provider_asposeocr.api.formats import DJVU_FORMATS, PDF_FORMATS, TEXT_FORMATS
from airflow_provider_asposeocr.api.images import image_facts, with_directory
from airflow_provider_asposeocr.api.settings import RecognitionSettings
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError

RECOGNIZING = {"RecognizeImage", "RecognizeImageTrial", "RecognizeRegions", "RecognizePdf", "RecognizeTable"}
PAPERS = {"RecognizeReceipt", "RecognizeLabel", "RecognizeAndParseInvoice", "IdentifyFont", "DetectRegions"}
IMAGES = {"BinarizeImage", "DeskewImage", "DewarpImage", "UpscaleImage"}
OTHERS = {"DjVu2PDF", "ConvertTextToSpeech", "ConvertTextToSpeechTrial"}


def body(endpoint: str, document: bytes, settings: object = None) -> dict:
    row = ENDPOINTS[endpoint]
    made = submission_body(row, lambda: io.BytesIO(document), len(document), parse_settings(row, settings))
    sent = b"".join(made)
    assert len(sent) == len(made)
    assert made.is_complete
    assert made.may_be_complete
    return json.loads(sent)


def test_all_endpoints_have_a_row_with_its_sources():
    """Every endpoint of the service has a row, and says where its facts are from."""
    assert set(ENDPOINTS) == RECOGNIZING | PAPERS | IMAGES | OTHERS
    assert all(row.sources for row in ENDPOINTS.values())


def test_a_new_endpoint_is_one_row():
    """With a row alone, settings are checked, the body is made and the results have a shape."""
    row = Endpoint("RecognizeStamp", RecognitionSettings, ResultShape.ENTRIES, sources=("a page",), formats=PDF_FORMATS)
    settings = parse_settings(row, {"language": "de"})
    sent = b"".join(submission_body(row, lambda: io.BytesIO(b"%PDF-"), 5, settings))
    assert json.loads(sent) == {"image": "JVBERi0=", "settings": {"language": "German"}}


@pytest.mark.parametrize(
    ("endpoint", "settings", "why"),
    [
        ("RecognizeTable", {"resultType": "Csv"}, "'resultType': it is one of RecognizeImage"),
        ("RecognizeImage", {"resultTypeTable": "Csv"}, "'resultTypeTable': it is one of RecognizeTable"),
        ("RecognizeLabel", {"rotate": 90}, "'rotate': it is one of RecognizeImage"),
        ("RecognizeAndParseInvoice", {"dsrMode": "Regions"}, "'dsrMode': it is one of RecognizeImage"),
        ("IdentifyFont", {"makeSpellCheck": True}, "'makeSpellCheck': it is one of RecognizeImage"),
        ("BinarizeImage", {"language": "English"}, "it takes no settings"),
        ("RecognizeLabel", {"language": "German"}, "language"),
        ("IdentifyFont", {"resultType": "Pdf"}, "resultType"),
        ("ConvertTextToSpeech", {"resultType": "Text"}, "resultType"),
        ("RecognizeTable", {"resultTypeTable": "Pdf"}, "allowed: Text, Csv, Excel, CsvAndExcel"),
    ],
)
def test_what_an_endpoint_does_not_take_is_refused_with_the_one_that_does(endpoint, settings, why):
    """A setting of another endpoint is refused before anything is billed, with the endpoint that takes it."""
    with pytest.raises(AsposeOcrInputError) as refused:
        parse_settings(endpoint, settings)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("endpoint", "settings", "parts"),
    [
        ("RecognizeTable", {"resultTypeTable": "CsvAndExcel"}, ("Csv", "Excel")),
        ("RecognizeAndParseInvoice", None, ("Text",)),
        ("IdentifyFont", None, ("Text",)),
        ("UpscaleImage", None, ("ImagePNG",)),
        ("DjVu2PDF", None, ("Pdf",)),
        ("ConvertTextToSpeech", None, ("WavFile",)),
    ],
)
def test_the_types_of_the_results_are_known_before(endpoint, settings, parts):
    """Which files a job brings is known before it is sent."""
    assert parse_settings(endpoint, settings).result_parts == parts


def test_image_endpoints_send_the_image_alone():
    """An endpoint without settings gets none, not even an empty object."""
    assert body("DeskewImage", b"abc") == {"image": "YWJj"}


def test_speech_sends_the_text_itself():
    """Text to speech gets its text as text, not as Base64."""
    assert body("ConvertTextToSpeech", 'Zwölf "Uhr"\n'.encode(), {"language": "en"}) == {
        "text": 'Zwölf "Uhr"\n',
        "settings": {"language": "English"},
    }


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("de", "German"),
        ("pt-BR", "Portuguese"),
        ("zh_Hans_CN", "Chinese"),
        ("UKR", "Ukrainan"),
        ("Wu", "Wu"),
        ("nb", "Norwegian"),
    ],
)
def test_languages_by_code(given, sent):
    """ISO 639 codes and BCP 47 tags are translated where they mean one language of the service."""
    assert parse_settings("RecognizeImage", {"language": given}).to_wire() == {"language": sent}


@pytest.mark.parametrize(
    ("given", "near"), [("nl", "Dutch or Netherlands"), ("Min-Nan", "Min_Nan"), ("Germen", "German")]
)
def test_a_language_in_doubt_is_sent_with_a_warning(given, near):
    """An ambiguous code and a misspelling are sent as they are; the warning has the nearest names."""
    settings = parse_settings("RecognizeImage", {"language": given})
    assert settings.language == given
    assert near in settings.unknown_language


def pages(count: int) -> bytes:
    sheets = [Image.new("L", (8, 8), shade) for shade in range(count)]
    file = io.BytesIO()
    sheets[0].save(file, "TIFF", save_all=True, append_images=sheets[1:])
    return file.getvalue()


def test_a_thumbnail_in_a_tiff_is_no_page():
    """A smaller version of the page beside it does not make a TIFF one of several pages."""
    data = bytearray(pages(2))
    second = int.from_bytes(data[4:8], "little")
    entries = int.from_bytes(data[second : second + 2], "little")
    second = int.from_bytes(data[second + 2 + 12 * entries :][:4], "little")
    # The first entry of the second directory becomes NewSubfileType = 1.
    data[second + 2 : second + 14] = (254).to_bytes(2, "little") + b"\x04\x00\x01\x00\x00\x00\x01\x00\x00\x00"
    for whole, more in ((pages(2), True), (bytes(data), False)):
        assert with_directory(image_facts(whole, "one.tif"), io.BytesIO(whole)).holds_more is more


@pytest.mark.parametrize(
    ("head", "formats", "says"),
    [
        (b"%PDF-1.7", ("PNG",), "RecognizePdf takes PDF"),
        (b"AT&TFORM", ("PNG",), "DjVu2PDF"),
        (b"\x89PNG\r\n\x1a\n", PDF_FORMATS, "RecognizeImage takes images"),
        (b"%PDF-1.7", DJVU_FORMATS, "takes DjVu here"),
        (b"\xff\xfe", TEXT_FORMATS, "not UTF-8"),
        (b" \n", TEXT_FORMATS, "blank"),
    ],
)
def test_a_file_of_another_kind_is_refused_with_the_endpoint_that_takes_it(head, formats, says):
    """A file that an endpoint cannot take is told by its first bytes."""
    with pytest.raises(AsposeOcrInputError, match=says):
        image_facts(head, "file", formats)


def test_the_right_files_are_taken():
    """Each endpoint takes the files it is made for."""
    assert image_facts(b"%PDF-1.7", "a.pdf", PDF_FORMATS).format == "PDF"
    assert image_facts(b"AT&TFORM", "a.djvu", DJVU_FORMATS).format == "DjVu"
    assert image_facts("Zwölf".encode()[:-1], "a.txt", TEXT_FORMATS).format == "text"
    # A character that is cut at the end of the head.
    assert image_facts("aö".encode()[:-1], "a.txt", TEXT_FORMATS).format == "text"


def test_the_vendors_speech_id_is_one():
    """The id in the vendor's example of a speech job is taken: its first three digits are letters."""
    assert checked_ocr_task_id("TTS01232-9d40-4f2d-8eda-f1fc0b12bce6") == "TTS01232-9d40-4f2d-8eda-f1fc0b12bce6"


@pytest.mark.parametrize(
    ("endpoint", "vendors"),
    [
        ("RecognizePdf", "OCRSettingsRecognizePdf"),
        ("RecognizeTable", "OCRSettingsRecognizeTable"),
        ("RecognizeReceipt", "OCRSettingsRecognizeReceipt"),
        ("RecognizeLabel", "OCRSettingsRecognizeLabel"),
        ("RecognizeAndParseInvoice", "OCRSettingsRecognizeAndParseInvoice"),
        ("IdentifyFont", "OCRSettingsRecognizeFont"),
        ("ConvertTextToSpeech", "TTSSettings"),
    ],
)
def test_every_setting_is_one_of_the_vendors_own_client(endpoint, vendors):
    """No setting is invented: the vendor's client has each of them."""
    client = pytest.importorskip("aspose_ocr_cloud")
    known = {field.alias or name for name, field in getattr(client, vendors).model_fields.items()} | {"rotate"}
    ours = {field.alias or name for name, field in ENDPOINTS[endpoint].settings_model.model_fields.items()}
    assert ours <= known
