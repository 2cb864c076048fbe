"""How a task waits for a job: one value, checked once, handed on from the operator to the trigger."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any

from airflow_provider_asposeocr.api.checks import switch
from airflow_provider_asposeocr.api.polling import (
    DEFAULT_POLL_BACKOFF,
    DEFAULT_POLL_INTERVAL,
    PollSchedule,
)
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError

FOR_EVER = 10 * 365 * 86400.0
"""Seconds. Beyond, dates and timedeltas overflow."""
DEFAULT_DEFER_AFTER = 10.0
"""Seconds. With the default schedule four of five typical jobs end within; deferring costs 1.4 s and one call more."""


class Waiting(Value, frozen=True):
    """
    How a task waits.

    :param schedule: when to ask.
    :param defer_after: seconds to wait in the worker before deferring.
    :param cancel_on_kill: whether to cancel the job when the user ends the task, or the time is over.
    """

    schedule: PollSchedule = PollSchedule()
    defer_after: float = DEFAULT_DEFER_AFTER
    cancel_on_kill: bool = True

    @classmethod
    def checked(
        cls,
        *,
        poll_interval: float | timedelta = DEFAULT_POLL_INTERVAL,
        poll_backoff: float = DEFAULT_POLL_BACKOFF,
        poll_interval_max: float | timedelta | None = None,
        defer_after: float | timedelta = DEFAULT_DEFER_AFTER,
        cancel_on_kill: bool = True,
    ) -> Waiting:
        """
        Return what a user's parameters mean.

        :param poll_interval: seconds to the first poll after a submission, and the least between two.
        :param poll_backoff: by how much each wait is longer than the last.
        :param poll_interval_max: the longest wait, in seconds; by default 10, or ``poll_interval`` if that is longer.
        :param defer_after: seconds to wait in the worker before deferring.
        :param cancel_on_kill: whether to cancel the job when the user ends the task, or the time is over.
        :raises AsposeOcrInputError: for values that make no sense.
        """
        interval = seconds(poll_interval, "poll_interval")
        longest = None if poll_interval_max is None else seconds(poll_interval_max, "poll_interval_max")
        patience = seconds(defer_after, "defer_after")
        if not 0 <= patience < math.inf:
            raise AsposeOcrInputError(f"defer_after must be 0 seconds or more, and finite, got {defer_after}.")
        return cls(PollSchedule(interval, poll_backoff, longest), patience, switch(cancel_on_kill, "cancel_on_kill"))

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON, by the names of the operators' parameters: what a trigger keeps."""
        return {
            "poll_interval": self.schedule.interval,
            "poll_backoff": self.schedule.backoff,
            "poll_interval_max": self.schedule.longest,
            "defer_after": self.defer_after,
            "cancel_on_kill": self.cancel_on_kill,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Waiting:
        """
        Return what :meth:`to_json` described. Thousands of triggers wait in one process, most alike: they share one.

        :param values: any of its names.
        """
        return _from_items(tuple(sorted(values.items())))


@lru_cache
def _from_items(items: tuple[tuple[str, Any], ...]) -> Waiting:
    return Waiting.checked(**dict(items))


def seconds(duration: float | timedelta, name: str = "A duration") -> float:
    """
    Return a duration in seconds.

    :param duration: a number of seconds, or a timedelta.
    :param name: of the parameter, for the message.
    :raises AsposeOcrInputError: for anything else.
    """
    try:
        return duration.total_seconds() if isinstance(duration, timedelta) else float(duration)
    except (TypeError, ValueError):
        raise AsposeOcrInputError(f"{name} must be a number of seconds or a timedelta, got {duration!r:.80}.") from None


def time_limit(timeout: float | timedelta | None) -> float | None:
    """
    Return for how many seconds to wait for a job; ``None`` for ever.

    :param timeout: a user's: seconds, a timedelta, or ``None`` for ever, as what is longer than ten years is.
    :raises AsposeOcrInputError: for what is no time to wait: 0, less, or no number.
    """
    if timeout is None:
        return None
    limit = seconds(timeout, "timeout")
    if not limit > 0:
        raise AsposeOcrInputError(f"timeout must be over 0 seconds, or None to wait for ever, got {timeout}.")
    return limit if limit < FOR_EVER else None
