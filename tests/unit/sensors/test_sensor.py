"""The sensor: poke, reschedule and deferrable; what it takes, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException, TaskDeferred
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS

from airflow_provider_asposeocr.api.polling import PollSchedule
from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrInputError,
    AsposeOcrInterruptedError,
    AsposeOcrSensorTimeoutError,
    AsposeOcrServiceError,
    AsposeOcrTaskError,
    AsposeOcrTaskNotFoundError,
)
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrHook
from airflow_provider_asposeocr.sensors.aspose_ocr import AsposeOcrTaskSensor
from tests.unit.task_stubs import Clock, event_of, killed_once

NO_JOB = "00000000-0000-0000-0000-000000000000"


def sensor(ocr_task_id: Any, **kwargs: Any) -> AsposeOcrTaskSensor:
    made = AsposeOcrTaskSensor(
        task_id="sense", ocr_task_id=ocr_task_id, **{"poll_interval": 0.02, "poll_interval_max": 0.05, **kwargs}
    )
    made.doubt_patience = 0.1
    return made


@pytest.fixture
def submitted(letter: str) -> Callable[[], dict[str, str]]:
    """Submits a letter, as an operator with wait_for_completion=False does."""

    def submit() -> dict[str, str]:
        return {"ocr_task_id": AsposeOcrHook().submit("RecognizeImage", letter), "endpoint": "RecognizeImage"}

    return submit


@pytest.mark.parametrize("mode", [{}, {"deferrable": True}])
def test_waits_and_returns_the_result(
    connection: str, context: Any, submitted: Callable[[], dict[str, str]], letter_text: str, mode: dict[str, Any]
) -> None:
    """The sensor waits for a job and returns its result."""
    job = submitted()
    xcom = sensor(job, **mode).execute(context)
    assert xcom["text"] == letter_text
    assert (xcom["ocr_task_id"], xcom["endpoint"]) == (job["ocr_task_id"], "RecognizeImage")


def test_takes_an_id_and_an_endpoint(
    connection: str, emulator: EmulatorServer, context: Any, submitted: Callable[[], dict[str, str]]
) -> None:
    """The sensor takes an id and an endpoint."""
    assert "Odette" in sensor(submitted()["ocr_task_id"], endpoint="recognizeimage").execute(context)["text"]


def test_deferred(
    slow_emulator: EmulatorServer,
    clock: Clock,
    context: Any,
    submitted: Callable[[], dict[str, str]],
    letter_text: str,
) -> None:
    """A deferred sensor returns the result after the event, and cancels nothing by default."""
    job = submitted()
    with pytest.raises(TaskDeferred) as deferred:
        sensor(job, deferrable=True, defer_after=0).execute(context)
    trigger: Any = deferred.value.trigger
    assert trigger.waiting.cancel_on_kill is False
    clock.now += 120
    event = event_of(trigger)
    assert sensor(job).resume_execution("execute_complete", {"event": event}, context)["text"] == letter_text


def test_polls_follow_the_schedule() -> None:
    waiting = AsposeOcrTaskSensor(task_id="sense", ocr_task_id=NO_JOB, endpoint="RecognizeImage")
    waits = [waiting._get_next_poke_interval(0, lambda age=age: age, 1) for age in (0.0, 2.0, 1000.0)]  # type: ignore[misc]
    assert all(abs(wait / nominal - 1) <= 0.11 for wait, nominal in zip(waits, (2, 2.5, 10), strict=True))
    fixed = AsposeOcrTaskSensor(task_id="fixed", ocr_task_id=NO_JOB, endpoint="RecognizeImage", poke_interval=30)
    assert fixed._get_next_poke_interval(0, lambda: 500.0, 9) == pytest.approx(30, rel=0.11)


def test_output_path(
    connection: str, context: Any, submitted: Callable[[], dict[str, str]], tmp_path: Path, letter_text: str
) -> None:
    """The result goes to a file named by the job."""
    job = submitted()
    xcom = sensor(job, output_path=f"{tmp_path}/").execute(context)
    assert (tmp_path / f"{job['ocr_task_id']}.txt").read_text() == letter_text
    assert xcom["results"][0]["file"] == str(tmp_path / f"{job['ocr_task_id']}.txt")


@pytest.mark.parametrize("mode", [{}, {"deferrable": True}])
class TestBadEnds:
    def test_unknown_job(self, connection: str, context: Any, mode: dict[str, Any]) -> None:
        """An unknown job is an error that names it."""
        with pytest.raises(AsposeOcrTaskNotFoundError, match=NO_JOB):
            sensor(NO_JOB, endpoint="RecognizeImage", **mode).execute(context)

    def test_error(
        self,
        connection: str,
        emulator: EmulatorServer,
        context: Any,
        submitted: Callable[[], dict[str, str]],
        mode: dict[str, Any],
    ) -> None:
        """A job that ended as an error is one, with its message."""
        job = submitted()
        emulator.add_faults([{"kind": "error", "messages": ["unreadable"], "method": "GET"}])
        with pytest.raises(AsposeOcrTaskError, match="unreadable"):
            sensor(job, **mode).execute(context)

    def test_soft_fail_skips(self, connection: str, context: Any, mode: dict[str, Any]) -> None:
        with pytest.raises(AirflowSkipException):
            sensor(NO_JOB, endpoint="RecognizeImage", soft_fail=True, **mode).execute(context)

    def test_timeout(
        self,
        slow_emulator: EmulatorServer,
        context: Any,
        submitted: Callable[[], dict[str, str]],
        mode: dict[str, Any],
    ) -> None:
        """A job that takes too long is a time-out of the sensor, and is not cancelled."""
        job = submitted()
        with pytest.raises(AirflowSensorTimeout):
            sensor(job, timeout=0.1, **mode).execute(context)
        assert not slow_emulator.jobs()[0].cancelled

    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_timeout_cancels_where_that_is_wanted(
        self,
        slow_emulator: EmulatorServer,
        context: Any,
        submitted: Callable[[], dict[str, str]],
        mode: dict[str, Any],
        soft_fail: bool,
    ) -> None:
        """A time-out cancels the job where that is wanted."""
        job = submitted()
        with pytest.raises(AirflowSkipException if soft_fail else AsposeOcrSensorTimeoutError, match="was cancelled"):
            sensor(job, timeout=0.1, cancel_on_kill=True, soft_fail=soft_fail, **mode).execute(context)
        assert slow_emulator.jobs()[0].cancelled

    def test_failing_is_no_timeout(
        self,
        slow_emulator: EmulatorServer,
        context: Any,
        submitted: Callable[[], dict[str, str]],
        mode: dict[str, Any],
    ) -> None:
        job = submitted()
        slow_emulator.add_faults([{"kind": "status", "status": 403, "method": "GET"}])
        with pytest.raises(AirflowSkipException, match="HTTP 403"):
            sensor(job, cancel_on_kill=True, soft_fail=True, **mode).execute(context)
        assert not slow_emulator.jobs()[0].cancelled

    @pytest.mark.parametrize(
        ("job", "says"),
        [
            ("a197aade-bba9-4c7a-92c7-46851b3dceaa", "needs the endpoint"),
            ({"endpoint": "RecognizeImage"}, "not a job id"),
            ({"ocr_task_id": "../x?", "endpoint": "RecognizeImage"}, "not a job id"),
            ({"ocr_task_id": NO_JOB, "endpoint": "Nope"}, "Unknown endpoint"),
        ],
    )
    def test_bad_input(
        self, connection: str, emulator: EmulatorServer, context: Any, mode: dict[str, Any], job: Any, says: str
    ) -> None:
        """Bad input is refused without a call."""
        with pytest.raises(AsposeOcrInputError, match=says):
            sensor(job, **mode).execute(context)
        assert emulator.calls().total == 0

    def test_survives_five_failures_in_a_row_and_not_six(
        self,
        connection: str,
        emulator: EmulatorServer,
        context: Any,
        submitted: Callable[[], dict[str, str]],
        mode: dict[str, Any],
    ) -> None:
        """The sensor survives five failures in a row, and not six."""
        job = submitted()
        emulator.add_faults([{"kind": "status", "status": 500, "method": "GET", "count": 5}])
        assert "Odette" in sensor(job, **mode).execute(context)["text"]
        emulator.add_faults([{"kind": "truncate", "method": "GET", "count": 6}])
        with pytest.raises(AsposeOcrServiceError, match="gave up"):
            sensor(job, **mode).execute(context)


def test_soft_fail_does_not_skip_when_a_worker_is_shut_down(
    slow_emulator: EmulatorServer, context: Any, submitted: Callable[[], dict[str, str]]
) -> None:
    states = {"run": {"sense": "running"}}
    context["ti"] = SimpleNamespace(
        dag_id="dag", run_id="run", task_id="sense", map_index=-1, get_task_states=lambda **which: states
    )
    waiting = sensor(submitted(), deferrable=True, soft_fail=True, cancel_on_kill=True)

    def asked() -> int:
        return slow_emulator.calls().count("GET", "RecognizeImage")

    with killed_once(asked, waiting), pytest.raises(AsposeOcrInterruptedError):
        waiting.execute(context)
    assert not slow_emulator.jobs()[0].cancelled


@pytest.mark.skipif(not AIRFLOW_V_3_3_PLUS, reason="Airflow 2 asks its database when the sensor began")
def test_timeout_in_mode_reschedule(
    slow_emulator: EmulatorServer, context: Any, submitted: Callable[[], dict[str, str]]
) -> None:
    """In mode reschedule the time counts from the first poke of all."""
    first = datetime.now(UTC) - timedelta(minutes=5)
    context["ti"] = SimpleNamespace(get_first_reschedule_date=lambda context: first)
    with pytest.raises(AsposeOcrSensorTimeoutError, match="was cancelled"):
        sensor(submitted(), mode="reschedule", timeout=60, cancel_on_kill=True).execute(context)
    assert slow_emulator.jobs()[0].cancelled


class TestTimeoutOfADeferral:
    def event(self, job: dict[str, str]) -> dict[str, Any]:
        return {"event": {**job, "status": "TimedOut", "message": ""}}

    def test_is_airflows_sensor_timeout(
        self, slow_emulator: EmulatorServer, context: Any, submitted: Callable[[], dict[str, str]]
    ) -> None:
        """The trigger's time-out of a job that still runs is a time-out of the sensor."""
        job = submitted()
        with pytest.raises(AsposeOcrSensorTimeoutError) as raised:
            sensor(job).resume_execution("execute_complete", self.event(job), context)
        assert isinstance(raised.value, AirflowSensorTimeout)
        with pytest.raises(AirflowSkipException):
            sensor(job, soft_fail=True).resume_execution("execute_complete", self.event(job), context)

    @pytest.mark.parametrize("whose", ["the trigger's", "Airflow's own"])
    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_delivers_a_job_that_completed_meanwhile(
        self,
        slow_emulator: EmulatorServer,
        clock: Clock,
        context: Any,
        submitted: Callable[[], dict[str, str]],
        whose: str,
        soft_fail: bool,
    ) -> None:
        """A job is asked for before the sensor ends, also after an outage of the triggerer."""
        job = submitted()
        clock.now += 120
        AsposeOcrHook().wait(**job, schedule=PollSchedule(0.02))
        how: tuple[str, dict[str, Any]] = ("execute_complete", self.event(job))
        if whose == "Airflow's own":
            how = ("__fail__", {"error": "Trigger timeout"})
        assert "Odette" in sensor(job, soft_fail=soft_fail).resume_execution(*how, context)["text"]

    def test_of_airflow_is_a_sensor_timeout_where_the_job_runs(
        self, slow_emulator: EmulatorServer, context: Any, submitted: Callable[[], dict[str, str]]
    ) -> None:
        """Airflow's own time-out of a job that still runs is a time-out of the sensor."""
        with pytest.raises(AsposeOcrSensorTimeoutError):
            sensor(submitted()).resume_execution("__fail__", {"error": "Trigger timeout"}, context)
