"""The examples of the five pages of the vendor's documentation, word for word, through our models."""

from __future__ import annotations

import ast
import base64
import inspect
import io
import itertools
import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic.alias_generators import to_camel

from airflow_provider_asposeocr.api.answers import TaskStatus
from airflow_provider_asposeocr.api.checks import parse_settings
from airflow_provider_asposeocr.api.results import rectangles, region_texts
from airflow_provider_asposeocr.api.settings import Settings
from tests.unit.api.exchanges import API, DETECT, IMAGE, REGIONS, TRIAL, Answer, Service, submission_body

SAMPLES = Path(__file__).parent / "samples"
SEND_PAGES = {
    "send-image-for-recognition": IMAGE,
    "send-image-for-region-detection": DETECT,
    "send-regions-for-recognition": REGIONS,
}
FETCH_PAGES = {"fetch-detected-regions": DETECT, "fetch-region-recognition-result": REGIONS}
send_pages = pytest.mark.parametrize(("page", "endpoint"), SEND_PAGES.items())
fetch_pages = pytest.mark.parametrize(("page", "endpoint"), FETCH_PAGES.items())


@dataclass
class Curl:
    """What a cURL command line asks for."""

    method: str
    url: str
    headers: dict[str, str]
    body: Any

    @property
    def token(self) -> str:
        return self.headers["Authorization"].removeprefix("Bearer ")


def sample(page: str, name: str) -> str:
    return (SAMPLES / page / name).read_text()


def curl(page: str) -> Curl:
    words = iter(shlex.split(sample(page, "curl.txt").replace("\\\n", " "))[1:])
    said = Curl("", "", {}, None)
    for word in words:
        if word == "--request":
            said.method = next(words)
        elif word == "--header":
            name, value = next(words).split(": ", 1)
            said.headers[name] = value
        elif word.startswith("--data"):
            said.body = json.loads(next(words))
        elif word != "--location":
            said.url = word
    # As cURL does: data make a POST.
    said.method = said.method or ("POST" if said.body else "GET")
    return said


@send_pages
def test_full_body(page, endpoint):
    """The page's body sets everything, so ours says everything, in the same order."""
    example = json.loads(sample(page, "body.json"))
    settings = parse_settings(endpoint, example["settings"])
    sent = json.loads(b"".join(submission_body(b"scan", settings)))
    assert sent == {**example, "image": base64.b64encode(b"scan").decode()}
    assert list(sent) == list(example)


@send_pages
def test_curl_request_and_answer(page, endpoint):
    """Our submission is the page's cURL request, and its answer is understood."""
    example = curl(page)
    body = submission_body(b"scan", parse_settings(endpoint, example.body["settings"]))
    service = Service(Answer(200, sample(page, "answer.txt").encode()), tokens=(example.token,))
    assert service.run(API.submit(endpoint, body)) == sample(page, "answer.txt").strip()
    (request,) = service.requests
    assert (request.method, request.url) == (example.method, example.url)
    assert request.headers == example.headers
    sent = json.loads(b"".join(body))
    assert sent == {**example.body, "image": base64.b64encode(b"scan").decode()}


@pytest.mark.parametrize("name", ["body.json", "curl.txt"])
@send_pages
def test_settings_round_trip(page, endpoint, name):
    """What a model writes, it reads, and nothing is added to it."""
    example = curl(page).body["settings"] if name == "curl.txt" else json.loads(sample(page, name))["settings"]
    settings = parse_settings(endpoint, example)
    assert settings.to_wire() == example
    assert parse_settings(endpoint, settings.to_wire()) == settings
    assert parse_settings(endpoint, json.dumps(example)) == settings


def docstrings(model: type) -> list[str]:
    """The fields of a model that have a text below them, its own ones only."""
    if model.__module__ != Settings.__module__:
        return []
    (body,) = ast.parse(inspect.getsource(model)).body
    assert isinstance(body, ast.ClassDef)
    return [
        field.target.id
        for field, text in itertools.pairwise(body.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    ]


@send_pages
def test_table_of_settings(page, endpoint):
    """The model has the table's settings, and no other but `regions`; types and defaults are the documented ones."""
    rows = re.findall(r"^`(\w+)` \| (\w+) \| `(\w+)` \|", sample(page, "settings.md"), re.MULTILINE)
    fields = {field.alias or name: field for name, field in endpoint.settings_model.model_fields.items()}
    explained = {to_camel(name) for model in endpoint.settings_model.__mro__ for name in docstrings(model)}
    assert sorted(fields.keys() - {"regions"}) == sorted(name for name, _, _ in rows)
    for name, kind, default in rows:
        documented = default if kind == "string" else json.loads(default)
        assert fields[name].default == documented
        assert isinstance(documented, {"string": str, "boolean": bool, "integer": int}[kind])
        assert name in explained


@fetch_pages
def test_fetch_request(page, endpoint):
    """Our fetch is the page's request, and its answer is understood."""
    example = curl(page)
    ocr_task_id = example.url.partition("?id=")[2]
    service = Service(Answer(200, sample(page, "answer.json").encode()), tokens=(example.token,))
    task = service.run(API.task(endpoint, ocr_task_id, io.BytesIO))
    (request,) = service.requests
    assert (request.method, request.url, request.body) == (example.method, example.url, None)
    assert request.headers["Authorization"] == example.headers["Authorization"]
    assert example.headers["Accept"] in request.headers["Accept"].split(", ")
    assert task.id == ocr_task_id
    assert task.status is TaskStatus.COMPLETED
    assert task.response_status_code == "Ok"
    assert (task.messages, task.warnings, task.notices) == ((), (), [])


def fetched(page: str) -> Any:
    endpoint = FETCH_PAGES[page]
    answer = Answer(200, sample(page, "answer.json").encode())
    return Service(answer).run(API.task(endpoint, curl(page).url.partition("?id=")[2], io.BytesIO))


def test_detected_regions():
    """The regions of the page's answer are read."""
    assert rectangles(fetched("fetch-detected-regions")) == [[0, 8, 697, 441]]


def test_text_of_regions():
    """The texts of the page's answer are read."""
    task = fetched("fetch-region-recognition-result")
    assert region_texts(task) == ["All men live enveloped in whale-lines."]
    assert task.text == "All men live enveloped in whale-lines."


@pytest.mark.parametrize("page", FETCH_PAGES)
@pytest.mark.parametrize("status", ["Pending", "Processing", "Completed", "Error", "NotExist"])
def test_task_statuses(page, status):
    """Each row of the pages' tables of task statuses."""
    example = {**json.loads(sample(page, "answer.json")), "taskStatus": status}
    task = Service(Answer(200, json.dumps(example).encode())).run(
        API.task(FETCH_PAGES[page], example["id"], io.BytesIO)
    )
    assert task.status == status
    assert task.status.is_terminal == (status not in ("Pending", "Processing"))


def test_evaluation_mode_takes_no_authorization():
    """send-image-for-recognition, "Evaluation mode"."""
    example = json.loads(sample("send-image-for-recognition", "body.json"))
    assert IMAGE.trial == TRIAL.name
    body = submission_body(b"scan", parse_settings(TRIAL, example["settings"]))
    service = Service(Answer(200, sample("send-image-for-recognition", "answer.txt").encode()), tokens=())
    service.run(API.submit(TRIAL, body))
    (request,) = service.requests
    assert request.url == "https://api.aspose.cloud/v5.0/ocr/RecognizeImageTrial"
    assert "Authorization" not in request.headers
