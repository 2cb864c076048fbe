"""Many threads, coroutines and triggers at once: one token, one session, and nothing left open."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_asposeocr.api.answers import TaskStatus
from airflow_provider_asposeocr.exceptions import AsposeOcrAuthError, AsposeOcrServiceError
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrAsyncHook, AsposeOcrHook
from airflow_provider_asposeocr.triggers.aspose_ocr import AsposeOcrTaskTrigger
from tests.unit.either_hook import FAST
from tests.unit.raw_server import (
    JOB,
    answer,
    task_answer,
)

MANY = 100


def trigger(conn_id="aspose_ocr_default", **more):
    now = time.time()
    arguments = {
        "ocr_task_id": JOB,
        "endpoint": "RecognizeImage",
        "aspose_ocr_conn_id": conn_id,
        "started_at": now,
        "next_poll_at": now,
        "end_time": now + 30,
        "waiting": {"poll_interval": 0.01, "poll_backoff": 1.0, "poll_interval_max": 0.01},
    }
    return AsposeOcrTaskTrigger(**{**arguments, **more})


async def event_of(one):
    return [event.payload async for event in one.run()]


def in_threads(count, call):
    gate = threading.Barrier(count)

    def run(_):
        gate.wait(20)
        return call()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@pytest.mark.parametrize("shared", [True, False], ids=["one hook", "a hook each"])
def test_threads_fetch_one_token(emulator, connection, shared):
    one = AsposeOcrHook(connection)
    states = in_threads(
        20, lambda: (one if shared else AsposeOcrHook(connection)).get_status("RecognizeImage", JOB).status
    )
    assert states == [TaskStatus.NOT_EXIST] * 20
    assert emulator.calls().token_calls == 1


@pytest.mark.parametrize("shared", [True, False], ids=["one hook", "a hook each"])
async def test_coroutines_fetch_one_token(emulator, connection, shared):
    one = AsposeOcrAsyncHook(connection)
    hooks = [one if shared else AsposeOcrAsyncHook(connection) for _ in range(MANY)]
    tasks = await asyncio.gather(*(hook.get_status("RecognizeImage", JOB) for hook in hooks))
    assert [task.status for task in tasks] == [TaskStatus.NOT_EXIST] * MANY
    assert emulator.calls().token_calls == 1
    gc.collect()  # a session that nobody closed would complain now


async def test_coroutines_of_one_hook_leave_no_session_open(raw_server):
    server = raw_server(lambda received: task_answer("Pending"))
    hook = AsposeOcrAsyncHook()
    await asyncio.gather(*(hook.get_status("RecognizeImage", JOB) for _ in range(10)))
    assert await asyncio.to_thread(server.all_closed)
    del hook
    gc.collect()


async def test_waits_of_one_hook_leave_no_session_open(raw_server):
    server = raw_server(lambda received: task_answer())
    hook = AsposeOcrAsyncHook()
    tasks = await asyncio.gather(*(hook.wait("RecognizeImage", JOB, schedule=FAST) for _ in range(10)))
    assert [task.status for task in tasks] == [TaskStatus.COMPLETED] * 10
    assert await asyncio.to_thread(server.all_closed, 0.2)
    del hook
    gc.collect()


async def test_threads_and_coroutines_fetch_one_token_together(emulator, connection):
    async_hook, hook = AsposeOcrAsyncHook(connection), AsposeOcrHook(connection)
    await asyncio.gather(
        *(async_hook.get_status("RecognizeImage", JOB) for _ in range(20)),
        *(asyncio.to_thread(hook.get_status, "RecognizeImage", JOB) for _ in range(5)),
    )
    assert emulator.calls().token_calls == 1


def test_expired_token_is_refreshed_once_for_all_threads(emulator, connection):
    AsposeOcrHook(connection).get_status("RecognizeImage", JOB)
    emulator.add_faults([{"kind": "expire_token"}])
    in_threads(20, lambda: AsposeOcrHook(connection).get_status("RecognizeImage", JOB))
    assert emulator.calls().token_calls == 2


async def test_expired_token_is_refreshed_once_for_all_coroutines(emulator, connection):
    hook = AsposeOcrAsyncHook(connection)
    async with hook:
        await hook.get_status("RecognizeImage", JOB)
        emulator.add_faults([{"kind": "expire_token"}])
        await asyncio.gather(*(hook.get_status("RecognizeImage", JOB) for _ in range(MANY)))
    assert emulator.calls().token_calls == 2


def test_threads_share_the_refusal_of_a_wrong_secret(emulator, define_connection):
    define_connection(host=emulator.url, login="test-client", password="wrong")

    def refused():
        with pytest.raises(AsposeOcrAuthError) as caught:
            AsposeOcrHook().get_status("RecognizeImage", JOB)
        return caught.value

    errors = in_threads(10, refused)
    assert all(error.ocr_task_id == JOB for error in errors)


@pytest.fixture
def slow_desk(raw_server):
    """A server, an event that is set when it is asked for a token, and one that lets it answer."""
    return desk(raw_server, answer(200, {"access_token": "x", "expires_in": 3600}))


def desk(raw_server, token):
    asked, go = threading.Event(), threading.Event()

    def script(received):
        if "token" in received.target:
            asked.set()
            go.wait(10)
            return token
        return task_answer("Pending")

    return raw_server(script, tokens=False), asked, go


async def fetching_without_its_waiter(hook, asked):
    """Begin a call that fetches the token, and cancel another one that waits for that; return the first."""
    first = asyncio.create_task(hook.get_status("RecognizeImage", JOB))
    assert await asyncio.to_thread(asked.wait, 10)
    waiter = asyncio.create_task(hook.get_status("RecognizeImage", JOB))
    await asyncio.sleep(0.02)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    return first


async def test_a_cancelled_fetch_is_taken_over_by_another(slow_desk):
    server, asked, go = slow_desk
    async with AsposeOcrAsyncHook() as hook:
        first = asyncio.create_task(hook.get_status("RecognizeImage", JOB))
        assert await asyncio.to_thread(asked.wait, 10)
        others = [asyncio.create_task(hook.get_status("RecognizeImage", JOB)) for _ in range(5)]
        await asyncio.sleep(0.02)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        go.set()
        tasks = await asyncio.gather(*others)
    assert [task.status for task in tasks] == [TaskStatus.PENDING] * 5
    assert sum("token" in received.target for received in server.requests) == 2


async def test_a_fetch_that_its_callers_deadline_cuts_is_taken_over_by_another(slow_desk):
    """How little time one caller had is no reason for the others to fail."""
    server, asked, go = slow_desk
    async with AsposeOcrAsyncHook(retry_limit=0) as hook:
        hurried = asyncio.create_task(hook.get_status("RecognizeImage", JOB, deadline=time.time() + 0.15))
        assert await asyncio.to_thread(asked.wait, 10)
        others = [asyncio.create_task(hook.get_status("RecognizeImage", JOB)) for _ in range(5)]
        with pytest.raises(AsposeOcrServiceError):
            await hurried
        go.set()
        tasks = await asyncio.gather(*others)
    assert [task.status for task in tasks] == [TaskStatus.PENDING] * 5
    assert sum("token" in received.target for received in server.requests) == 2


async def test_a_waiter_that_was_cancelled_leaves_no_failure_behind(raw_server):
    """asyncio would log a failure that nobody has asked for, long after, without a word on what it was about."""
    _, asked, go = desk(raw_server, answer(503))
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))
    async with AsposeOcrAsyncHook(retry_limit=0) as hook:
        first = await fetching_without_its_waiter(hook, asked)
        go.set()
        with pytest.raises(AsposeOcrServiceError):
            await first
    del first
    gc.collect()
    assert complaints == []


async def test_a_cancelled_waiter_does_not_cancel_the_fetch(slow_desk):
    server, asked, go = slow_desk
    async with AsposeOcrAsyncHook() as hook:
        first = await fetching_without_its_waiter(hook, asked)
        go.set()
        assert (await first).status is TaskStatus.PENDING
    assert sum("token" in received.target for received in server.requests) == 1


async def test_the_synchronous_hook_in_a_loop_waits_for_no_coroutine_of_it(slow_desk):
    """That coroutine could not go on meanwhile: the hook fetches a token of its own."""
    server, asked, go = slow_desk
    async with AsposeOcrAsyncHook() as hook:
        first = asyncio.create_task(hook.get_status("RecognizeImage", JOB))
        assert await asyncio.to_thread(asked.wait, 10)
        go.set()
        # In this thread, which is that of the loop.
        assert AsposeOcrHook().get_status("RecognizeImage", JOB).status is TaskStatus.PENDING
        assert (await first).status is TaskStatus.PENDING
    assert sum("token" in received.target for received in server.requests) == 2


async def test_triggers_fetch_one_token_and_share_one_session(raw_server):
    seen: dict[str, int] = {}
    lock = threading.Lock()
    everybody = threading.Barrier(MANY)

    def script(received):
        job = received.target.rpartition("=")[2]
        with lock:
            seen[job] = seen.get(job, 0) + 1
        if seen[job] == 1:
            everybody.wait(20)  # so that all of them are there at the same time
        return task_answer("Processing" if seen[job] < 3 else "Completed", id=job)

    server = raw_server(script)
    # The shared session opens at most 100 connections; sessions of their own would open one for each trigger, and
    # one more for each that asked while its own was busy.
    triggers = [trigger(ocr_task_id=f"a197aade-bba9-4c7a-92c7-{number:012d}") for number in range(MANY)]
    events = await asyncio.gather(*(event_of(one) for one in triggers))
    assert [event["status"] for (event,) in events] == ["Completed"] * MANY
    assert set(seen.values()) == {3}
    assert server.token_calls == 1
    assert server.connections <= MANY + 1
    assert await asyncio.to_thread(server.all_closed)
    gc.collect()


async def test_triggers_of_one_loop_reuse_the_connections_of_each_other(raw_server):
    server = raw_server(lambda received: task_answer("Completed"))
    hook = AsposeOcrAsyncHook()
    async with hook:  # as long as there is one user, the session stays
        for _ in range(10):
            (event,) = await event_of(trigger())
            assert event["status"] == "Completed"
    assert server.connections == 1
    assert server.token_calls == 1
    assert await asyncio.to_thread(server.all_closed)
    gc.collect()


async def test_triggers_of_two_connections_do_not_mix(raw_server, define_connection):
    first = raw_server(lambda received: task_answer("Completed"))
    second = raw_server(lambda received: task_answer("Error"))
    define_connection("first", host=first.url, login="a", password="b")
    define_connection("second", host=second.url, login="a", password="c")
    (one,), (two,) = await asyncio.gather(event_of(trigger("first")), event_of(trigger("second")))
    assert (one["status"], two["status"]) == ("Completed", "Error")
    assert (first.token_calls, second.token_calls) == (1, 1)


def test_every_event_loop_has_its_own_session(emulator, connection):
    hook = AsposeOcrAsyncHook(connection)
    for _ in range(3):
        assert asyncio.run(hook.get_status("RecognizeImage", JOB)).status is TaskStatus.NOT_EXIST
    gc.collect()


async def test_a_session_is_closed_after_an_error_too(raw_server):
    server = raw_server(lambda received: answer(500))
    with pytest.raises(AsposeOcrServiceError):
        await AsposeOcrAsyncHook(retry_limit=0).get_status("RecognizeImage", JOB)
    assert await asyncio.to_thread(server.all_closed)
    gc.collect()


async def test_a_session_is_closed_after_a_cancellation_too(raw_server):
    asked = threading.Event()

    def script(received):
        asked.set()
        received.peer.recv(1)  # until the client goes away

    server = raw_server(script)
    running = asyncio.create_task(AsposeOcrAsyncHook().get_status("RecognizeImage", JOB))
    assert await asyncio.to_thread(asked.wait, 10)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await asyncio.to_thread(server.all_closed)
    gc.collect()


def test_threads_share_the_pooled_session(raw_server):
    server = raw_server(lambda received: task_answer("Pending"))
    for _ in range(5):
        AsposeOcrHook().get_status("RecognizeImage", JOB)
    assert server.connections == 1
    assert AsposeOcrHook().get_conn() is AsposeOcrHook().get_conn()
    AsposeOcrHook().get_conn().close()
