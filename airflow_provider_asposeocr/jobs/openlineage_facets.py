"""
What OpenLineage is told of a task: datasets, and a run facet of our own. Needs the extra ``openlineage``: it is loaded
when OpenLineage's extractor asks, and by nothing else.

The facet's schema is ``AsposeOcrJobRunFacet.json`` beside this file.
"""

from __future__ import annotations

from typing import Any

import attrs
from airflow.providers.openlineage.extractors import OperatorLineage
from openlineage.client.event_v2 import Dataset
from openlineage.client.facet_v2 import RunFacet

from airflow_provider_asposeocr import __version__
from airflow_provider_asposeocr.jobs.reports import JobFacts
from airflow_provider_asposeocr.storage.lineage import dataset_name

FACET = "asposeOcr_job"
"""The key of the facet: prefix and name, as OpenLineage asks of facets that are not its own."""
_PROJECT = "airflow-provider-asposeocr/airflow-provider-asposeocr"
_PRODUCER = f"https://github.com/{_PROJECT}/tree/v{__version__}"
_SCHEMA = (
    f"https://raw.githubusercontent.com/{_PROJECT}/v{__version__}/airflow_provider_asposeocr/jobs/"
    "AsposeOcrJobRunFacet.json#/$defs/AsposeOcrJobRunFacet"
)


@attrs.define(kw_only=True)
class AsposeOcrJobRunFacet(RunFacet):
    """
    A task's job, or batch, at Aspose.OCR Cloud. What is not known is ``None``, and left out of the event.

    :param endpoint: where documents were submitted.
    :param ocrTaskId: the job's id.
    :param documents: how many a batch has.
    :param completed: how many of them were read.
    :param skipped: how many had a result already.
    :param failed: how many have none.
    :param pages: of the document.
    :param regions: found or read.
    :param characters: of recognized text.
    :param submissions: accepted, or perhaps so.
    :param calls: made.
    :param seconds: from the submission until the job was known to be completed.
    """

    endpoint: str | None = None
    ocrTaskId: str | None = None  # noqa: N815 - a field of JSON
    documents: int | None = None
    completed: int | None = None
    skipped: int | None = None
    failed: int | None = None
    pages: int | None = None
    regions: int | None = None
    characters: int | None = None
    submissions: int | None = None
    calls: int | None = None
    seconds: float | None = None

    @staticmethod
    def _get_schema() -> str:
        return _SCHEMA


def operator_lineage(facts: JobFacts) -> OperatorLineage[Any, Any]:
    """
    Return what OpenLineage's extractor wants of a task.

    :param facts: what is known.
    """
    counts: dict[str, Any] = dict(facts.counts)
    facet = AsposeOcrJobRunFacet(producer=_PRODUCER, endpoint=facts.endpoint, ocrTaskId=facts.ocr_task_id, **counts)
    return OperatorLineage(
        inputs=[Dataset(*dataset_name(place)) for place in facts.inputs],
        outputs=[Dataset(*dataset_name(place)) for place in facts.outputs],
        run_facets={FACET: facet},
    )
