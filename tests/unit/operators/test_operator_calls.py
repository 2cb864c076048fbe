"""The calls of the operators: in the worker, deferred, and after the event of the trigger."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrAuthError,
    AsposeOcrProtocolError,
    AsposeOcrRequestError,
    AsposeOcrServiceError,
    AsposeOcrTaskError,
)
from tests.unit.operators.recognizing import recognize
from tests.unit.raw_server import JOB, RawServer, answer, task_answer
from tests.unit.task_stubs import Clock, event_of

PATH = "/v5.0/ocr/RecognizeImage"


class TestCalls:
    def test_short_job_is_never_deferred_and_its_last_poll_brings_the_result(
        self, connection: str, emulator: EmulatorServer, context: Any, letter: str
    ) -> None:
        """A short job is never deferred, and its last poll brings the result."""
        recognize(letter, deferrable=True, defer_after=600, poll_interval=0.15, poll_interval_max=0.15).execute(context)
        calls = emulator.calls()
        assert calls.count("POST", "RecognizeImage") == 1
        assert calls.count("GET", "Utilities/GetTaskStatus") == 0
        assert calls.total == 1 + calls.count("GET", "RecognizeImage")
        assert calls.token_calls == 1

    @pytest.mark.parametrize("unfinished", [0, 3])
    def test_a_job_that_ends_within_defer_after_costs_one_post_and_its_polls(
        self, raw_server: Callable[..., RawServer], context: Any, letter: str, unfinished: int
    ) -> None:
        """On a machine of any speed: when the job ends is the answers' affair, not the clock's."""
        results = [{"type": "Text", "data": base64.b64encode(b"alpha").decode()}]
        polls = iter([*[task_answer("Processing")] * unfinished, task_answer(results=results)])
        server = raw_server(lambda received: answer(200, JOB) if received.method == "POST" else next(polls))
        xcom = recognize(letter, deferrable=True, defer_after=600).execute(context)
        assert (xcom["ocr_task_id"], xcom["text"]) == (JOB, "alpha")
        asked = [(received.method, received.target.partition("?")[0]) for received in server.requests]
        assert asked == [("POST", PATH), *[("GET", PATH)] * (unfinished + 1)]
        assert server.token_calls == 1

    def test_deferral(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, letter: str, letter_text: str
    ) -> None:
        """A deferred job is followed by status, and fetched once after the event."""
        operator = recognize(letter, deferrable=True, defer_after=0)
        with pytest.raises(TaskDeferred) as deferred:
            operator.execute(context)
        trigger: Any = deferred.value.trigger
        assert deferred.value.method_name == "execute_complete"
        assert "secret" not in json.dumps(trigger.serialize())
        clock.now += 120
        event = event_of(trigger)
        assert event == {
            "ocr_task_id": slow_emulator.jobs()[0].id,
            "endpoint": "RecognizeImage",
            "status": "Completed",
            "message": "",
            "seconds": event["seconds"],
            "cost": event["cost"],
        }
        resumed = recognize(letter, deferrable=True)
        xcom = resumed.resume_execution("execute_complete", {"event": event}, context)
        assert xcom["text"] == letter_text
        calls = slow_emulator.calls()
        assert calls.count("GET", "RecognizeImage") == 1
        assert calls.count("GET", "Utilities/GetTaskStatus") >= 1
        assert calls.count("POST", "RecognizeImage") == 1

    @pytest.mark.parametrize(
        ("status", "error", "permanent"),
        [
            ("Error", AsposeOcrTaskError, False),
            ("GaveUp", AsposeOcrServiceError, False),
            ("Refused", AsposeOcrRequestError, True),
        ],
    )
    def test_bad_events(
        self,
        slow_emulator: EmulatorServer,
        context: Any,
        letter: str,
        status: str,
        error: type[Exception],
        permanent: bool,
    ) -> None:
        """An event that tells a bad end becomes its error, which names the job and the document."""
        event = {
            "ocr_task_id": "a197aade-bba9-4c7a-92c7-46851b3dceaa",
            "endpoint": "RecognizeImage",
            "status": status,
            "message": "the reason",
        }
        with pytest.raises(error) as raised:
            recognize(letter).execute_complete(context, event)
        assert event["ocr_task_id"] in str(raised.value)
        assert "01-apples.jpg" in str(raised.value)
        assert "the reason" in str(raised.value)
        assert isinstance(raised.value, AirflowFailException) is permanent

    def test_messages_of_an_event_stay_apart(self, context: Any, letter: str) -> None:
        event = {
            "ocr_task_id": "a197aade-bba9-4c7a-92c7-46851b3dceaa",
            "endpoint": "RecognizeImage",
            "status": "Error",
            "message": "too dark; too small",
            "messages": ["too dark", "too small"],
        }
        with pytest.raises(AsposeOcrTaskError, match="too dark; too small") as raised:
            recognize(letter).execute_complete(context, event)
        assert raised.value.messages == ("too dark", "too small")

    @pytest.mark.parametrize("status", [401, 403])
    @pytest.mark.parametrize("deferrable", [False, True])
    def test_permanent_fault_while_waiting_leaves_the_job(
        self, slow_emulator: EmulatorServer, context: Any, letter: str, status: int, deferrable: bool
    ) -> None:
        """A permanent fault while waiting ends the task, and leaves the job in place."""
        slow_emulator.add_faults([{"kind": "status", "status": status, "method": "GET", "count": 2}])
        error = AsposeOcrAuthError if status == 401 else AsposeOcrRequestError
        with pytest.raises(error) as raised:  # noqa: PT012
            try:
                recognize(letter, deferrable=deferrable, defer_after=0).execute(context)
            except TaskDeferred as deferred:
                trigger: Any = deferred.trigger
                recognize(letter).execute_complete(context, event_of(trigger))
        said = str(raised.value)
        assert isinstance(raised.value, AirflowFailException)
        assert slow_emulator.jobs()[0].id in said
        for word in ("is left in place", "by its id for 24 hours", "submits the document again", letter):
            assert said.count(word) == 1
        assert "Nothing was accepted" not in said
        assert not slow_emulator.jobs()[0].cancelled

    @pytest.mark.parametrize("event", [None, "success", {}, {"status": "Completed"}, {"status": "Odd"}])
    def test_foreign_events(self, context: Any, letter: str, event: Any) -> None:
        """An event that is none of ours is a protocol error."""
        with pytest.raises(AsposeOcrProtocolError):
            recognize(letter).execute_complete(context, event)


@pytest.mark.parametrize(
    "event",
    [
        None,
        "Completed",
        {},
        {"ocr_task_id": None, "status": "Completed"},
        {"endpoint": "Nowhere", "status": "Completed"},
        {"status": "Wait"},
        {"status": "Sleeping"},
        {"status": "GaveUp", "messages": 5},
        {"status": "GaveUp", "retry_after": "soon"},
        {"status": "Completed", "started_at": "yesterday"},
    ],
)
def test_a_foreign_event_costs_nothing(
    slow_emulator: EmulatorServer, clock: Clock, context: Any, letter: str, event: Any
) -> None:
    """An event that is none of ours ends the try with the job's id, and a retry goes on with the job."""
    with pytest.raises(TaskDeferred) as deferred:
        recognize(letter, deferrable=True, defer_after=0).execute(context)
    trigger: Any = deferred.value.trigger
    if event and isinstance(event, dict):
        event = {"ocr_task_id": trigger.ocr_task_id, "endpoint": "RecognizeImage", "message": "", **event}
    with pytest.raises(AsposeOcrProtocolError, match="a retry goes on with it") as raised:
        recognize(letter).execute_complete(context, event)
    assert raised.value.ocr_task_id == trigger.ocr_task_id
    clock.now += 120
    assert "Odette" in recognize(letter).execute(context)["text"]
    assert slow_emulator.calls().accepted == 1


@pytest.mark.parametrize("has_store", [True, False])
def test_without_a_record_an_error_promises_no_free_retry(
    slow_emulator: EmulatorServer, context: Any, letter: str, has_store: bool
) -> None:
    """With durable=False, or below Airflow 3.3, the retry of a billed job submits again, and its error says so."""
    context = context if has_store else {"ti": context["ti"]}
    with pytest.raises(TaskDeferred) as deferred:
        recognize(letter, deferrable=True, defer_after=0, durable=False).execute(context)
    trigger: Any = deferred.value.trigger
    event = {"ocr_task_id": trigger.ocr_task_id, "endpoint": "RecognizeImage", "status": "GaveUp", "message": ""}
    with pytest.raises(AsposeOcrServiceError, match="keeps no record") as raised:
        recognize(letter, durable=not has_store).execute_complete(context, event)
    assert trigger.ocr_task_id in str(raised.value)
