"""Looking up a connection: one look-up for many hooks, whose failure is nobody's but theirs who waited for it."""

from __future__ import annotations

import asyncio

import pytest

from airflow_provider_asposeocr.api.answers import TaskStatus
from airflow_provider_asposeocr.api.polling import is_transient
from airflow_provider_asposeocr.exceptions import AsposeOcrError, AsposeOcrInputError, AsposeOcrServiceError
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrAsyncHook
from tests.unit.look_ups import LookUps
from tests.unit.raw_server import JOB, answer, task_answer


@pytest.fixture
def look_ups(monkeypatch):
    """Airflow's look-ups."""
    return LookUps(monkeypatch)


@pytest.fixture
def server(raw_server):
    """A server at which each job is completed."""
    return raw_server(lambda received: answer(200, JOB) if received.method == "POST" else task_answer())


def test_failing_look_up_is_transient(new_hook, server, look_ups, png):
    """A look-up that fails is a transient error that names the connection and says that nothing was sent."""
    for call in (
        lambda: new_hook(retry_limit=0).get_status("RecognizeImage", JOB),
        lambda: new_hook().submit("RecognizeImage", png),
    ):
        look_ups.failures = [OSError("the database is away")]
        with pytest.raises(AsposeOcrServiceError, match=r"'aspose_ocr_default' could not be looked up") as caught:
            call()
        assert is_transient(caught.value)
        assert "was not sent" in str(caught.value)
    assert server.requests == []


def test_connection_that_is_not_defined_is_permanent(new_hook):
    with pytest.raises(AsposeOcrInputError, match="'no_such' is not defined") as caught:
        new_hook("no_such").get_status("RecognizeImage", JOB)
    assert not is_transient(caught.value)


def test_the_next_look_up_asks_anew(new_hook, server, look_ups):
    hook = new_hook(retry_limit=0)
    look_ups.failures = [OSError("the database is away"), ConnectionError("still")]
    for _ in range(2):
        with pytest.raises(AsposeOcrServiceError, match="could not be looked up"):
            hook.get_status("RecognizeImage", JOB)
    assert hook.get_status("RecognizeImage", JOB).status is TaskStatus.COMPLETED
    assert look_ups.count == 3


def test_polls_survive_failing_look_ups(new_hook, server, look_ups):
    look_ups.failures = [OSError("the database is away") for _ in range(5)]
    assert new_hook().wait("RecognizeImage", JOB).status is TaskStatus.COMPLETED
    assert look_ups.count == 6


async def status(hook):
    try:
        return (await hook.get_status("RecognizeImage", JOB)).status
    except AsposeOcrError as error:
        return error


async def test_who_waits_for_a_failing_look_up_shares_that_one_failure(server, look_ups):
    look_ups.failures = [OSError("the database is away")]
    jobs = [f"a197aade-bba9-4c7a-92c7-{number:012d}" for number in range(20)]
    ends = await asyncio.gather(
        *(AsposeOcrAsyncHook(retry_limit=0).get_status("RecognizeImage", job) for job in jobs), return_exceptions=True
    )
    assert look_ups.count == 1
    assert all(isinstance(end, AsposeOcrServiceError) for end in ends)
    # Each has its own, which names its own job.
    assert [end.ocr_task_id for end in ends] == jobs
    assert await status(AsposeOcrAsyncHook()) is TaskStatus.COMPLETED
    assert look_ups.count == 2


async def test_a_look_up_that_nobody_waits_for_any_more_is_not_remembered_where_it_fails(server, look_ups):
    look_ups.failures = [OSError("the database is away")]
    waiter = asyncio.create_task(status(AsposeOcrAsyncHook()))
    await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    await asyncio.sleep(0.1)
    assert look_ups.failures == []
    assert await status(AsposeOcrAsyncHook()) is TaskStatus.COMPLETED


async def test_hooks_of_one_loop_share_a_look_up(server, look_ups):
    assert await asyncio.gather(*(status(AsposeOcrAsyncHook()) for _ in range(20))) == [TaskStatus.COMPLETED] * 20
    assert await status(AsposeOcrAsyncHook()) is TaskStatus.COMPLETED
    assert look_ups.count == 1
