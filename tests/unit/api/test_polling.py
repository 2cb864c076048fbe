"""The poll decision: its times, what it costs, and that it is total."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import NormalDist, fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asposeocr.api.answers import TaskStatus
from airflow_provider_asposeocr.api.polling import (
    REPLICA_LAG,
    Poller,
    PollOutcome,
    PollSchedule,
    PollVerdict,
    is_transient,
)
from airflow_provider_asposeocr.api.results import OcrTask
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrAmbiguousSubmissionError,
    AsposeOcrAuthError,
    AsposeOcrCancelledError,
    AsposeOcrInputError,
    AsposeOcrProtocolError,
    AsposeOcrRateLimitError,
    AsposeOcrRequestError,
    AsposeOcrServiceError,
)
from tests.unit.api.exchanges import JOB

START = 1_700_000_000.0
STEADY = PollSchedule(jitter=0)
TRANSIENT = [AsposeOcrServiceError, AsposeOcrRateLimitError, AsposeOcrProtocolError]
PERMANENT = [
    AsposeOcrInputError,
    AsposeOcrAuthError,
    AsposeOcrRequestError,
    AsposeOcrAmbiguousSubmissionError,
    AsposeOcrCancelledError,
]
PENDING = OcrTask(JOB, TaskStatus.PENDING)


def poll_times(until: float, schedule: PollSchedule = STEADY) -> list[float]:
    """The ages of a job at its polls, up to the first one after it ended."""
    poller = Poller(schedule, START)
    ages, outcome = [], poller.first(START)
    while not ages or ages[-1] < until:
        ages.append((ages[-1] if ages else 0.0) + outcome.delay)
        outcome = poller.on_answer(PENDING, START + ages[-1])
    return ages


def cost(ends: list[float]) -> tuple[list[int], list[float]]:
    """How many polls each of these jobs takes, and how long after its end the last one comes."""
    polls = [poll_times(end) for end in ends]
    return [len(ages) for ages in polls], [ages[-1] - end for ages, end in zip(polls, ends, strict=True)]


class TestDefaultSchedule:
    def test_times(self):
        """These are the times of the default polls."""
        expected = [2, 4.5, 7.625, 11.53, 16.41, 22.52, 30.15, 39.68, 49.68, 59.68, 69.68]
        assert poll_times(60) == pytest.approx(expected, abs=0.005)

    def test_is_the_series_of_waits_that_grow_by_the_backoff(self):
        """Each wait is longer than the one before by the backoff, up to the longest."""
        ages = [0.0, *poll_times(300)]
        waits = [later - earlier for earlier, later in pairwise(ages)]
        assert waits == pytest.approx([min(2 * 1.25**at, 10) for at in range(len(waits))])

    # The bold row of the table "Polling" in the performance reference: calls per job and mean delay, for jobs whose
    # durations spread evenly by 10 % around the column's.
    @pytest.mark.parametrize(
        ("duration", "calls", "delay"), [(1, 1, 1), (3, 2, 1.5), (8, 3.7, 2.5), (15, 5, 1.6), (60, 10.5, 5)]
    )
    def test_cost(self, duration, calls, delay):
        """Jobs of these durations cost these calls and delays, as docs/costs.md says."""
        ends = [duration * (0.9 + 0.2 * (at + 0.5) / 2000) for at in range(2000)]
        polls, delays = cost(ends)
        assert fmean(polls) == pytest.approx(calls, abs=0.06)
        assert fmean(delays) == pytest.approx(delay, abs=0.06)

    def test_cost_of_lognormal_jobs(self):
        """Median 4 s, sigma 0.8."""
        quantiles = [(at + 0.5) / 4000 for at in range(4000)]
        ends = [math.exp(math.log(4) + 0.8 * NormalDist().inv_cdf(quantile)) for quantile in quantiles]
        polls, delays = cost(ends)
        assert fmean(polls) == pytest.approx(2.6, abs=0.05)
        assert fmean(delays) == pytest.approx(1.61, abs=0.015)
        assert sorted(delays)[int(0.95 * len(delays))] == pytest.approx(3.7, abs=0.05)


class TestSchedule:
    @pytest.mark.parametrize(
        ("values", "named"),
        [
            ({"interval": 0}, "poll_interval"),
            ({"interval": -1}, "poll_interval"),
            ({"interval": math.nan}, "poll_interval"),
            ({"backoff": 0.9}, "poll_backoff"),
            ({"backoff": math.nan}, "poll_backoff"),
            ({"interval_max": 1}, "poll_interval_max"),
            ({"interval": 11, "interval_max": 10}, "poll_interval_max"),
            ({"interval_max": math.nan}, "poll_interval_max"),
            ({"interval_max": math.inf}, "poll_interval_max"),
            ({"interval": math.inf}, "poll_interval"),
            ({"backoff": math.inf}, "poll_backoff"),
            ({"jitter": 1}, "jitter"),
            ({"jitter": -0.1}, "jitter"),
        ],
    )
    def test_values_that_make_none(self, values, named):
        """Values that make no schedule are refused, and named."""
        with pytest.raises(AsposeOcrInputError, match=named):
            PollSchedule(**values)

    def test_an_interval_alone_is_the_least_and_the_longest_wait(self):
        """An interval that is longer than the default longest wait is a schedule by itself."""
        assert poll_times(80, PollSchedule(interval=30, jitter=0)) == [30, 60, 90]

    @pytest.mark.parametrize(("drawn", "wait"), [(min, 1.8), (max, 2.2)])
    def test_jitter_goes_both_ways(self, drawn, wait):
        assert PollSchedule().wait(0, drawn) == pytest.approx(wait)

    def test_fixed_interval(self):
        """A backoff of 1 makes a fixed interval."""
        schedule = PollSchedule(interval=5, backoff=1, interval_max=5, jitter=0)
        assert poll_times(24, schedule) == [5, 10, 15, 20, 25]

    @pytest.mark.parametrize(("age", "delay"), [(-5, 2), (0, 2), (0.5, 1.5), (2, 0), (60, 0)])
    def test_the_first_wait_counts_from_the_submission(self, age, delay):
        outcome = Poller(STEADY, START).first(START + age)
        assert (outcome.verdict, outcome.delay) == (PollVerdict.WAIT, pytest.approx(delay))

    def test_a_clock_that_was_set_back_does_not_hurry(self):
        assert STEADY.wait(-3600) == 2


schedules = st.builds(
    lambda interval, backoff, more, jitter: PollSchedule(interval, backoff, interval + more, jitter),
    st.floats(0.01, 100),
    st.floats(1, 10),
    st.floats(0, 1000),
    st.floats(0, 0.99),
)
errors = st.sampled_from([*TRANSIENT, *PERMANENT]).map(lambda kind: kind("broken"))
asked_to_wait = st.floats(0, 1000).map(lambda seconds: AsposeOcrRateLimitError("slow down", retry_after=seconds))
events = st.sampled_from([OcrTask(JOB, status) for status in TaskStatus]) | errors | asked_to_wait


def decide(poller: Poller, event: OcrTask | Exception | None, now: float) -> PollOutcome:
    if event is None:
        return poller.first(now)
    return poller.on_answer(event, now) if isinstance(event, OcrTask) else poller.on_failure(event, now)


class TestDecision:
    @given(schedules, st.none() | events, st.floats(-10, 1e5), st.none() | st.floats(-10, 1e5), st.integers(0, 6))
    def test_total_never_too_fast_never_beyond_the_deadline(self, schedule, event, age, deadline, failures):
        """Every event has a verdict; no poll comes too soon or beyond the deadline."""
        now = START + age
        poller = Poller(schedule, START, None if deadline is None else START + deadline, failures=failures)
        outcome = decide(poller, event, now)
        assert outcome.verdict in PollVerdict
        assert outcome.is_final == (outcome.verdict is not PollVerdict.WAIT)
        if not outcome.is_final:
            # The first poll is spaced from the submission, all others from the one before; but the last one comes when
            # the time is over.
            spaced_from = min(START, now) if event is None else now
            is_last = poller.deadline is not None and now + outcome.delay >= poller.deadline - 1e-6
            assert is_last or now + outcome.delay - spaced_from >= schedule.least - 1e-6
            assert poller.deadline is None or now + outcome.delay <= max(poller.deadline, now) + 1e-6
            assert outcome.delay <= max(schedule.longest * 1.99, getattr(event, "retry_after", None) or 0) + 1e-6
        if isinstance(event, OcrTask) and event.status.is_terminal:
            assert outcome.verdict == event.status.value
        if poller.deadline is not None and now >= poller.deadline and event is not None:
            assert outcome.is_final

    @given(schedules, st.lists(events, max_size=30), st.floats(0, 500))
    def test_a_whole_life(self, schedule, happenings, timeout):
        """However a job goes, its polls are spaced, and end by the deadline."""
        now, deadline = START, START + timeout
        poller = Poller(schedule, START, deadline)
        outcome = poller.first(now)
        for event in happenings:
            if outcome.is_final:
                break
            assert outcome.delay >= schedule.least - 1e-6 or now + outcome.delay >= deadline - 1e-6
            now += outcome.delay
            assert now <= deadline + 1e-6
            outcome = decide(poller, event, now)

    @pytest.mark.parametrize("status", [TaskStatus.COMPLETED, TaskStatus.ERROR, TaskStatus.NOT_EXIST])
    def test_the_state_comes_before_the_deadline(self, status):
        poller = Poller(STEADY, START, deadline=START + 10)
        task = OcrTask(JOB, status)
        outcome = poller.on_answer(task, START + 99)
        assert (outcome.verdict, outcome.task) == (PollVerdict(status.value), task)

    @pytest.mark.parametrize("status", [TaskStatus.PENDING, TaskStatus.PROCESSING])
    def test_the_deadline(self, status):
        """The last poll comes at the deadline, and there the job has timed out."""
        poller = Poller(STEADY, START, deadline=START + 10)
        task = OcrTask(JOB, status)
        assert poller.on_answer(task, START + 4).delay == 3
        assert poller.on_answer(task, START + 7).delay == 3
        assert poller.on_answer(task, START + 8).delay == 2
        assert poller.on_answer(task, START + 9.5).delay == 0.5
        assert poller.on_answer(task, START + 10).verdict is PollVerdict.TIMED_OUT

    @pytest.mark.parametrize(("timeout", "polls"), [(7, [4, 7]), (4, [4]), (1, [1]), (0.001, [0.001])])
    def test_no_job_times_out_unasked(self, timeout, polls):
        """However short the time, there is a poll when it is over, and none that comes too soon before."""
        poller = Poller(PollSchedule(4, 1, 4, jitter=0), START, START + timeout)
        outcome, now, asked = poller.first(START), START, []
        while not outcome.is_final:
            now += outcome.delay
            asked.append(pytest.approx(now - START, abs=1e-6))
            outcome = poller.on_answer(PENDING, now)
        assert asked == polls
        assert outcome.verdict is PollVerdict.TIMED_OUT

    def test_not_exist_right_after_the_submission_is_asked_again(self):
        """A replica of the service may not know the job yet; after some seconds the service is believed."""
        poller = Poller(STEADY, START, lag=REPLICA_LAG)
        lost = OcrTask(JOB, TaskStatus.NOT_EXIST)
        assert poller.on_answer(lost, START + 2).verdict is PollVerdict.WAIT
        assert poller.on_answer(lost, START + REPLICA_LAG).verdict is PollVerdict.NOT_EXIST
        assert Poller(STEADY, START).on_answer(lost, START).verdict is PollVerdict.NOT_EXIST
        over = Poller(STEADY, START, START + 2, lag=REPLICA_LAG).on_answer(lost, START + 2)
        assert (over.verdict, type(over.error)) == (PollVerdict.TIMED_OUT, AsposeOcrServiceError)

    @pytest.mark.parametrize(("lag", "verdict"), [(0, PollVerdict.NOT_EXIST), (REPLICA_LAG, PollVerdict.WAIT)])
    def test_a_clock_that_was_put_back_makes_no_job_younger_than_new(self, lag, verdict):
        """Where a lagging replica is not reckoned with, the service is believed whatever the clock says."""
        lost = OcrTask(JOB, TaskStatus.NOT_EXIST)
        assert Poller(STEADY, START, lag=lag).on_answer(lost, START - 1).verdict is verdict

    def test_without_a_limit_of_failures_it_goes_on_until_the_deadline(self):
        """Where waiting is free, no outage ends it before its time, and the warnings become rarer."""
        poller = Poller(STEADY, START, START + 3600, max_failures=None)
        warned = []
        for failures in range(1, 41):
            assert poller.on_failure(AsposeOcrServiceError("down"), START + failures).verdict is PollVerdict.WAIT
            warned += [failures] * poller.is_worth_a_warning
        assert warned == [1, 2, 4, 8, 16, 32]
        assert poller.on_failure(AsposeOcrServiceError("down"), START + 3600).verdict is PollVerdict.TIMED_OUT

    @pytest.mark.parametrize(("asked", "verdict"), [(60, PollVerdict.WAIT), (61, PollVerdict.GAVE_UP)])
    def test_a_wait_beyond_the_patience_ends_it(self, asked, verdict):
        poller = Poller(STEADY, START, START + 600, patience=60)
        assert poller.on_failure(AsposeOcrRateLimitError("busy", retry_after=asked), START).verdict is verdict

    @pytest.mark.parametrize("kind", TRANSIENT)
    def test_five_failures_in_a_row_are_survived(self, kind):
        poller = Poller(STEADY, START)
        for failures in range(1, 6):
            assert poller.on_failure(kind("broken"), START).verdict is PollVerdict.WAIT
            assert poller.failures == failures
        last = kind("broken again")
        outcome = poller.on_failure(last, START)
        assert (outcome.verdict, outcome.error, outcome.reason) == (PollVerdict.GAVE_UP, last, "broken again")

    def test_an_answer_forgives_the_failures_before_it(self):
        poller = Poller(STEADY, START)
        for _ in range(3):
            for _ in range(5):
                assert not poller.on_failure(AsposeOcrServiceError("broken"), START).is_final
            assert not poller.on_answer(PENDING, START).is_final
            assert poller.failures == 0

    def test_how_many_failures_is_settable(self):
        assert Poller(STEADY, START, max_failures=0).on_failure(AsposeOcrServiceError(), START).is_final

    @pytest.mark.parametrize(("asked", "delay"), [(None, 2), (1, 2), (30, 30)])
    @pytest.mark.parametrize("kind", [AsposeOcrServiceError, AsposeOcrRateLimitError])
    def test_retry_after(self, kind, asked, delay):
        """What the service asks to wait is waited, and never less than the schedule says."""
        assert Poller(STEADY, START).on_failure(kind("busy", retry_after=asked), START).delay == delay

    @pytest.mark.parametrize("kind", PERMANENT)
    def test_permanent_faults_end_it_at_once(self, kind):
        error = kind("refused")
        outcome = Poller(STEADY, START).on_failure(error, START)
        assert (outcome.verdict, outcome.error) == (PollVerdict.REFUSED, error)
        assert not is_transient(error)
