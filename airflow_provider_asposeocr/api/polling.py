"""
The poll decision: when to ask next, and what an answer or a failure means.

One decision for the synchronous loop and for the trigger, which differ only in how they sleep. Every call may be
billed, so the default schedule spends few: it first asks after 2 s, then after a quarter more each time, at most every
10 s, with 10 % jitter. The wait is computed from the job's age alone, so it needs no state that a restart could lose:
``first + (backoff - 1) * age`` is the same series as multiplying the last wait by ``backoff``.

Times are wall-clock (seconds since the epoch): a deadline must survive a move to another process.
"""

from __future__ import annotations

import enum
import math
import random
from collections.abc import Callable
from typing import ClassVar

from msgspec import Struct
from msgspec.structs import replace

from airflow_provider_asposeocr.api.results import OcrTask
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrError,
    AsposeOcrInputError,
    AsposeOcrProtocolError,
    AsposeOcrServiceError,
)

DEFAULT_POLL_INTERVAL = 2.0
DEFAULT_POLL_BACKOFF = 1.25
DEFAULT_POLL_INTERVAL_MAX = 10.0
DEFAULT_JITTER = 0.1
MAX_FAILURES_IN_A_ROW = 5
REPLICA_LAG = 5.0
"""Seconds after a submission for which a ``NotExist`` is asked again: a replica of the service may not know yet."""
_LAST_MOMENT = 0.05
"""Seconds before the deadline from which a poll counts as the last one: clocks and sleeps are not that exact."""


class PollSchedule(Value, frozen=True):
    """
    When to ask.

    :param interval: seconds from the submission to the first poll, and the least between two.
    :param backoff: by how much each wait is longer than the last; 1 keeps it the same.
    :param interval_max: the longest wait, in seconds; by default 10, or ``interval`` where that is longer.
    :param jitter: by which fraction a wait is randomly longer or shorter, so that many jobs do not ask at once.
    :raises AsposeOcrInputError: for values that make no schedule.
    """

    interval: float = DEFAULT_POLL_INTERVAL
    backoff: float = DEFAULT_POLL_BACKOFF
    interval_max: float | None = None
    jitter: float = DEFAULT_JITTER

    def __post_init__(self) -> None:
        if not 0 < self.interval < math.inf:
            raise AsposeOcrInputError(f"poll_interval must be over 0 seconds, and finite, got {self.interval}.")
        if not 1 <= self.backoff < math.inf:
            raise AsposeOcrInputError(f"poll_backoff must be at least 1, and finite, got {self.backoff}.")
        if not self.interval <= self.longest < math.inf:
            raise AsposeOcrInputError(
                f"poll_interval_max ({self.longest} s) must be finite, and not shorter than poll_interval "
                f"({self.interval} s)."
            )
        if not 0 <= self.jitter < 1:
            raise AsposeOcrInputError(f"The jitter must be from 0 to under 1, got {self.jitter}.")

    @property
    def longest(self) -> float:
        """The longest wait before its jitter, in seconds."""
        return max(DEFAULT_POLL_INTERVAL_MAX, self.interval) if self.interval_max is None else self.interval_max

    @property
    def least(self) -> float:
        """The shortest wait the schedule ever gives, in seconds."""
        return self.interval * (1 - self.jitter)

    def wait(self, age: float, uniform: Callable[[float, float], float] = random.uniform) -> float:
        """
        Seconds to wait before the next poll of a job.

        :param age: seconds since the job was submitted.
        :param uniform: draws a number between two.
        """
        wait = min(self.interval + (self.backoff - 1) * max(age, 0.0), self.longest)
        return wait * uniform(1 - self.jitter, 1 + self.jitter)


class PollVerdict(enum.StrEnum):
    """What to do after a poll."""

    WAIT = "Wait"
    """Ask again after ``delay`` seconds."""
    COMPLETED = "Completed"
    ERROR = "Error"
    NOT_EXIST = "NotExist"
    TIMED_OUT = "TimedOut"
    """The deadline is reached and the job has not ended."""
    GAVE_UP = "GaveUp"
    """Too many transient failures in a row: nobody knows the job's state, it goes on at the service."""
    REFUSED = "Refused"
    """A permanent fault: asking again cannot help."""


class PollOutcome(Value, frozen=True):
    """
    The decision after a poll.

    :param verdict: what to do.
    :param delay: for ``WAIT``: in how many seconds to ask again.
    :param task: where there is nothing more to ask: the job as last reported. A thousand waiting ones keep none.
    :param error: the failure, where it had none.
    """

    UNSAID: ClassVar[tuple[str, ...]] = ("task",)

    verdict: PollVerdict
    delay: float = 0.0
    task: OcrTask | None = None
    error: AsposeOcrError | None = None

    @property
    def is_final(self) -> bool:
        """Whether there is nothing more to ask."""
        return self.verdict is not PollVerdict.WAIT

    @property
    def reason(self) -> str:
        """Why: what the last poll broke on, or the service's messages."""
        if self.error is not None:
            return str(self.error)
        return "; ".join(self.task.messages) if self.task else ""


_FINAL = {verdict.value: verdict for verdict in (PollVerdict.COMPLETED, PollVerdict.ERROR, PollVerdict.NOT_EXIST)}
"""The terminal states of a job, by the service's names, are verdicts of the same names."""


class Poller(Struct):
    """
    Decides after each poll of one job.

    :param schedule: when to ask.
    :param started_at: when the job was submitted, in seconds since the epoch.
    :param deadline: until when to wait, in seconds since the epoch; ``None`` for ever.
    :param max_failures: how many failures in a row are survived; ``None``: any, until the deadline.
    :param lag: for how many seconds after ``started_at`` ``NotExist`` is not believed yet: ``REPLICA_LAG`` where that
        is the time of our own submission.
    :param patience: the longest ``Retry-After`` that is waited for, in seconds; ``None``: any, until the deadline.
    :param uniform: draws a number between two.
    :param failures: how many there have been in a row.
    """

    schedule: PollSchedule
    started_at: float
    deadline: float | None = None
    max_failures: int | None = MAX_FAILURES_IN_A_ROW
    lag: float = 0.0
    patience: float | None = None
    uniform: Callable[[float, float], float] = random.uniform
    failures: int = 0

    def first(self, now: float) -> PollOutcome:
        """
        Decide how long to wait before the first poll after a submission: what has passed since counts.

        There is one before any verdict, however short the time: nobody pays for a job that is not asked for.

        :param now: seconds since the epoch.
        """
        passed = max(0.0, now - self.started_at)
        delay = max(0.0, self.schedule.wait(0.0, self.uniform) - passed)
        return PollOutcome(PollVerdict.WAIT, delay=min(delay, max(0.0, self._left(now))))

    def on_answer(self, task: OcrTask, now: float) -> PollOutcome:
        """
        Decide after an answer. The state comes first, the deadline second: a job that ended is never timed out.

        :param task: the job as reported.
        :param now: seconds since the epoch.
        """
        self.failures = 0
        verdict = _FINAL.get(task.status)
        if verdict is PollVerdict.NOT_EXIST and max(0.0, now - self.started_at) < self.lag:
            # Where the time is over, it is no reason either to believe it: a retry asks again.
            unknown = AsposeOcrServiceError("The service does not know the job yet, seconds after its submission.")
            again = self._wait(now, task, None)
            return replace(again, error=unknown) if again.is_final else again
        return PollOutcome(verdict, task=task) if verdict else self._wait(now, task, None)

    def on_failure(self, error: AsposeOcrError, now: float) -> PollOutcome:
        """
        Decide after a poll that brought no answer.

        :param error: why.
        :param now: seconds since the epoch.
        """
        if not is_transient(error):
            return PollOutcome(PollVerdict.REFUSED, error=error)
        self.failures += 1
        asked = error.retry_after if isinstance(error, AsposeOcrServiceError) else None
        too_long = self.patience is not None and asked is not None and asked > self.patience
        if too_long or (self.max_failures is not None and self.failures > self.max_failures):
            return PollOutcome(PollVerdict.GAVE_UP, error=error)
        return self._wait(now, None, error)

    @property
    def is_worth_a_warning(self) -> bool:
        """Whether to tell of the last failure: of the first, second, fourth, eighth in a row, and so on."""
        return self.failures & (self.failures - 1) == 0

    def _wait(self, now: float, task: OcrTask | None, error: AsposeOcrError | None) -> PollOutcome:
        left = self._left(now)
        if left <= _LAST_MOMENT:
            return PollOutcome(PollVerdict.TIMED_OUT, task=task, error=error)
        delay = self.schedule.wait(now - self.started_at, self.uniform)
        if isinstance(error, AsposeOcrServiceError) and error.retry_after is not None:
            delay = max(delay, error.retry_after)
        # The last poll comes when the time is over, whatever the schedule says: no job is ended unasked.
        return PollOutcome(PollVerdict.WAIT, delay=min(delay, left), error=error)

    def _left(self, now: float) -> float:
        return math.inf if self.deadline is None else self.deadline - now


def is_transient(error: AsposeOcrError) -> bool:
    """
    Say whether asking again can help: the service was not there, not well, or its answer came broken.

    :param error: why there is no answer.
    """
    return isinstance(error, AsposeOcrServiceError | AsposeOcrProtocolError)
