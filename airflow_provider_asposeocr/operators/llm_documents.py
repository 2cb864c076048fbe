"""What the operators of texts share: their result as documents for language models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_asposeocr.api.checks import parse_settings, switch
from airflow_provider_asposeocr.api.results import OcrTask
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from airflow_provider_asposeocr.hooks.submissions import Submission
from airflow_provider_asposeocr.jobs.job import OcrJob
from airflow_provider_asposeocr.operators.document import AsposeOcrOperator
from airflow_provider_asposeocr.storage.failures import delivering
from airflow_provider_asposeocr.storage.llm_documents import in_documents, require_text
from airflow_provider_asposeocr.storage.outputs import names_a_place

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class AsposeOcrTextOperator(AsposeOcrOperator):
    """
    An operator whose result is text.

    :param as_documents: whether the XCom has the text as ``documents``, a list of ``{"text", "metadata"}`` as
        pipelines for language models take it, instead of as ``text``.
    :param kwargs: see :class:`AsposeOcrOperator`.
    """

    def __init__(self, *, as_documents: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.as_documents = switch(as_documents, "as_documents")
        if as_documents and not self.wait_for_completion:
            raise AsposeOcrInputError(
                "as_documents=True needs wait_for_completion=True: the sensor knows nothing of the document."
            )

    def deliver_task(self, context: Context, job: OcrJob, task: OcrTask) -> dict[str, Any]:
        """
        Write the files and return the XCom.

        :param context: Airflow's task context.
        :param job: which.
        :param task: the same with its results.
        """
        xcom = super().deliver_task(context, job, task)
        if not self.as_documents:
            return xcom
        with delivering(job.endpoint.name, job.ocr_task_id, self.image_name()):
            return in_documents(
                xcom,
                task,
                job.endpoint,
                settings=parse_settings(job.endpoint, self.settings, self._regions()),
                source=self.image_name(),
                longest_text=self.max_xcom_bytes if names_a_place(self.output_path) else None,
            )

    def _prepared(self) -> Submission:
        submission = super()._prepared()
        if self.as_documents:
            require_text(submission.settings, submission.document.name)
        return submission
