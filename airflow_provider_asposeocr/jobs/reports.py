"""
What a task tells the platform of its job once that is completed: its cost in the XCom, metrics, asset events, and the
facets of OpenLineage. Ids, places and counts; never a word of the document.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from msgspec import field
from msgspec.structs import replace

from airflow_provider_asposeocr import metrics
from airflow_provider_asposeocr.api.results import OcrTask
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.exceptions import AsposeOcrError
from airflow_provider_asposeocr.hooks.synchronous import AsposeOcrHook
from airflow_provider_asposeocr.jobs.assets import announce
from airflow_provider_asposeocr.jobs.job import OcrJob
from airflow_provider_asposeocr.storage.counts import counts_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

_FACETS = "airflow_provider_asposeocr.jobs.openlineage_facets"
"""Loaded by OpenLineage's extractor alone: it needs the extra ``openlineage``."""
MOST_DATASETS = 100
"""Of one task, each way: a batch may have a hundred thousand, which no event is made for."""


class JobFacts(Value, frozen=True):
    """
    What may be told of a task's job, or of its batch.

    :param endpoint: where it was submitted.
    :param ocr_task_id: its id; ``None`` for a batch, and where there is none yet.
    :param inputs: paths or URIs of documents.
    :param outputs: those of result files.
    :param counts: by their names, such as ``pages``; what is not known is left out.
    """

    endpoint: str | None = None
    ocr_task_id: str | None = None
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    counts: Mapping[str, float] = field(default_factory=dict)


class JobReports:
    """What all our operators and the sensor tell, mixed into their base."""

    if TYPE_CHECKING:
        outlets: Any

        @property
        def hook(self) -> AsposeOcrHook:
            """A hook for the task's connection."""

        def image_name(self) -> str | None:
            """The document's path or URI, where the task knows it."""

        def deliver_task(self, context: Context, job: OcrJob, task: OcrTask) -> dict[str, Any]:
            """
            Return a completed job's XCom.

            :param context: Airflow's task context.
            :param job: which.
            :param task: the same with its results.
            """

    _facts: JobFacts | None = None

    def document_places(self) -> tuple[str, ...]:
        """Return the paths or URIs of the task's documents."""
        image = self.image_name()
        return (image,) if image else ()

    def counted(self, error: AsposeOcrError) -> AsposeOcrError:
        """
        Count a failure, once, and return it.

        :param error: what ends the try.
        """
        metrics.failed(error, self._facts_so_far().endpoint or "unknown")
        return error

    def bring(self, context: Context, job: OcrJob, task: OcrTask) -> dict[str, Any]:
        """
        Deliver a completed job, tell of it, and return its XCom with what it has cost in this try.

        :param context: Airflow's task context.
        :param job: which.
        :param task: the same, with its results.
        """
        cost: dict[str, float] = dict(self.hook.cost.to_json())
        if cost["submissions"]:
            # Of a job that another try, or another task, submitted, nobody knows how long it took.
            seconds = time.time() - job.started_at if job.seconds is None else job.seconds
            cost["seconds"] = round(seconds, 3)
            metrics.completed(job.endpoint.name, seconds)
        self._facts = JobFacts(job.endpoint.name, job.ocr_task_id, self.document_places(), counts=cost)
        try:
            xcom = self.deliver_task(context, job, task)
        except AsposeOcrError as error:
            self.counted(error)
            raise
        counts = {**counts_of(task, job.endpoint, xcom).known(), **cost}
        facts = replace(self._facts, outputs=tuple(xcom["files"]), counts=counts)
        return self.delivered(context, facts, {**xcom, "cost": cost})

    def delivered(self, context: Context, facts: JobFacts, xcom: dict[str, Any]) -> dict[str, Any]:
        """
        Keep what is known for OpenLineage, make asset events of the files, and return the XCom.

        :param context: Airflow's task context.
        :param facts: of the job, or of the batch.
        :param xcom: of the same.
        """
        self._facts = facts
        announce(context, self.outlets, facts.outputs, _extra(facts))
        return xcom

    def _facts_so_far(self) -> JobFacts:
        # A sensor may learn it from the XCom of another task only.
        endpoint = getattr(self, "endpoint", None)
        return self._facts or JobFacts(endpoint if isinstance(endpoint, str) else None, inputs=self.document_places())

    def get_openlineage_facets_on_start(self) -> Any:
        """Return the documents as inputs, and the endpoint; OpenLineage calls this."""
        return _operator_lineage(self._facts_so_far())

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """
        Return documents and files, and a facet with the job's id and counts; OpenLineage calls this, also on failure.

        :param task_instance: not needed: the process that ends a task knows what it did.
        """
        return _operator_lineage(self._facts_so_far())


def _extra(facts: JobFacts) -> dict[str, Any]:
    ids = {"endpoint": facts.endpoint, "ocr_task_id": facts.ocr_task_id}
    return {**{name: value for name, value in ids.items() if value is not None}, **facts.counts}


def _operator_lineage(facts: JobFacts) -> Any:
    bounded = replace(facts, inputs=facts.inputs[:MOST_DATASETS], outputs=facts.outputs[:MOST_DATASETS])
    return import_module(_FACETS).operator_lineage(bounded)
