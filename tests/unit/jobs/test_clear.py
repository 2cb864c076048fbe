"""A clear is not a new bill: what a cleared task does with the job of the tries before."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import AsposeOcrCancelledError, AsposeOcrInputError, AsposeOcrTaskError
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrHook
from airflow_provider_asposeocr.jobs.memory import KEY
from tests.unit.operators.recognizing import polls, recognize
from tests.unit.task_stubs import Clock, MemoryStore, killed_once


@pytest.fixture
def clear(context: Any) -> Callable[[], None]:
    """Clears the task, as Airflow does it: the tries that it may have are more."""

    def clears() -> None:
        context["ti"] = SimpleNamespace(max_tries=context["ti"].max_tries + 3)

    return clears


def submissions(emulator: EmulatorServer) -> int:
    return emulator.calls().accepted


def deferred(image: str, context: Any, **kwargs: Any) -> str:
    """Begin a try that defers, and return the id of the job that it waits for."""
    with pytest.raises(TaskDeferred) as raised:
        recognize(image, deferrable=True, defer_after=0, **kwargs).execute(context)
    trigger: Any = raised.value.trigger
    return str(trigger.ocr_task_id)


class TestSucceeded:
    def test_is_fetched_again_and_replaces_its_own_files(
        self,
        connection: str,
        emulator: EmulatorServer,
        context: Any,
        clear: Any,
        letter: str,
        tmp_path: Path,
        logged: Any,
    ) -> None:
        """A succeeded task that is cleared succeeds again without a submission, also where its file was edited."""
        first = recognize(letter, output_path=f"{tmp_path}/").execute(context)
        Path(first["file"]).write_text("edited by hand")
        clear()
        again = recognize(letter, output_path=f"{tmp_path}/").execute(context)
        assert {**again, "cost": first["cost"]} == first
        assert again["cost"] == {"submissions": 0, "calls": 1}
        assert "Odette" in Path(again["file"]).read_text()
        assert submissions(emulator) == 1
        assert "nothing is submitted or billed again" in logged()

    def test_after_the_result_expired_it_is_submitted_and_replaces_its_own_files(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, clear: Any, letter: str, tmp_path: Path
    ) -> None:
        for _ in range(2):
            deferred(letter, context, output_path=f"{tmp_path}/")
            clock.now += 120
            recognize(letter, output_path=f"{tmp_path}/").execute(context)
            clock.now += 25 * 3600
            clear()
        assert submissions(slow_emulator) == 2

    def test_files_of_others_are_not_its_own(
        self, connection: str, emulator: EmulatorServer, context: Any, clear: Any, letter: str, tmp_path: Path
    ) -> None:
        """What the task has not written it does not replace, and nothing is sent."""
        recognize(letter, output_path=f"{tmp_path}/mine/").execute(context)
        clear()
        (tmp_path / "01-apples.txt").write_text("of somebody else")
        with pytest.raises(AsposeOcrInputError, match="exists already"):
            recognize(letter, output_path=f"{tmp_path}/", settings={"language": "German"}).execute(context)
        assert submissions(emulator) == 1

    @pytest.mark.parametrize("changed", ["document", "settings"])
    def test_what_changed_is_submitted_and_replaces_its_own_files(
        self,
        connection: str,
        emulator: EmulatorServer,
        context: Any,
        clear: Any,
        letter: str,
        scans: Path,
        tmp_path: Path,
        changed: str,
        logged: Any,
    ) -> None:
        """A corrected scan, or other settings, are read anew into the task's own file."""
        image = tmp_path / "scan.jpg"
        shutil.copy(letter, image)
        recognize(str(image), output_path=f"{tmp_path}/out/").execute(context)
        clear()
        more = {"settings": {"language": "German"}} if changed == "settings" else {}
        if changed == "document":
            shutil.copy(scans / "letters" / "02-order.jpg", image)
        xcom = recognize(str(image), output_path=f"{tmp_path}/out/", **more).execute(context)
        assert xcom["files"] == [str(tmp_path / "out" / "scan.txt")]
        assert submissions(emulator) == 2
        assert f"{changed} changed since" in logged()

    def test_is_read_anew_where_the_user_wants_it(
        self, connection: str, emulator: EmulatorServer, context: Any, clear: Any, letter: str, logged: Any
    ) -> None:
        """With resubmit_on_clear a clear submits, and a retry still does not."""
        for _ in range(2):
            recognize(letter, resubmit_on_clear=True).execute(context)
        assert submissions(emulator) == 1
        clear()
        recognize(letter, resubmit_on_clear=True).execute(context)
        assert submissions(emulator) == 2
        assert "resubmit_on_clear=True" in logged()


class TestRunning:
    def test_a_job_that_is_being_cancelled_is_not_gone_on_with(
        self, slow_emulator: EmulatorServer, context: Any, clear: Any, letter: str
    ) -> None:
        """The end of the cleared try cancels its job some moments after the new try has begun."""
        first = deferred(letter, context)
        clear()
        operator = recognize(letter, deferrable=True, defer_after=0)

        class CancelledMeanwhile(AsposeOcrHook):
            """As the trigger of the cleared try does, once the new try has asked for the first time."""

            def ask(self, *args: Any, **kwargs: Any) -> Any:
                outcome = super().ask(*args, **kwargs)
                if not slow_emulator.jobs()[0].cancelled:
                    self.cancel("RecognizeImage", first)
                return outcome

        operator.hook = CancelledMeanwhile()  # type: ignore[misc]
        with pytest.raises(TaskDeferred) as raised:
            operator.execute(context)
        trigger: Any = raised.value.trigger
        assert trigger.ocr_task_id != first
        assert submissions(slow_emulator) == 2

    @pytest.mark.parametrize("cancel_on_kill", [True, False])
    def test_a_job_that_runs_on_is_gone_on_with(
        self, slow_emulator: EmulatorServer, context: Any, clear: Any, letter: str, cancel_on_kill: bool
    ) -> None:
        """A job that nobody has cancelled is gone on with, and the next retry is no clear any more."""
        first = deferred(letter, context, cancel_on_kill=cancel_on_kill)
        clear()
        assert deferred(letter, context, cancel_on_kill=cancel_on_kill) == first
        asked = slow_emulator.calls().count("GET", "RecognizeImage")
        assert asked == (2 if cancel_on_kill else 1)
        assert deferred(letter, context, cancel_on_kill=cancel_on_kill) == first
        assert slow_emulator.calls().count("GET", "RecognizeImage") == asked + 1
        assert submissions(slow_emulator) == 1

    def test_a_kill_while_that_is_being_found_out_cancels_the_job(
        self, slow_emulator: EmulatorServer, context: Any, clear: Any, letter: str
    ) -> None:
        """A user who ends the cleared task at once ends its job with it."""
        deferred(letter, context)
        clear()
        operator = recognize(letter)
        operator.doubt_patience = 60
        with killed_once(lambda: polls(slow_emulator), operator), pytest.raises(AsposeOcrCancelledError):
            operator.execute(context)
        assert slow_emulator.jobs()[0].cancelled
        assert submissions(slow_emulator) == 1

    def test_a_job_that_completed_meanwhile_is_fetched(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, clear: Any, letter: str
    ) -> None:
        """A completed job is fetched at once: nothing can cancel it any more."""
        first = deferred(letter, context)
        clear()
        clock.now += 120
        assert recognize(letter).execute(context)["ocr_task_id"] == first
        assert submissions(slow_emulator) == 1

    def test_a_job_that_failed_is_submitted_anew(
        self, connection: str, emulator: EmulatorServer, context: Any, clear: Any, letter: str, store: MemoryStore
    ) -> None:
        """The user who clears a task whose job ended as Error wants it read again, with its retry."""
        for _ in range(2):
            emulator.add_faults([{"kind": "error", "method": "POST"}])
            with pytest.raises(AsposeOcrTaskError):
                recognize(letter).execute(context)
        assert store.kept[KEY]["failed_jobs"] == 2
        clear()
        emulator.add_faults([{"kind": "error", "method": "POST"}])
        with pytest.raises(AsposeOcrTaskError, match="A retry submits the document again"):
            recognize(letter).execute(context)
        assert "Odette" in recognize(letter).execute(context)["text"]
        assert submissions(emulator) == 4
