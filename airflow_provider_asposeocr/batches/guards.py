"""What keeps a batch from costing more than was meant: limits, and a look before the bill."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from airflow_provider_asposeocr.batches.delivering import output_of
from airflow_provider_asposeocr.batches.documents import BatchDocument, DocumentStatus
from airflow_provider_asposeocr.batches.listing import entries_below
from airflow_provider_asposeocr.batches.manifest import Summary
from airflow_provider_asposeocr.batches.plan import BatchPlan
from airflow_provider_asposeocr.exceptions import AsposeOcrError, AsposeOcrInputError
from airflow_provider_asposeocr.hooks.synchronous import AsposeOcrHook
from airflow_provider_asposeocr.storage.failures import NOTHING_SENT, before_sending
from airflow_provider_asposeocr.storage.lineage import LOCAL_PROTOCOLS

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

_LOOKERS = 16
_TOLD = 3


def refuse_beyond(
    documents: Sequence[BatchDocument], plan: BatchPlan, most: int | None, *, cleared: bool = False
) -> None:
    """
    Refuse to begin with too many documents, or where results are there that must not be.

    :param documents: the list, as it was drawn up.
    :param plan: what to do.
    :param most: how many may be read; ``None`` for any number.
    :param cleared: whether a user has cleared a task that knows what it has read.
    :raises AsposeOcrInputError: before anything is sent.
    """
    waiting = sum(each.status is DocumentStatus.WAITING for each in documents)
    if most is not None and waiting > most:
        raise AsposeOcrInputError(
            f"{waiting} of {len(documents)} documents would be read, more than max_documents={most}. {NOTHING_SENT}"
        )
    if plan.on_existing != "fail":
        return
    folder = plan.folder
    with before_sending(f"{folder} cannot be listed"):
        there = _files_in(folder)
    existing = [
        str(path)
        for each in documents
        for path in output_of(plan, each).named(plan.extensions)
        if (path.path in there or path.path.lstrip("/") in there) and not _is_its_own(str(path), each, cleared=cleared)
    ]
    if existing:
        more = f" and {len(existing) - _TOLD} more" if len(existing) > _TOLD else ""
        raise AsposeOcrInputError(
            f"Results are there already (on_existing='fail'): {', '.join(existing[:_TOLD])}{more}. {NOTHING_SENT}"
        )


def _is_its_own(path: str, document: BatchDocument, *, cleared: bool) -> bool:
    """Whether a result is there by right: this task instance has read the document, and has succeeded before."""
    if document.read_by is None or document.read_by != document.run:
        return False
    return document.status is DocumentStatus.SKIPPED or (cleared and path in document.files)


def _files_in(folder: ObjectStoragePath) -> set[str]:
    if folder.protocol in LOCAL_PROTOCOLS:
        return set(folder.fs.find(folder.path))
    # Whether there is such a folder is not asked for: see `names_in` of the lines.
    root = folder.path.rstrip("/")
    return {f"{root}/{name}" for name, _ in entries_below(folder.fs, root, lambda _: True)}


def checked_beforehand(documents: Sequence[BatchDocument], plan: BatchPlan, hook: AsposeOcrHook) -> dict[str, Any]:
    """
    Check each document that would be submitted, and say what the batch would cost.

    :param documents: the list, as it was drawn up.
    :param plan: what to do.
    :param hook: with the connection.
    :returns: an XCom of the form of a batch's, with ``dry_run`` and ``to_submit``.
    """

    def look(document: BatchDocument) -> BatchDocument:
        if document.status is not DocumentStatus.WAITING:
            return document
        try:
            hook.prepare(
                plan.endpoint, document.image, plan.settings, regions=plan.regions, storage_conn_id=plan.storage_conn_id
            )
        except AsposeOcrError as error:
            return document.failed(error.about(image=document.image))
        return document

    summary = Summary()
    _ = hook.connection
    with ThreadPoolExecutor(_LOOKERS) as lookers:
        for document in lookers.map(look, documents):
            summary.add(document)
    found = summary.to_xcom()
    return {
        **found,
        "endpoint": plan.endpoint.name,
        "dry_run": True,
        "to_submit": summary.counts[DocumentStatus.WAITING],
        "failed": sum(summary.counts[status] for status in (DocumentStatus.FAILED, DocumentStatus.REFUSED)),
        "manifest": None,
        "calls": 0,
    }
