"""
A retry policy for DAG authors (Airflow 3.3+): which failures of our tasks are worth another try, and when.

Below 3.3 Airflow knows no retry policies: the same DAG file runs there, the policy is without effect, and permanent
errors end a task without retries because they are ``AirflowFailException``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS

from airflow_provider_asposeocr.exceptions import (
    AsposeOcrDeliveryError,
    AsposeOcrError,
    AsposeOcrProtocolError,
    AsposeOcrServiceError,
    AsposeOcrStorageError,
    AsposeOcrTaskError,
    AsposeOcrTaskNotFoundError,
    AsposeOcrTimeoutError,
)

if TYPE_CHECKING or AIRFLOW_V_3_3_PLUS:
    from airflow.providers.common.compat.sdk import RetryDecision, RetryPolicy
else:
    RetryPolicy = object

_MENDABLE = (
    AsposeOcrServiceError,
    AsposeOcrProtocolError,
    AsposeOcrTimeoutError,
    AsposeOcrDeliveryError,
    AsposeOcrStorageError,
    AsposeOcrTaskError,
)
DEFAULT_DELAY = timedelta(seconds=30)
DEFAULT_MAX_DELAY = timedelta(minutes=10)


class AsposeOcrRetryPolicy(RetryPolicy):
    """
    Retries what can get better, waits as long as the service asked, and fails the rest at once.

    ==================================  ==========================================================================
    the service is not there, not well  retry: goes on with the job, or submits where nothing was accepted
    too many requests (429)             retry, after what ``Retry-After`` said
    the job is lost (``NotExist``)      retry at once: submits anew; a sensor, which submits nothing, fails
    the job timed out                   retry: goes on with it, or submits anew where it was cancelled
    the result could not be delivered   retry: fetches it again, which is not billed
    the job ended as ``Error``          fail: the same document would end, and be billed, the same way again
    wrong input, credentials, requests  fail
    may have been billed                fail: only a user can say whether to bill again
    anything else                       as the task's ``retries`` and ``retry_delay`` say
    ==================================  ==========================================================================

    Use it as ``retry_policy=AsposeOcrRetryPolicy()`` beside ``retries=``, which still bounds the tries.

    :param delay: before the first retry; each further one waits twice as long.
    :param max_delay: the longest wait of our own; what the service asks for may be longer.
    :param resubmit_failed_jobs: whether each retry submits again a document whose job ended as ``Error``. The operators
        have a parameter of the same name; either will do.
    """

    def __init__(
        self,
        *,
        delay: timedelta = DEFAULT_DELAY,
        max_delay: timedelta = DEFAULT_MAX_DELAY,
        resubmit_failed_jobs: bool = False,
    ) -> None:
        self.delay = delay
        self.max_delay = max_delay
        self.resubmit_failed_jobs = resubmit_failed_jobs

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,
        context: Any = None,
    ) -> RetryDecision:
        """
        Decide on a failure.

        :param exception: what the task raised.
        :param try_number: of the try that failed, from 1.
        :param max_tries: how many there may be.
        :param context: Airflow's task context.
        """
        if not isinstance(exception, AsposeOcrError):
            return RetryDecision.default()
        if isinstance(exception, AirflowFailException):
            return RetryDecision.fail(f"{type(exception).__name__}: a retry cannot help.")
        if isinstance(exception, AsposeOcrTaskNotFoundError | AsposeOcrTaskError) and not exception.resubmits:
            return RetryDecision.fail("The job is gone, and a sensor submits nothing: a retry cannot help.")
        if isinstance(exception, AsposeOcrTaskNotFoundError):
            return RetryDecision.retry(timedelta(0), "The job is lost: submitting the document again.")
        if isinstance(exception, AsposeOcrTaskError) and not (self.resubmit_failed_jobs or _task_resubmits(context)):
            return RetryDecision.fail(
                "The job ended as Error: the same document would end, and be billed, the same way again."
            )
        if isinstance(exception, AsposeOcrServiceError) and exception.retry_after is not None:
            asked = timedelta(seconds=exception.retry_after)
            return RetryDecision.retry(max(asked, self.delay), f"The service asked to wait {asked}.")
        if isinstance(exception, _MENDABLE):
            return RetryDecision.retry(self._backoff(try_number), f"{type(exception).__name__}: this can get better.")
        return RetryDecision.default()

    def _backoff(self, try_number: int) -> timedelta:
        doublings = min(max(try_number, 1) - 1, 20)
        seconds = self.delay.total_seconds() * float(2**doublings)
        return min(timedelta(seconds=seconds), self.max_delay)

    def serialize(self) -> dict[str, Any]:
        """Return the arguments as JSON."""
        return {
            "delay": self.delay.total_seconds(),
            "max_delay": self.max_delay.total_seconds(),
            "resubmit_failed_jobs": self.resubmit_failed_jobs,
        }

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> AsposeOcrRetryPolicy:
        """
        Return the policy that :meth:`serialize` described.

        :param data: what it returned.
        """
        return cls(
            delay=timedelta(seconds=data["delay"]),
            max_delay=timedelta(seconds=data["max_delay"]),
            resubmit_failed_jobs=data["resubmit_failed_jobs"],
        )


def _task_resubmits(context: Any) -> bool:
    """Whether the task itself says that failed jobs are submitted again."""
    task = context.get("task") if context else None
    return bool(getattr(task, "resubmit_failed_jobs", False))
