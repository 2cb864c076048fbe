"""The emulator speaks the queue protocol: tokens, states, results, cancelling, forgetting, counting."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import uuid

import pytest
import requests

from airflow_provider_asposeocr.emulator import EmulatorServer
from tests.unit.emulator.conftest import Client

AUTHORIZED = ["RecognizeImage", "DetectRegions", "RecognizeRegions"]


def test_job_walks_from_pending_over_processing_to_completed(client, clock, image, reader):
    reader.go.clear()
    job_id = client.submit("RecognizeImage", image)
    assert str(uuid.UUID(job_id)) == job_id
    first = client.get("RecognizeImage", job_id).json()
    assert first == {
        "id": job_id,
        "taskStatus": "Pending",
        "responseStatusCode": "NotReady",
        "results": None,
        "error": None,
    }
    clock.now += 3
    # The thread of the pool has to take the job up, however busy the machine is.
    seen = {client.get("RecognizeImage", job_id).json()["taskStatus"] for _ in range(50)}
    assert "Processing" in seen
    assert seen <= {"Pending", "Processing"}
    clock.now += 10
    assert client.get("RecognizeImage", job_id).json()["taskStatus"] == "Processing"  # the reading itself takes longer
    reader.go.set()
    done = client.answer("RecognizeImage", job_id)
    assert list(done) == ["id", "taskStatus", "responseStatusCode", "results", "error"]
    assert (done["taskStatus"], done["responseStatusCode"], done["error"]) == ("Completed", "Ok", None)
    assert [entry["type"] for entry in done["results"]] == ["Text"]
    assert base64.b64decode(done["results"][0]["data"]).decode() == "alpha beta\ngamma delta"


def test_latency_holds_back_a_job_that_is_long_done(client, clock, image):
    job_id = client.submit("RecognizeImage", image)
    clock.now += 5.9
    assert client.get("RecognizeImage", job_id).json()["taskStatus"] in ("Pending", "Processing")
    clock.now += 0.2
    assert client.answer("RecognizeImage", job_id)["taskStatus"] == "Completed"


def test_status_endpoint_gives_the_state_and_never_the_results(client, clock, image):
    job_id = client.submit("RecognizeImage", image)
    clock.now += 10
    answer = client.answer("Utilities/GetTaskStatus", job_id)
    assert (answer["taskStatus"], answer["results"]) == ("Completed", None)


@pytest.mark.parametrize("path", ["/V5.0/OCR/recognizeimage", "/v5.0/ocr/RECOGNIZEIMAGE", "/v6.1/ocr/RecognizeImage"])
def test_paths_are_not_case_sensitive_and_any_version_will_do(client, image, path):
    body = {"image": base64.b64encode(image).decode()}
    assert client.call("POST", path, json=body).status_code == 200


def test_wrong_client_gets_no_token(reader):
    with EmulatorServer(reader=reader, client_id="me", client_secret="mine") as server:

        def ask(**form: str) -> tuple[int, dict[str, object]]:
            response = requests.post(server.url + "/connect/token", data=form, timeout=5)
            return response.status_code, response.json()

        grant = {"grant_type": "client_credentials"}
        assert ask(**grant, client_id="me", client_secret="yours") == (400, {"error": "invalid_client"})
        assert ask(**grant, client_id="me") == (400, {"error": "invalid_client"})
        assert ask(client_id="me", client_secret="mine") == (400, {"error": "unsupported_grant_type"})
        status, answer = ask(**grant, client_id="me", client_secret="mine")
        assert status == 200
        assert answer["token_type"] == "Bearer"
        assert answer["expires_in"] == 3600


@pytest.mark.parametrize("endpoint", [*AUTHORIZED, "Utilities/GetTaskStatus"])
@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Basic abc", "Bearer"])
def test_missing_or_wrong_token_is_a_401_problem_document(client, endpoint, authorization):
    client.session.headers["Authorization"] = authorization
    response = client.get(endpoint, str(uuid.uuid4()))
    assert response.status_code == 401
    assert response.headers["Content-Type"] == "application/problem+json"
    assert set(response.json()) == {"type", "title", "status", "detail", "instance"}
    assert response.json()["status"] == 401


def test_tokens_that_are_good_are_known(client, emulator, clock):
    first = client.session.headers["Authorization"].removeprefix("Bearer ")
    assert emulator.tokens() == [first]
    clock.now += 30
    second = client.authorize().session.headers["Authorization"].removeprefix("Bearer ")
    assert emulator.tokens() == [first, second]
    clock.now += 30
    assert emulator.tokens() == [second]


def test_token_expires(client, clock, image):
    job_id = client.submit("RecognizeImage", image)
    clock.now += 49.9
    assert client.get("RecognizeImage", job_id).status_code == 200
    clock.now += 0.2
    assert client.get("RecognizeImage", job_id).status_code == 401


def test_trial_takes_no_token_and_masks_every_tenth_word(client, clock, image, reader):
    client.session.headers["Authorization"] = "Bearer wrong"
    reader.lines = ["one two three four five six", "seven eight nine ten eleven", "1 2 3 4 5 6 7 8 nineteen"]
    job_id = client.submit("RecognizeImageTrial", image, {"resultType": "TextAndHocr"})
    clock.now += 10
    text, hocr = (
        base64.b64decode(entry["data"]).decode() for entry in client.answer("RecognizeImageTrial", job_id)["results"]
    )
    assert text == "one two three four five six\nseven eight nine *** eleven\n1 2 3 4 5 6 7 8 ********"
    assert "nineteen" not in hocr


def test_unknown_and_foreign_ids_do_not_exist(client, clock, image):
    stranger = client.get("RecognizeImage", "00000000-0000-0000-0000-000000000000")
    assert stranger.status_code == 200
    assert stranger.json()["taskStatus"] == "NotExist"
    assert stranger.json()["responseStatusCode"] == "TaskNotFound"
    job_id = client.submit("RecognizeImage", image)
    assert client.get("DetectRegions", job_id).json()["taskStatus"] == "NotExist"
    assert client.get("RecognizeImage", job_id).json()["taskStatus"] != "NotExist"


def test_results_are_forgotten_after_the_retention(client, clock, emulator, image):
    job_id = client.submit("RecognizeImage", image)
    clock.now += 45
    assert client.answer("RecognizeImage", job_id)["taskStatus"] == "Completed"
    clock.now += 60
    client.authorize()
    assert client.get("RecognizeImage", job_id).json()["taskStatus"] == "NotExist"
    assert emulator.jobs() == []


def test_cancelled_job_does_not_exist(client, emulator, image):
    job_id = client.submit("RecognizeImage", image)
    response = client.call("DELETE", "/v5.0/ocr/DetectRegions", params={"id": job_id})
    assert (response.status_code, emulator.jobs()[0].cancelled) == (200, False)
    response = client.call("DELETE", "/v5.0/ocr/RecognizeImage", params={"id": job_id})
    assert (response.status_code, response.content) == (200, b"")
    assert client.get("RecognizeImage", job_id).json()["taskStatus"] == "NotExist"
    assert client.get("Utilities/GetTaskStatus", job_id).json()["taskStatus"] == "NotExist"
    (job,) = emulator.jobs()
    assert (job.id, job.endpoint, job.status, job.cancelled) == (job_id, "RecognizeImage", "NotExist", True)
    assert job.image_sha256 == hashlib.sha256(image).hexdigest()


def test_regions_come_in_ascending_order_and_ties_as_sent(client, clock, image, reader):
    reader.lines = ["words"]
    corners = [(0, 0, 40, 50), (50, 0, 100, 50), (0, 30, 100, 60)]
    names = ("topLeftX", "topLeftY", "bottomRightX", "bottomRightY")
    regions = [
        {"rect": dict(zip(names, rect, strict=True)), "order": order}
        for rect, order in zip(corners, (7, 1, 7), strict=True)
    ]
    job_id = client.submit("RecognizeRegions", image, {"regions": regions, "resultType": "JSON"})
    clock.now += 10
    entries = client.answer("RecognizeRegions", job_id)["results"]
    lefts = [json.loads(base64.b64decode(entry["data"]))[0]["corners"][0] for entry in entries]
    # The reader sees the same words in each crop; its place in the image tells the crops apart.
    assert [corner["x"] for corner in lefts] == [50, 0, 0]
    assert lefts[1]["y"] < lefts[2]["y"]


def test_region_outside_of_the_image_is_empty_with_a_warning(client, clock, image):
    rect = {"topLeftX": 500, "topLeftY": 0, "bottomRightX": 600, "bottomRightY": 50}
    job_id = client.submit("RecognizeRegions", image, {"regions": [{"rect": rect, "order": 0}]})
    clock.now += 10
    answer = client.answer("RecognizeRegions", job_id)
    assert answer["results"] == [{"type": "Text", "data": ""}]
    assert answer["responseStatusCode"] == "NoAnyResultData"
    assert "outside" in answer["error"]["warnings"][0]


def test_a_body_that_is_too_large_is_refused(reader):
    """No more than the limit is taken of a body, whether or not its length is announced."""
    with EmulatorServer(reader=reader, max_body=1000) as server:
        client = Client(server.url)
        with client.session:
            client.authorize()
            assert client.post("RecognizeImage", b"x" * 2000).status_code == 413
            chunks = (b"x" * 400 for _ in range(5))
            headers = {"Content-Type": "application/json"}
            assert client.call("POST", "/v5.0/ocr/RecognizeImage", data=chunks, headers=headers).status_code == 413
            assert client.post("RecognizeImage", b"x" * 20).status_code == 200
        assert server.calls().accepted == 1
        reader.go.set()


def test_settings_that_share_their_names_with_another_endpoints_are_overlooked(client, image):
    """Settings that an endpoint does not have are overlooked by the service, as the vendor's client sends them all."""
    assert client.post("BinarizeImage", image, {"language": "English", "Rotate": 3}).status_code == 200
    assert client.post("RecognizeLabel", image, {"rotate": "no number"}).status_code == 200
    assert client.post("RecognizeLabel", image, {"language": "German"}).status_code == 400


def test_ids_of_speech_begin_with_letters(client):
    """The id of a speech job has TTS in place of its first three digits, as in the vendor's example."""
    response = client.call("POST", "/v5.0/ocr/converttexttospeech", json={"text": "a", "settings": {}})
    assert response.text.startswith("TTS")
    assert len(response.text) == 36
    assert client.get("ConvertTextToSpeech", response.text).json()["taskStatus"] != "NotExist"
    assert client.get("BinarizeImage", response.text).json()["taskStatus"] == "NotExist"


@pytest.mark.parametrize("body", [{}, {"text": ""}, {"text": 5}, {"text": "a", "settings": {"language": "German"}}])
def test_speech_without_text_is_refused(client, body):
    """Text to speech needs a text, and speaks English."""
    assert client.call("POST", "/v5.0/ocr/ConvertTextToSpeech", json=body).status_code == 400


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"no json", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"{}", "image"),
        (b'{"image": ""}', "image"),
        (b'{"image": "*"}', "Base64"),
        (b'{"image": "QUJD", "settings": []}', "settings"),
        (b'{"image": "QUJD", "settings": {"dsrMode": "Magic"}}', "settings.dsrMode"),
        (b'{"image": "QUJD", "settings": {"rotate": "x"}}', "settings.rotate"),
    ],
)
def test_malformed_bodies_are_a_400_problem_document(client, emulator, body, says):
    headers = {"Content-Type": "application/json"}
    response = client.call("POST", "/v5.0/ocr/RecognizeImage", data=body, headers=headers)
    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/problem+json"
    assert says in response.json()["detail"]
    assert emulator.calls().accepted == 0


BELOW_ZERO = {"topLeftX": -1, "topLeftY": 0, "bottomRightX": 5, "bottomRightY": 5}


@pytest.mark.parametrize(
    "regions",
    [
        *(None, [], 5, "5", {}, [5], [[0, 0, 5, 5]]),
        [{"rect": {"topLeftX": 1}, "order": 0}],
        [{"rect": BELOW_ZERO, "order": 0}],
    ],
)
def test_missing_or_malformed_regions_are_refused(client, image, regions):
    assert client.post("RecognizeRegions", image, {"regions": regions}).status_code == 400


def test_other_methods_and_paths_are_problem_documents(client):
    assert client.call("PUT", "/v5.0/ocr/RecognizeImage").status_code == 405
    assert client.call("GET", "/v5.0/ocr/RecognizeNothing").status_code == 404
    assert client.call("GET", "/v5.0/ocr/RecognizeImage").status_code == 400  # no id
    assert client.call("GET", "/").json()["title"] == "Not Found"


def test_settings_of_the_vendors_client_are_understood(client, image):
    # It writes `Rotate`, sends nulls, and properties of other endpoints.
    settings = {"Rotate": 90, "language": None, "resultTypeTable": "Text"}
    assert client.post("RecognizeImage", image, settings).status_code == 200


def test_calls_and_accepted_submissions_are_counted(client, emulator, image):
    first = client.submit("RecognizeImage", image)
    client.submit("RecognizeImage", image)
    client.get("RecognizeImage", first)
    client.call("POST", "/v5.0/ocr/recognizeimage", data=b"broken")
    client.get("Utilities/GetTaskStatus", first)
    sha256 = hashlib.sha256(image).hexdigest()
    expected = {
        "total": 5,
        "by_endpoint": {"GET RecognizeImage": 1, "GET Utilities/GetTaskStatus": 1, "POST RecognizeImage": 3},
        "token_calls": 1,
        "accepted": 2,
        "accepted_by_image": {sha256: 2},
    }
    assert client.call("GET", "/emulator/calls").json() == expected
    assert emulator.calls().model_dump() == expected
    assert emulator.calls().count("POST", "RecognizeImage") == 3
    assert [job["image_sha256"] for job in client.call("GET", "/emulator/jobs").json()] == [sha256, sha256]
    assert client.call("POST", "/emulator/reset").status_code == 204
    assert emulator.calls().total == 0
    assert emulator.jobs() == []
    assert client.get("RecognizeImage", first).json()["taskStatus"] == "NotExist"


def test_an_unknown_language_is_refused_as_any_wrong_value(client, emulator, image):
    """The service takes its own names: neither an invented one nor a code."""
    for language in ("Klingon", "de", "ENG"):
        response = client.post("RecognizeImage", image, {"language": language})
        assert response.status_code == 400
        assert "settings.language" in response.json()["detail"]
    assert client.post("RecognizeImage", image, {"language": "english"}).status_code == 200
    assert emulator.calls().accepted == 1


@pytest.mark.parametrize("language", ["Chechen", "Gilaki", "Muong"])
def test_unreadable_language_ends_the_job_as_error_that_says_so(client, clock, image, language):
    job_id = client.submit("RecognizeImage", image, {"language": language})
    clock.now += 10
    answer = client.answer("RecognizeImage", job_id)
    assert (answer["taskStatus"], answer["responseStatusCode"], answer["results"]) == ("Error", "Error", None)
    assert language in answer["error"]["messages"][0]


def test_undecodable_image_ends_the_job_as_error_that_says_so(client, clock):
    job_id = client.submit("RecognizeImage", b"this is no image")
    clock.now += 10
    assert "cannot be decoded" in client.answer("RecognizeImage", job_id)["error"]["messages"][0]


def test_neither_text_nor_secret_nor_token_is_logged(client, clock, image, caplog, reader):
    caplog.set_level(logging.DEBUG)
    token = client.token("my-client", "my-secret").json()["access_token"]
    client.session.headers["Authorization"] = f"Bearer {token}"
    job_id = client.submit("RecognizeImage", image)
    clock.now += 10
    client.answer("RecognizeImage", job_id)

    def broken(_image: object) -> None:
        raise KeyError(*reader.lines)

    reader.read = broken
    job_id = client.submit("RecognizeImage", image)
    clock.now += 10
    assert client.answer("RecognizeImage", job_id)["error"]["messages"] == [
        "The emulator failed to do the job: KeyError."
    ]
    assert "KeyError" in caplog.text
    for word in ("alpha", "gamma", "my-secret", token):
        assert word not in caplog.text
