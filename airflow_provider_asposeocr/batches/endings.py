"""What an answer about a job of a batch, or the lack of one, means for its document."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_asposeocr import metrics
from airflow_provider_asposeocr.api.job_failures import JobFailure
from airflow_provider_asposeocr.api.polling import PollVerdict, is_transient
from airflow_provider_asposeocr.api.results import OcrTask
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.batches.documents import BatchDocument
from airflow_provider_asposeocr.batches.plan import BatchPlan
from airflow_provider_asposeocr.exceptions import AsposeOcrError

_ENDED = {verdict.value: verdict for verdict in (PollVerdict.COMPLETED, PollVerdict.ERROR, PollVerdict.NOT_EXIST)}


@dataclass(slots=True)
class JobSoFar:
    """
    What this try knows of a job beyond what is remembered.

    :param document: whose it is.
    :param earlier: whether an earlier try submitted it.
    :param failures: how many polls of it alone have failed in a row.
    :param successes_then: how many calls of the batch had gone well at the last of them.
    :param unknown: how often in a row the service did not know it.
    """

    document: BatchDocument
    earlier: bool
    failures: int = 0
    successes_then: int = 0
    unknown: int = 0

    def tell_time(self, endpoint: str, now: float) -> None:
        """
        Tell how long it took, now that it is completed; of an earlier try's nobody knows.

        :param endpoint: where it was submitted.
        :param now: the time.
        """
        if not self.earlier and self.document.submitted_at is not None:
            metrics.completed(endpoint, now - self.document.submitted_at)


class Verdict(Value, frozen=True):
    """
    What became of a job.

    :param what: the same in a word.
    :param task: the job with its results, where it has some.
    :param error: why its state is not known.
    :param ask_again_in: seconds after which to ask again, before this is believed.
    """

    what: PollVerdict
    task: OcrTask | None = None
    error: AsposeOcrError | None = None
    ask_again_in: float | None = None

    @property
    def goes_on(self) -> bool:
        """Whether the job is left at the service."""
        return self.what in (PollVerdict.GAVE_UP, PollVerdict.REFUSED, PollVerdict.TIMED_OUT)

    def failure(self, endpoint: str, document: BatchDocument, *, cancelled: bool) -> AsposeOcrError:
        """
        Return the error that says so.

        :param endpoint: where the job was submitted.
        :param document: whose it is.
        :param cancelled: whether it was cancelled, as it did not end in time.
        """
        messages = self.task.messages if self.task else ()
        reason = str(self.error) if self.error else "; ".join(messages)
        return JobFailure(self.what, reason, messages, self.error).as_error(
            endpoint=endpoint,
            ocr_task_id=document.ocr_task_id or "",
            image=document.image,
            aftermath="It was cancelled; a retry submits it again." if cancelled else "It goes on at the service.",
        )


def verdict_on_answer(
    task: OcrTask, job: JobSoFar, asked_at: float, deadline: float, plan: BatchPlan
) -> Verdict | None:
    """
    Say what an answer means; ``None`` where the job has not ended. The state comes first, the deadline second.

    :param task: the job as reported.
    :param job: what is known of it.
    :param asked_at: when it was asked, in seconds since the epoch.
    :param deadline: until when to wait for it, likewise.
    :param plan: says when to ask again, and for how long a young job that is not known is not believed to be lost.
    """
    ended = _ENDED.get(task.status)
    if ended in (PollVerdict.COMPLETED, PollVerdict.ERROR):
        return Verdict(ended, task)
    if ended is PollVerdict.NOT_EXIST:
        job.unknown += 1
        is_young = asked_at - (job.document.submitted_at or 0.0) < plan.doubt_patience
        if not is_young:
            # Not counted: a deferral would lose the count, and the batch would be woken for ever.
            return Verdict(PollVerdict.NOT_EXIST, task)
        wait = min(plan.schedule.interval * job.unknown, plan.schedule.longest)
        return Verdict(PollVerdict.NOT_EXIST, task, ask_again_in=wait)
    job.unknown = 0
    return Verdict(PollVerdict.TIMED_OUT, task) if asked_at >= deadline else None


def verdict_on_failure(error: AsposeOcrError, job: JobSoFar, successes: int, most: int) -> Verdict | None:
    """
    Say what a failed poll means; ``None`` where it is to be repeated.

    :param error: why it failed.
    :param job: what is known of the job.
    :param successes: how many calls of the batch have gone well: where none has since, it is not this job's affair.
    :param most: how many failures of this job alone are survived.
    """
    if not is_transient(error):
        return Verdict(PollVerdict.REFUSED, error=error)
    if successes > job.successes_then or not job.failures:
        job.failures += 1
    job.successes_then = successes
    return Verdict(PollVerdict.GAVE_UP, error=error) if job.failures > most else None
