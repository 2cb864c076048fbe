"""What one call of a batch learns of the service holds for all, also after a deferral."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_asposeocr.batches.gate import BatchGate
from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import AsposeOcrRateLimitError, AsposeOcrServiceError
from tests.unit.batches.batch_stubs import DEFERRED, batch, deferred_by, ticking, woken
from tests.unit.task_stubs import Clock

AWAY = AsposeOcrServiceError("HTTP 503", status=503)
TOO_MANY = AsposeOcrRateLimitError("HTTP 429", status=429)


def slowed_down(now: float) -> BatchGate:
    gate = BatchGate()
    for _ in range(40):
        gate.accepted(now)
    gate.failed(TOO_MANY, now, now, submission=True)
    return gate


def test_a_batch_that_was_slowed_down_submits_on_after_a_deferral(
    slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path
) -> None:
    """What was refused before a deferral slows down what comes after it, and ends nothing."""
    slow_emulator.add_faults(
        [{"kind": "status", "status": 429, "after": 1, "method": "POST", "path": "RecognizeImage"}]
    )
    images = [str(path) for path in sorted(inbox.rglob("*.png"))[:3]]
    kwargs: dict[str, Any] = {"max_concurrency": 2, "timeout": None}
    deferred_by(batch(images, outbox, **kwargs, **DEFERRED), context)
    assert slow_emulator.calls().accepted == 2
    with ticking(clock):
        xcom = woken(batch(images, outbox, **kwargs), context, {})
    assert (xcom["completed"], slow_emulator.calls().accepted) == (3, 3)


def test_a_wake_while_the_service_is_away_asks_seldom(
    slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path
) -> None:
    """What is known of an outage outlives a deferral: a worker that is woken for nothing soon ends again."""
    slow_emulator.add_faults([{"kind": "status", "status": 503, "count": None, "path": "RecognizeImage"}])
    # Of the longest pause more is left than what a worker waits for. One that knew nothing would ask four times.
    patient: dict[str, Any] = {**DEFERRED, "poll_interval_max": 0.2}
    deferred_by(batch(inbox, outbox, **patient), context)
    for _ in range(3):
        before = slow_emulator.calls().total
        with pytest.raises(TaskDeferred):
            woken(batch(inbox, outbox, **patient), context, {})
        assert slow_emulator.calls().total - before <= 3
    slow_emulator.clear_faults()
    with ticking(clock):
        xcom = woken(batch(inbox, outbox, timeout=None), context, {})
    assert (xcom["completed"], slow_emulator.calls().accepted) == (6, 6)


def test_an_outage_is_as_old_after_a_deferral_as_before() -> None:
    """After five minutes of it, in all, no worker waits for its end."""
    before, after = BatchGate(), BatchGate()
    before.failed(AWAY, 1000.0, 1000.0, submission=True)
    after.go_on(before.to_json(1000.0), 1001.0)
    assert after.hopeless_wait(1290.0) is None
    after.failed(AWAY, 1310.0, 1310.0, submission=True)
    assert after.hopeless_wait(1310.0) == after.longest_wait


def test_a_gate_goes_on_at_the_pace_at_which_another_one_stopped() -> None:
    before, after = slowed_down(1000.0), BatchGate()
    after.go_on(before.to_json(1001.0), 1002.0)
    for _ in range(2):
        after.submitting(1500.0)
        after.accepted(1500.0)
    assert after.pace == before.pace == pytest.approx(20.0)
    assert after.submit_at() == pytest.approx(1500.05)


def test_a_gate_that_goes_on_raises_its_pace_step_by_step() -> None:
    gate = BatchGate()
    gate.go_on(slowed_down(1000.0).to_json(1001.0), 1002.0)
    gate.submitting(1500.0)
    gate.submitting(1510.0)
    assert gate.pace == pytest.approx(20.0 + 0.08 * 40 * 10)


def test_a_clock_that_is_put_back_closes_no_door_for_longer() -> None:
    """As where the worker before had a clock that was a day ahead: ten seconds are ten seconds."""
    ahead, after = BatchGate(), BatchGate()
    ahead.failed(AsposeOcrServiceError("HTTP 503", retry_after=10.0), 90_000.0, 90_000.0, submission=True)
    after.go_on(ahead.to_json(90_001.0), 3600.0)
    assert (after.submit_at(), after.poll_at(), after.hopeless_wait(3600.0)) == (3609.0, 3609.0, None)
    assert after.hopeless_wait(3610.0 + after.patience) == after.longest_wait


ODD_DOORS = [[[1, "today", 5.0], [0, None, 0.0]], [[1, 5.0, math.nan], [0, None, 0.0]], [[1, 5.0, math.inf]] * 2]


@pytest.mark.parametrize(
    "kept",
    [None, 12.5, [], "much", {"pace": "much"}, {"doors": 3}, *({"doors": doors, "pace": None} for doors in ODD_DOORS)],
)
def test_a_gate_of_which_nothing_is_known_has_no_pace(kept: Any) -> None:
    gate = BatchGate()
    gate.go_on(kept, 1000.0)
    assert gate.hopeless_wait(1000.0) is None
    gate.submitting(1000.0)
    assert (gate.pace, gate.submit_at()) == (None, 0.0)


def accepted_within(seconds: float, gate: BatchGate, limit: int, away_for: float = 0.0) -> int:
    """How many documents a service takes that is away first, and then takes so many a second."""
    now, accepted = 1000.0, 0
    in_second: dict[int, int] = {}
    while now < 1000.0 + seconds:
        gate.submitting(now)
        second = int(now)
        if now < 1000.0 + away_for or in_second.get(second, 0) >= limit:
            gate.failed(TOO_MANY, now, now, submission=True)
        else:
            gate.accepted(now)
            in_second[second] = in_second.get(second, 0) + 1
            accepted += 1
        now = max(now + 0.001, gate.submit_at())
    return accepted


def test_a_pace_that_was_taken_too_low_is_left_behind_soon() -> None:
    """Where few answers had come in when the first refusal did: the service takes more than was seen then."""
    gate = BatchGate()
    for _ in range(5):
        gate.accepted(1000.0)
    gate.failed(TOO_MANY, 1000.0, 1000.0, submission=True)
    assert accepted_within(60.0, gate, limit=50) > 0.6 * 60 * 50


def test_a_batch_whose_first_documents_are_refused_finds_the_pace_of_the_service() -> None:
    """As where other tasks use up the limit for a moment: it does not crawl for the rest of its time."""
    assert accepted_within(120.0, BatchGate(), limit=50, away_for=2.0) > 120 * 50 / 2


def test_a_poll_that_fails_now_and_then_is_no_outage() -> None:
    """Also where nothing was submitted meanwhile, as while the last jobs run: each time the next poll was answered."""
    gate = BatchGate()
    for now in (1000.0, 1400.0, 1800.0):
        gate.failed(AWAY, now, now, submission=False)
        assert gate.hopeless_wait(now) is None
        gate.answered()


def test_an_outage_at_the_last_submission_is_over_for_who_has_nothing_more_to_submit() -> None:
    """Nobody finds out any more whether that door is open."""
    gate = BatchGate()
    gate.failed(AWAY, 1000.0, 1000.0, submission=True)
    gate.answered()
    gate.failed(AWAY, 1400.0, 1400.0, submission=False)
    assert gate.hopeless_wait(1400.0, submits=False) is None
    assert gate.hopeless_wait(1400.0) is not None
