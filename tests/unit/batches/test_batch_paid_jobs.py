"""What a batch has paid for: it is neither cancelled nor submitted again, and waits for what a retry can mend."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred
from PIL import Image

from airflow_provider_asposeocr.api.polling import PollSchedule
from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrBatchError,
    AsposeOcrCancelledError,
    AsposeOcrInputError,
    AsposeOcrServiceError,
)
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrHook
from tests.unit.batches.batch_stubs import (
    DEFERRED,
    StrictStore,
    batch,
    deferred_by,
    event_of_batch,
    texts,
    ticking,
    woken,
)
from tests.unit.raw_server import JOB, RawServer, answer, task_answer
from tests.unit.task_stubs import Clock, killed_once


def test_a_kill_asks_before_it_cancels(
    slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path, store: StrictStore
) -> None:
    """Completed jobs are left to the next try, which delivers them."""
    deferred_by(batch(inbox, outbox, **DEFERRED), context)
    clock.now += 120
    for job in slow_emulator.jobs():
        AsposeOcrHook().wait("RecognizeImage", job.id, schedule=PollSchedule(0.02, 1, 0.02))
    operator = batch(inbox, outbox)
    # The service gives no results away, so that none is delivered before the kill.
    slow_emulator.add_faults(
        [{"kind": "status", "status": 503, "method": "GET", "path": "RecognizeImage", "count": None}]
    )
    polled = slow_emulator.calls().count("GET", "RecognizeImage")
    with (
        killed_once(lambda: slow_emulator.calls().count("GET", "RecognizeImage") > polled, operator),
        pytest.raises(AsposeOcrCancelledError),
    ):
        operator.execute(context)
    assert slow_emulator.calls().count("DELETE", "RecognizeImage") == 0
    assert {kept["status"] for kept in store.documents().values()} == {"Running"}
    slow_emulator.clear_faults()
    assert batch(inbox, outbox).execute(context)["completed"] == 6
    assert slow_emulator.calls().accepted == 6


def test_a_connection_that_the_triggerer_lacks_keeps_the_batch_in_the_worker(
    slow_emulator: EmulatorServer,
    define_connection: Callable[..., None],
    clock: Clock,
    context: Any,
    inbox: Path,
    outbox: Path,
) -> None:
    """It is not deferred again, only to be woken at once."""
    trigger = deferred_by(batch(inbox, outbox, **DEFERRED), context)
    to = {"host": slow_emulator.url, "login": "id", "password": "secret"}
    define_connection(**to, extra={"verify": "/no/such/bundle.pem"})
    event = event_of_batch(trigger.serialize()[1])
    assert (event["status"], event["error"]) == ("Refused", "AsposeOcrInputError")
    define_connection(**to)
    operator = batch(inbox, outbox, timeout=0.3, cancel_on_kill=False, **DEFERRED)
    with pytest.raises(AsposeOcrBatchError, match="did not end in time"):
        woken(operator, context, event)
    clock.now += 120
    assert batch(inbox, outbox).execute(context)["completed"] == 6
    assert slow_emulator.calls().accepted == 6


def test_a_connection_that_cannot_be_found_while_jobs_run_ends_a_try_and_a_retry_goes_on(
    slow_emulator: EmulatorServer,
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
    context: Any,
    inbox: Path,
    outbox: Path,
) -> None:
    """Airflow tells an outage of a secrets backend as a connection that is not there."""
    deferred_by(batch(inbox, outbox, **DEFERRED), context)
    with monkeypatch.context() as away:
        away.delenv("AIRFLOW_CONN_ASPOSE_OCR_DEFAULT")
        with pytest.raises(AsposeOcrServiceError, match="a retry goes on with them and is not billed again") as caught:
            batch(inbox, outbox).execute(context)
    assert not isinstance(caught.value, AirflowFailException)
    clock.now += 120
    assert batch(inbox, outbox).execute(context)["completed"] == 6
    assert slow_emulator.calls().accepted == 6


def test_a_connection_that_is_not_defined_is_told_before_anything_is_paid_for(
    context: Any, inbox: Path, outbox: Path
) -> None:
    with pytest.raises(AsposeOcrInputError, match="is not defined"):
        batch(inbox, outbox, aspose_ocr_conn_id="nowhere").execute(context)


def test_not_exist_right_after_the_submission_is_asked_again(
    raw_server: Callable[..., RawServer], context: Any, tmp_path: Path, outbox: Path
) -> None:
    """A replica that does not know the job yet does not cost it, however often a quick batch asks."""
    image = tmp_path / "one.png"
    Image.new("L", (20, 20), "white").save(image)
    unknown, done = task_answer("NotExist"), task_answer(results=[{"type": "Text", "data": "YQ=="}])
    polls = iter([unknown] * 6 + [done])
    server = raw_server(lambda received: answer(200, JOB) if received.method == "POST" else next(polls))
    operator = batch([str(image)], outbox)
    operator.doubt_patience = 60
    assert operator.execute(context)["completed"] == 1
    assert [received.method for received in server.requests] == ["POST", *["GET"] * 7]


def test_a_young_job_of_an_earlier_try_is_not_submitted_again_at_once(
    raw_server: Callable[..., RawServer], context: Any, tmp_path: Path, outbox: Path
) -> None:
    image = tmp_path / "one.png"
    Image.new("L", (20, 20), "white").save(image)
    running = task_answer("Processing")
    polls = iter([running, task_answer("NotExist"), task_answer(results=[{"type": "Text", "data": "YQ=="}])])
    server = raw_server(lambda received: answer(200, JOB) if received.method == "POST" else next(polls))
    with pytest.raises(TaskDeferred):
        batch([str(image)], outbox, deferrable=True, defer_after=0).execute(context)
    operator = batch([str(image)], outbox)
    operator.doubt_patience = 60
    assert operator.execute(context)["completed"] == 1
    assert [received.method for received in server.requests].count("POST") == 1


def test_a_file_that_appears_meanwhile_costs_no_result(
    slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path
) -> None:
    """The result of a paid job stands beside it, with a warning."""
    deferred_by(batch(inbox, outbox, **DEFERRED), context)
    (outbox / "2023").mkdir(exist_ok=True)
    (outbox / "2023" / "0.txt").write_text("somebody else's")
    clock.now += 120
    assert batch(inbox, outbox).execute(context)["completed"] == 6
    assert texts(outbox)["2023/0.txt"] == "somebody else's"
    assert len(texts(outbox)) == 7


def test_a_wake_submits_anew_what_a_clear_cancelled_after_its_try_was_deferred(
    slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path
) -> None:
    """The old try's trigger cancels while the new one is deferred already: the wake sees the jobs gone, once."""
    deferred_by(batch(inbox, outbox, **DEFERRED), context)
    context["ti"].max_tries += 1
    trigger = deferred_by(batch(inbox, outbox, **DEFERRED), context)
    for job in slow_emulator.jobs():
        AsposeOcrHook().cancel("RecognizeImage", job.id)
    clock.now += 120
    event = event_of_batch(trigger.serialize()[1])
    with pytest.raises(TaskDeferred):
        woken(batch(inbox, outbox, **DEFERRED), context, event)
    assert slow_emulator.calls().accepted == 12
    clock.now += 120
    assert woken(batch(inbox, outbox), context, {})["completed"] == 6
    assert slow_emulator.calls().accepted == 12


def put_back_the_clock(store: StrictStore) -> None:
    """Let all jobs have been submitted an hour from now."""
    for kept in store.documents().values():
        kept["submitted_at"] += 3600.0
    store.kept["aspose_ocr_batch"]["began_at"] += 3600.0


@pytest.mark.parametrize("wakes", [False, True])
def test_what_a_clock_that_was_ahead_submitted_is_fetched_at_once(
    slow_emulator: EmulatorServer,
    clock: Clock,
    context: Any,
    inbox: Path,
    outbox: Path,
    store: StrictStore,
    wakes: bool,
) -> None:
    """Not only once the time has come that was then: the time-out would be over long before."""
    deferred_by(batch(inbox, outbox, **DEFERRED), context)
    put_back_the_clock(store)
    clock.now += 120
    operator = batch(inbox, outbox, timeout=20)
    xcom = woken(operator, context, {}) if wakes else operator.execute(context)
    assert xcom["completed"] == slow_emulator.calls().accepted == 6


def test_a_job_that_a_clock_that_was_ahead_submitted_may_be_gone(
    slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path, store: StrictStore
) -> None:
    """It is not taken to be young for as long as the clock was ahead, be it that workers come and go."""
    deferred_by(batch(inbox, outbox, **DEFERRED), context)
    put_back_the_clock(store)
    deferred_by(batch(inbox, outbox, **DEFERRED), context)
    assert all(kept["submitted_at"] <= time.time() for kept in store.documents().values())
    put_back_the_clock(store)
    slow_emulator.reset()
    with ticking(clock):
        assert batch(inbox, outbox, timeout=20).execute(context)["completed"] == 6
    assert slow_emulator.calls().accepted == 6
