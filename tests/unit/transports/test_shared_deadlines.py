"""Deadlines that are far away: one timer of the event loop looks after all exchanges of a session."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from airflow_provider_asposeocr.api.answers import TaskStatus
from airflow_provider_asposeocr.exceptions import AsposeOcrServiceError
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrAsyncHook
from tests.unit.raw_server import JOB, task_answer

ENDPOINT = "RecognizeImage"
HOUR = 3600.0
PATIENT = {"timeout": 24 * HOUR}
"""A connection that waits for each part of an answer longer than any deadline here."""


class HandLoop(asyncio.SelectorEventLoop):
    """An event loop whose time a test turns forward, and which counts the timers for times far away."""

    def __init__(self):
        self.turned = 0.0
        self.far_timers = 0
        super().__init__()

    def time(self):
        return super().time() + self.turned

    def call_at(self, when, *args, **kwargs):
        self.far_timers += when - self.time() > HOUR / 2
        return super().call_at(when, *args, **kwargs)


def in_loop(work):
    """Run a coroutine function in such a loop, with that as its argument."""
    with asyncio.Runner(loop_factory=HandLoop) as runner:
        return runner.run(work(runner.get_loop()))


@pytest.fixture
def slow(raw_server):
    """A server that answers when it may, and an event that is set once it is asked for a job."""
    asked, go = threading.Event(), threading.Event()

    def script(received):
        asked.set()
        go.wait(10)
        return task_answer("Pending")

    raw_server(script, extra=PATIENT)
    yield asked, go
    go.set()


def test_all_that_are_too_late_end_with_their_deadlines_and_no_other_does(slow):
    asked, go = slow

    async def work(loop):
        async with AsposeOcrAsyncHook(retry_limit=0) as hook:
            hours = (1, 1, 3)
            calls = [
                asyncio.create_task(hook.get_status(ENDPOINT, JOB, deadline=time.time() + each * HOUR))
                for each in hours
            ]
            assert await asyncio.to_thread(asked.wait, 10)
            await asyncio.sleep(0.05)
            loop.turned += 2 * HOUR
            for call in calls[:2]:
                with pytest.raises(AsposeOcrServiceError, match="when the time was over") as caught:
                    await call
                assert caught.value.ocr_task_id == JOB
            assert not calls[2].done()
            go.set()
            return (await calls[2]).status

    assert in_loop(work) is TaskStatus.PENDING


def test_those_that_wait_for_a_connection_end_with_their_deadlines_too(slow):
    asked, go = slow

    async def work(loop):
        async with AsposeOcrAsyncHook(retry_limit=0) as hook:
            ask = hook.get_status
            first = [asyncio.create_task(ask(ENDPOINT, JOB, deadline=time.time() + 3 * HOUR)) for _ in range(100)]
            assert await asyncio.to_thread(asked.wait, 10)
            queued = asyncio.create_task(ask(ENDPOINT, JOB, deadline=time.time() + HOUR))
            await asyncio.sleep(0.05)
            loop.turned += 2 * HOUR
            with pytest.raises(AsposeOcrServiceError, match="when the time was over"):
                await queued
            go.set()
            return {task.status for task in await asyncio.gather(*first)}

    assert in_loop(work) == {TaskStatus.PENDING}


def test_a_call_that_is_cancelled_is_no_timeout(slow):
    asked, _ = slow

    async def work(loop):
        async with AsposeOcrAsyncHook(retry_limit=0) as hook:
            call = asyncio.create_task(hook.get_status(ENDPOINT, JOB, deadline=time.time() + HOUR))
            assert await asyncio.to_thread(asked.wait, 10)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            # Nothing looks after it any more.
            loop.turned += 2 * HOUR
            await asyncio.sleep(0.02)

    in_loop(work)


def test_an_exchange_leaves_no_timer_behind_for_the_time_of_its_deadline(raw_server):
    """Thousands of polls would leave thousands, for as long as their jobs may take."""
    raw_server(lambda _: task_answer("Pending"))

    async def work(loop):
        async with AsposeOcrAsyncHook(retry_limit=0) as hook:
            for _ in range(20):
                await hook.get_status(ENDPOINT, JOB, deadline=time.time() + HOUR)
        return loop.far_timers

    assert in_loop(work) == 0
