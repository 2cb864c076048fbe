"""Headers of an answer mean the same over both transports."""

from __future__ import annotations

import pytest

from airflow_provider_asposeocr.api.answers import TaskStatus
from airflow_provider_asposeocr.exceptions import AsposeOcrRateLimitError
from tests.unit.hooks.faults import ENDPOINT
from tests.unit.raw_server import JOB, task_answer


def test_a_retry_after_that_was_said_twice_is_the_longer_one(hook, raw_server):
    """As of the service, and of a gateway before it."""
    raw_server(lambda received: b"HTTP/1.1 429 No\r\nRetry-After: 5\r\nretry-after: 7\r\nContent-Length: 0\r\n\r\n")
    hook.hook.retry_limit = 0
    with pytest.raises(AsposeOcrRateLimitError) as caught:
        hook.get_status(ENDPOINT, JOB)
    assert caught.value.retry_after == 7


def test_a_long_header_is_read(hook, raw_server):
    policy = b"\r\nContent-Security-Policy: " + b"a" * 20_000 + b"\r\n\r\n"
    raw_server(lambda received: task_answer("Pending").replace(b"\r\n\r\n", policy))
    hook.hook.retry_limit = 0
    assert hook.get_status(ENDPOINT, JOB).status is TaskStatus.PENDING
