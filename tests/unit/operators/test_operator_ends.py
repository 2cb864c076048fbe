"""How a task ends that does not succeed: by error, time-out or kill."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout, TaskDeferred

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrCancelledError,
    AsposeOcrError,
    AsposeOcrInterruptedError,
    AsposeOcrTaskError,
    AsposeOcrTimeoutError,
)
from airflow_provider_asposeocr.jobs.memory import KEY
from tests.unit.operators.recognizing import polls, recognize
from tests.unit.task_stubs import MemoryStore, killed_once


class TestEnds:
    def test_error_of_the_service(
        self, connection: str, emulator: EmulatorServer, context: Any, store: MemoryStore, letter: str
    ) -> None:
        """A job that ended as an error tells its messages, and is forgotten but for their number."""
        emulator.add_faults([{"kind": "error", "messages": ["unreadable"], "method": "POST"}])
        with pytest.raises(AsposeOcrTaskError, match="unreadable") as raised:
            recognize(letter).execute(context)
        assert raised.value.messages == ("unreadable",)
        assert not isinstance(raised.value, AirflowFailException)
        assert (store.kept[KEY]["ocr_task_id"], store.kept[KEY]["failed_jobs"]) == (None, 1)

    @pytest.mark.parametrize(("cancel", "status"), [(True, "was cancelled"), (False, "goes on at the service")])
    def test_timeout(self, slow_emulator: EmulatorServer, context: Any, letter: str, cancel: bool, status: str) -> None:
        """A time-out cancels the job where that is wanted, and says what became of it."""
        with pytest.raises(AsposeOcrTimeoutError, match=status) as raised:
            recognize(letter, timeout=0.1, cancel_on_kill=cancel).execute(context)
        job = slow_emulator.jobs()[0]
        assert job.cancelled is cancel
        assert job.id in str(raised.value)

    def test_kill(self, slow_emulator: EmulatorServer, context: Any, letter: str) -> None:
        """A kill cancels the job."""
        operator = recognize(letter, durable=False)
        with killed_once(partial(polls, slow_emulator), operator), pytest.raises(AsposeOcrCancelledError):
            operator.execute(context)
        assert slow_emulator.jobs()[0].cancelled

    def test_kill_leaves_the_job_where_that_is_wanted(
        self, slow_emulator: EmulatorServer, context: Any, letter: str
    ) -> None:
        """A kill leaves the job where that is wanted."""
        operator = recognize(letter, deferrable=True, defer_after=0, cancel_on_kill=False)
        with pytest.raises(TaskDeferred):
            operator.execute(context)
        operator.on_kill()
        assert not slow_emulator.jobs()[0].cancelled


class TestKill:
    """Airflow 3 calls `on_kill` for a user, for `execution_timeout`, and when a worker is shut down."""

    @pytest.fixture
    def state(self, context: Any) -> Iterator[Callable[[Any], None]]:
        """Sets what Airflow answers to the question for the task's state: also an error, or a function."""
        asked: list[dict[str, Any]] = []
        answer: list[Any] = []

        def get_task_states(**which: Any) -> dict[str, Any]:
            asked.append(which)
            says = answer[0]() if callable(answer[0]) else answer[0]
            if isinstance(says, Exception):
                raise says
            return {"run": {"recognize_7": says}} if says != "gone" else {}

        context["ti"] = SimpleNamespace(
            max_tries=2, dag_id="dag", run_id="run", task_id="recognize", map_index=7, get_task_states=get_task_states
        )
        yield answer.append
        for which in asked:
            assert which == {"dag_id": "dag", "run_ids": ["run"], "task_ids": ["recognize"], "map_index": 7}

    @pytest.fixture
    def killed(self, slow_emulator: EmulatorServer, context: Any, letter: str) -> Callable[[], AsposeOcrError]:
        """Kills a task that waits for its job, and returns its error."""

        def kill() -> AsposeOcrError:
            operator = recognize(letter)
            with killed_once(partial(polls, slow_emulator), operator), pytest.raises(AsposeOcrError) as raised:
                operator.execute(context)
            return raised.value

        return kill

    @pytest.mark.parametrize("ended", ["failed", "success", "skipped", "removed", "restarting", "gone"])
    def test_user_ends_the_task(
        self, state: Any, killed: Any, slow_emulator: EmulatorServer, store: MemoryStore, ended: str
    ) -> None:
        """Where a user ends the task, its job is cancelled and forgotten."""
        state(ended)
        assert isinstance(killed(), AsposeOcrCancelledError)
        assert slow_emulator.jobs()[0].cancelled
        assert store.kept == {}

    @pytest.mark.parametrize(
        "alive", ["running", "scheduled", "queued", "up_for_retry", "deferred", None, "new one", OSError("who knows")]
    )
    def test_worker_is_shut_down(
        self, state: Any, killed: Any, slow_emulator: EmulatorServer, store: MemoryStore, alive: Any
    ) -> None:
        """Where a worker is shut down, the job goes on and is remembered."""
        state(alive)
        error = killed()
        assert isinstance(error, AsposeOcrInterruptedError)
        assert not isinstance(error, AirflowFailException)
        assert slow_emulator.jobs()[0].id in str(error)
        assert not slow_emulator.jobs()[0].cancelled
        assert store.kept[KEY]["ocr_task_id"] == slow_emulator.jobs()[0].id

    def test_what_was_interrupted_holds_the_lock(
        self, state: Any, slow_emulator: EmulatorServer, context: Any, letter: str, store: MemoryStore
    ) -> None:
        """A kill does not wait for a lock that the interrupted thread holds."""
        operator = recognize(letter)
        operator.kill_patience = 0.1
        lock = threading.Lock()
        interrupted = False

        def ask() -> str:
            with lock:
                return "failed"

        keep = store.set

        def interrupted_as_it_writes(key: str, value: Any, *, retention: Any = None) -> None:
            nonlocal interrupted
            with lock:
                if value["ocr_task_id"]:
                    operator.on_kill()
                    interrupted = True
                keep(key, value, retention=retention)

        state(ask)
        store.set = interrupted_as_it_writes  # type: ignore[method-assign]
        with pytest.raises(AsposeOcrCancelledError):
            operator.execute(context)
        assert interrupted
        assert slow_emulator.jobs()[0].cancelled
        assert store.kept == {}

    @pytest.mark.parametrize(
        ("ended", "error"), [("failed", AsposeOcrCancelledError), ("running", AsposeOcrInterruptedError)]
    )
    def test_before_the_submission_nothing_is_sent(
        self,
        state: Any,
        slow_emulator: EmulatorServer,
        context: Any,
        store: MemoryStore,
        letter: str,
        ended: str,
        error: type[Exception],
    ) -> None:
        """After a kill before the submission nothing is sent."""
        state(ended)
        operator = recognize(letter)
        slow_emulator.add_faults([{"kind": "delay", "seconds": 0.15, "path": "connect/token"}])
        with killed_once(lambda: slow_emulator.calls().token_calls, operator), pytest.raises(error):
            operator.execute(context)
        assert slow_emulator.calls().count("POST", "RecognizeImage") == 0
        assert store.kept == {}

    def test_execution_timeout(
        self, state: Any, slow_emulator: EmulatorServer, context: Any, store: MemoryStore, letter: str
    ) -> None:
        """As Airflow does it: a signal ends the wait, `on_kill` is called meanwhile, and the task is still running."""
        state("running")
        operator = recognize(letter)

        def too_long(*_: Any) -> None:
            # Once it waits: what comes sooner is another test.
            if slow_emulator.calls().count("GET", "RecognizeImage"):
                raise AirflowTaskTimeout
            signal.setitimer(signal.ITIMER_REAL, 0.05)

        before = signal.signal(signal.SIGALRM, too_long)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            operator.execute(context)
        except AirflowTaskTimeout:
            signal.setitimer(signal.ITIMER_REAL, 0)
            operator.on_kill()
        else:
            pytest.fail("the wait ended by itself")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert slow_emulator.jobs()[0].cancelled
        assert store.kept == {}

    def test_execution_timeout_as_the_result_is_written(
        self, state: Any, connection: str, emulator: EmulatorServer, context: Any, letter: str, tmp_path: Any
    ) -> None:
        """A completed job is not cancelled where the time is over while its result is written: the retry fetches it."""
        state("running")

        class TooLate(MemoryStore):
            """The time is over as the delivery begins."""

            is_late = False

            def get(self, key: str, default: Any = None) -> Any:
                if emulator.calls().count("GET", "RecognizeImage") and not self.is_late:
                    self.is_late = True
                    raise AirflowTaskTimeout("the time is over")
                return super().get(key, default)

        context["task_state_store"] = TooLate()
        operator = recognize(letter, output_path=f"{tmp_path}/")
        try:
            operator.execute(context)
        except AirflowTaskTimeout:
            operator.on_kill()
        else:
            pytest.fail("the time was not over")
        assert not emulator.jobs()[0].cancelled
        assert "Odette" in recognize(letter, output_path=f"{tmp_path}/").execute(context)["text"]
        assert emulator.calls().accepted == 1

    def test_a_store_that_does_not_answer_any_more(
        self, state: Any, killed: Any, slow_emulator: EmulatorServer, store: MemoryStore
    ) -> None:
        """A store that does not answer any more does not keep the job from being cancelled."""

        def refuse(key: str) -> None:
            raise OSError("no such task instance")

        store.delete = refuse  # type: ignore[method-assign]
        state("restarting")
        assert isinstance(killed(), AsposeOcrCancelledError)
        assert slow_emulator.jobs()[0].cancelled

    def test_the_record_of_a_later_try_stays(
        self, state: Any, killed: Any, slow_emulator: EmulatorServer, store: MemoryStore
    ) -> None:
        def failed() -> str:
            store.kept[KEY] |= {"ocr_task_id": "another"}
            return "failed"

        state(failed)
        killed()
        assert slow_emulator.jobs()[0].cancelled
        assert store.kept[KEY]["ocr_task_id"] == "another"
