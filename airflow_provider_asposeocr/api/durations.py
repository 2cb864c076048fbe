"""
How long the jobs of a batch take, as far as it is known, and at which ages to ask for one.

A poll never tells when a job ended, only that it had not at one age and had at a later one. So what is learned of a job
is an interval, and what is known of all is a distribution: the one under which those intervals are likeliest, found by
a few rounds of expectation and maximization. A job that was looked at late, as after a pause of the triggerer, gives a
wide interval, which says little and spoils nothing. From the distribution follows, by dynamic programming, at which
ages to ask so that calls and lateness together cost least. Nothing here does any I/O or knows the time.
"""

from __future__ import annotations

import bisect
import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from airflow_provider_asposeocr.api.values import Value

SHORTEST, LONGEST = 0.2, 40_000.0
"""Seconds between which ages are told apart."""
RESOLUTION = 1.0175
"""How much longer each age on the scale is than the last."""
_BINS = math.ceil(math.log(LONGEST / SHORTEST) / math.log(RESOLUTION))
EDGES: tuple[float, ...] = tuple(SHORTEST * RESOLUTION**step for step in range(_BINS + 1))
"""The scale: a job whose age is between two edges belongs to the bin of the upper one."""
_MIDDLES = (SHORTEST / 2, *((low + high) / 2 for low, high in pairwise(EDGES)))
_GUESSED = (0.5, 120.0)
"""Seconds between which a job is thought to take before anything is known, each doubling as likely as the next."""
_UNLIKELY = 0.001
"""How likely others are thought to be, as a share of that; of longer ones, each doubling half as likely as the last:
who still runs then has likely ended at twice its age, and not at a hundred times."""
_WEIGHTS = [1.0 if _GUESSED[0] <= edge <= _GUESSED[1] else _UNLIKELY * min(1.0, _GUESSED[1] / edge) for edge in EDGES]
_GUESS = [weight / sum(_WEIGHTS) for weight in _WEIGHTS]
_DOUBT = 1.0
"""How many jobs' worth that first guess weighs."""
REMEMBERED = 200
"""Jobs that are learned from: the service's load changes over a long batch."""
_ROUNDS = 12
_TOGETHER = 0.15
"""Jobs that are looked at together, as a share of all: fewer tell more of chance than of the service."""
_ALIKE = 1.6
"""How many times as long a job may take as another one that is looked at together with it."""
_SMALL = 1e-4
"""A share of jobs that is not worth handing on."""
_COARSE = 1.12
"""How far apart the ages are at most at which asking is considered, as a ratio."""
_FINE = 0.003
"""Which share of the jobs may end between two of them."""


def bin_of(age: float) -> int:
    """
    Return the bin that an age belongs to.

    :param age: in seconds.
    """
    return min(bisect.bisect_left(EDGES, age), _BINS)


@dataclass(slots=True)
class Durations:
    """What is known of the durations of jobs."""

    _seen: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _shares: list[float] = field(default_factory=lambda: list(_GUESS))

    @property
    def number(self) -> int:
        """How many jobs are known to have ended, of those that are remembered."""
        return len(self._seen)

    def ended(self, after: float, by: float) -> None:
        """
        Take it that a job ended.

        :param after: the age in seconds at which it was last seen unfinished; 0 where it never was.
        :param by: the age at which it was found to have ended.
        """
        self._seen.append((after, max(by, after)))

    def estimate(self, unfinished: Iterable[float]) -> list[float]:
        """
        Return which share of the jobs ends in each bin.

        :param unfinished: the ages at which running jobs were last seen unfinished.
        """
        seen = [(bin_of(after) + (after > 0), bin_of(by)) for after, by in self._seen]
        # What is finer than the scale lies in one bin.
        intervals = [(min(low, high), high, 1.0) for low, high in seen]
        running = [min(bin_of(age) + 1, _BINS) for age in unfinished if age > 0]
        # All together they weigh no more than those that have ended: else the first guess speaks for them.
        weight = min(1.0, len(seen) / len(running)) if running else 0.0
        intervals += [(low, _BINS, weight) for low in running]
        shares = self._shares
        # The last shares may have forgotten where jobs can end at all.
        shares = [0.98 * share + 0.02 * first for share, first in zip(shares, _GUESS, strict=True)]
        for _ in range(_ROUNDS):
            below = [0.0, *accumulate(shares)]
            weights = [0.0] * (_BINS + 2)
            for low, high, number in intervals:
                weight = number / max(below[high + 1] - below[low], 1e-12)
                weights[low] += weight
                weights[high + 1] -= weight
            shares = _normal(
                [
                    share * weight + _DOUBT * first
                    for share, weight, first in zip(shares, accumulate(weights), _GUESS, strict=False)
                ]
            )
        self._shares = shares
        return _smooth(shares)

    def to_json(self) -> dict[str, list[list[float]]]:
        """Return what was seen, and what was made of it, as plain JSON."""
        return {
            "seen": [[round(after, 3), round(by, 3)] for after, by in self._seen],
            "shares": [[at, round(share, 5)] for at, share in enumerate(self._shares) if share >= _SMALL],
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Sequence[Sequence[float]]]) -> Durations:
        """
        Return what :meth:`to_json` described.

        :param kept: what it returned. Without shares, what was seen is taken for all that is known.
        """
        durations = cls()
        for after, by in kept.get("seen") or ():
            durations.ended(float(after), float(by))
        if shares := kept.get("shares"):
            # Most of what is remembered may begin at 0 and say little by itself.
            durations._shares = [0.0] * (_BINS + 1)
            for at, share in shares:
                durations._shares[int(at)] = float(share)
        return durations


class AskingAges(Value, frozen=True):
    """
    At which ages to ask for a job.

    :param ages: at which asking is considered, ascending.
    :param following: for each, which one comes next for a job that had not ended at it.
    :param first: which one comes first.
    :param left: for each, which share of all jobs has not ended by it.
    :param calls: how many calls a job takes, as expected.
    :param late: how many seconds later than it ends a job is found, as expected.
    :param mean: how many seconds a job takes, as expected.
    """

    ages: Sequence[float]
    following: Sequence[int]
    first: int
    left: Sequence[float]
    calls: float
    late: float
    mean: float

    def after(self, age: float) -> float:
        """
        Return the age in seconds at which to ask next.

        :param age: at which the job was seen unfinished; 0 where it was not asked.
        """
        if age <= 0:
            return self.ages[self.first]
        at = bisect.bisect_right(self.ages, age * (1 + 1e-9)) - 1
        following = self.first if at < 0 else self.following[at]
        while following < len(self.ages) - 1 and self.ages[following] <= age * 1.01:
            following = self.following[following]
        return max(self.ages[following], age * RESOLUTION + 0.05)

    def chance(self, unfinished: float, age: float) -> float:
        """
        Return how likely a job has ended by an age.

        :param unfinished: the age in seconds at which it was last seen unfinished.
        :param age: in seconds.
        """
        before = self._left(unfinished)
        return 1.0 if before <= 1e-9 else 1.0 - self._left(age) / before

    def _left(self, age: float) -> float:
        at = bisect.bisect_right(self.ages, age * (1 + 1e-9)) - 1
        return 1.0 if at < 0 else self.left[at]


def asking_ages(shares: Sequence[float], price: float) -> AskingAges:
    """
    Return at which ages to ask so that the cost of calls and lateness is least.

    :param shares: which share of the jobs ends in each bin.
    :param price: how many seconds of lateness a call is worth.
    """
    candidates = _candidates(shares)
    ages = [EDGES[at] for at in candidates]
    mass = [0.0, *accumulate(shares)]
    moment = [0.0, *accumulate(share * middle for share, middle in zip(shares, _MIDDLES, strict=True))]
    ended = [mass[at + 1] for at in candidates]
    moments = [moment[at + 1] for at in candidates]
    left = [max(0.0, 1.0 - share) for share in ended]
    number = len(ages)
    cost, following = [0.0] * number, [number - 1] * number
    for at in range(number - 2, -1, -1):
        # The best next age never comes earlier for a job that is older.
        best, best_at = math.inf, number - 1
        for then in range(at + 1, following[at + 1] + 1 if at + 1 < number - 1 else number):
            found = (
                price * left[at] + ages[then] * (ended[then] - ended[at]) - (moments[then] - moments[at]) + cost[then]
            )
            if found < best:
                best, best_at = found, then
        cost[at], following[at] = best, best_at
    first = min(range(number), key=lambda then: ages[then] * ended[then] - moments[then] + cost[then])
    calls, late, at, before = 0.0, 0.0, first, -1
    while True:
        calls += left[before] if before >= 0 else 1.0
        since = (ended[before], moments[before]) if before >= 0 else (0.0, 0.0)
        late += ages[at] * (ended[at] - since[0]) - (moments[at] - since[1])
        if at == number - 1:
            break
        before, at = at, following[at]
    return AskingAges(ages, following, first, left, calls, late, moments[-1])


def _candidates(shares: Sequence[float]) -> list[int]:
    candidates, since, share_since = [], 0.0, 0.0
    for at, share in enumerate(shares):
        share_since += share
        if share_since >= _FINE or EDGES[at] > since * _COARSE or at == len(shares) - 1:
            candidates.append(at)
            since, share_since = EDGES[at], 0.0
    return candidates


def _smooth(shares: Sequence[float]) -> list[float]:
    """
    Spread what ends in each bin over the bins around it in which as many jobs end as are looked at together.

    Where durations are spread out, that levels what is chance in a few hundred jobs: the likeliest distribution heaps
    them up at a few ages. Where many jobs end at one age, it leaves them there.
    """
    below = [0.0, *accumulate(shares)]
    number, furthest = len(shares), round(math.log(_ALIKE) / math.log(RESOLUTION))

    def bins(at: int, reach: int) -> tuple[int, int]:
        return max(0, at - reach), min(number, at + reach + 1)

    def are_enough(at: int, reach: int) -> bool:
        low, high = bins(at, reach)
        return below[high] - below[low] >= _TOGETHER

    reach = 0
    changes = [0.0] * (number + 1)
    for at, share in enumerate(shares):
        while reach and are_enough(at, reach - 1):
            reach -= 1
        while reach < furthest and not are_enough(at, reach):
            reach += 1
        low, high = bins(at, reach)
        changes[low] += share / (high - low)
        changes[high] -= share / (high - low)
    # What is rounded may leave a level just below zero.
    return _normal([max(0.0, level) for level in accumulate(changes[:-1])])


def _normal(weights: Sequence[float]) -> list[float]:
    total = sum(weights)
    return [weight / total for weight in weights]
