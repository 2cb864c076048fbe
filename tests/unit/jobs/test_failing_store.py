"""A task state store that fails hides nothing, and costs no second bill where that can be avoided."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout, TaskDeferred

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrAmbiguousSubmissionError,
    AsposeOcrError,
    AsposeOcrRateLimitError,
    AsposeOcrServiceError,
)
from airflow_provider_asposeocr.jobs.memory import KEY
from tests.unit.operators.recognizing import recognize
from tests.unit.task_stubs import Clock, MemoryStore, event_of

QUOTA = {"kind": "status", "status": 429, "retry_after": 3600, "method": "POST", "path": "RecognizeImage"}


class FailingStore(MemoryStore):
    """
    A store whose calls fail.

    :param fails: says of each call, by its name and value, whether it does.
    """

    def __init__(self, fails: Callable[[str, Any], bool]) -> None:
        super().__init__()
        self.fails = fails

    def get(self, key: str, default: Any = None) -> Any:
        self._check("get")
        return super().get(key, default)

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        self._check("set", value)
        super().set(key, value, retention=retention)

    def delete(self, key: str) -> None:
        self._check("delete")
        super().delete(key)

    def _check(self, call: str, value: Any = None) -> None:
        if self.fails(call, value):
            raise OSError("the metadata database is gone")


@pytest.fixture
def failing(context: Any) -> Callable[[Callable[[str, Any], bool]], FailingStore]:
    """Gives the task a store that fails."""

    def make(fails: Callable[[str, Any], bool]) -> FailingStore:
        context["task_state_store"] = FailingStore(fails)
        return context["task_state_store"]  # type: ignore[no-any-return]

    return make


def holds_an_id(call: str, value: Any) -> bool:
    return call == "set" and bool(value["ocr_task_id"])


def submissions(emulator: EmulatorServer) -> int:
    return emulator.calls().accepted


def test_the_task_goes_on_with_the_id_that_could_not_be_kept(
    connection: str, emulator: EmulatorServer, context: Any, failing: Any, letter: str, logged: Callable[[], str]
) -> None:
    """Where the write after the submission fails, the id is in the log, and the result is delivered all the same."""
    failing(holds_an_id)
    xcom = recognize(letter).execute(context)
    assert "Odette" in xcom["text"]
    said = logged()
    assert f"Submitted {letter} as RecognizeImage job {xcom['ocr_task_id']}" in said
    assert said.index("Submitted") < said.index("could not be written")
    assert "fetched by this id for 24 hours" in said


def test_the_id_is_kept_before_the_try_ends_if_the_store_is_back(
    connection: str, emulator: EmulatorServer, context: Any, failing: Any, letter: str
) -> None:
    """A store that was away during the submission alone costs nothing: the next try goes on with the job."""
    emulator.add_faults([{"kind": "status", "status": 500, "method": "GET", "count": 6}])

    def fails(call: str, value: Any) -> bool:
        return holds_an_id(call, value) and emulator.calls().count("GET", "RecognizeImage") < 6

    store = failing(fails)
    with pytest.raises(AsposeOcrServiceError) as raised:
        recognize(letter).execute(context)
    assert store.kept[KEY]["ocr_task_id"] == raised.value.ocr_task_id
    assert "Odette" in recognize(letter).execute(context)["text"]
    assert submissions(emulator) == 1


def test_every_error_after_it_names_the_job_and_the_next_try_says_what_to_do(
    connection: str, emulator: EmulatorServer, context: Any, failing: Any, letter: str
) -> None:
    failing(holds_an_id)
    emulator.add_faults([{"kind": "status", "status": 500, "method": "GET", "count": 6}])
    with pytest.raises(AsposeOcrServiceError) as raised:
        recognize(letter).execute(context)
    assert emulator.jobs()[0].id in str(raised.value)
    with pytest.raises(AsposeOcrAmbiguousSubmissionError, match="Where the log of that try names one"):
        recognize(letter).execute(context)
    assert submissions(emulator) == 1


def test_a_write_that_fails_once_is_repeated(
    connection: str, emulator: EmulatorServer, context: Any, failing: Any, letter: str, logged: Callable[[], str]
) -> None:
    """A blip of the store is no failure."""
    failures = iter([True])
    store = failing(lambda call, value: holds_an_id(call, value) and next(failures, False))
    xcom = recognize(letter).execute(context)
    assert store.kept[KEY]["ocr_task_id"] == xcom["ocr_task_id"]
    assert "could not be written" not in logged()


@pytest.mark.parametrize("what", [holds_an_id, lambda call, value: call == "set" and not value["ocr_task_id"]])
def test_a_write_that_the_execution_timeout_cuts_off_is_made_as_the_try_ends(
    connection: str, emulator: EmulatorServer, context: Any, failing: Any, letter: str, what: Callable[..., bool]
) -> None:
    """Neither a job's id is lost by that, nor does an intent stay of what was not sent: the retry is in no doubt."""
    cuts = iter([True])

    def cut(call: str, value: Any) -> bool:
        if what(call, value) and next(cuts, False):
            # Nobody knows whether a write that was cut off has been made.
            context["task_state_store"].kept[KEY] = {**value, "ocr_task_id": None}
            raise AirflowTaskTimeout("the time is over")
        return False

    failing(cut)
    with pytest.raises(AirflowTaskTimeout):
        recognize(letter).execute(context)
    assert "Odette" in recognize(letter).execute(context)["text"]
    assert submissions(emulator) == 1


def test_an_id_that_could_not_be_kept_is_kept_where_its_task_resumes(
    slow_emulator: EmulatorServer, clock: Clock, context: Any, failing: Any, letter: str
) -> None:
    """The trigger's event brings the id back, so that a retry fetches and nobody is asked to bill again."""
    is_away = [True]
    failing(lambda call, value: holds_an_id(call, value) and is_away[0])
    with pytest.raises(TaskDeferred) as deferred:
        recognize(letter, deferrable=True, defer_after=0).execute(context)
    trigger: Any = deferred.value.trigger
    is_away.clear()
    is_away.append(False)
    clock.now += 120
    event = event_of(trigger)
    slow_emulator.add_faults([{"kind": "status", "status": 429, "retry_after": 3600, "method": "GET"}])
    with pytest.raises(AsposeOcrServiceError, match="a retry fetches it"):
        recognize(letter).execute_complete(context, event)
    assert "Odette" in recognize(letter).execute(context)["text"]
    assert submissions(slow_emulator) == 1


def test_a_deletion_that_fails_does_not_mask_the_refusal(
    connection: str, emulator: EmulatorServer, context: Any, failing: Any, letter: str
) -> None:
    """A 429 stays a 429, with what the service asked for."""
    failing(lambda call, value: call == "delete")
    emulator.add_faults([QUOTA])
    with pytest.raises(AsposeOcrRateLimitError) as raised:
        recognize(letter).execute(context)
    assert raised.value.retry_after == 3600


def test_a_deletion_that_fails_leaves_no_false_intent_if_the_store_is_back(
    connection: str, emulator: EmulatorServer, context: Any, failing: Any, letter: str
) -> None:
    """The refusal is written again before the try ends: the next one submits."""
    calls: list[str] = []

    def fails(call: str, value: Any) -> bool:
        calls.append(call)
        return call == "delete" and calls.count("delete") <= 3

    store = failing(fails)
    emulator.add_faults([QUOTA])
    with pytest.raises(AsposeOcrRateLimitError):
        recognize(letter).execute(context)
    assert store.kept == {}
    assert "Odette" in recognize(letter).execute(context)["text"]
    assert submissions(emulator) == 1


@pytest.mark.parametrize("broken", ["get", "set"])
def test_without_a_store_to_rely_on_nothing_is_sent(
    connection: str, emulator: EmulatorServer, context: Any, failing: Any, letter: str, broken: str
) -> None:
    """Where it cannot be known, or kept, what is submitted, the try fails, to be retried, and costs nothing."""
    failing(lambda call, value: call == broken)
    with pytest.raises(AsposeOcrError, match="Nothing was sent") as raised:
        recognize(letter).execute(context)
    assert not isinstance(raised.value, AirflowFailException)
    assert submissions(emulator) == 0


def test_a_store_that_fails_at_the_end_hides_no_result(
    connection: str, emulator: EmulatorServer, context: Any, failing: Any, letter: str, tmp_path: Any
) -> None:
    """A result that is written is a success, whatever the store has."""
    failing(lambda call, value: emulator.calls().count("GET", "RecognizeImage") > 0)
    assert "Odette" in recognize(letter, output_path=f"{tmp_path}/").execute(context)["text"]


def test_a_store_that_fails_at_the_end_hides_no_error(
    connection: str, emulator: EmulatorServer, context: Any, failing: Any, letter: str
) -> None:
    """A job that ended as Error is told as that, whatever the store has."""
    emulator.add_faults([{"kind": "error", "messages": ["unreadable"], "method": "POST"}])
    failing(lambda call, value: emulator.calls().count("GET", "RecognizeImage") > 0)
    with pytest.raises(AsposeOcrError, match="unreadable"):
        recognize(letter).execute(context)
