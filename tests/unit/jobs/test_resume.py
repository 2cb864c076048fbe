"""No document is billed twice: what a later try does with the submission of an earlier one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrAmbiguousSubmissionError,
    AsposeOcrAuthError,
    AsposeOcrCancelledError,
    AsposeOcrRequestError,
    AsposeOcrServiceError,
)
from airflow_provider_asposeocr.jobs.memory import KEY
from tests.unit.operators.recognizing import recognize
from tests.unit.task_stubs import Clock, MemoryStore, killed_once


@pytest.fixture
def interrupted(slow_emulator: EmulatorServer, context: Any, letter: str) -> str:
    """The id of a job whose task was cut off while it waited."""
    with pytest.raises(TaskDeferred):
        recognize(letter, deferrable=True, defer_after=0).execute(context)
    return slow_emulator.jobs()[0].id


def submissions(emulator: EmulatorServer) -> int:
    return emulator.calls().accepted


@pytest.mark.parametrize("deferrable", [False, True])
def test_retry_goes_on_with_the_running_job(
    interrupted: str, slow_emulator: EmulatorServer, context: Any, letter: str, clock: Clock, deferrable: bool
) -> None:
    """A retry goes on with the running job."""
    with pytest.raises(TaskDeferred) as deferred:
        recognize(letter, deferrable=True, defer_after=0).execute(context)
    trigger: Any = deferred.value.trigger
    assert trigger.ocr_task_id == interrupted
    clock.now += 120
    xcom = recognize(letter, deferrable=deferrable).execute(context)
    assert xcom["ocr_task_id"] == interrupted
    assert "Odette" in xcom["text"]
    assert submissions(slow_emulator) == 1


def test_finished_result_is_fetched_again(connection: str, emulator: EmulatorServer, context: Any, letter: str) -> None:
    first = recognize(letter).execute(context)
    # The process died before Airflow noted the success: the record must still be there.
    again = recognize(letter).execute(context)
    assert {**again, "cost": first["cost"]} == first
    assert again["cost"] == {"submissions": 0, "calls": 1}
    assert submissions(emulator) == 1


def test_resumed_job_is_not_submitted_without_waiting_either(
    connection: str, emulator: EmulatorServer, context: Any, letter: str
) -> None:
    first = recognize(letter, wait_for_completion=False).execute(context)
    assert recognize(letter, wait_for_completion=False).execute(context) == first
    assert submissions(emulator) == 1


class TestSubmitsAnew:
    def test_for_changed_settings(
        self, interrupted: str, slow_emulator: EmulatorServer, context: Any, letter: str, logged: Callable[[], str]
    ) -> None:
        """For changed settings the document is submitted anew."""
        with pytest.raises(TaskDeferred):
            recognize(letter, deferrable=True, defer_after=0, settings={"language": "German"}).execute(context)
        assert submissions(slow_emulator) == 2
        assert "settings changed" in logged()

    def test_for_a_changed_document(
        self, connection: str, emulator: EmulatorServer, context: Any, letter: str, scans: Path, tmp_path: Path
    ) -> None:
        """A changed document is submitted anew."""
        image = tmp_path / "scan.jpg"
        shutil.copy(letter, image)
        recognize(str(image)).execute(context)
        shutil.copy(scans / "letters" / "02-order.jpg", image)
        recognize(str(image)).execute(context)
        assert submissions(emulator) == 2

    def test_not_for_the_same_document_at_another_place(
        self, connection: str, emulator: EmulatorServer, context: Any, letter: str, tmp_path: Path
    ) -> None:
        """The same document at another place is not submitted anew."""
        recognize(letter).execute(context)
        shutil.copy(letter, tmp_path / "copy.jpg")
        recognize(str(tmp_path / "copy.jpg")).execute(context)
        assert submissions(emulator) == 1

    def test_after_an_error(
        self, interrupted: str, slow_emulator: EmulatorServer, context: Any, letter: str, logged: Callable[[], str]
    ) -> None:
        """After a job that ended as an error the document is submitted anew."""
        slow_emulator.add_faults([{"kind": "error", "messages": ["broken scan"], "method": "GET"}])
        with pytest.raises(TaskDeferred):
            recognize(letter, deferrable=True, defer_after=0).execute(context)
        assert submissions(slow_emulator) == 2
        assert "is now Error (broken scan)" in logged()

    def test_after_the_result_expired(
        self,
        interrupted: str,
        slow_emulator: EmulatorServer,
        context: Any,
        letter: str,
        clock: Clock,
        logged: Callable[[], str],
    ) -> None:
        """After the result expired the document is submitted anew."""
        clock.now += 25 * 3600
        with pytest.raises(TaskDeferred):
            recognize(letter, deferrable=True, defer_after=0).execute(context)
        assert submissions(slow_emulator) == 2
        assert "is now NotExist" in logged()

    def test_where_durable_is_off(self, slow_emulator: EmulatorServer, context: Any, letter: str) -> None:
        """Where `durable` is off every try submits anew."""
        for _ in range(2):
            with pytest.raises(TaskDeferred):
                recognize(letter, deferrable=True, defer_after=0, durable=False).execute(context)
        assert submissions(slow_emulator) == 2

    def test_below_airflow_3_3(self, slow_emulator: EmulatorServer, letter: str) -> None:
        """Below Airflow 3.3, without a store, every try submits anew."""
        for _ in range(2):
            with pytest.raises(TaskDeferred):
                recognize(letter, deferrable=True, defer_after=0).execute({"ti": SimpleNamespace(max_tries=1)})  # type: ignore[arg-type, typeddict-item]
        assert submissions(slow_emulator) == 2


class TestAmbiguity:
    def test_lost_answer_fails_the_task_and_every_retry(
        self, connection: str, emulator: EmulatorServer, context: Any, letter: str
    ) -> None:
        emulator.add_faults([{"kind": "reset_after", "method": "POST", "path": "RecognizeImage"}])
        for says in ("after the whole document was sent", "An earlier try was cut off"):
            with pytest.raises(AsposeOcrAmbiguousSubmissionError, match=says) as raised:
                recognize(letter).execute(context)
            assert isinstance(raised.value, AirflowFailException)
            assert letter in str(raised.value)
        assert submissions(emulator) == 1

    def test_users_clear_submits_again(
        self, connection: str, emulator: EmulatorServer, context: Any, letter: str
    ) -> None:
        """A user's clear submits a document again that may have been billed."""
        emulator.add_faults([{"kind": "reset_after", "method": "POST", "path": "RecognizeImage"}])
        with pytest.raises(AsposeOcrAmbiguousSubmissionError):
            recognize(letter).execute(context)
        context["ti"] = SimpleNamespace(max_tries=3)
        assert "Odette" in recognize(letter).execute(context)["text"]
        assert submissions(emulator) == 2

    def test_killed_between_acceptance_and_the_stores_write(
        self, connection: str, emulator: EmulatorServer, context: Any, store: MemoryStore, letter: str
    ) -> None:
        """The one gap no client can close: the process dies when the answer is there and the id is not yet kept."""

        class Killed(BaseException):
            """Nothing in the task sees a SIGKILL either."""

        writes = 0
        keep = store.set

        def is_dead_from_the_second_write_on(key: str, value: Any, *, retention: Any = None) -> None:
            nonlocal writes
            writes += 1
            if writes >= 2:
                raise Killed
            keep(key, value, retention=retention)

        store.set = is_dead_from_the_second_write_on  # type: ignore[method-assign]
        with pytest.raises(Killed):
            recognize(letter).execute(context)
        store.set = keep  # type: ignore[method-assign]
        assert submissions(emulator) == 1
        assert store.kept[KEY]["ocr_task_id"] is None
        with pytest.raises(AsposeOcrAmbiguousSubmissionError, match="may have accepted and billed"):
            recognize(letter).execute(context)
        assert submissions(emulator) == 1
        assert "Odette" in recognize(letter, resubmit_on_ambiguity=True).execute(context)["text"]
        assert submissions(emulator) == 2

    def test_resubmits_within_the_try_where_the_user_wants_it(
        self, connection: str, emulator: EmulatorServer, context: Any, letter: str
    ) -> None:
        """Where the user wants it, such a document is submitted again within the try."""
        emulator.add_faults([{"kind": "reset_after", "method": "POST", "path": "RecognizeImage"}])
        assert "Odette" in recognize(letter, resubmit_on_ambiguity=True).execute(context)["text"]
        assert submissions(emulator) == 2

    @pytest.mark.parametrize(("status", "error"), [(404, AsposeOcrRequestError), (503, AsposeOcrServiceError)])
    def test_certain_refusal_leaves_no_doubt(
        self,
        connection: str,
        emulator: EmulatorServer,
        context: Any,
        store: MemoryStore,
        letter: str,
        status: int,
        error: type[Exception],
    ) -> None:
        """A certain refusal leaves no doubt to the next try."""
        emulator.add_faults(
            [{"kind": "status", "status": status, "retry_after": 3600, "method": "POST", "path": "RecognizeImage"}]
        )
        with pytest.raises(error):
            recognize(letter).execute(context)
        assert store.kept == {}
        recognize(letter).execute(context)
        assert submissions(emulator) == 1


class TestIntent:
    """The intent is in the store while a POST may have been accepted, and only then."""

    @pytest.fixture
    def written(self, store: MemoryStore) -> list[str | None]:
        """The writes to the store: the job's id, `None` for an intent, `gone` for a deletion."""
        writes: list[str | None] = []
        keep, delete = store.set, store.delete

        def keeps(key: str, value: Any, *, retention: Any = None) -> None:
            writes.append(value["ocr_task_id"])
            keep(key, value, retention=retention)

        def deletes(key: str) -> None:
            writes.append("gone")
            delete(key)

        store.set, store.delete = keeps, deletes  # type: ignore[method-assign]
        return writes

    def test_two_writes_where_all_is_well(
        self, connection: str, context: Any, letter: str, written: list[str | None]
    ) -> None:
        """Where all is well, the intent and the job are written, and nothing else."""
        xcom = recognize(letter).execute(context)
        assert written == [None, xcom["ocr_task_id"]]

    def test_none_where_no_token_comes(
        self, connection: str, emulator: EmulatorServer, context: Any, letter: str, written: list[str | None]
    ) -> None:
        """Where no token comes, no intent is written."""
        emulator.add_faults([{"kind": "status", "status": 401, "path": "connect/token"}])
        with pytest.raises(AsposeOcrAuthError, match="Nothing was accepted or billed"):
            recognize(letter).execute(context)
        assert written == []

    def test_taken_back_while_a_refused_submission_waits(
        self, connection: str, emulator: EmulatorServer, context: Any, letter: str, written: list[str | None]
    ) -> None:
        """The intent is taken back while a refused submission waits."""
        emulator.add_faults([{"kind": "status", "status": 503, "method": "POST", "path": "RecognizeImage"}])
        xcom = recognize(letter).execute(context)
        assert written == [None, "gone", None, xcom["ocr_task_id"]]

    def test_stays_where_the_task_is_killed_before_it_is_submitted_again(
        self, connection: str, emulator: EmulatorServer, context: Any, letter: str, written: list[str | None]
    ) -> None:
        """A POST that is not made any more says nothing about the doubtful one before it."""
        emulator.add_faults([{"kind": "reset_after", "method": "POST", "path": "RecognizeImage"}])
        operator = recognize(letter, resubmit_on_ambiguity=True)
        with (
            killed_once(lambda: emulator.calls().count("POST", "RecognizeImage"), operator),
            pytest.raises(AsposeOcrCancelledError),
        ):
            operator.execute(context)
        assert written == [None]

    def test_stays_where_an_earlier_post_may_have_been_accepted(
        self, connection: str, emulator: EmulatorServer, context: Any, letter: str, written: list[str | None]
    ) -> None:
        """The intent stays where an earlier POST may have been accepted."""
        emulator.add_faults([{"kind": "reset_after", "method": "POST", "path": "RecognizeImage"}])
        emulator.add_faults([{"kind": "status", "status": 400, "method": "POST", "path": "RecognizeImage"}])
        with pytest.raises(AsposeOcrRequestError):
            recognize(letter, resubmit_on_ambiguity=True).execute(context)
        assert written == [None]


def test_polling_that_gave_up_goes_on_in_the_next_try(
    slow_emulator: EmulatorServer, context: Any, letter: str, clock: Clock
) -> None:
    slow_emulator.add_faults([{"kind": "status", "status": 502, "method": "GET", "count": 6}])
    with pytest.raises(AsposeOcrServiceError, match=r"job is left in place.*a retry goes on with it"):
        recognize(letter).execute(context)
    clock.now += 120
    assert "Odette" in recognize(letter).execute(context)["text"]
    assert submissions(slow_emulator) == 1
