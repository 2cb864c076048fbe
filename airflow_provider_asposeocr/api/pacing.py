"""
When to ask for each of many jobs at once, so that a batch spends few calls and still ends soon after its last job.

A batch learns from its own jobs how long one takes. Before the first has ended, it asks one of them at a time, in turn,
at growing distances. After that, each job is first asked at the age by which most were found done, and the
others again at growing distances. While little is known, one job that is not done speaks for all of its age: they are
put off without being asked. Now and then one job is asked a little earlier, which narrows the guess for jobs of equal
length. Like :mod:`airflow_provider_asposeocr.api.polling`, this takes times and gives times.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

FIRST_PROBE = 0.5
"""Seconds. No job is asked younger than this before one has ended."""
LONGEST_GUESS = 120.0
"""Seconds up to which the probes are spread."""
PROBES_PER_DOCUMENT = 0.45
"""How many probes per document there may be before the first end, of the budget of 1.5 calls per document in all."""
LEAST_PROBES = 8
BUDGET = 1.42
"""Calls per document that are aimed at."""
LIKELY_DONE = 0.55
"""The share of finished jobs by whose age a job is first asked, while there are calls enough."""
SURELY_DONE = 0.95
"""The same, where they run out."""
ASKED_IN_VAIN = 1.4
"""How many calls more a job takes that is asked too early."""
REPEAT_GROWTH = 1.4
"""How much older a job is when it is asked again, while there are calls enough."""
SPARING_GROWTH = 2.2
"""The same, where they run out."""
LONGEST_WAIT = 60.0
"""Seconds between two polls of one job at most."""
REMEMBERED = 48
"""Finished jobs that are learned from: the service's load changes over a long batch."""
FEW = 8
"""With fewer finished jobs than this, little is known."""
EARLIER_EVERY = 8
"""Every so many jobs, one is asked earlier than the others."""
FORGETTING = 0.99
"""By how much, with each job that ended, it is less believed that a younger one does not: jobs may become shorter."""
CLOSE_ENOUGH = 0.015
"""How narrow the guess gets, as a share of the age."""
PUNCTUAL = 0.5
"""Seconds. A job that is asked later than wanted by more than this tells only that it has ended long since."""


@dataclass(slots=True)
class BatchPacer:
    """
    Learns how long the jobs of a batch take.

    :param documents: how many there are: a larger batch can afford more probes.
    """

    documents: int
    _ages: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _too_early: float = 0.0
    """The greatest age at which a job was lately found unfinished, below the likely age."""
    _surprises: deque[bool] = field(default_factory=lambda: deque([True] * 4, maxlen=16))
    """Whether each of the latest jobs was unfinished at the likely age."""
    _probes: int = 0
    _first_asks: int = 0
    _answers: int = 0
    _ends: int = 0

    @property
    def knows(self) -> bool:
        """Whether a job has ended yet."""
        return bool(self._ages)

    @property
    def knows_little(self) -> bool:
        """Whether one unfinished job speaks for all of its age."""
        return len(self._ages) < FEW

    @property
    def likely_age(self) -> float:
        """The age in seconds by which a job is likely done."""
        ordered = sorted(self._ages)
        return ordered[math.ceil(self._share * len(ordered)) - 1]

    @property
    def _share(self) -> float:
        """Of the finished jobs, by whose age to ask: greater, the fewer calls are left for each other document."""
        left = max(self.documents - self._ends, 1)
        calls = (BUDGET * max(self.documents, self._ends + 1) - self._answers) / left
        return min(max(1 - (calls - 1) / ASKED_IN_VAIN, LIKELY_DONE), SURELY_DONE)

    def next_probe(self) -> float:
        """
        Return the age in seconds of the oldest job at which any one job is asked next, while nothing is known.

        The distances grow so that the probes up to :data:`LONGEST_GUESS` fit the budget.
        """
        budget = max(PROBES_PER_DOCUMENT * self.documents, LEAST_PROBES)
        growth = math.exp(math.log(LONGEST_GUESS / FIRST_PROBE) / budget)
        age = FIRST_PROBE * math.pow(growth, min(self._probes, budget))
        beyond = max(0.0, self._probes - budget)
        self._probes += 1
        return age + beyond * LONGEST_WAIT

    def probe_again(self) -> None:
        """Take it that the latest probe told nothing: the job is gone."""
        self._probes = max(0, self._probes - 1)

    def first_ask(self) -> float:
        """Return the age in seconds at which a job is asked first, once something is known."""
        self._first_asks += 1
        likely = self.likely_age
        if self._first_asks % EARLIER_EVERY == 0 and likely - self._too_early > CLOSE_ENOUGH * likely:
            return (max(self._too_early, 0.8 * likely) + likely) / 2
        return likely

    def next_ask(self, age: float) -> float:
        """
        Return the age in seconds at which a job is asked again.

        :param age: at which it was asked, and had not ended.
        """
        likely = self.likely_age if self._ages else 0.0
        if age < likely * (1 - CLOSE_ENOUGH / 2):
            return likely
        short = (self._share - LIKELY_DONE) / (SURELY_DONE - LIKELY_DONE)
        growth = REPEAT_GROWTH + (SPARING_GROWTH - REPEAT_GROWTH) * short
        return min(age * growth, age + LONGEST_WAIT) + 0.05

    def learn(self, age: float, *, ended: bool) -> None:
        """
        Take a poll into account.

        :param age: of the job when it was asked, in seconds since its submission.
        :param ended: whether it had ended.
        """
        self._answers += 1
        self._ends += ended
        if not ended:
            if not self._ages or age < self.likely_age:
                self._too_early = age
            else:
                self._surprises.append(True)
                self._too_early = 0.0
            return
        self._too_early *= FORGETTING
        if self._ages and age < self.likely_age and not any(self._surprises):
            # Jobs of equal length, and done by this age already: so are the others.
            self._ages = deque((min(known, age) for known in self._ages), maxlen=REMEMBERED)
        elif self._ages:
            self._surprises.append(False)
        self._ages.append(age)


@dataclass(slots=True)
class _Job:
    """A job that is waited for; all times in seconds since the epoch."""

    started_at: float
    deadline: float
    wanted: float | None = None
    """When to ask; ``None`` while nothing is known of how long jobs take."""
    not_before: float = 0.0
    """The service wants not to be asked sooner."""
    asks: int = 0
    asked_at: float = 0.0
    late: bool = False
    """Whether it was asked later than wanted: nobody was there, as while its task was deferred."""
    over: bool = False
    """Whether it is known to have ended, and only its result is to be fetched."""

    @property
    def due(self) -> float:
        """When it is asked next, its deadline at the latest."""
        return self.deadline if self.wanted is None else min(max(self.wanted, self.not_before), self.deadline)


class BatchPolls:
    """
    Which jobs of a batch to ask, and when. Each job is asked by one poll at a time.

    :param documents: how many documents the batch has.
    """

    def __init__(self, documents: int) -> None:
        self.pacer = BatchPacer(documents)
        self._waiting: dict[str, _Job] = {}
        self._asking: dict[str, _Job] = {}

    def follow(self, key: str, started_at: float, deadline: float, *, over: bool = False) -> None:
        """
        Wait for a job.

        :param key: names it.
        :param started_at: when it was submitted.
        :param deadline: when it is asked for the last time.
        :param over: whether it is known to have ended: it is asked at once, whatever others say.
        """
        job = self._waiting[key] = _Job(started_at, deadline, over=over)
        self._plan(job)

    def take_due(self, now: float) -> list[str]:
        """
        Return the jobs to ask now. Each is then answered by one of the methods below.

        :param now: the time.
        """
        due = [key for key, job in self._waiting.items() if job.due <= now]
        if self.pacer.knows_little:
            # One by one: an answer tells of the others of its age.
            due = [key for key in due if self._waiting[key].over] or due[: 0 if self._asking else 1]
        for key in due:
            job = self._asking[key] = self._waiting.pop(key)
            job.late = job.wanted is None or now - max(job.wanted, job.not_before) > PUNCTUAL
            job.asked_at = now
            job.asks += 1
        return due

    def next_due(self, now: float) -> float | None:
        """
        Return when the next job is to be asked; ``None`` where that depends on an answer that is yet to come.

        :param now: the time.
        """
        if not self._waiting or (self._asking and self.pacer.knows_little):
            return None
        jobs = self._waiting.values()
        if not self._asking and all(job.wanted is None for job in jobs):
            # Nothing has ended yet: one job at a time is asked, in turn.
            oldest = min(job.started_at for job in jobs)
            turn = min(jobs, key=lambda job: (job.asks, job.started_at))
            probe = self.pacer.next_probe()
            while turn.asks and oldest + probe < now:
                # Jobs of an earlier try are older than a first guess, and one of them has just been asked.
                probe = self.pacer.next_probe()
            turn.wanted = oldest + probe
        return max(min(job.due for job in jobs), now)

    def not_answered(self, key: str, again_at: float) -> None:
        """
        Take it that a poll brought no answer.

        :param key: of the job.
        :param again_at: when to ask again.
        """
        job = self._waiting[key] = self._asking.pop(key)
        job.wanted = job.not_before = again_at

    def not_ended(self, key: str, now: float) -> None:
        """
        Take it that a job had not ended when it was asked.

        :param key: of the job.
        :param now: the time.
        """
        job = self._asking.pop(key)
        job.over = False
        age = job.asked_at - job.started_at
        pacer = self.pacer
        pacer.learn(age, ended=False)
        if pacer.knows and pacer.knows_little:
            later = pacer.next_ask(age)
            for other in self._waiting.values():
                if (
                    other.wanted is not None
                    and not other.over
                    and (other.wanted <= now or now - other.started_at <= age)
                ):
                    other.wanted = max(other.wanted, other.started_at + later)
        job.wanted = job.started_at + pacer.next_ask(age) if pacer.knows else None
        self._waiting[key] = job

    def ended(self, key: str) -> None:
        """
        Take it that a job had ended when it was asked.

        :param key: of the job.
        """
        job = self._asking.pop(key)
        age = job.asked_at - job.started_at
        if not (job.late and self.pacer.knows and age >= self.pacer.likely_age):
            self.learn(age)

    def learn(self, age: float) -> None:
        """
        Take it that a job was done at an age.

        :param age: in seconds.
        """
        knew = self.pacer.knows
        self.pacer.learn(age, ended=True)
        if not knew:
            for other in self._waiting.values():
                self._plan(other)

    def forget(self, key: str) -> None:
        """
        Learn nothing of a job that was asked, and do not wait for it any more.

        :param key: of the job.
        """
        if self._asking.pop(key, None) and not self.pacer.knows:
            self.pacer.probe_again()
        self._waiting.pop(key, None)

    def _plan(self, job: _Job) -> None:
        if job.over:
            job.wanted = job.started_at
        else:
            job.wanted = job.started_at + self.pacer.first_ask() if self.pacer.knows else None
