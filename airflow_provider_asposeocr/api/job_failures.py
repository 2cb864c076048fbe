"""What is said of a job that did not end well: what became of it, whether it is billed, and what a retry will do."""

from __future__ import annotations

from airflow_provider_asposeocr.api.polling import PollOutcome, PollVerdict
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.exceptions import (
    About,
    AsposeOcrConnectionNotFoundError,
    AsposeOcrError,
    AsposeOcrServiceError,
    AsposeOcrTaskError,
    AsposeOcrTaskNotFoundError,
    AsposeOcrTimeoutError,
    refusal_named,
)

_SUBMIT_AGAIN = "A retry submits the document again, which is billed again."
_CLEAR_THE_SUBMITTER = (
    "A retry submits nothing and finds the same; clear the task that submitted the document to have it read again, "
    "which is billed again."
)


class JobFailure(Value, frozen=True):
    """
    How a job did not end well, as far as that is known where its error is made.

    :param verdict: a final one, other than ``Completed``.
    :param reason: the service's messages, or what the last poll broke on.
    :param messages: the service's own messages one by one, where they are at hand; else ``reason`` is taken as one.
    :param error: of the last poll, where it is at hand: a trigger's event brings words and numbers only.
    :param retry_after: how many seconds the service asked to wait, where the error is not at hand.
    :param refusal: the name of the class of a permanent fault, likewise.
    """

    verdict: PollVerdict
    reason: str = ""
    messages: tuple[str, ...] = ()
    error: AsposeOcrError | None = None
    retry_after: float | None = None
    refusal: str = ""

    @classmethod
    def of(cls, outcome: PollOutcome) -> JobFailure:
        """
        Return what the last poll tells.

        :param outcome: its decision, a final one other than ``Completed``.
        """
        return cls(outcome.verdict, outcome.reason, outcome.task.messages if outcome.task else (), outcome.error)

    def as_error(
        self, *, endpoint: str, ocr_task_id: str, image: str | None = None, aftermath: str = "", submits: bool = True
    ) -> AsposeOcrError:
        """
        Return the error to raise.

        :param endpoint: where the job was submitted.
        :param ocr_task_id: the job's id.
        :param image: the document, where it is known.
        :param aftermath: for a time-out: what became of the job, a sentence.
        :param submits: whether a retry submits the document again; a sensor's does not.
        """
        why = self.reason.rstrip(".")
        about: About = {"endpoint": endpoint, "ocr_task_id": ocr_task_id, "image": image}
        job = f"{endpoint} job {ocr_task_id}"
        then = _SUBMIT_AGAIN if submits else _CLEAR_THE_SUBMITTER
        if self.verdict is PollVerdict.ERROR:
            return AsposeOcrTaskError(
                f"{job} ended as Error: {why or 'the service gave no reason'}. {then}",
                messages=self.messages or tuple(filter(None, (self.reason,))),
                resubmits=submits,
                **about,
            )
        if self.verdict is PollVerdict.NOT_EXIST:
            return AsposeOcrTaskNotFoundError(
                f"The service does not know {job}: the id is wrong or of another endpoint or account, the job was "
                f"cancelled, or its result is older than 24 hours. {then}",
                resubmits=submits,
                **about,
            )
        if self.verdict is PollVerdict.TIMED_OUT:
            tail = f" The last poll said: {why}." if why else ""
            return AsposeOcrTimeoutError(f"{job} did not end in time.{tail} {aftermath}".rstrip(), **about)
        if self.verdict is PollVerdict.GAVE_UP:
            last = f", the last: {why}" if why else ""
            asked = self.error.retry_after if isinstance(self.error, AsposeOcrServiceError) else self.retry_after
            return AsposeOcrServiceError(
                f"Polling gave up on {job} after too many failures in a row{last}. "
                "The job is left in place at the service; a retry goes on with it and is not billed again.",
                retry_after=asked,
                **about,
            )
        return self._refused(job, why, about)

    def _refused(self, job: str, why: str, about: About) -> AsposeOcrError:
        """The error for a permanent fault: the job itself may be well."""
        no_connection = AsposeOcrConnectionNotFoundError
        if isinstance(self.error, no_connection) or self.refusal == no_connection.__name__:
            # It was there when the document was submitted: rather an outage of what keeps it, and the job is paid for.
            return AsposeOcrServiceError(
                f"{job} cannot be asked for: {why}. It is left in place at the service: a retry goes on with it and is "
                "not billed again.",
                **about,
            )
        error = self.error
        if error is None:
            error = refusal_named(self.refusal)(self.reason or f"The service refused to tell about {job}.")
        error.message += (
            f" {job} is left in place: its result can be fetched by its id for 24 hours after the submission, by "
            "`get_task` of the hook, by the sensor, or by clearing the task once that is mended (an operator's needs "
            "durable=True and Airflow 3.3+ for it; below, it submits the document again, which is billed again)."
        )
        return error.about(**about)
