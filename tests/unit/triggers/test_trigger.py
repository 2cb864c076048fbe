"""The trigger: thin, silent about documents, and never raising."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_asposeocr.api.polling import PollSchedule
from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrHook
from airflow_provider_asposeocr.triggers.aspose_ocr import AsposeOcrTaskTrigger
from tests.unit.raw_server import RawServer, task_answer
from tests.unit.task_stubs import Clock, event_of

ID = "a197aade-bba9-4c7a-92c7-46851b3dceaa"
QUICK: dict[str, Any] = {"poll_interval": 0.02, "poll_interval_max": 0.05}


def trigger(ocr_task_id: str = ID, **kwargs: Any) -> AsposeOcrTaskTrigger:
    now = time.time()
    return AsposeOcrTaskTrigger(
        **{
            "ocr_task_id": ocr_task_id,
            "endpoint": "RecognizeImage",
            "aspose_ocr_conn_id": "aspose_ocr_default",
            "started_at": now,
            "next_poll_at": now,
            "end_time": now + 20,
            "waiting": QUICK,
            **kwargs,
        }
    )


def test_serialize() -> None:
    """A trigger is serialized as the arguments it was made of, as plain JSON."""
    arguments: dict[str, Any] = {
        "ocr_task_id": ID,
        "endpoint": "RecognizeImage",
        "aspose_ocr_conn_id": "mine",
        "started_at": 1.0,
        "next_poll_at": 3.0,
        "end_time": 100.0,
        "waiting": {
            "poll_interval": 2.0,
            "poll_backoff": 1.25,
            "poll_interval_max": 10.0,
            "defer_after": 10.0,
            "cancel_on_kill": True,
        },
        "cost": {"submissions": 1, "calls": 3},
    }
    path, kwargs = AsposeOcrTaskTrigger(**arguments).serialize()
    assert path == "airflow_provider_asposeocr.triggers.aspose_ocr.AsposeOcrTaskTrigger"
    assert kwargs == arguments
    assert json.loads(json.dumps(kwargs)) == kwargs


def test_completed_without_a_word_of_the_document(
    connection: str, emulator: EmulatorServer, letter: str, logged: Callable[[], str]
) -> None:
    """The event of a completed job, and the log, hold no word of the document."""
    ocr_task_id = AsposeOcrHook().submit("RecognizeImage", letter)
    event = event_of(trigger(ocr_task_id))
    assert event == {
        "ocr_task_id": ocr_task_id,
        "endpoint": "RecognizeImage",
        "status": "Completed",
        "message": "",
        "seconds": event["seconds"],
        "cost": {"submissions": 0, "calls": emulator.calls().count("GET", "Utilities/GetTaskStatus")},
    }
    assert emulator.calls().count("GET", "RecognizeImage") == 0
    assert "Odette" not in logged()


def test_trial_endpoint_is_polled_itself_and_without_authorization(
    connection: str, emulator: EmulatorServer, letter: str
) -> None:
    ocr_task_id = AsposeOcrHook().submit("RecognizeImageTrial", letter)
    assert event_of(trigger(ocr_task_id, endpoint="RecognizeImageTrial"))["status"] == "Completed"
    assert emulator.calls().token_calls == 0
    assert emulator.calls().count("GET", "Utilities/GetTaskStatus") == 0


def test_unknown_job(connection: str) -> None:
    """A job that is unknown, and was not submitted just now, does not exist."""
    assert event_of(trigger(started_at=time.time() - 60))["status"] == "NotExist"


def test_deadline_comes_after_the_state(connection: str, letter: str) -> None:
    ocr_task_id = AsposeOcrHook().submit("RecognizeImage", letter)
    AsposeOcrHook().wait("RecognizeImage", ocr_task_id, schedule=PollSchedule(0.02))
    long_ago = time.time() - 1000
    event = event_of(trigger(ocr_task_id, started_at=long_ago, next_poll_at=long_ago, end_time=long_ago + 1))
    assert event["status"] == "Completed"


def test_deadline(slow_emulator: EmulatorServer, letter: str) -> None:
    """A job that runs at the deadline has timed out, and is not cancelled here."""
    ocr_task_id = AsposeOcrHook().submit("RecognizeImage", letter)
    event = event_of(trigger(ocr_task_id, end_time=time.time() + 0.1))
    assert event["status"] == "TimedOut"
    assert not slow_emulator.jobs()[0].cancelled


@pytest.mark.parametrize(
    ("faults", "status", "says"),
    [
        ({"kind": "status", "status": 403}, "Refused", "403"),
        ({"kind": "error", "messages": ["unreadable"]}, "Error", "unreadable"),
    ],
)
def test_faults(slow_emulator: EmulatorServer, letter: str, faults: dict[str, Any], status: str, says: str) -> None:
    """A fault that is final becomes an event that says why."""
    ocr_task_id = AsposeOcrHook().submit("RecognizeImage", letter)
    slow_emulator.add_faults([{"method": "GET", **faults}])
    event = event_of(trigger(ocr_task_id))
    assert event["status"] == status
    assert says in event["message"]


def test_messages_of_the_service_stay_apart(slow_emulator: EmulatorServer, letter: str) -> None:
    ocr_task_id = AsposeOcrHook().submit("RecognizeImage", letter)
    slow_emulator.add_faults([{"kind": "error", "messages": ["too dark", "too small"], "method": "GET"}])
    assert event_of(trigger(ocr_task_id)) == {
        "ocr_task_id": ocr_task_id,
        "endpoint": "RecognizeImage",
        "status": "Error",
        "message": "too dark; too small",
        "messages": ["too dark", "too small"],
        "cost": {"submissions": 0, "calls": 1},
    }


@pytest.mark.parametrize(("status", "error"), [(401, "AsposeOcrAuthError"), (403, "AsposeOcrRequestError")])
def test_a_permanent_fault_has_a_name(slow_emulator: EmulatorServer, letter: str, status: int, error: str) -> None:
    ocr_task_id = AsposeOcrHook().submit("RecognizeImage", letter)
    slow_emulator.add_faults([{"kind": "status", "status": status, "method": "GET", "count": 2}])
    event = event_of(trigger(ocr_task_id))
    assert {**event, "message": "", "cost": {}} == {
        "ocr_task_id": ocr_task_id,
        "endpoint": "RecognizeImage",
        "status": "Refused",
        "message": "",
        "error": error,
        "cost": {},
    }


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"kind": "status", "status": 503}, "503"),
        ({"kind": "reset_before"}, "broke"),
        ({"kind": "unknown_task_status"}, "taskStatus is"),
    ],
)
def test_an_outage_does_not_end_the_wait(
    slow_emulator: EmulatorServer,
    clock: Clock,
    letter: str,
    fault: dict[str, Any],
    says: str,
    logged: Callable[[], str],
) -> None:
    """Waiting is free in the triggerer: failed polls end nothing, and are warned of in growing steps."""
    ocr_task_id = AsposeOcrHook().submit("RecognizeImage", letter)
    clock.now += 120
    slow_emulator.add_faults([{"method": "GET", "count": 20, **fault}])
    assert event_of(trigger(ocr_task_id))["status"] == "Completed"
    said = logged()
    assert says in said
    # One broken exchange may use up two of the faults: aiohttp repeats it.
    warned = [failures for failures in range(1, 10) if f"({failures} in a row)" in said]
    assert warned == [1, 2, 4, 8]


def test_an_outage_beyond_the_deadline_is_a_timeout_that_says_why(slow_emulator: EmulatorServer, letter: str) -> None:
    ocr_task_id = AsposeOcrHook().submit("RecognizeImage", letter)
    slow_emulator.add_faults([{"kind": "status", "status": 503, "method": "GET", "count": None}])
    event = event_of(trigger(ocr_task_id, end_time=time.time() + 0.2))
    assert event["status"] == "TimedOut"
    assert "503" in event["message"]


def test_not_exist_right_after_the_submission_is_asked_again(raw_server: Callable[..., RawServer]) -> None:
    """A replica that does not know the job yet does not cost it."""
    polls = iter([task_answer("NotExist"), task_answer("NotExist"), task_answer()])
    raw_server(lambda received: next(polls))
    # From some moments ago to a machine of any speed.
    assert event_of(trigger(started_at=time.time() + 60))["status"] == "Completed"


def test_blips_are_survived(connection: str, emulator: EmulatorServer, letter: str) -> None:
    ocr_task_id = AsposeOcrHook().submit("RecognizeImage", letter)
    emulator.add_faults(
        [{"kind": kind, "method": "GET"} for kind in ("reset_before", "truncate", "not_json", "wrong_content_type")]
    )
    emulator.add_faults([{"kind": "expire_token", "method": "GET"}])
    assert event_of(trigger(ocr_task_id))["status"] == "Completed"


@pytest.mark.parametrize(
    ("conn_id", "says"), [("nowhere", "'nowhere' is not defined"), ("no_secret", "lacks the client")]
)
def test_never_raises(define_connection: Callable[..., None], conn_id: str, says: str) -> None:
    """A trigger never raises: also a bad connection becomes an event."""
    define_connection("no_secret", host="http://127.0.0.1:9")
    event = event_of(trigger(aspose_ocr_conn_id=conn_id))
    assert event["status"] == "Refused"
    assert says in event["message"]


class TestKill:
    def test_cancels(self, slow_emulator: EmulatorServer, letter: str) -> None:
        """A kill cancels the job."""
        ocr_task_id = AsposeOcrHook().submit("RecognizeImage", letter)
        asyncio.run(trigger(ocr_task_id).on_kill())
        assert slow_emulator.jobs()[0].cancelled

    @pytest.mark.parametrize("fault", [None, {"kind": "status", "status": 403, "method": "GET"}])
    def test_leaves_a_completed_job(
        self, slow_emulator: EmulatorServer, clock: Clock, letter: str, fault: dict[str, Any] | None
    ) -> None:
        """A job that has completed, or cannot be asked for, is not cancelled: its result is paid for."""
        ocr_task_id = AsposeOcrHook().submit("RecognizeImage", letter)
        clock.now += 120
        AsposeOcrHook().wait("RecognizeImage", ocr_task_id, schedule=PollSchedule(0.02))
        slow_emulator.add_faults([fault] if fault else [])
        asyncio.run(trigger(ocr_task_id).on_kill())
        assert not slow_emulator.jobs()[0].cancelled

    def test_leaves_the_job_where_that_is_wanted(self, slow_emulator: EmulatorServer, letter: str) -> None:
        """A kill leaves the job where that is wanted."""
        ocr_task_id = AsposeOcrHook().submit("RecognizeImage", letter)
        asyncio.run(trigger(ocr_task_id, waiting={**QUICK, "cancel_on_kill": False}).on_kill())
        assert not slow_emulator.jobs()[0].cancelled

    def test_says_where_it_could_not(
        self, slow_emulator: EmulatorServer, letter: str, logged: Callable[[], str]
    ) -> None:
        """A kill that could not cancel the job says so."""
        ocr_task_id = AsposeOcrHook().submit("RecognizeImage", letter)
        slow_emulator.add_faults([{"kind": "status", "status": 403, "method": "DELETE"}])
        asyncio.run(trigger(ocr_task_id).on_kill())
        assert not slow_emulator.jobs()[0].cancelled
        assert "could not be cancelled and goes on at the service" in logged()

    def test_a_restart_of_the_triggerer_cancels_nothing(self, slow_emulator: EmulatorServer, letter: str) -> None:
        ocr_task_id = AsposeOcrHook().submit("RecognizeImage", letter)

        async def triggerer_stops() -> None:
            running = trigger(ocr_task_id)
            waiting = asyncio.ensure_future(running.run().__anext__())
            await asyncio.sleep(0.1)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await running.cleanup()

        asyncio.run(triggerer_stops())
        assert not slow_emulator.jobs()[0].cancelled
        assert slow_emulator.calls().count("DELETE", "RecognizeImage") == 0
