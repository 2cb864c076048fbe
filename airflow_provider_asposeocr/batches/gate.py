"""
The gate of a batch: what one call learns of the service holds for all documents of the task.

They wait behind it while the service is away or wants no more, and are not failed one by one. There are two doors: an
outage closes both, a refusal of submissions (429) leaves the results that are paid for to be fetched. When a door opens
again, one call goes first. Takes times and gives times, in seconds since the epoch.
"""

from __future__ import annotations

import math
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_asposeocr.exceptions import AsposeOcrError, AsposeOcrRateLimitError, AsposeOcrServiceError

LONGEST_ASKED_WAIT = 60.0
"""Seconds. Where the service asks for a longer wait, that is not worth a worker's slot."""
SLOWER = 0.5
"""What a refusal makes of the pace."""
FASTER = 0.08
"""By which share of the pace at the last refusal it is raised again, per second."""
SOONER = 0.25
"""By which share of itself it is raised beyond that: the service takes more than it did, or than was seen then."""
FIRST_PACE = 2.0
"""Submissions per second that the service is taken to bear where it has refused one before it accepted any."""
LONGEST_STEP = 10.0
"""Seconds. Where nothing was submitted for longer, nothing was learnt of the pace."""
LEAST_PACE = 0.1
"""Submissions per second."""


@dataclass(slots=True)
class Door:
    """
    Lets calls of one kind through.

    :param first_wait: seconds after the first failure; each further one in a row waits twice as long.
    :param longest_wait: the longest of these waits, in seconds.
    """

    first_wait: float
    longest_wait: float
    closed_until: float = 0.0
    failures: int = 0
    """In a row."""
    troubled_since: float | None = None
    _last_at: float = 0.0
    _first_is_out: bool = False

    def opens_at(self) -> float:
        """Return when a call may be made; never, while one goes first."""
        return math.inf if self._first_is_out else self.closed_until

    def enter(self) -> None:
        """Take it that a call is made."""
        if self.failures:
            self._first_is_out = True

    def went_well(self) -> None:
        """Take it that a call was answered."""
        self.failures, self.troubled_since, self._first_is_out, self.closed_until = 0, None, False, 0.0

    def went_nowhere(self) -> None:
        """Take it that a call ended, and told nothing of the service."""
        self._first_is_out = False

    def failed(self, began_at: float, now: float, asked_wait: float) -> None:
        """
        Take it that a call failed.

        :param began_at: when it was made: those that were out at the same time tell the same.
        :param now: the time.
        :param asked_wait: for how many seconds the service asked.
        """
        self._first_is_out = False
        if self.troubled_since is None:
            self.troubled_since = now
        self.closes(began_at, now, asked_wait)

    def closes(self, began_at: float, now: float, asked_wait: float) -> None:
        """
        Take it that a call failed that was of another kind: for how long that is so is not for this door to tell.

        :param began_at: as of :meth:`failed`.
        :param now: likewise.
        :param asked_wait: likewise.
        """
        if began_at >= self._last_at or not self.failures:
            self.failures += 1
            self._last_at = now
        wait = min(self.first_wait * 2 ** min(self.failures - 1, 30), self.longest_wait)
        self.closed_until = max(self.closed_until, now + max(wait, asked_wait))


@dataclass(slots=True)
class BatchGate:
    """
    What a batch knows of the service's health.

    :param first_wait: seconds to wait after a first failure.
    :param longest_wait: seconds between two attempts at most, where the service does not ask for more.
    :param patience: seconds of trouble after which waiting is no longer worth a worker's slot.
    """

    first_wait: float = 1.0
    longest_wait: float = 30.0
    patience: float = 300.0
    submissions: Door = field(init=False)
    polls: Door = field(init=False)
    pace: float | None = None
    """Submissions per second; ``None`` for as many as there are."""
    reason: AsposeOcrError | None = None
    """The last failure."""
    successes: int = 0
    _ceiling: float = 0.0
    _paced_at: float = 0.0
    _cut_at: float = 0.0
    _next_at: float = 0.0
    _accepted_at: deque[float] = field(default_factory=lambda: deque(maxlen=256))

    def __post_init__(self) -> None:
        self.submissions = Door(self.first_wait, self.longest_wait)
        self.polls = Door(self.first_wait, self.longest_wait)

    def to_json(self, now: float) -> dict[str, Any]:
        """
        Return what is known of the service, for the next part of the batch, as plain JSON.

        :param now: the time.
        """
        doors = [[door.failures, door.troubled_since, door.closed_until] for door in (self.submissions, self.polls)]
        return {"doors": doors, "pace": None if self.pace is None else [self.pace, self._ceiling], "at": now}

    def go_on(self, kept: Any, now: float) -> None:
        """
        Go on with what an earlier part of the batch knew: the same outage, the same pace.

        :param kept: what :meth:`to_json` returned then.
        :param now: the time.
        """
        with suppress(TypeError, ValueError, LookupError, AttributeError):
            # Where the clock has been put back, or another machine's is ahead, a door is not closed for that long.
            back = max(0.0, _finite(kept.get("at", now)) - now)
            for door, (failures, since, until) in zip((self.submissions, self.polls), kept["doors"], strict=True):
                closed_until, count = _finite(until) - back, int(failures)
                door.troubled_since = None if since is None else _finite(since) - back
                door.failures, door.closed_until = count, closed_until
            if kept["pace"] is not None:
                self.pace, self._ceiling = (max(_finite(each), LEAST_PACE) for each in kept["pace"])

    def submit_at(self) -> float:
        """Return when the next document may be submitted."""
        return max(self.submissions.opens_at(), self._next_at)

    def poll_at(self) -> float:
        """Return when the next job may be asked for."""
        return self.polls.opens_at()

    def submitting(self, now: float) -> None:
        """
        Take it that a document is being submitted.

        :param now: the time.
        """
        self.submissions.enter()
        if self.pace is not None:
            # No ceiling is for ever: others may have used up the limit for a moment, at which little was accepted.
            since = min(max(0.0, now - (self._paced_at or now)), LONGEST_STEP)
            self.pace += (FASTER * self._ceiling if self.pace < self._ceiling else SOONER * self.pace) * since
            self._paced_at = now
            self._next_at = max(self._next_at, now - 1 / self.pace) + 1 / self.pace

    def accepted(self, now: float) -> None:
        """
        Take it that a document was accepted.

        :param now: the time.
        """
        self._accepted_at.append(now)
        self.successes += 1
        self.submissions.went_well()

    def answered(self) -> None:
        """Take it that a poll was answered."""
        self.successes += 1
        self.polls.went_well()

    def failed(self, error: AsposeOcrError, began_at: float, now: float, *, submission: bool) -> None:
        """
        Take it that the service did not do what it was asked.

        :param error: what came back.
        :param began_at: when it was asked.
        :param now: the time.
        :param submission: whether that was a submission.
        """
        self.reason = error
        asked = (error.retry_after or 0.0) if isinstance(error, AsposeOcrServiceError) else 0.0
        limited = isinstance(error, AsposeOcrRateLimitError)
        if limited and submission:
            self._slow_down(began_at, now)
        (self.submissions if submission else self.polls).failed(began_at, now, asked)
        if not limited:
            (self.polls if submission else self.submissions).closes(began_at, now, asked)

    def _slow_down(self, began_at: float, now: float) -> None:
        if began_at < self._cut_at:
            # It was out when the pace was cut: it says nothing of the new one.
            return
        lately = sum(now - at <= 1.0 for at in self._accepted_at)
        known = (float(lately) or FIRST_PACE) if self.pace is None else self.pace
        self._ceiling = max(known, 2 * LEAST_PACE)
        self.pace = max(self._ceiling * SLOWER, LEAST_PACE)
        self._cut_at = self._paced_at = now

    def hopeless_wait(self, now: float, *, submits: bool = True) -> float | None:
        """
        Return for how many seconds to come back later, where waiting for the door is not worth a slot.

        :param now: the time.
        :param submits: whether there is more to submit; else nobody finds out any more whether that door is open.
        """
        door = self.submissions if submits and self.submissions.troubled_since is not None else self.polls
        left = max(self.submissions.closed_until if submits else 0.0, self.polls.closed_until) - now
        if left > LONGEST_ASKED_WAIT:
            return left
        if door.troubled_since is not None and now - door.troubled_since > self.patience:
            return max(left, self.longest_wait)
        return None


def _finite(number: Any) -> float:
    """A number of seconds that was kept as JSON, which knows NaN and infinity, too."""
    if not math.isfinite(number):
        raise ValueError("no time at all")
    return float(number)
