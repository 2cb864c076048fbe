"""
Operators for Aspose.OCR Cloud: one per endpoint, on one base.

Each checks everything that can be checked before anything is billed, goes on with the job of an earlier try or submits
a new one, waits (a short while in the worker, then deferred), fetches the result once and returns it as XCom.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow_provider_asposeocr.api.endpoints import endpoint_named
from airflow_provider_asposeocr.api.polling import Poller, PollOutcome, PollVerdict
from airflow_provider_asposeocr.exceptions import AsposeOcrAmbiguousSubmissionError
from airflow_provider_asposeocr.hooks.lineage import document_sent
from airflow_provider_asposeocr.jobs import DEFAULT_TIMEOUT, OcrJob, OcrJobOperator, seconds
from airflow_provider_asposeocr.outputs import (
    OutputFiles,
    deliver,
    expected_extensions,
    output_files,
    require_output_path,
)
from airflow_provider_asposeocr.submissions import SubmissionIntent, SubmissionMemory, SubmissionRecord

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_asposeocr.api.results import OcrTask
    from airflow_provider_asposeocr.api.settings import Settings
    from airflow_provider_asposeocr.hooks.aspose_ocr import Submission


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
    :param timeout: seconds to wait for the job.
    :param durable: whether a later try goes on with the job of an earlier one (Airflow 3.3+; no effect below).
    :param resubmit_on_ambiguity: whether to submit again where the service may have accepted, and billed, the document
        but no job id came back. By default such a task fails.
    :param kwargs: of :class:`~airflow_provider_asposeocr.jobs.OcrJobOperator` (``deferrable``, ``poll_interval``, ...)
        and of Airflow's ``BaseOperator``.
    :raises AsposeOcrInputError: before anything is sent: bad file, settings, connection.
    :raises AsposeOcrTaskError: the job ended as ``Error``.
    :raises AsposeOcrTimeoutError: the job did not end in time; the message says what became of it.
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
        timeout: float | timedelta = DEFAULT_TIMEOUT,
        durable: bool = True,
        resubmit_on_ambiguity: bool = False,
        **kwargs: Any,
    ) -> None:
        # Pushes each part of the result under its own key too: `detect.output["regions"]` works.
        kwargs.setdefault("multiple_outputs", True)
        super().__init__(**kwargs)
        self.image = image
        self.settings = settings
        self.wait_for_completion = wait_for_completion
        self.timeout = seconds(timeout)
        self.durable = durable
        self.resubmit_on_ambiguity = resubmit_on_ambiguity

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Check, go on with the job of an earlier try or submit, and wait.

        :param context: Airflow's task context.
        """
        self._context = context
        self.poll_schedule()
        submission = self.hook.prepare(
            self._endpoint_name(),
            self.image,
            self.settings,
            regions=self._regions(),
            storage_conn_id=self.storage_conn_id,
        )
        if self.output_path is None:
            require_output_path(submission.settings, submission.document.name)
        memory = SubmissionMemory.of(context, durable=self.durable)
        new = SubmissionRecord(
            endpoint=submission.endpoint.name,
            fingerprint=submission.fingerprint if self.durable else "",
            max_tries=int(context["ti"].max_tries),
            submitted_at=time.time(),
        )
        job, outcome = self._resumed(memory, new) or (self._submitted(submission, memory, new), None)
        if not self.wait_for_completion:
            return {"ocr_task_id": job.ocr_task_id, "endpoint": job.endpoint.name}
        return self.follow_job(context, job, outcome)

    def deferral_timed_out(self, context: Context, error: Exception) -> NoReturn:
        """
        Say what became of the job where Airflow's own time-out ended the deferral.

        :param context: Airflow's task context.
        :param error: what Airflow raised.
        """
        record = SubmissionMemory.of(context, durable=self.durable).recall()
        if record is None or record.ocr_task_id is None:
            raise error
        job = OcrJob(record.ocr_task_id, endpoint_named(record.endpoint), record.submitted_at, time.time())
        raise self._bad_end(context, job, PollVerdict.TIMED_OUT, "") from error

    def deliver_task(self, context: Context, job: OcrJob, task: OcrTask) -> dict[str, Any]:
        """
        Write the files and return the XCom.

        :param context: Airflow's task context.
        :param job: which.
        :param task: the same with its results.
        """
        from airflow_provider_asposeocr.api.settings import parse_settings  # noqa: PLC0415 - loads when first used

        return deliver(
            replace(task, id=job.ocr_task_id),
            job.endpoint,
            settings=parse_settings(job.endpoint, self.settings, self._regions()),
            files=self._files(job.ocr_task_id),
            max_xcom_bytes=self.max_xcom_bytes,
        )

    def job_ended_badly(self, context: Context, job: OcrJob) -> None:
        """Forget the job: a retry submits anew."""
        SubmissionMemory.of(context, durable=self.durable).forget(job.ocr_task_id)

    def image_name(self) -> str | None:
        """The document's path or URI."""
        return self.image if isinstance(self.image, str) else None

    def _endpoint_name(self) -> str:
        return self.endpoint

    def _regions(self) -> Any:
        return None

    def _files(self, ocr_task_id: str | None) -> OutputFiles | None:
        if self.output_path is None:
            return None
        return output_files(self.output_path, str(self.image), ocr_task_id, self.storage_conn_id, self.overwrite)

    def _resumed(self, memory: SubmissionMemory, new: SubmissionRecord) -> tuple[OcrJob, PollOutcome] | None:
        """The job of an earlier try and where it stands, where this try can go on with it."""
        old = memory.recall()
        if old is None:
            return None
        if reason := old.why_not_for(new):
            self.log.info("An earlier try submitted job %s; submitting anew: %s.", old.ocr_task_id or "?", reason)
            return None
        if old.ocr_task_id is None:
            self._after_unknown_submission(new)
            return None
        job = self._job_of(old)
        poller = Poller(self.poll_schedule(), job.started_at, job.deadline)
        # At once: it tells whether there is a job to go on with, and brings the result of a completed one.
        outcome = self.hook.ask(job.endpoint, job.ocr_task_id, poller)
        if outcome.verdict in (PollVerdict.ERROR, PollVerdict.NOT_EXIST):
            self.log.warning(
                "An earlier try submitted %s job %s, which is now %s%s; submitting anew, which is billed again.",
                job.endpoint.name,
                job.ocr_task_id,
                outcome.verdict,
                f" ({outcome.reason})" if outcome.reason else "",
            )
            return None
        self.log.info("Going on with %s job %s of an earlier try.", job.endpoint.name, job.ocr_task_id)
        return job, outcome

    def _after_unknown_submission(self, new: SubmissionRecord) -> None:
        if self.resubmit_on_ambiguity:
            self.log.warning(
                "An earlier try was cut off while it submitted; the document may have been billed. Submitting again "
                "(resubmit_on_ambiguity=True)."
            )
            return
        raise AsposeOcrAmbiguousSubmissionError(
            "An earlier try was cut off while it submitted the document: the service may have accepted and billed it, "
            "but no job id came back. It is not submitted again by itself: clear the task to submit it anew, or set "
            "resubmit_on_ambiguity=True where a second bill is better than a failed task.",
            image=self.image_name(),
            endpoint=new.endpoint,
        )

    def _submitted(self, submission: Submission, memory: SubmissionMemory, new: SubmissionRecord) -> OcrJob:
        """Submit, and remember the job."""
        files = self._files(None)
        if files:
            files.refuse_existing(
                expected_extensions(submission.endpoint, submission.settings), submission.document.name
            )
        # Where the submission ends as ambiguous, its intent stays: only the user can say whether to bill again.
        intent = SubmissionIntent(memory, new, self._stop_if_killed)
        ocr_task_id = self.hook.send(submission, resubmit_on_ambiguity=self.resubmit_on_ambiguity, journal=intent)
        submitted = replace(new, ocr_task_id=ocr_task_id, submitted_at=time.time())
        memory.remember(submitted)
        self.log.info("Submitted %s as %s job %s.", submission.document.name, new.endpoint, ocr_task_id)
        document_sent(submission.document.path)
        return self._job_of(submitted)

    def _job_of(self, record: SubmissionRecord) -> OcrJob:
        assert record.ocr_task_id is not None
        # Each try has the whole timeout: one that follows a crash is not punished for it.
        return OcrJob(
            record.ocr_task_id, endpoint_named(record.endpoint), record.submitted_at, time.time() + self.timeout
        )


class AsposeOcrRecognizeImageOperator(AsposeOcrOperator):
    """
    Recognizes the text of an image.

    Source: vendor's documentation, "Sending image for recognition". XCom: ``{"ocr_task_id", "endpoint", "text",
    "results", "warnings"}``, and each as its own key.

    :param trial: whether to use the evaluation endpoint, which needs no client id and secret and masks one word in ten.
    :param kwargs: see :class:`AsposeOcrOperator`.
    """

    endpoint = "RecognizeImage"

    def __init__(self, *, trial: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.trial = trial

    def _endpoint_name(self) -> str:
        return endpoint_named(self.endpoint).trial or self.endpoint if self.trial else self.endpoint


class AsposeOcrDetectRegionsOperator(AsposeOcrOperator):
    """
    Finds the regions of an image that hold text.

    Source: vendor's documentation, "Detecting image regions". XCom: as of all operators, and ``"regions": [[x1, y1, x2,
    y2], ...]`` in pixels, which RecognizeRegions takes: ``regions=detect.output["regions"]``.

    :param kwargs: see :class:`AsposeOcrOperator`.
    """

    endpoint = "DetectRegions"


class AsposeOcrRecognizeRegionsOperator(AsposeOcrOperator):
    """
    Recognizes the text of given regions of an image.

    Source: vendor's documentation, "Sending image regions for recognition". XCom: as of all operators, and ``"regions":
    [{"rect": [x1, y1, x2, y2], "order", "text"}, ...]`` in ascending order of ``order``; ``"text"`` joins their texts.

    :param regions: ``[[x1, y1, x2, y2], ...]`` in pixels, as DetectRegions returns them, or a list of ``{"rect": [..] |
        {"topLeftX": ..}, "order": n}``; the order defaults to the position. (templated)
    :param kwargs: see :class:`AsposeOcrOperator`.
    """

    endpoint = "RecognizeRegions"
    template_fields: Sequence[str] = (*AsposeOcrOperator.template_fields, "regions")

    def __init__(self, *, regions: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.regions = regions

    def _regions(self) -> Any:
        return self.regions
