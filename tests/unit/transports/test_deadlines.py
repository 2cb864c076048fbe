"""A deadline holds inside an exchange: an answer that drips does not outlive it, whatever drips."""

from __future__ import annotations

import base64
import threading
import time

import pytest

from airflow_provider_asposeocr.api.answers import TaskStatus
from airflow_provider_asposeocr.exceptions import AsposeOcrServiceError, AsposeOcrTimeoutError
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrHook
from airflow_provider_asposeocr.triggers.aspose_ocr import AsposeOcrTaskTrigger
from tests.unit.either_hook import FAST
from tests.unit.hooks.faults import ENDPOINT
from tests.unit.raw_server import JOB, answer, task_answer, token_answer

SOON = 0.3
"""Seconds to a deadline."""
DROPS = 40
"""How many drops an answer comes in: were it read to its end, it would be a good one."""


def drip(received, whole, start=0):
    """Send an answer a drop at a time, each long before the time-out of the connection."""
    received.body()
    received.peer.sendall(whole[:start])
    size = -(-(len(whole) - start) // DROPS)
    for at in range(start, len(whole), size):
        received.peer.sendall(whole[at : at + size])
        time.sleep(0.05)


def from_the(part, whole):
    """Where to begin to drip."""
    return {"head": 0, "body": whole.index(b"\r\n\r\n") + 4}[part]


def soon():
    return time.time() + SOON


WITHOUT_LENGTH = b"HTTP/1.0 200 OK\r\n\r\n" + task_answer("Pending").partition(b"\r\n\r\n")[2]
CLOSING = task_answer("Pending").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
ANSWERS = {"plain": task_answer("Pending"), "of no length": WITHOUT_LENGTH, "that closes": CLOSING}


@pytest.mark.parametrize("part", ["head", "body"])
@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_that_drips_ends_with_its_deadline(new_hook, raw_server, part, kind):
    whole = ANSWERS[kind]
    raw_server(lambda received: drip(received, whole, from_the(part, whole)))
    hook = new_hook(retry_limit=0)
    with pytest.raises(AsposeOcrServiceError, match="had not answered to the end when the time was over") as caught:
        hook.get_status(ENDPOINT, JOB, deadline=soon())
    assert caught.value.ocr_task_id == JOB


@pytest.mark.parametrize("part", ["head", "body"])
def test_over_tls_too(raw_server, tls, part):
    """A deadline cuts an answer that drips over TLS, too."""
    whole = task_answer("Pending")
    raw_server(
        lambda received: drip(received, whole, from_the(part, whole)), tls.server(), extra={"verify": tls.authority}
    )
    hook = AsposeOcrHook(retry_limit=0)
    with pytest.raises(AsposeOcrServiceError, match="when the time was over"):
        hook.get_status(ENDPOINT, JOB, deadline=soon())


def test_through_a_proxy_that_drips_too(new_hook, raw_server, define_connection, monkeypatch):
    """Of the head of its answer to CONNECT, before there is any TLS."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    proxy = raw_server(lambda received: drip(received, answer(200)), tokens=False)
    define_connection(
        host="https://ocr.example.com", login="id", password="secret", extra={"proxies": {"https": proxy.url}}
    )
    with pytest.raises(AsposeOcrServiceError, match="when the time was over"):
        new_hook(retry_limit=0).get_status(ENDPOINT, JOB, deadline=soon())
    assert all(received.method == "CONNECT" for received in proxy.requests)


def test_a_token_that_drips_ends_with_the_deadline_of_the_call(new_hook, raw_server):
    server = raw_server(lambda received: drip(received, token_answer()), tokens=False)
    with pytest.raises(AsposeOcrServiceError, match="when the time was over"):
        new_hook(retry_limit=0).get_status(ENDPOINT, JOB, deadline=soon())
    assert all("token" in received.target for received in server.requests)


def test_a_token_that_another_fetches_is_waited_for_until_the_deadline(new_hook, raw_server):
    asked, go = threading.Event(), threading.Event()

    def script(received):
        if "token" not in received.target:
            return task_answer("Pending")
        asked.set()
        go.wait(10)
        return token_answer()

    raw_server(script, tokens=False)
    other = threading.Thread(target=AsposeOcrHook().get_status, args=(ENDPOINT, JOB))
    other.start()
    try:
        assert asked.wait(10)
        with pytest.raises(AsposeOcrServiceError, match="token did not come in time"):
            new_hook(retry_limit=0).get_status(ENDPOINT, JOB, deadline=soon())
    finally:
        go.set()
        other.join(10)


def test_what_comes_in_time_is_left_alone(raw_server):
    """Neither the answer nor the connection suffers from a deadline that is not reached."""
    server = raw_server(lambda received: task_answer("Pending"))
    hook = AsposeOcrHook()
    for deadline in (None, time.time() + 60, None):
        assert hook.get_status(ENDPOINT, JOB, deadline=deadline).status is TaskStatus.PENDING
    assert server.connections == 1


def test_a_deadline_that_is_over_asks_nothing(new_hook, raw_server):
    server = raw_server(lambda received: task_answer("Pending"))
    with pytest.raises(AsposeOcrServiceError, match="when the time was over"):
        new_hook(retry_limit=0).get_status(ENDPOINT, JOB, deadline=time.time() - 1)
    assert server.requests == []


def test_an_exchange_after_one_that_was_cut_goes_over_a_new_connection(raw_server):
    whole = task_answer("Pending")
    server = raw_server(lambda received: drip(received, whole) if len(server.requests) == 1 else whole)
    hook = AsposeOcrHook(retry_limit=0)
    with pytest.raises(AsposeOcrServiceError):
        hook.get_status(ENDPOINT, JOB, deadline=soon())
    assert hook.get_status(ENDPOINT, JOB, deadline=time.time() + 60).status is TaskStatus.PENDING


class TestWaiting:
    """The deadline of a job, reached inside a poll, is a time-out like any other: after one last question."""

    @pytest.mark.parametrize("part", ["head", "body"])
    def test_for_a_job_that_runs(self, new_hook, raw_server, part):
        whole = task_answer("Processing")
        server = raw_server(
            lambda received: drip(received, whole, from_the(part, whole)) if len(server.requests) == 1 else whole
        )
        with pytest.raises(AsposeOcrTimeoutError, match="did not end in time"):
            new_hook().wait(ENDPOINT, JOB, timeout=SOON)
        assert len(server.requests) == 2
        assert "GetTaskStatus" in server.requests[1].target

    def test_for_a_job_that_is_done_brings_its_result(self, new_hook, raw_server):
        whole = task_answer(results=[{"type": "Text", "data": base64.b64encode(b"whale").decode()}])
        server = raw_server(lambda received: drip(received, whole) if len(server.requests) == 1 else whole)
        assert new_hook().wait(ENDPOINT, JOB, timeout=SOON).text == "whale"

    def test_where_even_the_last_question_drips(self, new_hook, raw_server):
        """A job whose last poll drips as well has not ended in time."""
        whole = task_answer("Processing")
        server = raw_server(lambda received: drip(received, whole), extra={"timeout": 0.2})
        with pytest.raises(AsposeOcrTimeoutError, match=r"did not end in time.*when the time was over"):
            new_hook().wait(ENDPOINT, JOB, timeout=SOON)
        # On a slow machine the time may be over before the first question.
        assert 1 <= len(server.requests) <= 2

    def test_a_completed_job_that_cannot_be_fetched_is_no_timeout(self, raw_server):
        """After a time-out it would be cancelled; it is left in place for the next try."""
        whole = task_answer("Completed")

        def script(received):
            if "GetTaskStatus" in received.target:
                return whole
            # On a slow machine the time may be over before the first question: then the state is asked for first.
            is_first = len(server.requests) == 1
            return drip(received, whole) if is_first else answer(429, retry_after="900")

        server = raw_server(script)
        with pytest.raises(AsposeOcrServiceError, match="left in place") as caught:
            AsposeOcrHook().wait(ENDPOINT, JOB, timeout=SOON, schedule=FAST)
        assert caught.value.retry_after == 900

    async def test_of_a_deferred_task(self, raw_server):
        """The trigger's event says that the time is over."""
        whole = task_answer("Processing")
        server = raw_server(lambda received: drip(received, whole) if len(server.requests) == 1 else whole)
        now = time.time()
        trigger = AsposeOcrTaskTrigger(
            endpoint=ENDPOINT,
            ocr_task_id=JOB,
            aspose_ocr_conn_id="aspose_ocr_default",
            started_at=now,
            next_poll_at=now,
            end_time=now + SOON,
            waiting={"poll_interval": 0.01, "poll_backoff": 1.0, "poll_interval_max": 0.01},
        )
        (event,) = [event.payload async for event in trigger.run()]
        assert event["status"] == "TimedOut"
