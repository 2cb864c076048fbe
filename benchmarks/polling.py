"""
API calls and detection delay per job, by simulation: the real decisions on a clock that only the waits move.

A call takes no time here, and coming back from a deferral neither: the delay is from a job's end to the answer that
says so. Of each fixed job time, half a second to either side is drawn; the same jobs, by a fixed seed, for all.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from airflow_provider_asposeocr.api.answers import TaskStatus
from airflow_provider_asposeocr.api.polling import Poller, PollSchedule
from airflow_provider_asposeocr.api.results import OcrTask
from airflow_provider_asposeocr.api.waiting import DEFAULT_DEFER_AFTER
from benchmarks.report import Goal, Table, Topic, number

JOB_TIMES = (1.0, 3.0, 8.0, 15.0, 60.0)
MEDIAN, SIGMA = 4.0, 0.8
MAX_CALLS, MAX_DELAY = 2.7, 1.7
SEED = 4
OURS, SDK = "ours: Poller, PollSchedule()", "SDK loop, sleep 1 s"


@dataclass(frozen=True, slots=True)
class Detection:
    """
    How the end of a job was noticed.

    :param calls: of the API, the one that brings the result among them.
    :param delay: seconds from the end of the job to the answer that says so.
    """

    calls: int
    delay: float


Policy = Callable[[float, random.Random], Detection]


def every(interval: float, first: float) -> Policy:
    """
    Ask in fixed intervals.

    :param interval: seconds.
    :param first: when to ask first; 0: at once.
    """

    def detect(job_seconds: float, _random: random.Random) -> Detection:
        now, calls = first, 1
        while now < job_seconds:
            now, calls = now + interval, calls + 1
        return Detection(calls, now - job_seconds)

    return detect


def ours(schedule: PollSchedule, defer_after: float | None = None) -> Policy:
    """
    Ask when the package's poller says so.

    :param schedule: of the poller.
    :param defer_after: seconds after which a worker leaves the job to the triggerer, which asks for the state alone:
        one call more fetches the result. ``None``: the worker waits to the end.
    """

    def detect(job_seconds: float, draw: random.Random) -> Detection:
        now, calls, deferred = 0.0, 0, False
        poller = Poller(schedule, started_at=0.0, uniform=draw.uniform)
        outcome = poller.first(now)
        while not outcome.is_final:
            # As `AsposeOcrHook.follow(until=)` does; the trigger keeps the time of the next poll.
            deferred = deferred or (defer_after is not None and now + outcome.delay > defer_after)
            now, calls = now + outcome.delay, calls + 1
            status = TaskStatus.COMPLETED if now >= job_seconds else TaskStatus.PROCESSING
            outcome = poller.on_answer(OcrTask("a job", status), now)
        return Detection(calls + deferred, now - job_seconds)

    return detect


POLICIES: dict[str, Policy] = {
    SDK: every(1.0, first=0.0),
    "HttpSensor, its default of 60 s": every(60.0, first=0.0),
    "fixed 5 s": every(5.0, first=5.0),
    OURS: ours(PollSchedule()),
    f"ours, deferrable (after {DEFAULT_DEFER_AFTER:g} s)": ours(PollSchedule(), DEFAULT_DEFER_AFTER),
}


def run(quick: bool) -> Topic:
    """
    Simulate all policies.

    :param quick: fewer jobs.
    """
    count = 2_000 if quick else 50_000
    draw = random.Random(SEED)
    columns = [[time + draw.uniform(-0.5, 0.5) for _ in range(count)] for time in JOB_TIMES]
    columns.append([MEDIAN * draw.lognormvariate(0, SIGMA) for _ in range(count)])
    rows: list[list[str]] = []
    figures: dict[str, tuple[float, float]] = {}
    for name, policy in POLICIES.items():
        found = [_all(policy, jobs) for jobs in columns]
        figures[name] = _means(found[-1])
        late = statistics.quantiles([detection.delay for detection in found[-1]], n=20)[-1]
        rows.append([name, *(f"{calls:.1f} / {delay:.2f}" for calls, delay in map(_means, found)), number(late)])
    calls, delay = figures[OURS]
    sdk_calls, sdk_delay = figures[SDK]
    goal = Goal(
        f"calls per job, lognormal job times (median {MEDIAN:g} s, sigma {SIGMA:g})",
        f"<= {MAX_CALLS:g} at a mean delay <= {MAX_DELAY:g} s",
        f"{calls:.2f} at {delay:.2f} s",
        f"SDK loop {sdk_calls:.1f} at {sdk_delay:.2f} s",
        calls <= MAX_CALLS and delay <= MAX_DELAY,
    )
    table = Table(
        "Polling: calls per job / mean delay in s, by job time",
        ("policy", *(f"{time:g} s" for time in JOB_TIMES), "lognormal", "its p95 delay"),
        rows,
    )
    return Topic("Polling", [goal], [table], [f"By simulation of {count} jobs each, seed {SEED}."])


def _all(policy: Policy, jobs: Sequence[float]) -> list[Detection]:
    draw = random.Random(SEED)
    return [policy(job, draw) for job in jobs]


def _means(detections: Sequence[Detection]) -> tuple[float, float]:
    return (
        statistics.fmean(detection.calls for detection in detections),
        statistics.fmean(detection.delay for detection in detections),
    )
