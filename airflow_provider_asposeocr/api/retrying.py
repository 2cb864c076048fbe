"""
The one retry policy, for both hooks: :func:`~airflow_provider_asposeocr.api.conversations.repeated` follows it by
``tenacity.Retrying(**policy)``, and yields the waits to whoever drives it.

Repeated is only what cannot be billed twice: a submission whose acceptance is uncertain is an
:class:`~airflow_provider_asposeocr.exceptions.AsposeOcrAmbiguousSubmissionError`, which this policy does not know.
"""

from __future__ import annotations

from typing import Any

from tenacity import RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from airflow_provider_asposeocr.api.polling import is_transient
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrAmbiguousSubmissionError,
    AsposeOcrError,
    AsposeOcrServiceError,
)

DEFAULT_RETRY_LIMIT = 3
LONGEST_WAIT = 60.0
"""Seconds. Where the service asks for a longer wait, the try fails instead: a worker slot is not for sleeping."""

_backoff = wait_random_exponential(multiplier=1, min=0.5, max=30)


def _asked_wait(error: BaseException | None) -> float:
    return (error.retry_after or 0.0) if isinstance(error, AsposeOcrServiceError) else 0.0


def _can_help(error: BaseException) -> bool:
    return isinstance(error, AsposeOcrError) and is_transient(error) and _asked_wait(error) <= LONGEST_WAIT


def _can_help_or_is_ambiguous(error: BaseException) -> bool:
    return _can_help(error) or isinstance(error, AsposeOcrAmbiguousSubmissionError)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return max(_backoff(state), _asked_wait(error))


def retry_policy(retry_limit: int = DEFAULT_RETRY_LIMIT, *, resubmit_on_ambiguity: bool = False) -> dict[str, Any]:
    """
    Return the keyword arguments of a tenacity controller: exponential waits with jitter, ``Retry-After`` honoured.

    :param retry_limit: how often a call is repeated at most; 0 switches repeats off.
    :param resubmit_on_ambiguity: whether the user prefers a second bill to a failed task.
    """
    return {
        "stop": stop_after_attempt(retry_limit + 1),
        "wait": _wait,
        "retry": retry_if_exception(_can_help_or_is_ambiguous if resubmit_on_ambiguity else _can_help),
        "reraise": True,
    }
