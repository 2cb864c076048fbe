"""A batch that goes on, deferred or in a later try: nothing twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from PIL import Image

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrAuthError,
    AsposeOcrBatchError,
    AsposeOcrCancelledError,
)
from airflow_provider_asposeocr.triggers.batch import AsposeOcrBatchTrigger
from tests.unit.batches.batch_stubs import (
    ALL,
    DEFERRED,
    StrictStore,
    batch,
    deferred_by,
    event_of_batch,
    task_instance,
    texts,
    ticking,
    woken,
)
from tests.unit.task_stubs import Clock, killed_once


class TestRetry:
    @pytest.mark.parametrize("by", ["store", "manifest"])
    def test_deferred_and_woken(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path, by: str
    ) -> None:
        """A batch that is deferred and woken reads every document, and submits none twice."""
        if by == "manifest":
            del context["task_state_store"]
        with pytest.raises(TaskDeferred) as deferred:
            batch(inbox, outbox, deferrable=True, defer_after=0.1, max_concurrency=4).execute(context)
        trigger: Any = deferred.value.trigger
        assert isinstance(trigger, AsposeOcrBatchTrigger)
        assert len(trigger.ocr_task_ids) == 4
        assert slow_emulator.calls().accepted == 4
        clock.now += 120
        _, kwargs = trigger.serialize()
        event = event_of_batch(kwargs)
        with pytest.raises(TaskDeferred):
            # Those that have ended are fetched, and others submitted: then there is nothing to do again.
            batch(inbox, outbox, deferrable=True, defer_after=0.1, max_concurrency=4).execute_complete(context, event)
        assert 1 <= len(texts(outbox)) <= 4
        clock.now += 120
        assert slow_emulator.calls().accepted > 4
        with ticking(clock):
            xcom = batch(inbox, outbox).execute_complete(context, event)
        assert xcom["completed"] == 6
        assert texts(outbox) == ALL
        assert slow_emulator.calls().accepted == 6

    def test_a_second_worker_that_is_woken_by_one_event_submits_nothing_again(
        self, slow_emulator: EmulatorServer, clock: Clock, store: StrictStore, context: Any, inbox: Path, outbox: Path
    ) -> None:
        """As Airflow wakes another one where it has lost the first in the midst of its work."""
        kwargs: dict[str, Any] = {**DEFERRED, "max_concurrency": 2}
        trigger = deferred_by(batch(inbox, outbox, **kwargs), context)
        clock.now += 120
        event = event_of_batch(trigger.serialize()[1])
        # What the first does last is to note how it leaves the batch.
        store.broken_for = '"submissions": [3-6]'
        with pytest.raises(RuntimeError, match="the API server is away"):
            woken(batch(inbox, outbox, **kwargs), context, event)
        assert slow_emulator.calls().accepted > 2
        store.broken_for = None
        with ticking(clock):
            xcom = woken(batch(inbox, outbox, timeout=None), context, event)
        assert (xcom["completed"], slow_emulator.calls().accepted) == (6, 6)

    def test_killed_worker(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path
    ) -> None:
        """After a killed worker the next try goes on with what runs."""
        with pytest.raises(TaskDeferred):
            batch(inbox, outbox, deferrable=True, defer_after=0.1).execute(context)
        clock.now += 120
        assert batch(inbox, outbox).execute(context)["completed"] == 6
        assert slow_emulator.calls().accepted == 6

    def test_changed_settings_submit_anew(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path
    ) -> None:
        """Changed settings submit all documents anew."""
        batch(inbox, outbox).execute(context)
        batch(inbox, outbox, settings={"language": "German"}).execute(context)
        assert emulator.calls().accepted == 12

    def test_users_clear_keeps_what_is_done_unless_it_is_to_be_read_anew(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path
    ) -> None:
        """A user's clear keeps what is done, also with `overwrite`: only `resubmit_on_clear` bills it again."""
        batch(inbox, outbox).execute(context)
        context["ti"] = task_instance(max_tries=5)
        batch(inbox, outbox).execute(context)
        assert emulator.calls().accepted == 6
        context["ti"] = task_instance(max_tries=8)
        batch(inbox, outbox, overwrite=True).execute(context)
        assert emulator.calls().accepted == 6
        context["ti"] = task_instance(max_tries=11)
        batch(inbox, outbox, resubmit_on_clear=True).execute(context)
        assert emulator.calls().accepted == 12

    def test_the_list_is_frozen_until_the_batch_has_succeeded(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path
    ) -> None:
        """What appears between two tries waits for the next run, or for a clear of the succeeded task."""
        emulator.add_faults([{"kind": "error", "messages": ["unreadable"], "method": "POST", "path": "RecognizeImage"}])
        with pytest.raises(AsposeOcrBatchError):
            batch(inbox / "2023", outbox).execute(context)
        Image.open(inbox / "2024" / "0.png").save(inbox / "2023" / "new.png")
        assert batch(inbox / "2023", outbox).execute(context)["documents"] == 3
        assert emulator.calls().accepted == 4
        context["ti"] = task_instance(max_tries=5)
        xcom = batch(inbox / "2023", outbox).execute(context)
        assert (xcom["completed"], xcom["skipped"], emulator.calls().accepted) == (1, 3, 5)

    def test_kill_cancels_all(
        self, slow_emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path, store: StrictStore
    ) -> None:
        """A kill cancels all jobs."""
        operator = batch(inbox, outbox)

        def six_are_running() -> bool:
            return [kept["status"] for kept in store.documents().values()] == ["Running"] * 6

        with killed_once(six_are_running, operator), pytest.raises(AsposeOcrCancelledError):
            operator.execute(context)
        assert all(job.cancelled for job in slow_emulator.jobs())

    def test_trigger_kill_cancels_all(
        self, slow_emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path
    ) -> None:
        """A kill of the deferred task cancels all jobs."""
        with pytest.raises(TaskDeferred) as deferred:
            batch(inbox, outbox, deferrable=True, defer_after=0.1).execute(context)
        trigger: Any = deferred.value.trigger
        asyncio.run(trigger.on_kill())
        assert [job.cancelled for job in slow_emulator.jobs()] == [True] * 6


class TestCalls:
    """``calls`` counts the polls of all tries, as far as they are known: each may be billed."""

    def test_a_retry_counts_on(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path
    ) -> None:
        """What a failed try has asked is in the count of the next one."""
        emulator.add_faults([{"kind": "error", "messages": ["bad"], "method": "POST", "path": "RecognizeImage"}])
        with pytest.raises(AsposeOcrBatchError):
            batch(inbox, outbox).execute(context)
        before = emulator.calls().count("GET", "RecognizeImage")
        xcom = batch(inbox, outbox).execute(context)
        assert xcom["calls"] == emulator.calls().count("GET", "RecognizeImage") > before > 0

    def test_a_try_after_a_broken_wake_counts_on(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path
    ) -> None:
        """What the trigger has asked, and the wake after it, is in the count of the next try."""
        some: dict[str, Any] = {"max_concurrency": 4}
        with pytest.raises(TaskDeferred) as deferred:
            batch(inbox, outbox, deferrable=True, defer_after=0.1, **some).execute(context)
        trigger: Any = deferred.value.trigger
        clock.now += 120
        event = event_of_batch(trigger.serialize()[1])
        slow_emulator.add_faults([{"kind": "status", "status": 401, "method": "POST", "count": None}])
        with pytest.raises(AsposeOcrAuthError):
            batch(inbox, outbox, **some).execute_complete(context, event)
        slow_emulator.clear_faults()
        with ticking(clock):
            xcom = batch(inbox, outbox, **some).execute(context)
        asked = slow_emulator.calls()
        made = asked.total - asked.count("POST", "RecognizeImage")
        assert event["calls"] > 0
        # Polls that the end of the broken wake cut off count, too, though not each may have been heard.
        assert made <= xcom["calls"] <= made + some["max_concurrency"]

    def test_a_new_run_counts_anew(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path
    ) -> None:
        """A run that has nothing to read has asked nothing."""
        assert batch(inbox, outbox).execute(context)["calls"] >= 6
        assert batch(inbox, outbox).execute(context)["calls"] == 0
