"""The result of one document of a batch, written where the list says."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from msgspec.structs import replace

from airflow_provider_asposeocr.api.endpoints import ResultShape
from airflow_provider_asposeocr.api.results import OcrTask
from airflow_provider_asposeocr.api.settings import Settings
from airflow_provider_asposeocr.batches.documents import BatchDocument, DocumentStatus
from airflow_provider_asposeocr.batches.plan import BatchPlan
from airflow_provider_asposeocr.storage.outputs import OutputFiles, expected_extensions
from airflow_provider_asposeocr.storage.results import deliver

_PER_REGION = ResultShape.PER_REGION


def make_ready(plan: BatchPlan, document: BatchDocument, settings: Settings) -> None:
    """
    See, before a document is billed, that its results can be written.

    :param plan: of the batch.
    :param document: which.
    :param settings: they say which files come.
    :raises AsposeOcrError: naming the file or folder that is in the way.
    """
    output_of(plan, document).make_ready(expected_extensions(plan.endpoint, settings), document.image)


def delivered(plan: BatchPlan, document: BatchDocument, task: OcrTask) -> BatchDocument:
    """
    Write the files of a completed job, and return what its document has come to.

    :param plan: of the batch.
    :param document: whose job it was.
    :param task: the job with its results.
    """
    files = output_of(plan, document)
    xcom = deliver(task, plan.endpoint, settings=plan.typed_settings, files=files, max_xcom_bytes=0)
    regions = len(getattr(plan.typed_settings, "regions", ())) if plan.endpoint.result_shape is _PER_REGION else None
    return replace(
        document,
        status=DocumentStatus.COMPLETED,
        files=tuple(entry["file"] for entry in xcom["results"] if entry.get("file")),
        places=_places(xcom["results"], regions),
        warnings=tuple(xcom["warnings"]),
        error=None,
        seconds=round(time.time() - (document.submitted_at or time.time()), 3),
    )


def _places(results: Sequence[Mapping[str, Any]], regions: int | None) -> tuple[int, ...]:
    """Which page or region each file is of; empty where there is one of a type. Entries without a file count, too."""
    came = Counter(entry["type"] for entry in results)
    seen: Counter[str] = Counter()
    places = []
    for entry in results:
        kind = entry["type"]
        seen[kind] += 1
        is_known = came[kind] > 1 if regions is None else came[kind] == regions
        if entry.get("file"):
            places.append(seen[kind] if is_known else 0)
    return tuple(places) if any(places) else ()


def output_of(plan: BatchPlan, document: BatchDocument) -> OutputFiles:
    """
    Return where the results of a document go.

    :param plan: of the batch.
    :param document: which.
    """
    name = PurePosixPath(document.name or PurePosixPath(document.image).stem)
    folder = plan.folder
    for part in name.parent.parts:
        folder = folder / part
    return OutputFiles(folder, name.name, None, plan.overwrite, frozenset(document.files))
