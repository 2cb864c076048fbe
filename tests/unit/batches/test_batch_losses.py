"""A batch among things that break: nothing gets lost."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred
from PIL import Image

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrAuthError,
    AsposeOcrBatchError,
    AsposeOcrBatchPausedError,
    AsposeOcrServiceError,
)
from tests.unit.batches.batch_stubs import (
    DEFERRED,
    StrictStore,
    batch,
    deferred_by,
    event_of_batch,
    task_instance,
    ticking,
    woken,
)
from tests.unit.task_stubs import Clock


class TestNothingGetsLost:
    def test_what_failed_is_not_submitted_again_when_the_batch_is_woken(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path
    ) -> None:
        slow_emulator.add_faults(
            [{"kind": "error", "messages": ["unreadable"], "method": "POST", "path": "RecognizeImage"}]
        )
        trigger = deferred_by(batch(inbox, outbox, max_concurrency=4, **DEFERRED), context)
        # As often as it takes: how long the emulator really reads is the machine's affair.
        for _ in range(100):
            clock.now += 120
            event = event_of_batch(trigger.serialize()[1])
            with pytest.raises((TaskDeferred, AsposeOcrBatchError)) as ended:
                woken(batch(inbox, outbox, max_concurrency=4, **DEFERRED), context, event)
            if not isinstance(ended.value, TaskDeferred):
                assert "1 of 6 documents failed" in str(ended.value)
                break
            trigger = ended.value.trigger
        else:
            pytest.fail("the batch does not end")
        assert slow_emulator.calls().accepted == 6
        clock.now += 120
        with ticking(clock):
            assert batch(inbox, outbox).execute(context)["completed"] == 6
        assert slow_emulator.calls().accepted == 7

    @pytest.mark.parametrize("cancel_on_kill", [True, False])
    def test_a_job_that_never_ends_times_out_over_all_deferrals(
        self, slow_emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path, cancel_on_kill: bool
    ) -> None:
        kwargs: dict[str, Any] = {"timeout": 1.5, "cancel_on_kill": cancel_on_kill, **DEFERRED}
        trigger = deferred_by(batch(inbox, outbox, **kwargs), context)
        for _ in range(200):
            event = event_of_batch(trigger.serialize()[1])
            with pytest.raises((TaskDeferred, AsposeOcrBatchError)) as ended:
                woken(batch(inbox, outbox, **kwargs), context, event)
            if not isinstance(ended.value, TaskDeferred):
                break
            trigger = ended.value.trigger
        else:
            pytest.fail("the batch does not end")
        assert "did not end in time" in str(ended.value)
        assert [job.cancelled for job in slow_emulator.jobs()] == [cancel_on_kill] * 6
        assert slow_emulator.calls().accepted == 6

    def test_a_job_that_never_ends_times_out_in_the_worker(
        self, slow_emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path
    ) -> None:
        with pytest.raises(AsposeOcrBatchError, match=r"6 of 6 documents failed.*did not end in time"):
            batch(inbox, outbox, timeout=1).execute(context)
        assert all(job.cancelled for job in slow_emulator.jobs())

    def test_a_job_that_is_gone_is_submitted_again_by_the_next_try(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path
    ) -> None:
        deferred_by(batch(inbox, outbox, **DEFERRED), context)
        clock.now += 2 * 24 * 3600
        with ticking(clock):
            assert batch(inbox, outbox).execute(context)["completed"] == 6
        assert slow_emulator.calls().accepted == 12

    def test_a_store_that_breaks_after_a_submission_loses_no_job(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path, store: StrictStore
    ) -> None:
        """The batch goes on with the ids it has."""
        original, failures = store.set, [RuntimeError("the API server is away")]

        def fails_once(key: str, value: Any, *, retention: Any = None) -> None:
            if failures and '"ocr_task_id"' in json.dumps(value):
                raise failures.pop()
            original(key, value, retention=retention)

        store.set = fails_once  # type: ignore[method-assign]
        assert batch(inbox, outbox).execute(context)["completed"] == 6
        assert not failures
        assert emulator.calls().accepted == 6

    def test_a_folder_that_cannot_be_made_is_found_before_its_documents_are_billed(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path
    ) -> None:
        outbox.mkdir()
        (outbox / "2024").write_text("a file where a folder has to be")
        with pytest.raises(AsposeOcrBatchError, match=r"3 of 6 documents failed.*2024") as raised:
            batch(inbox, outbox).execute(context)
        # A retry would find it in the way again.
        assert isinstance(raised.value, AirflowFailException)
        assert emulator.calls().accepted == 3
        (outbox / "2024").unlink()
        assert batch(inbox, outbox).execute(context)["completed"] == 6
        assert emulator.calls().accepted == 6

    def test_a_secret_that_is_refused_is_tried_once(
        self, define_connection: Any, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path
    ) -> None:
        define_connection(host=emulator.url, login="wrong", password="wrong")
        with pytest.raises(AsposeOcrAuthError):
            batch(inbox, outbox, max_concurrency=1).execute(context)
        assert emulator.calls().token_calls <= 2

    def test_an_outage_fails_no_document(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path, store: StrictStore
    ) -> None:
        """Documents that the service does not take now wait behind the gate, and their intents are taken back."""
        emulator.add_faults(
            [{"kind": "status", "status": 503, "method": "POST", "path": "RecognizeImage", "count": 10}]
        )
        assert batch(inbox, outbox).execute(context)["completed"] == 6
        assert emulator.calls().accepted == 6
        assert store.documents() == {}

    def test_a_service_that_stays_away_pauses_the_batch(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path, store: StrictStore
    ) -> None:
        """The try ends with the time to come back, also with ``skip``: no document has failed."""
        emulator.add_faults(
            [{"kind": "status", "status": 429, "retry_after": 3600, "method": "POST", "path": "RecognizeImage"}]
        )
        with pytest.raises(AsposeOcrBatchPausedError, match="6 of 6 documents have no result yet") as raised:
            batch(inbox, outbox, on_error="skip", max_concurrency=1).execute(context)
        assert isinstance(raised.value, AsposeOcrServiceError)
        assert 3590 < (raised.value.retry_after or 0) <= 3600
        assert emulator.calls().accepted == 0
        assert batch(inbox, outbox).execute(context)["completed"] == 6

    def test_no_intent_before_the_token(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path, store: StrictStore
    ) -> None:
        """No intent is written before the token is there."""
        emulator.add_faults(
            [{"kind": "status", "status": 500, "method": "POST", "path": "connect/token", "count": None}]
        )
        seen: list[str] = []
        original = store.set

        def recording(key: str, value: Any, *, retention: Any = None) -> None:
            seen.append(json.dumps(value))
            original(key, value, retention=retention)

        store.set = recording  # type: ignore[method-assign]
        with pytest.raises(AsposeOcrBatchError):
            batch(inbox / "2023", outbox).execute(context)
        assert seen
        assert not [value for value in seen if "Submitting" in value]

    def test_a_kill_after_a_clear_does_not_bring_back_what_was_cleared(
        self,
        slow_emulator: EmulatorServer,
        clock: Clock,
        context: Any,
        inbox: Path,
        outbox: Path,
        store: StrictStore,
    ) -> None:
        trigger = deferred_by(batch(inbox, outbox, **DEFERRED), context)
        asyncio.run(trigger.on_kill())
        context["ti"] = task_instance(max_tries=5)
        # The first try after the clear dies before it has sent anything.
        store.broken_for = "Submitting"
        with pytest.raises(RuntimeError, match="API server is away"):
            batch(inbox, outbox).execute(context)
        store.broken_for = None
        assert slow_emulator.calls().accepted == 6
        with ticking(clock):
            assert batch(inbox, outbox).execute(context)["completed"] == 6
        assert slow_emulator.calls().accepted == 12

    def test_writes_are_joined(
        self, connection: str, emulator: EmulatorServer, context: Any, tmp_path: Path, store: StrictStore
    ) -> None:
        """Writes to a slow store are joined."""
        folder = tmp_path / "many"
        folder.mkdir()
        for number in range(100):
            Image.new("L", (20 + number, 20), "white").save(folder / f"{number}.png")
        original = store.set

        def slow(key: str, value: Any, *, retention: Any = None) -> None:
            time.sleep(0.01)
            original(key, value, retention=retention)

        store.set = slow  # type: ignore[method-assign]
        batch(folder, tmp_path / "out", max_concurrency=50).execute(context)
        assert store.writes < 200
        assert store.documents() == {}

    def test_durable_false_forgets_but_knows_its_own_files(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path
    ) -> None:
        for expected in (6, 12):
            assert batch(inbox, outbox, durable=False).execute(context)["completed"] == 6
            assert emulator.calls().accepted == expected

    def test_an_empty_manifest_is_nobodys(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "empty").mkdir()
        batch(tmp_path / "empty", outbox, on_empty="succeed").execute(context)
        context["ti"] = task_instance(task_id="another")
        assert batch(inbox, outbox).execute(context)["completed"] == 6
