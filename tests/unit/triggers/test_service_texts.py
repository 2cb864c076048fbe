"""What the service says of a job, on its way to the event, the XCom, the error and the log: short, and no secret."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_asposeocr.exceptions import AsposeOcrError
from tests.unit.operators.recognizing import recognize
from tests.unit.raw_server import CLIENT_SECRET, JOB, RawServer, Received, answer, task_answer
from tests.unit.triggers.test_trigger import QUICK, trigger

TOKEN = "token-1-0123456789abcdef"
SAID = [
    f"no access for {CLIENT_SECRET}\0",
    f"nor for {TOKEN}",
    f"Basic {base64.b64encode(f'test-client:{CLIENT_SECRET}'.encode()).decode()}",
    "x" * 1_500_000,
    *["more"] * 500,
]


@pytest.fixture
def serve(raw_server: Callable[..., RawServer]) -> Callable[[bytes], RawServer]:
    """Starts a server that accepts everything and answers each poll like this."""

    def start(reply: bytes) -> RawServer:
        def script(received: Received) -> bytes:
            if received.target.endswith("/connect/token"):
                return answer(200, {"access_token": TOKEN, "expires_in": 3600})
            return answer(200, JOB) if received.method == "POST" else reply

        return raw_server(script, tokens=False)

    return start


def assert_clean(text: str, most: int = 50_000) -> None:
    assert len(text) < most
    for secret in (CLIENT_SECRET, TOKEN, base64.b64encode(CLIENT_SECRET.encode()).decode()[:20], "\0"):
        assert secret not in text
    # Nor as JSON has it: PostgreSQL refuses that in a JSONB.
    assert not re.search(r"(?<!\\)\\u0000", text)


async def event_of(one: Any) -> dict[str, Any]:
    (event,) = [event.payload async for event in one.run()]
    return event


def test_event_of_a_job_that_ended_badly(serve: Any) -> None:
    """The event has the service's messages, short and without our secret."""
    serve(task_answer("Error", error={"messages": SAID, "warnings": SAID}))
    event = asyncio.run(event_of(trigger(JOB)))
    assert event["status"] == "Error"
    assert event["messages"][0] == "no access for ***"
    assert_clean(json.dumps(event))


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500])
def test_event_of_a_poll_that_is_refused(serve: Any, status: int) -> None:
    """So has that of a poll which the service refused."""
    serve(answer(status, {"title": " ".join(SAID[:3]), "detail": SAID}))
    # A service that is not well is waited out to the deadline.
    waiting = {**QUICK, "poll_interval": 0.01}
    event = asyncio.run(event_of(trigger(JOB, waiting=waiting, end_time=time.time() + 0.2)))
    assert event["status"] == ("Refused" if status < 429 else "TimedOut")
    assert_clean(json.dumps(event), 3_000)


def test_xcom_and_log_of_a_completed_job(
    serve: Any, context: Any, letter: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """XCom and log have the service's messages, short and without our secret."""
    results = [{"type": "Text", "data": base64.b64encode(b"alpha").decode()}]
    serve(task_answer(results=results, error={"messages": SAID, "warnings": SAID}, responseStatusCode=f"{TOKEN}\0"))
    xcom = recognize(letter, **QUICK).execute(context)
    assert xcom["text"] == "alpha"
    assert xcom["warnings"][0] == "no access for ***"
    assert_clean(json.dumps(xcom))
    captured = capsys.readouterr()
    assert_clean(captured.out + captured.err)


@pytest.mark.parametrize("reply", [task_answer("Error", error={"messages": SAID}), answer(403, {"detail": SAID})])
def test_error_and_log_of_a_job_that_failed(
    serve: Any, context: Any, letter: str, reply: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """So have the error and its attributes."""
    serve(reply)
    with pytest.raises(AsposeOcrError) as caught:
        recognize(letter, **QUICK).execute(context)
    assert JOB in str(caught.value)
    assert_clean(f"{caught.value} {vars(caught.value)}")
    captured = capsys.readouterr()
    assert_clean(captured.out + captured.err)
