"""The trigger of a batch: it waits for any of the jobs it watches, says which ended, and never raises."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_asposeocr.api.polling import PollSchedule
from airflow_provider_asposeocr.api.results import OcrTask
from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import AsposeOcrServiceError
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrHook
from airflow_provider_asposeocr.triggers.batch import AsposeOcrBatchTrigger
from benchmarks.simulated_service import SimulatedService, equal, simulated
from tests.unit.look_ups import LookUps
from tests.unit.task_stubs import Clock

QUICK: dict[str, Any] = {"poll_interval": 0.02, "poll_interval_max": 0.05}
AT_ONCE = [[0.05, 0.1]] * 20
"""What is known of jobs that take a tenth of a second."""


def trigger(ocr_task_ids: list[str], **kwargs: Any) -> AsposeOcrBatchTrigger:
    now = time.time()
    return AsposeOcrBatchTrigger(
        **{
            "endpoint": "RecognizeImage",
            "aspose_ocr_conn_id": "aspose_ocr_default",
            "ocr_task_ids": ocr_task_ids,
            "watched": [[ocr_task_id, ocr_task_id, now] for ocr_task_id in ocr_task_ids],
            "polls": {"durations": {"seen": AT_ONCE}},
            "end_time": now + 20,
            "waiting": QUICK,
            **kwargs,
        }
    )


def event_of(made: AsposeOcrBatchTrigger) -> dict[str, Any]:
    """Run it as a triggerer does, from its serialized form."""
    _, kwargs = made.serialize()

    async def first() -> Any:
        async with asyncio.timeout(60):
            return [event.payload async for event in AsposeOcrBatchTrigger(**json.loads(json.dumps(kwargs))).run()]

    (payload,) = asyncio.run(first())
    assert isinstance(payload, dict)
    return payload


def submitted(letter: str, number: int) -> list[str]:
    hook = AsposeOcrHook()
    return [hook.submit("RecognizeImage", letter) for _ in range(number)]


def test_serialize() -> None:
    """A trigger is serialized as the arguments it was made of, as plain JSON."""
    path, kwargs = trigger(["a"], wake_at=5.0, enough=2, linger=3.0).serialize()
    assert path == "airflow_provider_asposeocr.triggers.batch.AsposeOcrBatchTrigger"
    assert json.loads(json.dumps(kwargs)) == kwargs
    assert AsposeOcrBatchTrigger(**kwargs).serialize() == (path, kwargs)


def test_with_all_that_is_wanted_nothing_more_is_waited_for(
    connection: str, emulator: EmulatorServer, letter: str
) -> None:
    """Neither for others to end within a time that may be long, nor for the deadline; who has likely ended counts."""
    ocr_task_ids = submitted(letter, 3)
    event = event_of(trigger(ocr_task_ids, enough=3, linger=3600.0, end_time=None))
    assert event["ended"]
    assert set(event["ended"]) <= set(ocr_task_ids)


def test_a_batch_without_jobs_is_not_woken_before_its_time(connection: str) -> None:
    """Where the service is away and nothing runs, a wake at once would be followed by the next, without end."""
    wake_at = time.time() + 0.1
    assert event_of(trigger([], watched=[], enough=0, wake_at=wake_at, end_time=None))["ended"] == []
    assert time.time() >= wake_at


def test_one_stuck_job_stalls_nobody(connection: str, emulator: EmulatorServer, letter: str) -> None:
    """Any of the watched jobs wakes the worker, whatever the others do."""
    emulator.add_faults([{"kind": "unknown_task_status", "task_status": "Processing", "method": "GET", "count": 3}])
    ocr_task_ids = submitted(letter, 3)
    event = event_of(trigger(ocr_task_ids, enough=1))
    assert event["status"] == "Ended"
    assert len(event["ended"]) == 1
    assert set(event["ended"]) < set(ocr_task_ids)
    assert emulator.calls().count("GET", "RecognizeImage") == 0


def test_it_waits_for_enough_but_not_long(slow_emulator: EmulatorServer, clock: Clock, letter: str) -> None:
    """Once the first has ended, others are waited for as long as it is worth."""
    first = submitted(letter, 1)
    clock.now += 120
    later = submitted(letter, 2)
    event = event_of(trigger([*first, *later], enough=3, linger=0.2))
    assert event["ended"] == first


def test_the_deadline_wakes_the_worker(slow_emulator: EmulatorServer, letter: str) -> None:
    """Nothing is cancelled here: the worker asks once more."""
    event = event_of(trigger(submitted(letter, 2), end_time=time.time() + 0.1))
    assert (event["status"], event["ended"]) == ("Ended", [])
    assert not any(job.cancelled for job in slow_emulator.jobs())


def test_without_a_job_it_waits_for_the_service(connection: str, emulator: EmulatorServer) -> None:
    """A batch that waits behind its gate is woken when that opens."""
    event = event_of(trigger([], wake_at=time.time() + 0.1, end_time=None))
    assert (event["status"], event["ended"], event["calls"]) == ("Ended", [], 0)
    assert emulator.calls().total == 0


def test_a_worker_whose_clock_is_ahead_is_woken_all_the_same(
    connection: str, emulator: EmulatorServer, letter: str
) -> None:
    ocr_task_ids = submitted(letter, 1)
    watched = [[ocr_task_ids[0], ocr_task_ids[0], time.time() + 3600]]
    assert event_of(trigger(ocr_task_ids, watched=watched))["ended"] == ocr_task_ids


def test_an_outage_is_waited_through(connection: str, emulator: EmulatorServer, letter: str) -> None:
    ocr_task_ids = submitted(letter, 1)
    emulator.add_faults([{"kind": "status", "status": 503, "method": "GET", "count": 4}])
    event = event_of(trigger(ocr_task_ids))
    assert event["ended"] == ocr_task_ids
    assert event["calls"] >= 5


@pytest.mark.parametrize(("asks_for", "most"), [(None, 75), (600.0, 7)])
def test_what_one_poll_learns_of_the_service_holds_for_all_that_are_watched(asks_for: float | None, most: int) -> None:
    """In an outage of an hour one call at a time finds out whether it is over; a wait that is asked for is kept to."""

    async def away(_: str) -> OcrTask:
        raise AsposeOcrServiceError("HTTP 503", status=503, retry_after=asks_for)

    service = SimulatedService(equal(2.0))
    jobs, event = [f"job-{number}" for number in range(8)], AsposeOcrBatchTrigger.empty_event(trigger([]))
    watched = [[job, job, service.epoch] for job in jobs]
    made = trigger(jobs, watched=watched, end_time=service.epoch + 3600, waiting={})
    simulated(lambda: made.watch(away, service.now, event))
    assert event["calls"] <= most


@pytest.mark.parametrize("conn_id", ["nowhere", "no_secret"])
def test_never_raises(define_connection: Callable[..., None], conn_id: str) -> None:
    """Also a bad connection becomes an event; the worker, which finds the same, says it."""
    define_connection("no_secret", host="http://127.0.0.1:9")
    event = event_of(trigger(["a197aade-bba9-4c7a-92c7-46851b3dceaa"], aspose_ocr_conn_id=conn_id))
    assert event["status"] == "Refused"
    assert event["message"]


def test_a_kill_cancels_all_jobs(slow_emulator: EmulatorServer, letter: str) -> None:
    """Not only those that are watched."""
    ocr_task_ids = submitted(letter, 3)
    asyncio.run(trigger(ocr_task_ids, watched=[]).on_kill())
    assert all(job.cancelled for job in slow_emulator.jobs())


def test_a_kill_leaves_completed_jobs(slow_emulator: EmulatorServer, clock: Clock, letter: str) -> None:
    """They are paid for: their results can be fetched."""
    done = submitted(letter, 2)
    clock.now += 120
    for ocr_task_id in done:
        AsposeOcrHook().wait("RecognizeImage", ocr_task_id, schedule=PollSchedule(0.02, 1, 0.02))
    running = submitted(letter, 1)
    asyncio.run(trigger([*done, *running], watched=[]).on_kill())
    assert {job.id for job in slow_emulator.jobs() if job.cancelled} == set(running)
    assert slow_emulator.calls().count("DELETE", "RecognizeImage") == 1


def test_a_look_up_that_fails_is_waited_through(
    connection: str, emulator: EmulatorServer, letter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage of Airflow's database or of a secrets backend is one failed poll."""
    ocr_task_ids = submitted(letter, 1)
    look_ups = LookUps(monkeypatch)
    look_ups.failures = [OSError("the database is away"), OSError("still")]
    event = event_of(trigger(ocr_task_ids))
    assert (event["status"], event["ended"]) == ("Ended", ocr_task_ids)
