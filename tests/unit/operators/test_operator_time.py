"""The time that an operator waits: no job is ended unasked, and a completed one is delivered."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_asposeocr.api.polling import PollSchedule
from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrCancelledError,
    AsposeOcrInputError,
    AsposeOcrRateLimitError,
    AsposeOcrServiceError,
    AsposeOcrTimeoutError,
)
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrHook
from airflow_provider_asposeocr.jobs.memory import KEY
from airflow_provider_asposeocr.operators.aspose_ocr import AsposeOcrRecognizeImageOperator
from tests.unit.operators.recognizing import polls, recognize
from tests.unit.raw_server import JOB, RawServer, answer, task_answer
from tests.unit.task_stubs import Clock, MemoryStore, event_of, killed_once


@pytest.fixture
def trigger(slow_emulator: EmulatorServer, context: Any, letter: str) -> Any:
    """The trigger of a task that waits deferred for a job."""
    with pytest.raises(TaskDeferred) as deferred:
        recognize(letter, deferrable=True, defer_after=0).execute(context)
    return deferred.value.trigger


def timed_out(context: Any, letter: str) -> Any:
    """Resume a task as Airflow does after its own time-out of the deferral."""
    return recognize(letter).resume_execution("__fail__", {"error": "Trigger timeout"}, context)


def done(trigger: Any, clock: Clock) -> None:
    """Let the job of a trigger complete."""
    clock.now += 120
    AsposeOcrHook().wait("RecognizeImage", trigger.ocr_task_id, schedule=PollSchedule(0.02))


def told(trigger: Any, status: str) -> dict[str, Any]:
    return {"ocr_task_id": trigger.ocr_task_id, "endpoint": "RecognizeImage", "status": status, "message": ""}


class TestAskedBeforeItEnds:
    def test_airflows_own_timeout_delivers_a_completed_job(
        self, trigger: Any, slow_emulator: EmulatorServer, clock: Clock, context: Any, letter: str
    ) -> None:
        """A triggerer that was down past the defer time-out costs nothing: the job is fetched, not cancelled."""
        done(trigger, clock)
        assert "Odette" in timed_out(context, letter)["text"]
        assert not slow_emulator.jobs()[0].cancelled

    def test_airflows_own_timeout_of_a_running_job_is_a_timeout(
        self, trigger: Any, slow_emulator: EmulatorServer, context: Any, letter: str
    ) -> None:
        """A job that still runs is asked for once, then cancelled."""
        with pytest.raises(AsposeOcrTimeoutError, match="was cancelled"):
            timed_out(context, letter)
        assert polls(slow_emulator) == 1
        assert slow_emulator.jobs()[0].cancelled

    def test_the_triggers_timeout_delivers_a_job_that_completed_meanwhile(
        self, trigger: Any, slow_emulator: EmulatorServer, clock: Clock, context: Any, letter: str
    ) -> None:
        """The job may complete while the task waits for a slot."""
        done(trigger, clock)
        xcom = recognize(letter).execute_complete(context, told(trigger, "TimedOut"))
        assert "Odette" in xcom["text"]
        assert not slow_emulator.jobs()[0].cancelled

    def test_the_triggers_timeout_of_a_running_job_cancels_it(
        self, trigger: Any, slow_emulator: EmulatorServer, context: Any, letter: str, store: MemoryStore
    ) -> None:
        """A job that still runs is asked for once, then cancelled and forgotten."""
        with pytest.raises(AsposeOcrTimeoutError, match=r"was cancelled.*A retry submits"):
            recognize(letter).execute_complete(context, told(trigger, "TimedOut"))
        assert polls(slow_emulator) == 1
        assert slow_emulator.jobs()[0].cancelled
        assert store.kept == {}

    @pytest.mark.parametrize("how", ["the trigger's", "Airflow's own"])
    def test_a_job_that_cannot_be_asked_for_is_not_cancelled(
        self, trigger: Any, slow_emulator: EmulatorServer, context: Any, letter: str, store: MemoryStore, how: str
    ) -> None:
        """Nobody knows whether it has completed: it is left in place, and a retry goes on with it."""
        slow_emulator.add_faults([{"kind": "status", "status": 503, "method": "GET"}])
        resumed = {
            "the trigger's": ("execute_complete", {"event": told(trigger, "TimedOut")}),
            "Airflow's own": ("__fail__", {"error": "Trigger timeout"}),
        }[how]
        with pytest.raises(AsposeOcrTimeoutError, match="not cancelled: it goes on at the service"):
            recognize(letter).resume_execution(*resumed, context)
        assert not slow_emulator.jobs()[0].cancelled
        assert store.kept[KEY]["ocr_task_id"] == trigger.ocr_task_id

    def test_a_completed_job_that_cannot_be_fetched_is_neither_cancelled_nor_forgotten(
        self, trigger: Any, slow_emulator: EmulatorServer, clock: Clock, context: Any, letter: str, store: MemoryStore
    ) -> None:
        """A long Retry-After at the fetch fails the try, says when to come back, and the next try fetches."""
        clock.now += 120
        event = event_of(trigger)
        slow_emulator.add_faults([{"kind": "status", "status": 429, "retry_after": 3600, "method": "GET"}])
        with pytest.raises(AsposeOcrServiceError, match=r"is completed and billed.*a retry fetches it") as raised:
            recognize(letter).execute_complete(context, event)
        assert not isinstance(raised.value, AsposeOcrRateLimitError)
        assert (raised.value.retry_after, raised.value.ocr_task_id) == (3600, trigger.ocr_task_id)
        assert not slow_emulator.jobs()[0].cancelled
        assert "Odette" in recognize(letter).execute(context)["text"]
        assert slow_emulator.calls().accepted == 1

    def test_a_job_that_the_triggerer_cannot_follow_is_followed_in_the_worker(
        self, trigger: Any, slow_emulator: EmulatorServer, clock: Clock, context: Any, letter: str
    ) -> None:
        """The triggerer may lack what the worker has, such as a CA bundle; the job is paid for."""
        clock.now += 120
        handed_back = {"error": "AsposeOcrInputError", "started_at": trigger.started_at, "end_time": trigger.end_time}
        xcom = recognize(letter).execute_complete(context, {**told(trigger, "Refused"), **handed_back})
        assert "Odette" in xcom["text"]


class TestTimeout:
    @pytest.mark.parametrize("timeout", [0.06, 0.15])
    def test_shorter_than_the_poll_interval(
        self, slow_emulator: EmulatorServer, context: Any, letter: str, timeout: float
    ) -> None:
        """A job is asked for once when the time is over, before it is cancelled."""
        with pytest.raises(AsposeOcrTimeoutError, match="was cancelled"):
            recognize(letter, timeout=timeout, poll_interval=30, poll_interval_max=30).execute(context)
        assert polls(slow_emulator) == 1

    def test_a_job_that_is_done_by_then_is_delivered(
        self, raw_server: Callable[..., RawServer], context: Any, letter: str
    ) -> None:
        """A time-out below the poll interval is long enough for a job that is shorter."""
        done = task_answer(results=[{"type": "Text", "data": "YQ=="}])
        raw_server(lambda received: answer(200, JOB) if received.method == "POST" else done)
        xcom = recognize(letter, timeout=0.1, poll_interval=30, poll_interval_max=30).execute(context)
        assert xcom["ocr_task_id"] == JOB

    @pytest.mark.parametrize("timeout", [0, -5, math.nan, "soon"])
    def test_nonsense_is_refused_when_the_dag_is_parsed(self, timeout: Any) -> None:
        with pytest.raises(AsposeOcrInputError, match="timeout"):
            AsposeOcrRecognizeImageOperator(task_id="recognize", image="x.png", timeout=timeout)

    @pytest.mark.parametrize("timeout", [None, math.inf, 1e300])
    def test_for_ever(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, letter: str, timeout: float | None
    ) -> None:
        """Without an end neither the trigger nor Airflow ends the wait."""
        operator = recognize(letter, deferrable=True, defer_after=0, timeout=timeout)
        with pytest.raises(TaskDeferred) as deferred:
            operator.execute(context)
        trigger: Any = deferred.value.trigger
        assert (trigger.end_time, deferred.value.timeout) == (None, None)
        clock.now += 120
        assert event_of(trigger)["status"] == "Completed"


class TestWithoutWaiting:
    def test_a_kill_during_the_submission_cancels_the_job(
        self, slow_emulator: EmulatorServer, context: Any, letter: str
    ) -> None:
        """A task that a user ends while it submits is no success, and its job does not run on."""
        slow_emulator.add_faults([{"kind": "delay", "seconds": 0.15, "method": "POST", "path": "RecognizeImage"}])
        operator = recognize(letter, wait_for_completion=False)

        def submits() -> int:
            return slow_emulator.calls().count("POST", "RecognizeImage")

        with killed_once(partial(submits), operator), pytest.raises(AsposeOcrCancelledError):
            operator.execute(context)
        assert slow_emulator.jobs()[0].cancelled

    def test_a_binary_result_needs_no_output_path(self, connection: str, context: Any, letter: str) -> None:
        """The sensor writes the file: the task that submits needs no place for it."""
        operator = recognize(letter, wait_for_completion=False, settings={"resultType": "Pdf"})
        assert set(operator.execute(context)) == {"ocr_task_id", "endpoint"}
