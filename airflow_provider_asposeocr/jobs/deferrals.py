"""What comes back from a deferral: the trigger's event, or Airflow's own time-out."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from msgspec import field

from airflow_provider_asposeocr.api.checks import checked_ocr_task_id, endpoint_named
from airflow_provider_asposeocr.api.costs import Cost
from airflow_provider_asposeocr.api.endpoints import Endpoint
from airflow_provider_asposeocr.api.job_failures import JobFailure
from airflow_provider_asposeocr.api.polling import PollOutcome, PollVerdict
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrInputError,
    AsposeOcrProtocolError,
    AsposeOcrServiceError,
    refusal_named,
)


class JobEvent(Value, frozen=True):
    """
    What the trigger tells of a job.

    :param endpoint: where it was submitted.
    :param ocr_task_id: its id.
    :param verdict: what became of it.
    :param message: why.
    :param messages: the service's own messages one by one.
    :param refusal: the name of the class of the error, where there was one.
    :param retry_after: how many seconds the service asked to wait.
    :param seconds: from the job's submission until it was seen completed.
    :param cost: what the try had spent by then.
    :param started_at: where the trigger hands the job back to the worker, when that was submitted: the triggerer lacks
        what the worker has, such as a CA bundle. In seconds since the epoch.
    :param end_time: likewise, until when to wait for it; ``None`` for ever.
    """

    endpoint: Endpoint
    ocr_task_id: str
    verdict: PollVerdict
    message: str = ""
    messages: tuple[str, ...] = ()
    refusal: str = ""
    retry_after: float | None = None
    seconds: float | None = None
    cost: Cost = field(default_factory=Cost)
    started_at: float | None = None
    end_time: float | None = None

    @property
    def is_handed_back(self) -> bool:
        """Whether the job goes on and the worker is to follow it."""
        return self.started_at is not None and issubclass(refusal_named(self.refusal), AsposeOcrInputError)

    @property
    def failure(self) -> JobFailure:
        """How the job did not end well."""
        return JobFailure(self.verdict, self.message, self.messages, retry_after=self.retry_after, refusal=self.refusal)

    @classmethod
    def read(cls, event: Any) -> JobEvent:
        """
        Return what an event says.

        :param event: ``{ocr_task_id, endpoint, status, message}``, and where they matter ``error``, ``messages`` and
            ``retry_after``, ``started_at`` and ``end_time``.
        :raises AsposeOcrProtocolError: where it is none of ours.
        """
        try:
            return cls(
                endpoint=endpoint_named(event["endpoint"]),
                ocr_task_id=checked_ocr_task_id(event["ocr_task_id"]),
                verdict=_FINAL[event["status"]],
                message=str(event.get("message") or ""),
                messages=tuple(map(str, event.get("messages") or ())),
                refusal=str(event.get("error") or ""),
                retry_after=_time_of(event.get("retry_after")),
                seconds=_time_of(event.get("seconds")),
                cost=Cost.from_json(event.get("cost")),
                started_at=_time_of(event.get("started_at")),
                end_time=_time_of(event.get("end_time")),
            )
        except (AsposeOcrInputError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise AsposeOcrProtocolError(
                f"The trigger's event is not one of ours, as of another version of this provider: {event!r:.300}. "
                "The job is left in place at the service; a retry goes on with it and is not billed again "
                "(Airflow 3.3+)."
            ) from error


_FINAL = {str(verdict): verdict for verdict in PollVerdict if verdict is not PollVerdict.WAIT}


def _time_of(value: Any) -> float | None:
    return None if value is None else float(value)


def is_deferral_timeout(error: BaseException) -> bool:
    """
    Say whether Airflow's own time-out ended a deferral.

    :param error: what ``resume_execution`` raised: ``TaskDeferralTimeout``, which a sensor of Airflow turns into other
        errors; 2.11 has ``TaskDeferralError`` only.
    """
    at: BaseException | None = error
    for _ in range(4):
        name = type(at).__name__
        if name == "TaskDeferralTimeout" or (name == "TaskDeferralError" and "timeout" in str(at).lower()):
            return True
        at = at.__cause__ if at is not None else None
    return False


def deferral_limit(deadline: float | None, slack: float) -> timedelta | None:
    """
    Return Airflow's own time-out of a deferral.

    :param deadline: of the job, in seconds since the epoch; ``None`` for none.
    :param slack: by how many seconds it comes later.
    """
    return None if deadline is None else timedelta(seconds=max(0.0, deadline - time.time()) + slack)


def not_fetched(outcome: PollOutcome, endpoint: str, ocr_task_id: str, image: str | None) -> AsposeOcrServiceError:
    """
    Return the error for a job that the trigger saw completed, but whose result did not come. It is paid for.

    :param outcome: of the last poll.
    :param endpoint: where it was submitted.
    :param ocr_task_id: its id.
    :param image: the document, where it is known.
    """
    why = f": {outcome.reason.rstrip('.')}" if outcome.reason else " in time"
    return AsposeOcrServiceError(
        f"{endpoint} job {ocr_task_id} is completed and billed, but its result could not be fetched{why}. It stays at "
        "the service for 24 hours after the submission: a retry fetches it, and is not billed again (Airflow 3.3+).",
        retry_after=getattr(outcome.error, "retry_after", None),
        image=image,
        endpoint=endpoint,
        ocr_task_id=ocr_task_id,
    )
