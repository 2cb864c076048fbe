"""An interim answer (1xx) is none: the one that counts comes after it, and to the same question."""

from __future__ import annotations

import time

import pytest

from airflow_provider_asposeocr.api.answers import TaskStatus
from airflow_provider_asposeocr.exceptions import AsposeOcrServiceError
from tests.unit.hooks.faults import ENDPOINT
from tests.unit.raw_server import JOB, answer, task_answer

INTERIM = {
    "hints": b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n",
    "processing": b"HTTP/1.1 102 Processing\r\n\r\n" * 3,
    "continue": b"HTTP/1.1 100 Continue\r\n\r\n",
}
OTHER = "b0a9c8d7-0000-4000-8000-46851b3dceaa"


@pytest.mark.parametrize("kind", INTERIM)
def test_a_submission_is_accepted_by_the_answer_that_follows(sync_hook, raw_server, png, kind):
    """Else it would be told as refused, and not billed."""
    server = raw_server(lambda received: INTERIM[kind] + answer(200, JOB))
    assert sync_hook.submit(ENDPOINT, png) == JOB
    assert len(server.requests) == 1


@pytest.mark.parametrize("kind", INTERIM)
def test_a_poll_is_answered_by_the_answer_that_follows(hook, raw_server, kind):
    raw_server(lambda received: INTERIM[kind] + task_answer("Pending"))
    assert hook.get_status(ENDPOINT, JOB).status is TaskStatus.PENDING


def test_the_answer_that_follows_late_is_not_the_next_calls(hook, raw_server):
    """Two jobs asked for over one connection: neither is told the other's results."""

    def script(received):
        job = received.target.partition("id=")[2]
        received.peer.sendall(INTERIM["hints"])
        time.sleep(0.05)
        return answer(200, {"id": job, "taskStatus": "Pending"})

    raw_server(script)
    assert [hook.get_status(ENDPOINT, job).id for job in (JOB, OTHER, JOB)] == [JOB, OTHER, JOB]


def test_interim_answers_without_end_are_a_broken_exchange(sync_hook, raw_server):
    raw_server(lambda received: INTERIM["continue"] * 1000 + task_answer("Pending"))
    sync_hook.hook.retry_limit = 0
    with pytest.raises(AsposeOcrServiceError, match="broke"):
        sync_hook.get_status(ENDPOINT, JOB)
