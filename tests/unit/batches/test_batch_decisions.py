"""What a batch has decided, or a user for it: it holds over all deferrals of a try, and over the tries after it."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrBatchError,
    AsposeOcrBatchPausedError,
    AsposeOcrBatchRefusedError,
    AsposeOcrCancelledError,
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
from tests.unit.task_stubs import Clock, killed_once

AWAY = {"kind": "status", "status": 429, "retry_after": 3600, "method": "POST", "path": "RecognizeImage", "count": None}


def ended_by(images: Any, outbox: Path, context: Any, clock: Clock, **kwargs: Any) -> Exception:
    """Wake a batch as often as it takes, and return what it ends with."""
    trigger = deferred_by(batch(images, outbox, **kwargs, **DEFERRED), context)
    for _ in range(30):
        clock.now += 120
        event = event_of_batch(trigger.serialize()[1]) if trigger.watched else {}
        with pytest.raises((TaskDeferred, AsposeOcrBatchError)) as ended:
            woken(batch(images, outbox, **kwargs, **DEFERRED), context, event)
        if not isinstance(ended.value, TaskDeferred):
            return ended.value
        trigger = ended.value.trigger
    raise AssertionError("the batch does not end")


@pytest.mark.parametrize(("bad", "most"), [([0], 0), ([0, 3], 1)])
def test_max_failures_holds_over_all_deferrals_of_a_try(
    slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path, bad: list[int], most: int
) -> None:
    """A batch that is woken knows how many have failed, and that it submits no more."""
    images = [str(path) for path in sorted(inbox.rglob("*.png"))]
    for at in bad:
        (inbox / f"bad-{at}.png").write_text("just text")
        images.insert(at, str(inbox / f"bad-{at}.png"))
    error = ended_by(images, outbox, context, clock, max_failures=most, max_concurrency=2)
    assert f"more than max_failures={most} documents failed" in str(error)
    assert slow_emulator.calls().accepted <= 4


def test_what_may_be_billed_each_time_is_submitted_no_more_often_for_deferrals(
    slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path
) -> None:
    slow_emulator.add_faults([{"kind": "reset_after", "method": "POST", "path": "RecognizeImage", "count": None}])
    images = [str(inbox / "2023" / "0.png")]
    error = ended_by(images, outbox, context, clock, resubmit_on_ambiguity=True, poll_interval_max=0.2)
    assert isinstance(error, AsposeOcrBatchRefusedError)
    assert slow_emulator.calls().accepted == 6


def test_what_may_be_billed_each_time_is_submitted_no_more_often_for_tries(
    slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path
) -> None:
    slow_emulator.add_faults([{"kind": "reset_after", "method": "POST", "path": "RecognizeImage", "count": None}])
    images = [str(inbox / "2023" / "0.png")]
    ended_by(images, outbox, context, clock, resubmit_on_ambiguity=True, poll_interval_max=0.2)
    for _ in range(3):
        with pytest.raises(AsposeOcrBatchRefusedError, match="may have accepted and billed"):
            batch(images, outbox, resubmit_on_ambiguity=True).execute(context)
    assert slow_emulator.calls().accepted == 6


def paused(images: Any, outbox: Path, context: Any, emulator: EmulatorServer) -> None:
    """Let a try end before it comes to all of its documents."""
    emulator.add_faults([AWAY])
    with pytest.raises(AsposeOcrBatchPausedError):
        batch(images, outbox, max_concurrency=1).execute(context)
    emulator.clear_faults()


@pytest.mark.parametrize(
    ("submissions", "leave", "accepted", "said"),
    [
        (1, False, 0, "clear the task to submit it anew, or set resubmit_on_ambiguity=True."),
        (5, True, 1, ""),
        (6, True, 0, "may have been billed, as 6 submissions in all: clear the task to submit it anew."),
    ],
)
def test_a_worker_that_dies_while_it_submits_leaves_a_document_in_doubt(
    connection: str,
    emulator: EmulatorServer,
    context: Any,
    inbox: Path,
    outbox: Path,
    store: StrictStore,
    submissions: int,
    leave: bool,
    accepted: int,
    said: str,
) -> None:
    """The error says what can be done, and only that."""
    images = [str(inbox / "2023" / "0.png")]
    paused(images, outbox, context, emulator)
    # What is kept right before a POST, which that worker did not outlive.
    for slots in (value for key, value in store.kept.items() if key != "aspose_ocr_batch"):
        for entry in slots.values():
            entry.update(status="Submitting", submissions=submissions, submitted_at=time.time())
            entry.pop("error", None)
    before = emulator.calls().accepted
    again = batch(images, outbox, resubmit_on_ambiguity=leave)
    if accepted:
        assert again.execute(context)["completed"] == 1
    else:
        with pytest.raises(AsposeOcrBatchError, match=re.escape(said)):
            again.execute(context)
    assert emulator.calls().accepted - before == accepted


@pytest.mark.parametrize("fault", [{"kind": "reset_after"}, {"kind": "error", "messages": ["bad"]}])
def test_a_clear_holds_for_the_tries_after_the_one_that_it_has_begun(
    connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path, fault: dict[str, Any]
) -> None:
    """Nobody has to clear the task once more for what may have been billed, or has ended as an error twice."""
    emulator.add_faults([{**fault, "method": "POST", "path": "RecognizeImage", "count": None}])
    for _ in range(2):
        with pytest.raises(AsposeOcrBatchError):
            batch(inbox / "2023", outbox).execute(context)
    emulator.clear_faults()
    before = emulator.calls().accepted
    context["ti"] = task_instance(max_tries=5)
    paused(inbox / "2023", outbox, context, emulator)
    xcom = batch(inbox / "2023", outbox).execute(context)
    assert (xcom["completed"], xcom["submissions"]) == (3, emulator.calls().accepted) == (3, before + 3)


def test_what_was_billed_for_a_job_that_a_user_has_cancelled_counts_in_all_tries_after_it(
    slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path, store: StrictStore
) -> None:
    operator = batch(inbox, outbox)
    with (
        killed_once(lambda: slow_emulator.calls().accepted == 6, operator),
        pytest.raises(AsposeOcrCancelledError),
    ):
        operator.execute(context)
    for _ in range(2):
        paused(inbox, outbox, context, slow_emulator)
    with ticking(clock):
        xcom = batch(inbox, outbox).execute(context)
    assert (xcom["completed"], xcom["submissions"]) == (6, 12)
