"""A user ends a batch: each of its jobs is asked for before it is cancelled, and what cannot be asked is left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import AsposeOcrBatchError, AsposeOcrCancelledError
from airflow_provider_asposeocr.operators.batch import AsposeOcrBatchOperator
from tests.unit.batches.batch_stubs import DEFERRED, StrictStore, batch, deferred_by, ticking
from tests.unit.task_stubs import Clock, killed_once

STATES = "Utilities/GetTaskStatus"
LEFT = {"Running"}


def killed(emulator: EmulatorServer, operator: AsposeOcrBatchOperator, context: Any) -> None:
    """End a batch as a user does, once it has asked for the jobs of an earlier try."""
    polled = emulator.calls().count("GET", "RecognizeImage")
    with (
        killed_once(lambda: emulator.calls().count("GET", "RecognizeImage") > polled, operator),
        pytest.raises(AsposeOcrCancelledError),
    ):
        operator.execute(context)


def statuses(store: StrictStore) -> set[str]:
    return {kept["status"] for kept in store.documents().values()}


@pytest.fixture
def running(slow_emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path) -> EmulatorServer:
    """A service with six jobs of a batch that was deferred."""
    deferred_by(batch(inbox, outbox, **DEFERRED), context)
    return slow_emulator


def test_what_cannot_be_asked_is_not_cancelled_and_a_clear_fetches_it(
    running: EmulatorServer,
    clock: Clock,
    context: Any,
    inbox: Path,
    outbox: Path,
    store: StrictStore,
    logged: Callable[[], str],
) -> None:
    """An outage while the user ends the task costs no result: each job is named in the log, and stays remembered."""
    running.add_faults([{"kind": "status", "status": 503, "method": "GET", "path": STATES, "count": None}])
    killed(running, batch(inbox, outbox), context)
    assert running.calls().count("DELETE", "RecognizeImage") == 0
    assert statuses(store) == LEFT
    said = logged()
    assert all(f"{job.id} is not cancelled" in said for job in running.jobs())
    running.clear_faults()
    context["ti"].max_tries += 1
    clock.now += 120
    assert batch(inbox, outbox).execute(context)["completed"] == 6
    assert running.calls().accepted == 6


def test_a_service_that_does_not_answer_in_time_costs_no_result(
    running: EmulatorServer, context: Any, inbox: Path, outbox: Path, store: StrictStore
) -> None:
    """The process will soon be killed: what has not said where it stands by then is left."""
    running.add_faults([{"kind": "delay", "seconds": 0.5, "method": "GET", "path": STATES, "count": None}])
    operator = batch(inbox, outbox)
    operator.farewell = 0.1
    killed(running, operator, context)
    assert running.calls().count("DELETE", "RecognizeImage") == 0
    assert statuses(store) == LEFT


def test_a_cancel_that_is_not_confirmed_leaves_the_job_remembered(
    running: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path, store: StrictStore
) -> None:
    running.add_faults([{"kind": "status", "status": 500, "method": "DELETE", "path": "RecognizeImage", "count": None}])
    killed(running, batch(inbox, outbox), context)
    assert statuses(store) == LEFT
    clock.now += 120
    assert batch(inbox, outbox).execute(context)["completed"] == 6
    assert running.calls().accepted == 6


def test_a_job_that_the_service_does_not_know_is_submitted_anew_by_a_clear_only(
    running: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path
) -> None:
    """The kill itself submits nothing."""
    clock.now += 2 * 24 * 3600
    # Else the try may have learned before the kill that the jobs are gone, and have submitted the first anew.
    running.add_faults([{"kind": "status", "status": 503, "method": "GET", "path": "RecognizeImage", "count": None}])
    killed(running, batch(inbox, outbox), context)
    running.clear_faults()
    assert running.calls().accepted == 6
    context["ti"].max_tries += 1
    with ticking(clock):
        assert batch(inbox, outbox).execute(context)["completed"] == 6
    assert running.calls().accepted == 12


def test_the_first_failure_of_fail_fast_cancels_no_job_that_cannot_be_asked(
    slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path, store: StrictStore
) -> None:
    slow_emulator.add_faults([{"kind": "status", "status": 503, "method": "GET", "path": STATES, "count": None}])
    (inbox / "bad.png").write_text("just text")
    images = [str(inbox / "2023" / "0.png"), str(inbox / "bad.png"), str(inbox / "2023" / "1.png")]
    with pytest.raises((AsposeOcrBatchError, AirflowFailException)):
        batch(images, outbox, on_error="fail_fast", max_concurrency=2).execute(context)
    assert slow_emulator.calls().count("DELETE", "RecognizeImage") == 0
    accepted = slow_emulator.calls().accepted
    assert accepted >= 1
    slow_emulator.clear_faults()
    (inbox / "bad.png").unlink()
    with pytest.raises(AsposeOcrBatchError), ticking(clock):
        batch(images, outbox).execute(context)
    assert slow_emulator.calls().accepted == 2


def test_a_store_that_is_gone_does_not_hide_that_the_user_ended_the_task(
    running: EmulatorServer, context: Any, inbox: Path, outbox: Path, store: StrictStore
) -> None:
    """After a clear, the old try's store takes nothing any more: the jobs are cancelled all the same."""
    store.broken_for = "Waiting"
    killed(running, batch(inbox, outbox), context)
    assert all(job.cancelled for job in running.jobs())
