"""Whatever comes as the answer of whichever call gives a good value or one of our errors, and leaks nothing."""

from __future__ import annotations

import base64
import json
import math
import string
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asposeocr.api.checks import checked_ocr_task_id
from airflow_provider_asposeocr.api.results import OcrTask, rectangles
from airflow_provider_asposeocr.api.tokens import TokenAnswer
from airflow_provider_asposeocr.exceptions import AsposeOcrError
from tests.unit.api.exchanges import CALLS, CREDENTIALS, NEXT_TOKEN, TOKEN, Answer, Service

NAMES = ["id", "taskStatus", "responseStatusCode", "results", "type", "data", "error", "messages", "warnings"]
NAMES += ["access_token", "expires_in", "token_type", "détail", ""]
WORDS = ["Completed", "Pending", "Error", "Text", "Other", "QUFB", "QQ==", "Q", "\ud7ff", TOKEN, "1e5", "é"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)
ENTRIES = st.lists(st.fixed_dictionaries({}, optional={"type": VALUES, "data": VALUES}) | VALUES, max_size=3)
RESPONSE_OBJECTS = st.fixed_dictionaries(
    {"taskStatus": st.sampled_from(["Completed", "Error", "Sleeping"])},
    optional={"id": VALUES, "results": ENTRIES, "error": VALUES, "responseStatusCode": VALUES},
)
TOKENS = st.fixed_dictionaries({"access_token": VALUES}, optional={"expires_in": VALUES})
BODIES = st.binary(max_size=60) | (VALUES | RESPONSE_OBJECTS | TOKENS).map(lambda value: json.dumps(value).encode())
STATUSES = st.sampled_from([200, 200, 201, 204, 302, 400, 401, 403, 404, 408, 429, 500, 502, 503, 504]) | st.integers(
    100, 999
)
HEADERS = st.dictionaries(st.sampled_from(["retry-after", "location", "content-type"]), st.text(max_size=20))
ANSWERS = st.builds(Answer, STATUSES, BODIES, HEADERS, st.integers(1, 40))
calls = st.sampled_from(list(CALLS))


def outcome(name: str, *answers: Answer) -> Any:
    """The value of a call, or its error; any other exception is the test's failure."""
    try:
        return Service(*answers).run(CALLS[name]())
    except AsposeOcrError as error:
        return error


def is_good(name: str, value: Any) -> bool:
    if name == "submit":
        return checked_ocr_task_id(value) == value
    if name == "cancel":
        return value is None
    if name == "token":
        return isinstance(value, TokenAnswer) and value.access_token.get_secret_value() and value.expires_in > 0
    return isinstance(value, OcrTask)


@given(calls, ANSWERS, ANSWERS)
def test_a_good_value_or_one_of_our_errors(name, first, second):
    """Whatever a service answers, a call ends in a good value or in one of our errors."""
    value = outcome(name, first, second)
    assert isinstance(value, AsposeOcrError) or is_good(name, value)
    if isinstance(value, AsposeOcrError):
        assert str(value)
        assert value.message
        retry_after = getattr(value, "retry_after", None)
        assert retry_after is None or (retry_after >= 0 and math.isfinite(retry_after))


@given(ANSWERS)
def test_results_read_or_are_one_of_our_errors(answer):
    """Results of any content can be read, or the answer is one of our errors."""
    task = outcome("task", answer, answer)
    for read in (lambda: task.text, lambda: rectangles(task), lambda: task.notices):
        if isinstance(task, OcrTask):
            with suppress(AsposeOcrError):
                read()


SECRETS = st.text(string.ascii_uppercase + string.digits, min_size=45, max_size=400).map(lambda text: f"Zq7{text}")
PLACES = [
    '{"results": [{"type": "Text", "data": "<>"}], "taskStatus": "Completed", "id": "a job"',
    '{"taskStatus": "Sleeping", "results": [{"data": "<>", "type": "Text"}]}',
    '{"taskStatus": "Completed", "results": [{"data": "<>!", "type": "Text"}]}',
    '{"taskStatus": "Completed", "results": [{"data": ["<>"], "type": "Text"}]}',
    '{"taskStatus": "Completed", "results": "<>"}',
    '{"taskStatus": "Completed", "results": [{"type": {"a": "<>"}}], "error": "<>"}',
    '{"access_token": "<>", "expires_in": "soon"}',
    '{"access_token": "<>", "expires_in": -1}',
    "Authorization: Bearer <>",
    "<p>Bearer <></p>",
    "<>",
]


@given(
    calls, SECRETS, st.sampled_from(PLACES), STATUSES, st.sampled_from(["", " ", "\n" * 300, "<br>" * 700, "x " * 130])
)
def test_no_message_holds_a_piece_of_data_or_of_a_token(name, secret, place, status, before):
    """Neither what the answer holds, nor what was sent."""
    body = (before + place.replace("<>", base64.b64encode(secret.encode()).decode())).encode()
    error = outcome(name, Answer(status, body), Answer(status, body))
    if isinstance(error, AsposeOcrError):
        shown = f"{error} {error!r} {error.__cause__}"
        assert base64.b64encode(b"Zq7").decode() not in shown
        assert not any(piece in shown for piece in (TOKEN[:12], NEXT_TOKEN[-12:], CREDENTIALS.client_secret))


@given(st.binary(min_size=1, max_size=60))
def test_no_message_of_a_decoded_result_holds_its_content(content):
    content = b"Zq7" + content
    data = base64.b64encode(content).decode()
    answer = {"taskStatus": "Completed", "results": [{"type": kind, "data": data} for kind in ("Text", "Other")]}
    task = outcome("task", Answer(200, json.dumps(answer).encode()))
    for read in (lambda: task.text, lambda: rectangles(task)):
        shown = repr(task)
        try:
            read()
        except AsposeOcrError as error:
            shown += f"{error} {error!r}"
        assert "Zq7" not in shown
