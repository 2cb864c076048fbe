"""
When to ask for each of many jobs at once, so that a batch spends few calls and still ends soon after its last job.

A batch learns from its own jobs how long one takes (:mod:`airflow_provider_asposeocr.api.durations`) and asks for each
when that pays. Before the first has ended, it asks one of them at a time, in turn, at growing distances. Later, an ask
that will likely be in vain is made for a few jobs at a time only: what they answer tells of the others of their age.
Like :mod:`airflow_provider_asposeocr.api.polling`, this takes times and gives times.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_asposeocr.api.durations import AskingAges, Durations, asking_ages

DEFAULT_CALLS_PER_DOCUMENT = 2.6
"""Polls of a job that are aimed at, on the average, where durations differ. Equal ones take 1.2."""
FIRST_PROBE = 0.5
"""Seconds. No job is asked younger than this before one has ended."""
PROBES, LEAST_GROWTH, MOST_GROWTH = 3.5, 0.06, 0.6
"""By which share each probe is later than the last: ``PROBES`` by the number of running jobs, within bounds."""
LONGEST_WAIT = 60.0
"""Seconds between two probes at most."""
LEAST_PRICE = 0.012
"""A call is worth at least this share of a job's duration: who asks without end finds the end to the millisecond."""
PROMISING = 0.7
"""Asks that are likelier than this to find a job ended are made at once, all of them."""
EAGER = 16.0
"""With so many ended jobs, calls are half as cheap again as they are in the long run; with none, twice as cheap."""
REPAID_WITHIN = 64.0
"""Jobs within which calls are saved that were made beyond the aim."""
AT_A_TIME = 8
"""Of the others, one of so many running jobs is asked at a time."""


class BatchPacer:
    """
    Knows at which ages to ask for jobs.

    :param calls_per_document: how many polls per job to aim at.
    :param durations: what is known of the durations of jobs.
    """

    def __init__(
        self, calls_per_document: float = DEFAULT_CALLS_PER_DOCUMENT, durations: Durations | None = None
    ) -> None:
        self.durations = durations or Durations()
        self._aim = max(calls_per_document, 1.0)
        self._price = LEAST_PRICE
        self._calls = 0
        self._ends = 0
        self._news = 0
        self.ages: AskingAges | None = None
        """At which ages to ask; ``None`` while no job has ended."""

    @property
    def knows(self) -> bool:
        """Whether a job has ended yet."""
        return self.durations.number > 0

    @property
    def likely_age(self) -> float | None:
        """Seconds a job takes on the average, as far as that is known."""
        return self.ages.mean if self.ages else None

    def answered(self, after: float, age: float, *, ended: bool) -> None:
        """
        Take an answer into account.

        :param after: the age at which the job was seen unfinished before.
        :param age: at which it was asked, in seconds since its submission.
        :param ended: whether it had ended.
        """
        self._calls += 1
        self._news += 1
        if ended:
            self._ends += 1
            self.durations.ended(after, age)

    def fetched(self) -> None:
        """Take it that a job was asked that was known to have ended: a call more, and nothing new."""
        self._calls += 1

    def to_json(self) -> dict[str, Any]:
        """Return what was seen and spent as plain JSON."""
        return {"durations": self.durations.to_json(), "spent": [self._calls, self._ends, round(self._price, 6)]}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any], calls_per_document: float) -> BatchPacer:
        """
        Return the pacer that goes on where another one stopped.

        :param kept: what :meth:`to_json` returned there.
        :param calls_per_document: how many polls per job to aim at.
        """
        pacer = cls(calls_per_document, Durations.from_json(kept.get("durations") or {}))
        calls, ends, price = kept.get("spent") or (0, 0, LEAST_PRICE)
        pacer._calls, pacer._ends, pacer._price = int(calls), int(ends), float(price)
        return pacer

    def learn(self, unfinished: Sequence[float]) -> bool:
        """
        Draw the conclusions, where there are answers enough that are new.

        :param unfinished: the ages at which running jobs were last seen unfinished.
        :returns: whether the ages at which to ask are others now.
        """
        if not self.knows or (self.ages is not None and self._news < min(max(self.durations.number // 8, 1), 16)):
            return False
        self._news = 0
        shares = self.durations.estimate(unfinished)
        # While little is known, lateness costs more than calls.
        # What was spent beyond the aim, or saved, is made up for.
        owed = self._calls - self._aim * self._ends
        eager = self._aim * (1 + EAGER / (EAGER + self._ends))
        aim = max(1.0, eager - owed / (REPAID_WITHIN + self._ends / 4))
        ages = asking_ages(shares, self._price)
        for _ in range(12):
            least = LEAST_PRICE * ages.mean
            if ages.calls > aim * 1.02:
                self._price = max(self._price, least) * 1.3
            elif self._price > least and ages.calls < aim * 0.95:
                self._price = max(least, self._price / 1.2)
            elif self._price < least:
                self._price = least
            else:
                break
            tried, ages = ages, asking_ages(shares, self._price)
            if tried.calls < aim * 0.95 and ages.calls > aim * 1.02:
                break
        self.ages = ages
        return True


@dataclass(slots=True)
class _Job:
    """A job that is waited for; all times in seconds since the epoch."""

    started_at: float
    deadline: float
    unfinished: float = 0.0
    """The age at which it was last seen unfinished."""
    wanted: float | None = None
    """When to ask; ``None`` while nothing is known of how long jobs take."""
    not_before: float = 0.0
    """The service wants not to be asked sooner."""
    is_over: bool = False
    """Somebody has seen that it has ended: it is asked for its result only."""
    asks: int = 0
    asked_at: float = 0.0
    version: int = 0
    """Of its plan: what stands in the queue of another one is void."""

    @property
    def due(self) -> float:
        """When it is asked next, its deadline at the latest."""
        return self.deadline if self.wanted is None else min(max(self.wanted, self.not_before), self.deadline)


class BatchPolls:
    """
    Which jobs of a batch to ask, and when. Each job is asked by one poll at a time.

    :param pacer: knows how long jobs take.
    :param unfinished: of jobs that were asked elsewhere, the age in seconds at which each was last seen unfinished.
    """

    def __init__(self, pacer: BatchPacer | None = None, unfinished: Mapping[str, float] | None = None) -> None:
        self.pacer = pacer or BatchPacer()
        self._elsewhere = dict(unfinished or {})
        self._waiting: dict[str, _Job] = {}
        self._asking: dict[str, _Job] = {}
        self._queue: list[tuple[float, str, int]] = []
        self._probe_at: float | None = None
        self._probe_age = FIRST_PROBE
        self._in_vain = 0
        """How many of those that are being asked will likely not have ended."""
        self._unlikely: set[str] = set()

    def __len__(self) -> int:
        """How many jobs are waited for."""
        return len(self._waiting) + len(self._asking)

    def to_json(self) -> dict[str, Any]:
        """
        Return what is known as plain JSON, for who asks for the same jobs next.

        Without the ages, each job that is older than the first one to ask at would be asked anew by a woken worker, and
        by each trigger.
        """
        ages = {key: job.unfinished for jobs in (self._waiting, self._asking) for key, job in jobs.items()}
        known = {key: round(age, 3) for key, age in (self._elsewhere | ages).items() if age > 0}
        return {**self.pacer.to_json(), "unfinished": known}

    @classmethod
    def from_json(
        cls, kept: Mapping[str, Any] | None, calls_per_document: float = DEFAULT_CALLS_PER_DOCUMENT
    ) -> BatchPolls:
        """
        Go on where another one stopped.

        :param kept: what :meth:`to_json` returned there; ``None`` where there was none.
        :param calls_per_document: how many polls per job to aim at.
        """
        kept = kept or {}
        pacer = BatchPacer.from_json(kept, calls_per_document)
        polls = cls(pacer, {str(key): float(age) for key, age in (kept.get("unfinished") or {}).items()})
        pacer.learn(list(polls._elsewhere.values()))
        return polls

    def follow(self, key: str, started_at: float, deadline: float | None, *, over: bool = False) -> None:
        """
        Wait for a job.

        :param key: names it.
        :param started_at: when it was submitted.
        :param deadline: when it is asked for the last time; ``None`` for never.
        :param over: whether it is known to have ended: it is asked at once, whatever others say.
        """
        unfinished = self._elsewhere.pop(key, 0.0)
        job = _Job(started_at, math.inf if deadline is None else deadline, unfinished, is_over=over)
        job.asks = int(unfinished > 0)
        self._waiting[key] = job
        if over:
            self._want(key, job, started_at)
        else:
            self._plan(key, job)

    def take_due(self, now: float, most: int | None = None) -> list[str]:
        """
        Return the jobs to ask now. Each is then answered by one of the methods below.

        :param now: the time.
        :param most: how many may be asked; ``None`` for all.
        """
        due: list[str] = []
        put_off: list[tuple[float, str, int]] = []
        room = max(1, len(self) // AT_A_TIME) - self._in_vain
        while self._queue and self._queue[0][0] <= now and (most is None or len(due) < most):
            entry = heapq.heappop(self._queue)
            _, key, version = entry
            job = self._waiting.get(key)
            if job is None or job.version != version:
                continue
            if not self._is_promising(job, now):
                if room <= 0:
                    put_off.append(entry)
                    continue
                room -= 1
                self._in_vain += 1
                self._unlikely.add(key)
            due.append(key)
            del self._waiting[key]
            self._asking[key] = job
            job.asked_at = now
            job.asks += 1
        for entry in put_off:
            heapq.heappush(self._queue, entry)
        return due

    def _is_promising(self, job: _Job, now: float) -> bool:
        """Whether an answer will likely be the last: the deadline is here, it is over, or it has likely ended."""
        if now >= job.deadline or job.is_over:
            return True
        ages = self.pacer.ages
        return ages is not None and ages.chance(job.unfinished, now - job.started_at) >= PROMISING

    def likely_over(self, now: float) -> int:
        """
        Return how many of the jobs that are due have likely ended.

        :param now: the time.
        """
        return sum(job.due <= now and self._is_promising(job, now) for job in self._waiting.values())

    def next_due(self, now: float) -> float | None:
        """
        Return when the next job is to be asked; ``None`` where that depends on an answer that is yet to come.

        :param now: the time.
        """
        if not self.pacer.knows and self._waiting and not self._asking:
            self._plan_probe(now)
        while self._queue:
            due, key, version = self._queue[0]
            job = self._waiting.get(key)
            if job is None or job.version != version:
                heapq.heappop(self._queue)
                continue
            if due <= now and self._in_vain and self._in_vain >= max(1, len(self) // AT_A_TIME):
                # Those that are due wait for the answers of others of their age.
                later = [each.due for each in self._waiting.values() if now < each.due < math.inf]
                return min(later, default=None)
            return max(due, now)
        return None

    def _plan_probe(self, now: float) -> None:
        """Nothing has ended yet: one job at a time is asked, in turn."""
        turn = min(self._waiting, key=lambda key: (self._waiting[key].asks, self._waiting[key].started_at))
        job = self._waiting[turn]
        if job.wanted is not None and job.wanted == self._probe_at:
            return
        oldest = min(each.started_at for each in self._waiting.values())
        while oldest + self._probe_age < now and any(each.asks for each in self._waiting.values()):
            # Jobs of an earlier try are older than a first guess, and one of them has just been asked.
            self._probe_age = self._next_probe_age()
        self._probe_at = max(oldest + self._probe_age, job.not_before)
        self._probe_age = self._next_probe_age()
        self._want(turn, job, self._probe_at)

    def _next_probe_age(self) -> float:
        # The more jobs there are to spend calls on, the closer.
        growth = min(max(PROBES / len(self), LEAST_GROWTH), MOST_GROWTH)
        return min(self._probe_age * (1 + growth), self._probe_age + LONGEST_WAIT)

    def not_answered(self, key: str, again_at: float) -> None:
        """
        Take it that a poll brought no answer.

        :param key: of the job.
        :param again_at: when to ask again.
        """
        job = self._take_back(key)
        job.not_before = again_at
        self._waiting[key] = job
        self._want(key, job, again_at)

    def not_ended(self, key: str) -> None:
        """
        Take it that a job had not ended when it was asked.

        :param key: of the job.
        """
        job = self._take_back(key)
        age = max(0.0, job.asked_at - job.started_at)
        self.pacer.answered(job.unfinished, age, ended=False)
        job.unfinished = max(job.unfinished, age)
        self._waiting[key] = job
        self._plan(key, job)
        self._conclude()

    def ended(self, key: str) -> tuple[float, float]:
        """
        Take it that a job had ended when it was asked, and do not wait for it any more.

        :param key: of the job.
        :returns: the ages at which it was last seen unfinished, and found to have ended.
        """
        job = self._take_back(key)
        age = max(0.0, job.asked_at - job.started_at)
        if job.is_over:
            self.pacer.fetched()
        else:
            self.pacer.answered(job.unfinished, age, ended=True)
            self._conclude()
        return job.unfinished, age

    def forget(self, key: str) -> None:
        """
        Learn nothing of a job, and do not wait for it any more.

        :param key: of the job.
        """
        if key in self._asking:
            self._take_back(key)
        self._waiting.pop(key, None)
        self._elsewhere.pop(key, None)

    def soonest(self, number: int) -> list[tuple[str, float]]:
        """
        Return which jobs will likely end first, and when to ask for them, in seconds since the epoch.

        :param number: of how many.
        """
        jobs = heapq.nsmallest(number, self._waiting.items(), key=lambda item: (item[1].due, item[1].started_at))
        return [(key, job.due if math.isfinite(job.due) else job.started_at + FIRST_PROBE) for key, job in jobs]

    def _take_back(self, key: str) -> _Job:
        if key in self._unlikely:
            self._unlikely.discard(key)
            self._in_vain -= 1
        return self._asking.pop(key)

    def _conclude(self) -> None:
        jobs = [*self._waiting.values(), *self._asking.values()]
        if self.pacer.learn([*(job.unfinished for job in jobs), *self._elsewhere.values()]):
            for key, job in self._waiting.items():
                if not job.is_over:
                    self._plan(key, job)

    def _plan(self, key: str, job: _Job) -> None:
        ages = self.pacer.ages
        self._want(key, job, None if ages is None else job.started_at + ages.after(job.unfinished))

    def _want(self, key: str, job: _Job, at: float | None) -> None:
        job.wanted = at
        self._enqueue(key, job)

    def _enqueue(self, key: str, job: _Job) -> None:
        job.version += 1
        if math.isfinite(job.due):
            heapq.heappush(self._queue, (job.due, key, job.version))
