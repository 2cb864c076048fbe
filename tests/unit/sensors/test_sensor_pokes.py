"""The sensor in Airflow's own loop: what the service asks for, what ends it, and what its errors promise."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, TaskDeferred

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrDeliveryError,
    AsposeOcrError,
    AsposeOcrTaskError,
    AsposeOcrTaskNotFoundError,
)
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrHook
from airflow_provider_asposeocr.sensors.aspose_ocr import AsposeOcrTaskSensor
from tests.unit.raw_server import RawServer, Received, task_answer

NO_JOB = "00000000-0000-0000-0000-000000000000"
MODES = pytest.mark.parametrize("mode", [{}, {"deferrable": True}])


def sensor(ocr_task_id: str, **kwargs: Any) -> AsposeOcrTaskSensor:
    values = {"poll_interval": 0.02, "poll_interval_max": 0.05, "endpoint": "RecognizeImage", **kwargs}
    made = AsposeOcrTaskSensor(task_id="sense", ocr_task_id=ocr_task_id, **values)
    made.doubt_patience = 0.1
    return made


def test_waits_as_long_as_the_service_asked_but_asks_when_the_time_is_over(
    slow_emulator: EmulatorServer, context: Any, letter: str
) -> None:
    """A Retry-After beyond the time-out leaves one poke at the start, and the last one."""
    ocr_task_id = AsposeOcrHook().submit("RecognizeImage", letter)
    slow_emulator.add_faults([{"kind": "status", "status": 429, "retry_after": 3600, "method": "GET"}])
    with pytest.raises(AirflowSensorTimeout):
        sensor(ocr_task_id, timeout=0.2).execute(context)
    assert slow_emulator.calls().count("GET", "RecognizeImage") <= 2


def test_a_job_that_could_not_be_asked_for_is_not_cancelled(
    slow_emulator: EmulatorServer, context: Any, letter: str
) -> None:
    """Where the last poke brought no answer, the job may have completed."""
    ocr_task_id = AsposeOcrHook().submit("RecognizeImage", letter)
    slow_emulator.add_faults([{"kind": "status", "status": 429, "retry_after": 3600, "method": "GET", "count": None}])
    with pytest.raises(AirflowSensorTimeout, match="not cancelled"):
        sensor(ocr_task_id, timeout=0.1, cancel_on_kill=True).execute(context)
    assert not slow_emulator.jobs()[0].cancelled


def test_a_dripping_answer_does_not_outlive_the_timeout(raw_server: Callable[..., RawServer], context: Any) -> None:
    """In mode poke, too, the time-out holds inside an exchange."""
    waited_out: list[bool] = []

    def script(received: Received) -> bytes:
        if len(server.requests) == 1:
            last = received.drip(task_answer("Processing"))
            waited_out.append(True)
            return last
        return task_answer("Processing")

    server = raw_server(script)
    with pytest.raises(AirflowSensorTimeout):
        sensor(NO_JOB, timeout=0.1).execute(context)
    assert waited_out == []


class TestSilentFail:
    """`silent_fail` is for pokes that fail, not for jobs that have ended."""

    def test_an_error_of_the_job_ends_it(
        self, connection: str, emulator: EmulatorServer, context: Any, letter: str
    ) -> None:
        ocr_task_id = AsposeOcrHook().submit("RecognizeImage", letter)
        emulator.add_faults([{"kind": "error", "messages": ["unreadable"], "method": "GET"}])
        with pytest.raises(AsposeOcrTaskError, match="unreadable"):
            sensor(ocr_task_id, silent_fail=True, timeout=0.5).execute(context)

    def test_a_lost_job_ends_it(self, connection: str, context: Any) -> None:
        with pytest.raises(AsposeOcrTaskNotFoundError):
            sensor(NO_JOB, silent_fail=True, timeout=0.5).execute(context)

    def test_a_result_that_cannot_be_delivered_ends_it(
        self, connection: str, emulator: EmulatorServer, context: Any, letter: str, tmp_path: Any
    ) -> None:
        """It is not downloaded again and again until the time is over."""
        ocr_task_id = AsposeOcrHook().submit("RecognizeImage", letter)
        AsposeOcrHook().wait("RecognizeImage", ocr_task_id)
        (tmp_path / "out.txt").write_text("of somebody else")
        with pytest.raises(AsposeOcrDeliveryError):
            sensor(ocr_task_id, silent_fail=True, output_path=f"{tmp_path}/out.txt", timeout=0.5).execute(context)

    def test_failed_polls_are_survived(
        self, connection: str, emulator: EmulatorServer, context: Any, letter: str
    ) -> None:
        """More failures in a row than a sensor survives by itself are what `silent_fail` is for."""
        ocr_task_id = AsposeOcrHook().submit("RecognizeImage", letter)
        emulator.add_faults([{"kind": "status", "status": 500, "method": "GET", "count": 8}])
        assert "Odette" in sensor(ocr_task_id, silent_fail=True).execute(context)["text"]


@MODES
@pytest.mark.parametrize("fault", [None, {"kind": "status", "status": 403}, {"kind": "error"}])
def test_no_error_is_its_own_cause(
    slow_emulator: EmulatorServer, context: Any, letter: str, mode: dict[str, Any], fault: dict[str, Any] | None
) -> None:
    """Airflow 3.0 to 3.2 would log such an error for ever."""
    ocr_task_id = AsposeOcrHook().submit("RecognizeImage", letter) if fault else NO_JOB
    slow_emulator.add_faults([{"method": "GET", **fault}] if fault else [])
    with pytest.raises(AsposeOcrError) as raised:
        sensor(ocr_task_id, **mode).execute(context)
    seen: list[BaseException] = []
    cause: BaseException | None = raised.value
    while cause is not None:
        assert cause not in seen
        seen.append(cause)
        cause = cause.__cause__


@MODES
@pytest.mark.parametrize("lost", [True, False])
def test_promises_no_submission(
    slow_emulator: EmulatorServer, context: Any, letter: str, mode: dict[str, Any], lost: bool
) -> None:
    """A sensor submits nothing, and its errors say which task does."""
    ocr_task_id = NO_JOB if lost else AsposeOcrHook().submit("RecognizeImage", letter)
    slow_emulator.add_faults([] if lost else [{"kind": "error", "method": "GET"}])
    with pytest.raises(AsposeOcrError, match="clear the task that submitted the document") as raised:
        sensor(ocr_task_id, **mode).execute(context)
    assert "A retry submits nothing" in str(raised.value)


@pytest.mark.parametrize("timeout", [math.inf, 1e300, 10 * 366 * 86400])
def test_a_timeout_beyond_all_dates_is_none(
    slow_emulator: EmulatorServer, context: Any, letter: str, timeout: float
) -> None:
    """An infinite time-out waits for ever, in the triggerer too."""
    ocr_task_id = AsposeOcrHook().submit("RecognizeImage", letter)
    with pytest.raises(TaskDeferred) as deferred:
        sensor(ocr_task_id, timeout=timeout, deferrable=True, defer_after=0).execute(context)
    trigger: Any = deferred.value.trigger
    assert (trigger.end_time, deferred.value.timeout) == (None, None)
