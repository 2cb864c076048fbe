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
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_asposeocr.exceptions import (
    About,
    AsposeOcrError,
    AsposeOcrInputError,
    AsposeOcrProtocolError,
    AsposeOcrServiceError,
    AsposeOcrTaskError,
    AsposeOcrTaskNotFoundError,
    AsposeOcrTimeoutError,
    refusal_named,
)

if TYPE_CHECKING:
    from airflow_provider_asposeocr.api.results import OcrTask

DEFAULT_POLL_INTERVAL = 2.0
DEFAULT_POLL_BACKOFF = 1.25
DEFAULT_POLL_INTERVAL_MAX = 10.0
DEFAULT_JITTER = 0.1
MAX_FAILURES_IN_A_ROW = 5


@dataclass(frozen=True, slots=True)
class PollSchedule:
    """
    When to ask.

    :param interval: seconds from the submission to the first poll, and the least between two.
    :param backoff: by how much each wait is longer than the last; 1 keeps it the same.
    :param interval_max: the longest wait, in seconds.
    :param jitter: by which fraction a wait is randomly longer or shorter, so that many jobs do not ask at once.
    :raises AsposeOcrInputError: for values that make no schedule.
    """

    interval: float = DEFAULT_POLL_INTERVAL
    backoff: float = DEFAULT_POLL_BACKOFF
    interval_max: float = DEFAULT_POLL_INTERVAL_MAX
    jitter: float = DEFAULT_JITTER

    def __post_init__(self) -> None:
        if not self.interval > 0:
            raise AsposeOcrInputError(f"poll_interval must be over 0 seconds, got {self.interval}.")
        if not self.backoff >= 1:
            raise AsposeOcrInputError(f"poll_backoff must be at least 1, got {self.backoff}.")
        if not self.interval_max >= self.interval:
            raise AsposeOcrInputError(
                f"poll_interval_max ({self.interval_max} s) must not be shorter than poll_interval ({self.interval} s)."
            )
        if not 0 <= self.jitter < 1:
            raise AsposeOcrInputError(f"The jitter must be from 0 to under 1, got {self.jitter}.")

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
        wait = min(self.interval + (self.backoff - 1) * max(age, 0.0), self.interval_max)
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


@dataclass(frozen=True, slots=True)
class PollOutcome:
    """
    The decision after a poll.

    :param verdict: what to do.
    :param delay: for ``WAIT``: in how many seconds to ask again.
    :param task: where there is nothing more to ask: the job as last reported. A thousand waiting ones keep none.
    :param error: the failure, where it had none.
    """

    verdict: PollVerdict
    delay: float = 0.0
    task: OcrTask | None = field(default=None, repr=False)
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


@dataclass(slots=True)
class Poller:
    """
    Decides after each poll of one job.

    :param schedule: when to ask.
    :param started_at: when the job was submitted, in seconds since the epoch.
    :param deadline: until when to wait, in seconds since the epoch; ``None`` for ever.
    :param max_failures: how many failures in a row are survived.
    """

    schedule: PollSchedule
    started_at: float
    deadline: float | None = None
    max_failures: int = MAX_FAILURES_IN_A_ROW
    uniform: Callable[[float, float], float] = random.uniform
    failures: int = 0

    def first(self, now: float) -> PollOutcome:
        """
        Decide how long to wait before the first poll after a submission: what has passed since counts.

        :param now: seconds since the epoch.
        """
        passed = max(0.0, now - self.started_at)
        return self._until_deadline(max(0.0, self.schedule.wait(0.0, self.uniform) - passed), now, None, None)

    def on_answer(self, task: OcrTask, now: float) -> PollOutcome:
        """
        Decide after an answer. The state comes first, the deadline second: a job that ended is never timed out.

        :param task: the job as reported.
        :param now: seconds since the epoch.
        """
        self.failures = 0
        if verdict := _FINAL.get(task.status):
            return PollOutcome(verdict, task=task)
        return self._wait(now, task, None)

    def on_failure(self, error: AsposeOcrError, now: float) -> PollOutcome:
        """
        Decide after a poll that brought no answer.

        :param error: why.
        :param now: seconds since the epoch.
        """
        if not is_transient(error):
            return PollOutcome(PollVerdict.REFUSED, error=error)
        self.failures += 1
        if self.failures > self.max_failures:
            return PollOutcome(PollVerdict.GAVE_UP, error=error)
        return self._wait(now, None, error)

    def _wait(self, now: float, task: OcrTask | None, error: AsposeOcrError | None) -> PollOutcome:
        delay = self.schedule.wait(now - self.started_at, self.uniform)
        if isinstance(error, AsposeOcrServiceError) and error.retry_after is not None:
            delay = max(delay, error.retry_after)
        return self._until_deadline(delay, now, task, error)

    def _until_deadline(
        self, delay: float, now: float, task: OcrTask | None, error: AsposeOcrError | None
    ) -> PollOutcome:
        if self.deadline is not None:
            left = self.deadline - now
            if left <= 0 or left < min(delay, self.schedule.least):
                return PollOutcome(PollVerdict.TIMED_OUT, task=task, error=error)
            delay = min(delay, left)
        return PollOutcome(PollVerdict.WAIT, delay=delay, error=error)


def is_transient(error: AsposeOcrError) -> bool:
    """Whether asking again can help: the service was not there, not well, or its answer came broken."""
    return isinstance(error, AsposeOcrServiceError | AsposeOcrProtocolError)


def failure_of(
    outcome: PollOutcome, *, endpoint: str, ocr_task_id: str, image: str | None = None, aftermath: str = ""
) -> AsposeOcrError:
    """
    Return the error for a final outcome other than ``Completed``.

    :param outcome: the decision.
    :param endpoint: where the job was submitted.
    :param ocr_task_id: the job's id.
    :param image: the document, where it is known.
    :param aftermath: for a time-out: what became of the job, a sentence.
    """
    return failure(
        outcome.verdict,
        reason=outcome.reason,
        error=outcome.error,
        endpoint=endpoint,
        ocr_task_id=ocr_task_id,
        image=image,
        aftermath=aftermath,
        messages=outcome.task.messages if outcome.task else (),
    )


def failure(
    verdict: PollVerdict,
    *,
    reason: str,
    endpoint: str,
    ocr_task_id: str,
    image: str | None = None,
    aftermath: str = "",
    error: AsposeOcrError | None = None,
    retry_after: float | None = None,
    messages: tuple[str, ...] = (),
    refusal: str = "",
) -> AsposeOcrError:
    """
    Return the error for a verdict; it says what became of the job and what a retry will do.

    :param verdict: a final one, other than ``Completed``.
    :param reason: the service's messages, or what the last poll broke on.
    :param endpoint: where the job was submitted.
    :param ocr_task_id: the job's id.
    :param image: the document, where it is known.
    :param aftermath: for a time-out: what became of the job, a sentence.
    :param error: the error of the last poll, where it is at hand.
    :param retry_after: how many seconds the service asked to wait.
    :param messages: the service's own messages one by one, where they are at hand; else ``reason`` is taken as one.
    :param refusal: the name of the class of a permanent fault, where the error itself is not at hand.
    """
    why = reason.rstrip(".")
    about: About = {"endpoint": endpoint, "ocr_task_id": ocr_task_id, "image": image}
    job = f"{endpoint} job {ocr_task_id}"
    if verdict is PollVerdict.ERROR:
        said = why or "the service gave no reason"
        return AsposeOcrTaskError(
            f"{job} ended as Error: {said}. A retry submits the document again, which is billed again.",
            messages=messages or tuple(filter(None, (reason,))),
            **about,
        )
    if verdict is PollVerdict.NOT_EXIST:
        return AsposeOcrTaskNotFoundError(
            f"The service does not know {job}: the id is wrong or of another endpoint or account, the job was "
            "cancelled, or its result is older than 24 hours. A retry of an operator submits the document again.",
            **about,
        )
    if verdict is PollVerdict.TIMED_OUT:
        tail = f" The last poll said: {why}." if why else ""
        return AsposeOcrTimeoutError(f"{job} did not end in time.{tail} {aftermath}".rstrip(), **about)
    if verdict is PollVerdict.GAVE_UP:
        last = f", the last: {why}" if why else ""
        asked = error.retry_after if isinstance(error, AsposeOcrServiceError) else retry_after
        return AsposeOcrServiceError(
            f"Polling gave up on {job} after too many failures in a row{last}. "
            "The job is left in place at the service; a retry goes on with it and is not billed again.",
            retry_after=asked,
            **about,
        )
    if error is None:
        error = refusal_named(refusal)(reason or f"The service refused to tell about {job}.")
    error.message += (
        f" {job} is left in place: its result can be fetched by its id for 24 hours after the submission, by "
        "`get_task` of the hook or by the sensor. Clearing an operator's task submits the document again, which is "
        "billed again."
    )
    return error.about(**about)
