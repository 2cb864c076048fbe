"""Whole batches in a time of their own: what they cost, and what becomes of them where service and storage fail."""

from __future__ import annotations

import copy
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_asposeocr.batches.documents import DocumentStatus
from benchmarks.simulated_batch import SimulatedBatch
from benchmarks.simulated_service import SimulatedService, equal, lognormal, two_humps

LAST = 15.0
"""Seconds that the last and longest jobs may go on alone, when there are too few others to fill the places."""


@pytest.fixture
def new_batch(tmp_path: Path) -> Callable[..., SimulatedBatch]:
    def make(duration: Callable[[int], float], documents: int, at_once: int = 16, **kwargs: Any) -> SimulatedBatch:
        durations = [duration(number) for number in range(documents)]
        service = SimulatedService(durations.__getitem__, **kwargs)
        batch = SimulatedBatch(service, tmp_path, documents, at_once)
        batch.bound = max(sum(durations) / at_once, *durations)
        return batch

    return make


def assert_complete(batch: SimulatedBatch) -> None:
    """Each document was read once, and nothing is left over."""
    assert batch.summary is not None
    assert batch.summary.completed == batch.documents == batch.service.accepted == batch.service.written
    assert batch.summary.submissions == batch.documents
    assert batch.store.kept.keys() == {"aspose_ocr_batch"} or not any(
        value for key, value in batch.store.kept.items() if key != "aspose_ocr_batch"
    )


class TestGoals:
    @pytest.mark.parametrize("at_once", [16, 64])
    @pytest.mark.parametrize("seconds", [2.0, 20.0])
    def test_equal_durations(self, new_batch: Callable[..., SimulatedBatch], seconds: float, at_once: int) -> None:
        """Equal jobs cost at most one call and a half each, and end within 5 % and 2 s of the bound."""
        batch = new_batch(equal(seconds), 256, at_once)
        batch.run()
        assert_complete(batch)
        assert batch.service.most_at_once == at_once
        assert batch.service.polls <= 1.5 * batch.documents
        assert batch.seconds <= 1.05 * math.ceil(batch.documents / at_once) * seconds + 2

    def test_lognormal_durations(self, new_batch: Callable[..., SimulatedBatch]) -> None:
        """Jobs as they are end within 1.3 times the bound at 2.7 calls each, where the last ones weigh little."""
        batch = new_batch(lognormal(0), 800)
        batch.run()
        assert_complete(batch)
        assert batch.service.polls <= 2.7 * batch.documents
        assert batch.seconds <= 1.3 * batch.bound + LAST

    def test_two_humped_durations(self, new_batch: Callable[..., SimulatedBatch]) -> None:
        """A few long jobs among short ones make neither late nor dear."""
        batch = new_batch(two_humps(0), 400)
        batch.run()
        assert_complete(batch)
        assert batch.service.polls <= 3 * batch.documents
        assert batch.seconds <= 1.3 * batch.bound

    @pytest.mark.parametrize(
        ("duration", "documents", "calls"), [(equal(2.0), 256, 1.5), (lognormal(0), 300, 2.9), (two_humps(0), 200, 3.0)]
    )
    def test_a_deferred_batch(
        self, new_batch: Callable[..., SimulatedBatch], duration: Callable[[int], float], documents: int, calls: float
    ) -> None:
        """Worker and trigger together ask hardly more than a worker alone: no job twice for what is known of it."""
        batch = new_batch(duration, documents)
        deferrals = batch.run_deferred()
        assert_complete(batch)
        assert deferrals > 4
        assert batch.service.polls <= calls * batch.documents

    def test_jobs_of_minutes_are_not_taken_for_hours(self, new_batch: Callable[..., SimulatedBatch]) -> None:
        """A job that runs longer than those that have ended has likely ended soon: nobody waits ten times as long."""
        batch = new_batch(lambda number: 460 * (number * 17 % 64 + 1) / 64, 64, 64, answer=0.3)
        batch.run_deferred(timeout=None)
        assert_complete(batch)
        assert batch.seconds <= 1.3 * 460

    def test_results_are_fetched_and_written_side_by_side(self, new_batch: Callable[..., SimulatedBatch]) -> None:
        """128 documents of 6 s, 64 at once, with slow answers and a slow storage, end within 1.3 times the bound."""
        batch = new_batch(equal(6.0), 128, 64, answer=0.1, write=0.3)
        batch.run()
        assert_complete(batch)
        assert batch.seconds <= 1.3 * 12

    def test_fewer_calls_for_who_would_rather_wait(self, new_batch: Callable[..., SimulatedBatch]) -> None:
        batch = new_batch(lognormal(0), 300)
        batch.run(calls_per_document=1.3)
        assert_complete(batch)
        assert batch.service.polls <= 1.5 * batch.documents

    def test_bytes_written(self, new_batch: Callable[..., SimulatedBatch]) -> None:
        """List, journal and manifest together take less than three times the manifest."""
        batch = new_batch(equal(2.0), 500, 64)
        batch.run()
        assert batch.bytes_written <= 3 * batch.memory().manifest.stat().st_size


class TestTrouble:
    def test_an_outage_of_two_minutes_fails_no_document(self, new_batch: Callable[..., SimulatedBatch]) -> None:
        """All wait behind one gate: few calls are refused meanwhile."""
        batch = new_batch(equal(2.0), 600, outages=((20, 140),))
        batch.run()
        assert_complete(batch)
        assert batch.service.posts - batch.service.accepted < 60

    @pytest.mark.parametrize("at_once", [16, 64])
    def test_a_rate_limit_fails_no_document(self, new_batch: Callable[..., SimulatedBatch], at_once: int) -> None:
        """The pace follows what the service takes: it is halved on a refusal, and raised step by step."""
        batch = new_batch(equal(2.0), 300, at_once, posts_per_second=5)
        batch.run()
        assert_complete(batch)
        assert batch.service.posts <= 1.4 * batch.documents
        assert batch.seconds <= 2 * batch.documents / 5

    def test_a_used_up_quota_leaves_the_others_waiting(self, new_batch: Callable[..., SimulatedBatch]) -> None:
        """What is paid for is fetched, nothing more is uploaded, and the wait that was asked for is known."""
        batch = new_batch(equal(2.0), 1000, quota=(50, 3600.0))
        run = batch.run()
        assert run.finished is False
        assert batch.summary is not None
        assert batch.summary.counts == {DocumentStatus.COMPLETED: 50, DocumentStatus.WAITING: 950}
        assert batch.service.posts < 50 + 2 * 16
        assert batch.summary.failures == []
        batch.service.quota = None
        batch.run()
        assert_complete(batch)

    def test_a_storage_that_takes_nothing_costs_few_submissions(self, new_batch: Callable[..., SimulatedBatch]) -> None:
        """Nothing more is paid for while results cannot be written; the next try fetches them."""
        batch = new_batch(equal(2.0), 200, broken_writes=math.inf)
        run = batch.run()
        assert run.ends.stopped == "results cannot be written"
        assert batch.service.accepted <= 32
        batch.service.broken_writes = 0
        batch.run()
        assert_complete(batch)

    def test_a_storage_that_is_away_for_a_moment_costs_nothing(self, new_batch: Callable[..., SimulatedBatch]) -> None:
        batch = new_batch(equal(2.0), 100, broken_writes=3)
        batch.run()
        assert_complete(batch)

    def test_one_stuck_job_stalls_nobody(self, new_batch: Callable[..., SimulatedBatch]) -> None:
        """Its place is lost until its time is over; the others go on."""
        batch = new_batch(lambda number: 1e9 if number == 3 else 2.0, 200)
        batch.run(timeout=100.0)
        assert batch.summary is not None
        assert batch.summary.completed == 199
        assert batch.summary.failures[0].number == 3
        assert batch.seconds < 110

    def test_a_job_that_is_left_running_wakes_nobody_again(self, new_batch: Callable[..., SimulatedBatch]) -> None:
        """What goes on at the service beyond its time-out: each wake of a deferred batch finds another job ended."""
        batch = new_batch(lambda number: 1e9 if number == 3 else 20.0, 64)
        assert batch.run_deferred(timeout=30.0, cancel_on_timeout=False) <= batch.documents
        assert batch.summary is not None
        assert batch.summary.completed == 63
        assert batch.summary.failures[0].number == 3

    def test_a_triggerer_that_was_away_makes_no_later_job_late(self, new_batch: Callable[..., SimulatedBatch]) -> None:
        """Jobs that were first looked at long after their end teach nothing of how long jobs take."""
        batch, away = new_batch(equal(2.0), 64), 60.0
        wakes = batch.run_deferred(away=away)
        assert_complete(batch)
        assert batch.seconds - 2 * away * wakes <= 3 * batch.bound


class TestCalls:
    def test_a_try_after_a_kill_counts_on(self, new_batch: Callable[..., SimulatedBatch], tmp_path: Path) -> None:
        """What a try had asked until a few seconds before its worker was lost is in the count of the next one."""
        batch = new_batch(equal(2.0), 200)
        deliver, left = batch.service.deliver, tmp_path.with_name("left")
        polls, kept = 0, {}

        async def noting(*args: Any) -> Any:
            nonlocal polls, kept
            if batch.service.written >= 150 and not kept:
                # What another process would find.
                shutil.copytree(tmp_path, left)
                polls, kept = batch.service.polls, copy.deepcopy(batch.store.kept)
            return await deliver(*args)

        batch.service.deliver = noting  # type: ignore[method-assign]
        batch.run()
        batch.folder, batch.store.kept = left, kept
        before = batch.service.polls
        run = batch.run()
        known = run.progress.calls - (batch.service.polls - before)
        assert 0.5 * polls < known <= polls


class TestGuards:
    def test_max_submissions_holds_over_all_tries(self, new_batch: Callable[..., SimulatedBatch]) -> None:
        batch = new_batch(equal(2.0), 200)
        for _ in range(2):
            run = batch.run(max_submissions=40)
            assert (batch.service.accepted, batch.service.posts) == (40, 40)
            assert run.ends.stopped is not None
            assert "max_submissions=40 is reached" in run.ends.stopped

    def test_a_retry_that_finds_finished_jobs_fetches_them_at_once(
        self, new_batch: Callable[..., SimulatedBatch]
    ) -> None:
        """Five hundred finished jobs are fetched in seconds, one call each."""
        batch = new_batch(equal(30.0), 500, 500, answer=0.1, write=0.3)
        run = batch.run(pause_after=5.0)
        assert run.finished is False
        assert batch.service.accepted == 500
        batch.service.epoch += 3600
        before = batch.service.polls
        batch.run()
        assert_complete(batch)
        assert batch.service.polls - before <= 1.1 * 500
        assert batch.seconds < 10
