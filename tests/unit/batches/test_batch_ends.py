"""How a batch ends: killed, shut down, timed out."""

from __future__ import annotations

import contextlib
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrBatchRefusedError,
    AsposeOcrCancelledError,
    AsposeOcrInterruptedError,
)
from airflow_provider_asposeocr.operators.batch import AsposeOcrBatchOperator
from tests.unit.batches.batch_stubs import (
    DEFERRED,
    StrictStore,
    batch,
    deferred_by,
    event_of_batch,
    manifest,
    woken,
)
from tests.unit.task_stubs import Clock, killed_once


class TestEnds:
    def killed_once_submitted(
        self, emulator: EmulatorServer, operator: AsposeOcrBatchOperator
    ) -> contextlib.AbstractContextManager[None]:
        return killed_once(lambda: emulator.calls().accepted == 6, operator)

    @pytest.mark.parametrize("airflow", [2, 3])
    def test_a_worker_that_is_shut_down_cancels_nothing_and_the_retry_goes_on(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path, airflow: int
    ) -> None:
        """Also where no task state store remembers what was submitted, but files do."""
        if airflow == 2:
            del context["task_state_store"]
            context["ti"].current_state = lambda: "running"
        else:
            context["ti"].get_task_states = lambda **_: {"run": {"batch": "running"}}
        operator = batch(inbox, outbox)
        with self.killed_once_submitted(slow_emulator, operator), pytest.raises(AsposeOcrInterruptedError):
            operator.execute(context)
        assert not any(job.cancelled for job in slow_emulator.jobs())
        clock.now += 120
        assert batch(inbox, outbox).execute(context)["completed"] == 6
        assert slow_emulator.calls().accepted == 6

    def test_what_a_kill_cancelled_is_forgotten(
        self, slow_emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path, store: StrictStore
    ) -> None:
        operator = batch(inbox, outbox)
        with self.killed_once_submitted(slow_emulator, operator), pytest.raises(AsposeOcrCancelledError):
            operator.execute(context)
        assert all(job.cancelled for job in slow_emulator.jobs())
        assert {(kept["status"], kept.get("ocr_task_id")) for kept in store.documents().values()} == {("Waiting", None)}

    def test_a_signal_that_raises_gets_through(
        self, slow_emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path, store: StrictStore
    ) -> None:
        """As Airflow's ``execution_timeout``: its signal handler raises in the main thread, wherever that is."""

        class Timeout(BaseException):
            pass

        def ring(*_: Any) -> None:
            if slow_emulator.calls().accepted == 6:
                raise Timeout
            signal.setitimer(signal.ITIMER_REAL, 0.05)

        before = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            with pytest.raises(Timeout):
                batch(inbox, outbox).execute(context)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert {kept["status"] for kept in store.documents().values()} == {"Running"}
        assert len(store.documents()) == 6
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("aspose-ocr-batch")]

    def test_fail_fast_names_what_failed_and_does_not_retry_what_cannot_be_mended(
        self, slow_emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path
    ) -> None:
        (inbox / "bad.png").write_text("just text")
        images = [str(inbox / "2023" / "0.png"), str(inbox / "bad.png"), str(inbox / "2023" / "1.png")]
        with pytest.raises(AsposeOcrBatchRefusedError, match=r"1 of 3 documents failed.*bad\.png is not an image"):
            batch(images, outbox, on_error="fail_fast", max_concurrency=2).execute(context)

    def test_after_fail_fast_the_manifest_says_of_no_cancelled_job_that_it_runs(
        self, slow_emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path
    ) -> None:
        (inbox / "2024" / "9.png").write_text("just text")
        with pytest.raises(AsposeOcrBatchRefusedError):
            batch(inbox, outbox, on_error="fail_fast").execute(context)
        assert all(job.cancelled for job in slow_emulator.jobs())
        found = {line["status"] for line in manifest(outbox).values()}
        assert found == {"Refused", "Waiting"}

    def test_airflows_own_timeout_of_a_deferral_only_wakes_the_batch(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path
    ) -> None:
        deferred_by(batch(inbox, outbox, **DEFERRED), context)
        clock.now += 120
        xcom = batch(inbox, outbox).resume_execution("__fail__", {"error": "Trigger timeout"}, context)
        assert xcom["completed"] == 6

    def test_the_trigger_says_which_jobs_have_ended_and_the_worker_fetches_them(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path
    ) -> None:
        trigger = deferred_by(batch(inbox, outbox, max_concurrency=3, **DEFERRED), context)
        watched = {ocr_task_id for _, ocr_task_id, _ in trigger.watched}
        assert watched == {job.id for job in slow_emulator.jobs()} == set(trigger.ocr_task_ids)
        clock.now += 120
        event = event_of_batch(trigger.serialize()[1])
        assert (event["status"], event["endpoint"], event["message"]) == ("Ended", "RecognizeImage", "")
        assert set(event["ended"]) <= watched
        assert event["calls"] >= len(event["ended"]) >= 1
        with pytest.raises(TaskDeferred):
            woken(batch(inbox, outbox, max_concurrency=3, **DEFERRED), context, event)
        assert slow_emulator.calls().accepted > 3
