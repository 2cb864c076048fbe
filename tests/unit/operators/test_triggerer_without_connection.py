"""A triggerer that cannot use the connection as the worker could: a bundle that is not there, an outage of secrets."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError, AsposeOcrServiceError, AsposeOcrTimeoutError
from tests.unit.operators.recognizing import recognize
from tests.unit.task_stubs import Clock, event_of

QUICK: dict[str, Any] = {"poll_interval": 0.02, "poll_interval_max": 0.02}


@pytest.fixture
def connect(slow_emulator: EmulatorServer, define_connection: Callable[..., None]) -> Callable[..., None]:
    """Defines the connection, with this extra."""

    def to(**extra: Any) -> None:
        define_connection(host=slow_emulator.url, login="id", password="secret", extra=extra)

    return to


@pytest.fixture
def event(connect: Callable[..., None], context: Any, letter: str) -> dict[str, Any]:
    """What the trigger says of a job that the worker has submitted, where the triggerer lacks the bundle."""
    connect()
    with pytest.raises(TaskDeferred) as deferred:
        recognize(letter, deferrable=True, defer_after=0, timeout=60).execute(context)
    connect(verify="/no/such/bundle.pem")
    event: dict[str, Any] = event_of(deferred.value.trigger)  # type: ignore[arg-type]
    return event


def test_the_trigger_hands_the_job_back_with_its_deadline(event: dict[str, Any]) -> None:
    assert (event["status"], event["error"]) == ("Refused", "AsposeOcrInputError")
    assert "bundle.pem" in event["message"]
    assert time.time() < event["end_time"] <= time.time() + 60
    assert event["started_at"] <= time.time()


@pytest.mark.parametrize("has_deadline", [True, False])
def test_the_worker_waits_itself_and_delivers(
    event: dict[str, Any],
    connect: Callable[..., None],
    slow_emulator: EmulatorServer,
    clock: Clock,
    context: Any,
    letter: str,
    letter_text: str,
    has_deadline: bool,
) -> None:
    """The paid job is not lost: where the triggerer cannot ask for it, the worker does, and is not deferred again."""
    connect()
    if not has_deadline:
        del event["end_time"]
    slow_emulator.add_faults([{"kind": "status", "status": 503, "method": "GET", "count": 2}])
    clock.now += 120
    xcom = recognize(letter, deferrable=True, **QUICK).resume_execution("execute_complete", {"event": event}, context)
    assert xcom["text"] == letter_text
    calls = slow_emulator.calls()
    assert (calls.count("POST", "RecognizeImage"), calls.count("DELETE", "RecognizeImage")) == (1, 0)


def test_the_deadline_of_the_job_stays(
    event: dict[str, Any], connect: Callable[..., None], context: Any, letter: str
) -> None:
    connect()
    late = {**event, "end_time": time.time() + 0.05}
    with pytest.raises(AsposeOcrTimeoutError, match="did not end in time"):
        recognize(letter, **QUICK).resume_execution("execute_complete", {"event": late}, context)


def test_where_the_worker_cannot_use_it_either_the_error_names_the_job(
    event: dict[str, Any], slow_emulator: EmulatorServer, context: Any, letter: str
) -> None:
    with pytest.raises(AsposeOcrInputError, match="is left in place") as caught:
        recognize(letter, **QUICK).resume_execution("execute_complete", {"event": event}, context)
    assert event["ocr_task_id"] in str(caught.value)
    assert slow_emulator.calls().count("DELETE", "RecognizeImage") == 0


def test_a_connection_that_cannot_be_found_while_a_job_runs_ends_a_try_and_a_retry_goes_on(
    event: dict[str, Any],
    connect: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    slow_emulator: EmulatorServer,
    clock: Clock,
    context: Any,
    letter: str,
    letter_text: str,
) -> None:
    """Airflow tells an outage of a secrets backend as a connection that is not there: the paid job is not lost."""
    with monkeypatch.context() as away:
        away.delenv("AIRFLOW_CONN_ASPOSE_OCR_DEFAULT")
        for step in (
            lambda: recognize(letter).resume_execution("execute_complete", {"event": event}, context),
            lambda: recognize(letter).execute(context),
        ):
            with pytest.raises(
                AsposeOcrServiceError, match="a retry goes on with it and is not billed again"
            ) as caught:
                step()
            assert caught.value.ocr_task_id == event["ocr_task_id"]
    connect()
    clock.now += 120
    assert recognize(letter, **QUICK).execute(context)["text"] == letter_text
    assert slow_emulator.calls().accepted == 1
