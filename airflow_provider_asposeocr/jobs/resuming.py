"""
Going on with what an earlier try has paid for: what its record, the job's state and a user's clear mean for this try.

A clear is not a new bill: as long as the same is asked for and the job has not been lost, a retry and a clear go on
with it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from msgspec.structs import replace

from airflow_provider_asposeocr.api.checks import endpoint_named
from airflow_provider_asposeocr.api.polling import Poller, PollOutcome, PollSchedule, PollVerdict
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.events import Event, told, warned
from airflow_provider_asposeocr.exceptions import AsposeOcrAmbiguousSubmissionError, AsposeOcrTaskRefusedError
from airflow_provider_asposeocr.hooks.synchronous import AsposeOcrHook
from airflow_provider_asposeocr.jobs.memory import SubmissionMemory
from airflow_provider_asposeocr.jobs.record import SubmissionRecord

log = logging.getLogger(__name__)

MOST_FAILED_JOBS = 2
"""How many jobs of a document may end as ``Error``, one after the other, before it is submitted no more."""


class Resubmission(Value, frozen=True):
    """
    When a user wants a document submitted again that was, or may have been, billed already.

    :param on_ambiguity: where it may have been accepted, but no job id came back.
    :param on_clear: where the task was cleared.
    :param of_failed_jobs: as often as its jobs end as ``Error``.
    """

    on_ambiguity: bool = False
    on_clear: bool = False
    of_failed_jobs: bool = False


class EarlierTry(Value, frozen=True):
    """
    What an earlier try has left.

    :param hook: of the task.
    :param memory: of the task.
    :param record: what it remembered.
    :param resubmission: when the document is submitted again all the same.
    """

    hook: AsposeOcrHook
    memory: SubmissionMemory
    record: SubmissionRecord
    resubmission: Resubmission

    def gone_on_with(
        self,
        new: SubmissionRecord,
        schedule: PollSchedule,
        *,
        deadline: float | None,
        patience: float,
        clear_cancels: bool,
        sleep: Callable[[float], None],
    ) -> tuple[SubmissionRecord, PollOutcome | None]:
        """
        Return the record to go on with. One with a job's id is of a job that serves, and comes with where that stands;
        one without is of a submission that is to be made.

        :param new: what this try asks for.
        :param schedule: when to poll.
        :param deadline: until when to wait for the job, in seconds since the epoch; ``None`` for ever.
        :param patience: after how many seconds to ask again before believing that a young job is lost, or that a job
            which was running when the user cleared the task is not being cancelled.
        :param clear_cancels: whether the end of the earlier try cancels its job.
        :param sleep: how to wait.
        :raises AsposeOcrAmbiguousSubmissionError: where only a user can say whether to bill again.
        :raises AsposeOcrTaskRefusedError: where two jobs in a row have ended as ``Error``.
        """
        old, new = self.record, new.with_files(self.record.files)
        if reason := old.why_not_for(new):
            if old.ocr_task_id or old.in_doubt:
                sentence, ids = "An earlier try submitted job %s; submitting anew: %s.", _ids(old)
                told(log, Event.JOB_REPLACED, sentence, old.ocr_task_id or "?", reason, **ids)
            return new, None
        cleared = old.was_cleared_for(new)
        new = replace(new, failed_jobs=0 if cleared else old.failed_jobs)
        if old.ocr_task_id is None:
            self._require_leave(new, cleared=cleared)
            return new, None
        if cleared and self.resubmission.on_clear:
            warned(
                log,
                Event.JOB_REPLACED,
                "The task was cleared by a user since job %s was submitted: submitting anew (resubmit_on_clear=True), "
                "which is billed again.",
                old.ocr_task_id,
                **_ids(old),
            )
            return new, None
        outcome = self._asked(schedule, deadline)
        is_young = time.time() - old.submitted_at < patience
        if (outcome.verdict is PollVerdict.NOT_EXIST and is_young) or (
            not outcome.is_final and cleared and clear_cancels
        ):
            sleep(patience)
            outcome = self._asked(schedule, deadline)
        if outcome.verdict in (PollVerdict.ERROR, PollVerdict.NOT_EXIST):
            return self._after_bad_end(new, outcome, cleared=cleared), None
        self._tell_resumed(outcome, cleared=cleared)
        old = replace(old, max_tries=new.max_tries, failed_jobs=new.failed_jobs)
        if cleared:
            # Else the next retry would pass for another clear.
            self.memory.remember(old)
        return old, outcome

    def _asked(self, schedule: PollSchedule, deadline: float | None) -> PollOutcome:
        """Ask at once: it tells whether there is a job to go on with, and brings the result of a completed one."""
        assert self.record.ocr_task_id is not None
        poller = Poller(schedule, self.record.submitted_at, deadline)
        return self.hook.ask(endpoint_named(self.record.endpoint), self.record.ocr_task_id, poller)

    def _tell_resumed(self, outcome: PollOutcome, *, cleared: bool) -> None:
        told(
            log,
            Event.JOB_RESUMED,
            "%s %s job %s of an earlier try; nothing is submitted or billed again.%s",
            "Fetching the result of" if outcome.verdict is PollVerdict.COMPLETED else "Going on with",
            self.record.endpoint,
            self.record.ocr_task_id,
            " (The task was cleared; resubmit_on_clear=True would have the document read anew.)" if cleared else "",
            **_ids(self.record),
        )

    def _after_bad_end(self, new: SubmissionRecord, outcome: PollOutcome, *, cleared: bool) -> SubmissionRecord:
        """What is to be submitted after a job that is of no use."""
        old = self.record
        if outcome.verdict is PollVerdict.ERROR and not cleared:
            new = replace(new, failed_jobs=old.failed_jobs + 1)
            self.memory.remember(old.without_job(failed=True))
            if new.failed_jobs >= MOST_FAILED_JOBS and not self.resubmission.of_failed_jobs:
                raise refused(old.endpoint, old.ocr_task_id or "", new.image, outcome.reason)
        warned(
            log,
            Event.JOB_REPLACED,
            "An earlier try submitted %s job %s, which is now %s%s; submitting anew, which is billed again%s.",
            old.endpoint,
            old.ocr_task_id,
            outcome.verdict,
            f" ({outcome.reason})" if outcome.reason else "",
            " (the task was cleared by a user since)" if cleared else "",
            **_ids(old),
        )
        return new

    def _require_leave(self, new: SubmissionRecord, *, cleared: bool) -> None:
        """Refuse to submit where no job's id is known and only a user can say whether to bill again."""
        if self.record.in_doubt:
            self._after_unknown_submission(cleared=cleared)
        elif new.failed_jobs >= MOST_FAILED_JOBS and not self.resubmission.of_failed_jobs:
            # The try that saw the last one fail was killed before it could say so.
            raise refused(self.record.endpoint, None, new.image, "")

    def _after_unknown_submission(self, *, cleared: bool) -> None:
        if cleared or self.resubmission.on_ambiguity:
            warned(
                log,
                Event.JOB_REPLACED,
                "An earlier try was cut off while it submitted; the document may have been billed. "
                "Submitting again (%s).",
                "the task was cleared by a user" if cleared else "resubmit_on_ambiguity=True",
            )
            return
        raise AsposeOcrAmbiguousSubmissionError(
            "An earlier try was cut off while it submitted the document: the service may have accepted and billed it, "
            "but no job id came back, or none could be kept. Where the log of that try names one, its result can be "
            "fetched by it for 24 hours, by the sensor or by get_task of the hook. The document is not submitted again "
            "by itself: clear the task to submit it anew, or set resubmit_on_ambiguity=True where a second bill is "
            "better than a failed task.",
            image=self.record.image,
            endpoint=self.record.endpoint,
        )


def refused(endpoint: str, ocr_task_id: str | None, image: str | None, reason: str) -> AsposeOcrTaskRefusedError:
    """
    Return the error for a document whose jobs end as ``Error`` again and again.

    :param endpoint: where it was submitted.
    :param ocr_task_id: the last of its jobs, where it is still known.
    :param image: the document, where it has a name.
    :param reason: the service's messages.
    """
    return AsposeOcrTaskRefusedError(
        f"{endpoint} job {ocr_task_id or 'of an earlier try'} ended as Error, and so did the one before it: "
        f"{reason.rstrip('.') or 'the service gave no reason'}. Both are billed. The document is not submitted a third "
        "time: mend it and clear the task, or set resubmit_failed_jobs=True.",
        messages=tuple(filter(None, (reason,))),
        resubmits=False,
        endpoint=endpoint,
        ocr_task_id=ocr_task_id,
        image=image,
    )


def _ids(record: SubmissionRecord) -> dict[str, str | None]:
    """What the log calls its job by."""
    return {"endpoint": record.endpoint, "ocr_task_id": record.ocr_task_id}
