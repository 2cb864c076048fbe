"""
The vendor's own client completes every operation against the emulator: the proof that it speaks the real protocol.

The client knows no way to get a token; its users fetch one themselves, as here.
"""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from airflow_provider_asposeocr.api.polling import PollSchedule
from airflow_provider_asposeocr.api.typed_results import fonts_from_text
from airflow_provider_asposeocr.emulator import EmulatorServer, TextReader
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrHook

aspose_ocr_cloud = pytest.importorskip("aspose_ocr_cloud")

pytestmark = pytest.mark.integration

SCAN = "letters/03-notice"


@pytest.fixture(scope="module")
def emulator(reader: TextReader) -> Iterator[EmulatorServer]:
    with EmulatorServer(latency=0.3, reader=reader) as server:
        yield server


@pytest.fixture(scope="module")
def vendor_client(emulator: EmulatorServer) -> Iterator[Any]:
    form = {"grant_type": "client_credentials", "client_id": "any", "client_secret": "thing"}
    token = requests.post(f"{emulator.url}/connect/token", data=form, timeout=10).json()["access_token"]
    configuration = aspose_ocr_cloud.Configuration(host=emulator.url, access_token=token)
    with aspose_ocr_cloud.ApiClient(configuration) as client:
        yield client
        client.rest_client.pool_manager.clear()


@pytest.fixture
def image(scans: Path) -> str:
    """A scan of two lines."""
    return base64.b64encode((scans / SCAN).with_suffix(".jpg").read_bytes()).decode()


@pytest.fixture
def lines(scans: Path) -> list[str]:
    """What stands in it."""
    return (scans / "expected" / SCAN).with_suffix(".txt").read_text().splitlines()


def finished(get: Callable[..., Any], job_id: str) -> Any:
    """The answer once the job is over."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        answer = get(job_id)
        if answer.task_status not in ("Pending", "Processing"):
            return answer
        time.sleep(0.05)
    raise AssertionError("the job does not end")


def texts(answer: Any) -> list[str]:
    assert answer.task_status == "Completed"
    assert answer.response_status_code == "Ok"
    assert answer.error is None
    return [base64.b64decode(result.data).decode() for result in answer.results]


def recognition(**settings: Any) -> Any:
    return aspose_ocr_cloud.OCRSettingsRecognizeImage(
        language="English", makeSkewCorrect=True, makeContrastCorrection=True, resultType="Text", **settings
    )


def test_recognize_image(vendor_client, image, lines):
    """The vendor's client submits an image and gets its text."""
    api = aspose_ocr_cloud.RecognizeImageApi(vendor_client)
    body = aspose_ocr_cloud.OCRRecognizeImageBody(image=image, settings=recognition(Rotate=0, dsrMode="Regions"))
    job_id = api.post_recognize_image(body)
    assert api.get_recognize_image(job_id).id == job_id
    assert texts(finished(api.get_recognize_image, job_id)) == ["\n".join(lines)]


@pytest.mark.parametrize("name", ["huckleberry-finn-page-29.jpg", "receipt.jpg", "letters/01-apples.jpg"])
def test_both_clients_get_the_same_text_of_the_same_scan(vendor_client, emulator, define_connection, scans, name):
    define_connection(host=emulator.url, login="any", password="thing")
    hook = AsposeOcrHook()
    ours = hook.wait("RecognizeImage", hook.submit("RecognizeImage", scans / name), schedule=PollSchedule(0.1))
    api = aspose_ocr_cloud.RecognizeImageApi(vendor_client)
    encoded = base64.b64encode((scans / name).read_bytes()).decode()
    body = aspose_ocr_cloud.OCRRecognizeImageBody(image=encoded, settings=recognition())
    assert [ours.text] == texts(finished(api.get_recognize_image, api.post_recognize_image(body)))
    assert len(ours.text) > 50


def test_recognize_image_trial_without_a_token(emulator, image, lines):
    """The trial takes no token, and masks every tenth word."""
    with aspose_ocr_cloud.ApiClient(aspose_ocr_cloud.Configuration(host=emulator.url)) as client:
        api = aspose_ocr_cloud.RecognizeImageTrialApi(client)
        body = aspose_ocr_cloud.OCRRecognizeImageBody(image=image, settings=recognition())
        job_id = api.post_recognize_image_trial(body)
        (text,) = texts(finished(api.get_recognize_image_trial, job_id))
        client.rest_client.pool_manager.clear()
    words = " ".join(lines).split()
    masked = [word if at % 10 else "*" * len(word) for at, word in enumerate(words, start=1)]
    assert text.split() == masked
    assert "**" in text  # the tenth word is a number


def test_detect_regions_then_recognize_regions(vendor_client, image, lines):
    """Regions that were detected can be sent for recognition, and come back by their order."""
    api = aspose_ocr_cloud.DetectRegionsApi(vendor_client)
    settings = aspose_ocr_cloud.OCRSettingsDetectRegions(language="English", makeSkewCorrect=True)
    job_id = api.post_detect_regions(aspose_ocr_cloud.OCRDetectRegionsBody(image=image, settings=settings))
    answer = finished(api.get_detect_regions, job_id)
    assert [result.type for result in answer.results] == ["Other"]
    ((left, top, right, bottom),) = json.loads(texts(answer)[0])

    middle = (top + bottom) // 2
    rectangles = [(left, middle, right, bottom), (left, top, right, middle)]
    regions = [
        aspose_ocr_cloud.OCRRegion(
            rect=aspose_ocr_cloud.OCRRect(topLeftX=x1, topLeftY=y1, bottomRightX=x2, bottomRightY=y2), order=order
        )
        for (x1, y1, x2, y2), order in zip(rectangles, (2, 1), strict=True)
    ]
    api = aspose_ocr_cloud.RecognizeRegionsApi(vendor_client)
    settings = aspose_ocr_cloud.OCRSettingsRecognizeRegions(language="English", regions=regions, resultType="Text")
    job_id = api.post_recognize_regions(aspose_ocr_cloud.OCRRecognizeRegionsBody(image=image, settings=settings))
    assert texts(finished(api.get_recognize_regions, job_id)) == lines


def test_task_status_tells_the_state_without_results(vendor_client, image):
    api = aspose_ocr_cloud.RecognizeImageApi(vendor_client)
    job_id = api.post_recognize_image(aspose_ocr_cloud.OCRRecognizeImageBody(image=image, settings=recognition()))
    status = finished(aspose_ocr_cloud.UtilitiesApi(vendor_client).get_task_status, job_id)
    assert (status.id, status.task_status, status.results) == (job_id, "Completed", None)


def body_of(name: str, **content: Any) -> Any:
    return getattr(aspose_ocr_cloud, name)(**content)


def carried_out(api: Any, name: str, body: Any) -> Any:
    """The answer to a job that is posted and asked for by the methods of one endpoint."""
    job_id = getattr(api, f"post_{name}")(body)
    answer = finished(getattr(api, f"get_{name}"), job_id)
    assert (answer.task_status, answer.response_status_code, answer.id) == ("Completed", "Ok", job_id)
    return answer


def scan(scans: Any, name: str) -> str:
    return base64.b64encode((scans / name).read_bytes()).decode()


RECOGNIZING = {
    # The client's class of the settings, what it sends of them, the scan, and what must be in the text.
    "RecognizePdf": ("recognize_pdf", {"resultType": "Text"}, "huckleberry-finn-page-29.pdf", "Miss Watson"),
    "RecognizeReceipt": ("recognize_receipt", {"resultType": "Text"}, "receipt.jpg", "TOTAL"),
    "RecognizeLabel": ("recognize_label", {"resultType": "Text"}, "letters/01-apples.jpg", "Odette"),
    "RecognizeTable": ("recognize_table", {"resultTypeTable": "Csv"}, "receipt.jpg", "TOTAL"),
    "RecognizeAndParseInvoice": ("recognize_and_parse_invoice", {}, "receipt.jpg", '"total_amount"'),
}


@pytest.mark.parametrize("name", RECOGNIZING)
def test_recognizing_endpoints_on_real_scans(vendor_client, scans, name):
    """The endpoints that read kinds of papers complete with the vendor's own settings and bodies."""
    method, settings, file, text = RECOGNIZING[name]
    api = getattr(aspose_ocr_cloud, f"{name}Api")(vendor_client)
    settings = body_of(f"OCRSettings{name}", language="English", **settings)
    answer = carried_out(api, method, body_of(f"OCR{name}Body", image=scan(scans, file), settings=settings))
    (found,) = texts(answer)
    assert text in found


def test_identify_font(vendor_client, scans):
    """A line of print comes back as a style and the names of fonts."""
    api = aspose_ocr_cloud.IdentifyFontApi(vendor_client)
    settings = aspose_ocr_cloud.OCRSettingsRecognizeFont(language="English", resultType="Text")
    body = aspose_ocr_cloud.OCRRecognizeFontBody(image=scan(scans, "letters/01-apples.jpg"), settings=settings)
    style, fonts = fonts_from_text(texts(carried_out(api, "identify_font", body))[0])
    assert style
    assert fonts


@pytest.mark.parametrize("name", ["Binarize", "Deskew", "Dewarp", "Upscale"])
def test_image_endpoints_on_a_real_scan(vendor_client, scans, name):
    """An image goes in, a PNG comes out."""
    api = getattr(aspose_ocr_cloud, f"{name}ImageApi")(vendor_client)
    body = body_of(f"OCR{name}ImageBody", image=scan(scans, "huckleberry-finn-page-29.jpg"))
    (result,) = carried_out(api, f"{name.lower()}_image", body).results
    assert result.type == "ImagePNG"
    with Image.open(io.BytesIO(base64.b64decode(result.data))) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 500


def test_djvu_to_pdf(vendor_client, scans):
    """A DjVu file comes back as a PDF."""
    api = aspose_ocr_cloud.DjVu2PDFApi(vendor_client)
    djvu = scan(scans, "page.djvu")
    body = aspose_ocr_cloud.OCRDjVu2PDFBody(image=djvu, settings=aspose_ocr_cloud.OCRSettingsDjVu2PDF())
    (result,) = carried_out(api, "dj_vu2_pdf", body).results
    assert result.type == "Pdf"
    assert base64.b64decode(result.data).startswith(b"%PDF-")


def test_text_to_speech_and_its_trial(vendor_client, emulator):
    """Speech completes with and without a token."""
    settings = aspose_ocr_cloud.TTSSettings(language="English", resultType="Wav")
    body = aspose_ocr_cloud.TTSBody(text="Hello again.", settings=settings)
    (result,) = carried_out(
        aspose_ocr_cloud.ConvertTextToSpeechApi(vendor_client), "convert_text_to_speech", body
    ).results
    assert result.type == "WavFile"
    assert base64.b64decode(result.data).startswith(b"RIFF")
    with aspose_ocr_cloud.ApiClient(aspose_ocr_cloud.Configuration(host=emulator.url)) as client:
        api = aspose_ocr_cloud.ConvertTextToSpeechTrialApi(client)
        assert carried_out(api, "convert_text_to_speech_trial", body).results[0].type == "WavFile"
        client.rest_client.pool_manager.clear()


deprecated = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")


@deprecated
@pytest.mark.parametrize(
    "post",
    [
        "post_binarization_file",
        "post_skew_correction_file",
        "post_dewarping_file",
        "post_upsampling_file",
    ],
)
def test_older_image_processing(vendor_client, scans, post):
    """The deprecated calls that the client still has are answered too."""
    api = aspose_ocr_cloud.ImageProcessingApi(vendor_client)
    job_id = getattr(api, post)(str(scans / "letters/01-apples.jpg"))
    answer = finished(api.get_result_task, job_id)
    assert [result.type for result in answer.results] == ["ImagePNG"]
    raw = api.get_result_file_without_preload_content(job_id)
    assert raw.data == base64.b64decode(answer.results[0].data)


@deprecated
def test_older_text_to_speech(vendor_client):
    """The older path of speech brings its result in an answer and as a file."""
    api = aspose_ocr_cloud.TextToSpeechApi(vendor_client)
    body = aspose_ocr_cloud.TTSBodyDeprecated(text="Hello.", language="English", resultType="Wav")
    job_id = api.post_text_to_speech(body)
    assert finished(api.get_text_to_speech_result, job_id).results[0].type == "WavFile"
    assert api.get_text_to_speech_result_file_without_preload_content(job_id).data.startswith(b"RIFF")


def test_cancel(vendor_client, emulator, image):
    """A job that is cancelled is not known any more."""
    api = aspose_ocr_cloud.RecognizeImageApi(vendor_client)
    job_id = api.post_recognize_image(aspose_ocr_cloud.OCRRecognizeImageBody(image=image, settings=recognition()))
    assert api.cancel_recognize_image(job_id) is None
    assert api.get_recognize_image(job_id).task_status == "NotExist"
    assert [job.cancelled for job in emulator.jobs() if job.id == job_id] == [True]


def test_wrong_token_is_an_unauthorized_exception(emulator):
    configuration = aspose_ocr_cloud.Configuration(host=emulator.url, access_token="wrong")
    with aspose_ocr_cloud.ApiClient(configuration) as client:
        with pytest.raises(aspose_ocr_cloud.ApiException) as caught:
            aspose_ocr_cloud.RecognizeImageApi(client).get_recognize_image("00000000-0000-0000-0000-000000000000")
        client.rest_client.pool_manager.clear()
    assert caught.value.status == 401
    assert json.loads(caught.value.body)["title"] == "Unauthorized"
