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
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_asposeocr.api.durations import AskingAges
from airflow_provider_asposeocr.api.pacer import DEFAULT_CALLS_PER_DOCUMENT, BatchPacer

FIRST_PROBE = 0.5
"""Seconds. No job is asked younger than this before one has ended."""
PROBES, LEAST_GROWTH, MOST_GROWTH = 3.5, 0.06, 0.6
"""By which share each probe is later than the last: ``PROBES`` by the number of running jobs, within bounds."""
LONGEST_WAIT = 60.0
"""Seconds between two probes at most."""
PROMISING = 0.7
"""Asks that are likelier than this to find a job ended are made at once, all of them."""


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
        """When it is asked next: at its deadline at the latest, where the service does not want to be asked later."""
        return max(self.deadline if self.wanted is None else min(self.wanted, self.deadline), self.not_before)


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
        self._places: int | None = None
        self._ages: AskingAges | None = None
        self._is_outdated = True
        """Whether the plans follow from what was known before."""

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
        return {**self.pacer.to_json(), "unfinished": known, "places": self._places}

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
        polls.follow_to_the_end(kept.get("places"))
        return polls

    def follow_to_the_end(self, places: int | None) -> None:
        """
        Say whether the batch ends with the jobs that are waited for.

        A job that is found late keeps one of many places empty; where no other waits for a place, it keeps the batch.
        So the fewer are left, the more closely they are followed.

        :param places: how many jobs there may be at once; ``None`` where there is more to submit.
        """
        if places != self._places:
            self._places = places
            self._is_outdated = True

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
        self._number_changed()

    def take_due(self, now: float, most: int | None = None) -> list[str]:
        """
        Return the jobs to ask now. Each is then answered by one of the methods below.

        :param now: the time.
        :param most: how many may be asked; ``None`` for all.
        """
        self._bring_up_to_date()
        due: list[str] = []
        put_off: list[tuple[float, str, int]] = []
        room = self._most_in_vain - self._in_vain
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

    @property
    def _most_in_vain(self) -> int:
        """Of the asks that will likely be in vain, so many are made at a time."""
        return math.isqrt(len(self))

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
        self._bring_up_to_date()
        return sum(job.due <= now and self._is_promising(job, now) for job in self._waiting.values())

    def next_due(self, now: float) -> float | None:
        """
        Return when the next job is to be asked; ``None`` where that depends on an answer that is yet to come.

        :param now: the time.
        """
        self._bring_up_to_date()
        if not self.pacer.knows and self._waiting and not self._asking:
            self._plan_probe(now)
        while self._queue:
            due, key, version = self._queue[0]
            job = self._waiting.get(key)
            if job is None or job.version != version:
                heapq.heappop(self._queue)
                continue
            if due <= now and self._in_vain and self._in_vain >= self._most_in_vain:
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
        # Who said so was wrong.
        job.is_over = False
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
        self._number_changed()
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
        # Nor does it tell that the others take longer: who was asked later for it would be late for them.
        self._probe_age, self._probe_at = FIRST_PROBE, None
        self._number_changed()

    def soonest(self, number: int) -> list[tuple[str, float]]:
        """
        Return which jobs will likely end first, and when to ask for them, in seconds since the epoch.

        :param number: of how many.
        """
        self._bring_up_to_date()
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
            self._is_outdated = True

    def _number_changed(self) -> None:
        if self._places is not None:
            self._is_outdated = True

    def _bring_up_to_date(self) -> None:
        """Draw the conclusions for all jobs, once for all that was learned since."""
        if not self._is_outdated:
            return
        self._is_outdated = False
        # By the root: to follow them as closely as they weigh would cost more calls than the aim allows for.
        self._ages = self.pacer.ages_when(math.sqrt((self._places or 0) / max(len(self), 1)))
        for key, job in self._waiting.items():
            if not job.is_over:
                self._plan(key, job)

    def _plan(self, key: str, job: _Job) -> None:
        self._want(key, job, None if self._ages is None else job.started_at + self._ages.after(job.unfinished))

    def _want(self, key: str, job: _Job, at: float | None) -> None:
        job.wanted = at
        self._enqueue(key, job)

    def _enqueue(self, key: str, job: _Job) -> None:
        job.version += 1
        if math.isfinite(job.due):
            heapq.heappush(self._queue, (job.due, key, job.version))
