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
from typing import Any

import pytest
import requests
from PIL import Image, ImageDraw, ImageFont

from airflow_provider_asposeocr.api.polling import PollSchedule
from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrHook

aspose_ocr_cloud = pytest.importorskip("aspose_ocr_cloud")

pytestmark = pytest.mark.integration

LINES = ["The first line of a page", "and the second line of it"]


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorServer]:
    with EmulatorServer(latency=0.3) as server:
        yield server


@pytest.fixture(scope="module")
def vendor_client(emulator: EmulatorServer) -> Iterator[Any]:
    form = {"grant_type": "client_credentials", "client_id": "any", "client_secret": "thing"}
    token = requests.post(f"{emulator.url}/connect/token", data=form, timeout=10).json()["access_token"]
    configuration = aspose_ocr_cloud.Configuration(host=emulator.url, access_token=token)
    with aspose_ocr_cloud.ApiClient(configuration) as client:
        yield client
        client.rest_client.pool_manager.clear()


@pytest.fixture(scope="module")
def image() -> str:
    paper = Image.new("RGB", (520, 130), "white")
    for at, line in enumerate(LINES):
        ImageDraw.Draw(paper).text((20, 20 + 45 * at), line, fill="black", font=ImageFont.load_default(30))
    file = io.BytesIO()
    paper.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


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


def test_recognize_image(vendor_client, image):
    api = aspose_ocr_cloud.RecognizeImageApi(vendor_client)
    body = aspose_ocr_cloud.OCRRecognizeImageBody(image=image, settings=recognition(Rotate=0, dsrMode="Regions"))
    job_id = api.post_recognize_image(body)
    assert api.get_recognize_image(job_id).id == job_id
    assert texts(finished(api.get_recognize_image, job_id)) == ["\n".join(LINES)]


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


def test_recognize_image_trial_without_a_token(emulator, image):
    with aspose_ocr_cloud.ApiClient(aspose_ocr_cloud.Configuration(host=emulator.url)) as client:
        api = aspose_ocr_cloud.RecognizeImageTrialApi(client)
        body = aspose_ocr_cloud.OCRRecognizeImageBody(image=image, settings=recognition())
        job_id = api.post_recognize_image_trial(body)
        (text,) = texts(finished(api.get_recognize_image_trial, job_id))
        client.rest_client.pool_manager.clear()
    words = " ".join(LINES).split()
    masked = [word if at % 10 else "*" * len(word) for at, word in enumerate(words, start=1)]
    assert text.split() == masked
    assert "****" in text


def test_detect_regions_then_recognize_regions(vendor_client, image):
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
    assert texts(finished(api.get_recognize_regions, job_id)) == LINES


def test_task_status_tells_the_state_without_results(vendor_client, image):
    api = aspose_ocr_cloud.RecognizeImageApi(vendor_client)
    job_id = api.post_recognize_image(aspose_ocr_cloud.OCRRecognizeImageBody(image=image, settings=recognition()))
    status = finished(aspose_ocr_cloud.UtilitiesApi(vendor_client).get_task_status, job_id)
    assert (status.id, status.task_status, status.results) == (job_id, "Completed", None)


def test_cancel(vendor_client, emulator, image):
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
