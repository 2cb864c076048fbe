"""
Operators for Aspose.OCR Cloud: one per endpoint, on one base.

Each checks everything that can be checked before anything is billed, goes on with the job of an earlier try or submits
a new one, waits (a short while in the worker, then deferred), fetches the result once and returns it as XCom.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import ObjectStoragePath
from msgspec.structs import replace

from airflow_provider_asposeocr.api.checks import endpoint_named, parse_settings, switch
from airflow_provider_asposeocr.api.polling import PollOutcome
from airflow_provider_asposeocr.api.results import OcrTask
from airflow_provider_asposeocr.api.settings import Settings
from airflow_provider_asposeocr.api.waiting import time_limit
from airflow_provider_asposeocr.events import Event, told
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrDeliveryError,
    AsposeOcrError,
    AsposeOcrProtocolError,
    AsposeOcrServiceError,
    AsposeOcrTaskError,
)
from airflow_provider_asposeocr.hooks.submissions import Submission
from airflow_provider_asposeocr.jobs.following import DEFAULT_TIMEOUT, OcrJobOperator
from airflow_provider_asposeocr.jobs.job import OcrJob
from airflow_provider_asposeocr.jobs.memory import SubmissionIntent, SubmissionMemory
from airflow_provider_asposeocr.jobs.record import SubmissionRecord, settings_digest
from airflow_provider_asposeocr.jobs.resuming import MOST_FAILED_JOBS, EarlierTry, Resubmission, refused
from airflow_provider_asposeocr.storage.documents import document
from airflow_provider_asposeocr.storage.failures import delivering
from airflow_provider_asposeocr.storage.lineage import document_sent
from airflow_provider_asposeocr.storage.outputs import (
    OutputFiles,
    expected_extensions,
    names_a_place,
    output_files,
    require_output_path,
)
from airflow_provider_asposeocr.storage.results import deliver

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


_GONE_ON_WITH = (AsposeOcrServiceError, AsposeOcrProtocolError, AsposeOcrDeliveryError)
"""What leaves a job in place that the next try goes on with, where it knows it."""
_NO_RECORD = (
    " But this task keeps no record of the job (durable=False, or Airflow below 3.3): its retry submits and is billed "
    "again. Fetch the result by the job's id instead."
)


class AsposeOcrOperator(OcrJobOperator):
    """
    Submits a document to one endpoint and brings the result. Base of the operators below.

    :param image: the document: a path or URI of anything that Airflow's ``ObjectStoragePath`` opens. (templated)
    :param settings: a mapping in the vendor's camelCase or in snake_case, or a settings model of
        :mod:`airflow_provider_asposeocr.api.settings`; only what is set is sent. (templated)
    :param output_path: a folder or file on any storage for the results; needed for binary ones. (templated)
    :param storage_conn_id: the Airflow connection of the storage of ``image`` and ``output_path``. (templated)
    :param aspose_ocr_conn_id: the Airflow connection of the service. (templated)
    :param wait_for_completion: whether to wait; if not, the XCom ``{"ocr_task_id", "endpoint"}`` is what
        :class:`~airflow_provider_asposeocr.sensors.aspose_ocr.AsposeOcrTaskSensor` takes.
    :param timeout: seconds to wait for the job, in each try; ``None`` for ever.
    :param durable: whether a later try, and the task after a clear, goes on with the job of an earlier one
        (Airflow 3.3+; no effect below).
    :param resubmit_on_ambiguity: whether to submit again where the service may have accepted, and billed, the document
        but no job id came back. By default such a task fails.
    :param resubmit_on_clear: whether a user's clear has the document read, and billed, anew. By default the task goes
        on with the job that there is, or fetches its result again.
    :param resubmit_failed_jobs: whether each retry submits again a document whose job ended as ``Error``. By default
        one does, and a second ``Error`` is final.
    :param kwargs: of :class:`~airflow_provider_asposeocr.jobs.following.OcrJobOperator` (``deferrable``,
        ``poll_interval``, ...) and of Airflow's ``BaseOperator``.
    :raises AsposeOcrInputError: before anything is sent: bad file, settings, connection.
    :raises AsposeOcrTaskError: the job ended as ``Error``.
    :raises AsposeOcrTaskRefusedError: so did the one before it.
    :raises AsposeOcrTimeoutError: the job did not end in time; the message says what became of it.
    :raises AsposeOcrDeliveryError: it is completed and billed, but its result could not be delivered; a retry fetches.
    """

    endpoint: ClassVar[str]

    template_fields: Sequence[str] = ("image", "settings", "output_path", "storage_conn_id", "aspose_ocr_conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"settings": "json"}
    ui_color = "#d8ecd6"

    def __init__(
        self,
        *,
        image: Any,
        settings: Mapping[str, Any] | Settings | str | None = None,
        wait_for_completion: bool = True,
        timeout: float | timedelta | None = DEFAULT_TIMEOUT,
        durable: bool = True,
        resubmit_on_ambiguity: bool = False,
        resubmit_on_clear: bool = False,
        resubmit_failed_jobs: bool = False,
        **kwargs: Any,
    ) -> None:
        # Pushes each part of the result under its own key too: `detect.output["regions"]` works.
        kwargs.setdefault("multiple_outputs", True)
        super().__init__(**kwargs)
        self.image = image
        self.settings = settings
        self.wait_for_completion = switch(wait_for_completion, "wait_for_completion")
        self.timeout = time_limit(timeout)
        self.durable = switch(durable, "durable")
        self.resubmit_on_ambiguity = switch(resubmit_on_ambiguity, "resubmit_on_ambiguity")
        self.resubmit_on_clear = switch(resubmit_on_clear, "resubmit_on_clear")
        self.resubmit_failed_jobs = switch(resubmit_failed_jobs, "resubmit_failed_jobs")
        self._memory: SubmissionMemory | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Check, go on with the job of an earlier try or submit, and wait.

        :param context: Airflow's task context.
        """
        self._context = context
        self._memory = memory = SubmissionMemory.of(context, durable=self.durable)
        with self._settled(memory):
            record, outcome = self._begun(context, memory)
            job = self._job_of(record)
            if self.wait_for_completion:
                return self.follow_job(context, job, outcome)
            self._job = job
            # A kill during the submission did not know the job.
            self._stop_if_killed()
            return {"ocr_task_id": job.ocr_task_id, "endpoint": job.endpoint.name}

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """
        Go on after the trigger's event: fetch the result once, or raise what became of the job.

        :param context: Airflow's task context.
        :param event: of :class:`~airflow_provider_asposeocr.triggers.aspose_ocr.AsposeOcrTaskTrigger`.
        """
        with self._settled(self._memory_of(context)):
            return super().execute_complete(context, event)

    def deferral_timed_out(self, context: Context, error: Exception) -> dict[str, Any]:
        """
        Go on where Airflow's own time-out ended the deferral, as after an outage: a job that is completed is delivered.

        :param context: Airflow's task context.
        :param error: what Airflow raised.
        """
        job = self.known_job(context)
        if job is None:
            raise error
        with self._settled(self._memory_of(context)):
            return self.end_in_time(context, job)

    def known_job(self, context: Context) -> OcrJob | None:
        """
        Return the job that is remembered.

        :param context: Airflow's task context.
        """
        record = self._memory_of(context).recall_if_possible()
        return self._job_of(record) if record and record.ocr_task_id else None

    def job_told(self, context: Context, job: OcrJob) -> None:
        """
        Remember the job, where that could not be done when it was submitted.

        :param context: Airflow's task context.
        :param job: which.
        """
        self._memory_of(context).learn(job.ocr_task_id)

    def deliver_task(self, context: Context, job: OcrJob, task: OcrTask) -> dict[str, Any]:
        """
        Write the files and return the XCom.

        :param context: Airflow's task context.
        :param job: which.
        :param task: the same with its results.
        """
        memory = self._memory_of(context)
        record = memory.recall_if_possible() if names_a_place(self.output_path) else None
        task = replace(task, id=job.ocr_task_id)
        with delivering(job.endpoint.name, job.ocr_task_id, self.image_name()):
            files = self._files(job.ocr_task_id, record)
            xcom = deliver(
                task,
                job.endpoint,
                settings=parse_settings(job.endpoint, self.settings, self._regions()),
                files=files,
                max_xcom_bytes=self.max_xcom_bytes,
            )
            xcom |= self._beside(job, task, xcom, files)
        if record is not None and record.ocr_task_id == job.ocr_task_id:
            # They are the task's own: it may replace them after a clear.
            written = record.with_files((*xcom["files"], *filter(None, (xcom.get("preview"),))))
            if written != record:
                memory.remember(written)
        return xcom

    def job_ended_badly(self, context: Context, job: OcrJob, *, failed: bool = False) -> None:
        """
        Forget the job: a retry submits anew.

        :param context: Airflow's task context.
        :param job: which.
        :param failed: whether it ended as ``Error``.
        """
        self._memory_of(context).forget(job.ocr_task_id, failed=failed)

    def raised_for(self, context: Context, job: OcrJob, error: AsposeOcrError) -> AsposeOcrError:
        """
        Return the error to raise: the second ``Error`` in a row is final.

        :param context: Airflow's task context.
        :param job: which.
        :param error: what became of it.
        """
        if not isinstance(error, AsposeOcrTaskError) or self._resubmission().of_failed_jobs:
            return error
        record = self._memory_of(context).recall_if_possible()
        # Without a store nobody has counted, but each try has submitted.
        failed = record.failed_jobs if record else getattr(context["ti"], "try_number", 1)
        if failed < MOST_FAILED_JOBS:
            return error
        return refused(job.endpoint.name, job.ocr_task_id, self.image_name(), "; ".join(error.messages))

    def image_name(self) -> str | None:
        """The document's path or URI."""
        return str(self.image) if isinstance(self.image, str | os.PathLike | ObjectStoragePath) else None

    def _endpoint_name(self) -> str:
        return self.endpoint

    def _regions(self) -> Any:
        return None

    def _named_after(self) -> Any:
        """What the files in a folder take their name from."""
        return self.image

    def _files(self, ocr_task_id: str | None, record: SubmissionRecord | None) -> OutputFiles | None:
        files = output_files(self.output_path, self._named_after(), ocr_task_id, self.storage_conn_id, self.overwrite)
        return replace(files, own=frozenset(record.files)) if files and record else files

    def _beside(self, job: OcrJob, task: OcrTask, xcom: dict[str, Any], files: OutputFiles | None) -> dict[str, Any]:
        """What is made of the results besides, as more keys of the XCom. It must not raise: they are delivered."""
        return {}

    def _memory_of(self, context: Context) -> SubmissionMemory:
        """The memory of this try, in whichever process it goes on."""
        if self._memory is None:
            self._memory = SubmissionMemory.of(context, durable=self.durable)
        return self._memory

    @contextmanager
    def _settled(self, memory: SubmissionMemory) -> Iterator[None]:
        try:
            yield
        except AsposeOcrError as error:
            if isinstance(error, _GONE_ON_WITH) and error.ocr_task_id and not memory.is_kept:
                error.message += _NO_RECORD
            self.counted(error)
            raise
        finally:
            # After a kill the record may be a later try's already.
            if not self._kill.has_begun:
                memory.settle()

    def _resubmission(self) -> Resubmission:
        wanted = self.resubmit_failed_jobs or getattr(
            getattr(self, "retry_policy", None), "resubmit_failed_jobs", False
        )
        return Resubmission(self.resubmit_on_ambiguity, self.resubmit_on_clear, wanted)

    def _begun(self, context: Context, memory: SubmissionMemory) -> tuple[SubmissionRecord, PollOutcome | None]:
        """The job of an earlier try and where it stands, where this try can go on with it; else a new one."""
        old = memory.recall()
        submission = None
        if old is None or old.ocr_task_id is None:
            submission = self._prepared()
            digest = submission.document.sha256() if memory.is_kept else ""
        else:
            # What is paid for does not need its document any more.
            digest = self._digest_if_readable()
        endpoint = endpoint_named(self._endpoint_name())
        settings = submission.settings if submission else parse_settings(endpoint, self.settings, self._regions())
        record = SubmissionRecord(
            endpoint=endpoint.name,
            settings=settings_digest(endpoint, settings),
            document=digest,
            image=self.image_name(),
            max_tries=int(context["ti"].max_tries),
        )
        if old is not None:
            # What a kill in the meantime is to cancel.
            self._job = self._job_of(old) if old.ocr_task_id else None
            record, outcome = EarlierTry(self.hook, memory, old, self._resubmission()).gone_on_with(
                record,
                self.waiting.schedule,
                deadline=self._job.deadline if self._job else None,
                patience=self.doubt_patience,
                clear_cancels=self.waiting.cancel_on_kill,
                sleep=self._sleep,
            )
            if record.ocr_task_id:
                return record, outcome
            self._job = None
        submission = submission or self._prepared()
        if memory.is_kept and not record.document:
            record = replace(record, document=submission.document.sha256())
        return self._submitted(submission, memory, record), None

    def _job_of(self, record: SubmissionRecord) -> OcrJob:
        assert record.ocr_task_id is not None
        # Each try has the whole timeout: one that follows a crash is not punished for it.
        deadline = None if self.timeout is None else time.time() + self.timeout
        return OcrJob(endpoint_named(record.endpoint), record.ocr_task_id, record.submitted_at, deadline)

    def _digest_if_readable(self) -> str:
        try:
            return document(self.image, self.storage_conn_id).sha256()
        except Exception as error:  # noqa: BLE001 - whatever the storage has: it matters only if there is no job
            self.log.info("The document cannot be read (%s); a job of an earlier try does not need it.", error)
            return ""

    def _prepared(self) -> Submission:
        """Check what can be checked before anything is billed."""
        submission = self.hook.prepare(
            self._endpoint_name(),
            self.image,
            self.settings,
            regions=self._regions(),
            storage_conn_id=self.storage_conn_id,
        )
        if self.wait_for_completion and self._files(None, None) is None:
            require_output_path(submission.settings, submission.document.name)
        return submission

    def _submitted(
        self, submission: Submission, memory: SubmissionMemory, record: SubmissionRecord
    ) -> SubmissionRecord:
        """Submit, and remember the job."""
        files = self._files(None, record)
        if files:
            files.make_ready(expected_extensions(submission.endpoint, submission.settings), submission.document.name)
        # Where the submission ends as ambiguous, its intent stays: only the user can say whether to bill again.
        intent = SubmissionIntent(
            memory, replace(record, submitted_at=time.time(), in_doubt=True), self._stop_if_killed
        )
        ocr_task_id = self.hook.send(submission, resubmit_on_ambiguity=self.resubmit_on_ambiguity, journal=intent)
        names = {"document": submission.document.name, "endpoint": record.endpoint, "ocr_task_id": ocr_task_id}
        told(self.log, Event.JOB_SUBMITTED, "Submitted %s as %s job %s.", *names.values(), **names)
        record = replace(record, ocr_task_id=ocr_task_id, submitted_at=time.time())
        memory.remember(record)
        document_sent(submission.document.path)
        return record
