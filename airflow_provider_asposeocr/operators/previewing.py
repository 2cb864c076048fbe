"""What the operators of places share: a picture of what was read, beside the results."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow_provider_asposeocr.api.checks import switch
from airflow_provider_asposeocr.api.results import OcrTask
from airflow_provider_asposeocr.exceptions import AsposeOcrError, AsposeOcrInputError
from airflow_provider_asposeocr.hooks.submissions import Submission
from airflow_provider_asposeocr.jobs.job import OcrJob
from airflow_provider_asposeocr.jobs.memory import SubmissionMemory
from airflow_provider_asposeocr.jobs.record import SubmissionRecord
from airflow_provider_asposeocr.operators.document import AsposeOcrOperator
from airflow_provider_asposeocr.storage.documents import document
from airflow_provider_asposeocr.storage.failures import NOTHING_SENT, NOTHING_SUBMITTED, what_broke
from airflow_provider_asposeocr.storage.outputs import OutputFiles
from airflow_provider_asposeocr.storage.previews import EXTENSION, preview_files, require_places, write_preview


class AsposeOcrPreviewOperator(AsposeOcrOperator):
    """
    An operator whose result tells where on the page something stands.

    :param preview: whether to write ``<name>.preview.png`` beside the results: the page, at most 1600 pixels long, with
        numbered boxes. Its URI is in the XCom as ``preview``; ``None`` where it could not be drawn, which a warning
        tells. Needs ``output_path`` and the extra ``preview``; and of RecognizeImage and RecognizePdf, whose first
        page is drawn, a result that tells places, such as ``{"resultType": "TextAndHocr"}``.
    :param kwargs: see :class:`AsposeOcrOperator`.
    """

    takes_output_path_later: ClassVar[bool] = False
    """Whether the output path may come when the task runs, as from a function."""

    def __init__(self, *, preview: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.preview = switch(preview, "preview")
        if preview and self.output_path is None and not self.takes_output_path_later:
            raise AsposeOcrInputError("preview=True writes a picture: set output_path to the folder for it.")
        if preview and not self.wait_for_completion:
            raise AsposeOcrInputError(
                "preview=True needs wait_for_completion=True: the sensor knows nothing of the document."
            )

    def _beside(self, job: OcrJob, task: OcrTask, xcom: dict[str, Any], files: OutputFiles | None) -> dict[str, Any]:
        if not self.preview:
            return {}
        if files is None:
            why = "there is no output_path for it"
        else:
            try:
                source = document(self.image, self.storage_conn_id)
                record = self._memory.recall_if_possible() if self._memory else None
                if record and record.ocr_task_id == job.ocr_task_id and record.document != source.sha256():
                    # Its boxes would stand on the page of another one.
                    raise AsposeOcrError("the document has changed since it was submitted")
                return {"preview": write_preview(source, task, job.endpoint, xcom, files)}
            except AsposeOcrError as error:
                # Those of documents and extras say at their end that nothing was sent, or submitted.
                why = error.message
                for so in (NOTHING_SENT, NOTHING_SUBMITTED):
                    why = why.partition(so.rstrip("."))[0].strip()
            except Exception as error:  # noqa: BLE001 - the results are paid for, and delivered
                why = what_broke(error)
        warning = f"There is no picture of what was read (preview=True): {why.rstrip('.')}."
        self.log.warning("%s job %s: %s", job.endpoint.name, job.ocr_task_id, warning)
        return {"preview": None, "warnings": [*xcom["warnings"], warning]}

    def _prepared(self) -> Submission:
        submission = super()._prepared()
        if self.preview:
            require_places(submission.endpoint, submission.settings, submission.document.name)
            if self._files(None, None) is None:
                raise AsposeOcrInputError(
                    "preview=True writes a picture: set output_path to the folder for it (it is not set, or its "
                    f"template rendered to nothing). {NOTHING_SENT}",
                    image=submission.document.name,
                )
        return submission

    def _submitted(
        self, submission: Submission, memory: SubmissionMemory, record: SubmissionRecord
    ) -> SubmissionRecord:
        files = self._files(None, record) if self.preview else None
        if files:
            preview_files(files).make_ready([EXTENSION], submission.document.name)
        return super()._submitted(submission, memory, record)
