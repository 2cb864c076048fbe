"""
What a call is worth to a batch, and so at which ages its jobs are asked.

A batch learns from its own jobs how long one takes (:mod:`airflow_provider_asposeocr.api.durations`) and spends as many
calls as it may, where they find an end soonest. Nothing here does any I/O or knows the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_asposeocr.api.durations import AskingAges, Durations, asking_ages

DEFAULT_CALLS_PER_DOCUMENT = 2.64
"""Polls of a job that are aimed at, on the average, where durations differ. Equal ones take 1.2."""
LEAST_PRICE = 0.012
"""A call is worth at least this share of a job's duration: who asks without end finds the end to the millisecond."""
EAGER = 8.0
"""With so many ended jobs, calls are half as cheap again as they are in the long run; with none, twice as cheap."""
REPAID_WITHIN = 64.0
"""Jobs within which calls are saved that were made beyond the aim."""


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
        self._shares: Sequence[float] = ()
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
        shares = self._shares = self.durations.estimate(unfinished)
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

    def ages_when(self, urgency: float) -> AskingAges | None:
        """
        Return at which ages to ask where it costs more to find an end late.

        :param urgency: how many times as much as usual; up to 1 for :attr:`ages`.
        """
        if self.ages is None or urgency <= 1:
            return self.ages
        return asking_ages(self._shares, max(self._price / urgency, LEAST_PRICE * self.ages.mean))
