"""
What a task has read in other runs into a folder, and the latest manifest does not say.

The manifest is of one run. Where each run has a list of its own, as a day's folder, or one that began earlier ends
later, the lines that the next manifest would lose are kept in pieces, for as long as a clear of such a run is likely:
its documents are not billed again.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_asposeocr.batches.documents import DONE, BatchDocument, DocumentStatus
from airflow_provider_asposeocr.batches.lines import entries_in
from airflow_provider_asposeocr.batches.names import canonical
from airflow_provider_asposeocr.batches.pieces import Facts, Pieces

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath


def read_before(place: ObjectStoragePath, task: str) -> Iterator[dict[str, Any]]:
    """
    Read what was kept.

    :param place: the folder of the pieces.
    :param task: DAG and task, whose documents are meant.
    """
    yield from _of(task, _pieces(place, task).read())


def keep_what_goes(
    manifest: ObjectStoragePath, place: ObjectStoragePath, task: str, stay: Mapping[str, tuple[float, int]]
) -> None:
    """
    Keep the lines of a manifest that the next one will not have, or of which it will have an older one: another run may
    have read a document since the batch whose manifest that is began.

    :param manifest: which is about to be replaced.
    :param place: the folder for the pieces.
    :param task: DAG and task, whose documents are kept.
    :param stay: of each document that the next one will have, by its canonical name, how old its line is.
    """

    def goes(entry: dict[str, Any]) -> bool:
        name = canonical(entry["image"])
        if name not in stay:
            return True
        facts = _facts_of(task, entry)
        return facts is not None and facts[1] > stay[name]

    _pieces(place, task).add(entry for entry in _of(task, entries_in(manifest)) if goes(entry))


def _pieces(place: ObjectStoragePath, task: str) -> Pieces:
    return Pieces(place, "before", functools.partial(_facts_of, task))


def _facts_of(task: str, entry: dict[str, Any]) -> Facts | None:
    """Those of a document of this task on which a bill hangs."""
    if not _is_of(task, entry):
        return None
    with suppress(ValueError, TypeError):
        document = BatchDocument.remembered(entry)
        at = float(document.submitted_at or 0.0)
        if document.status in DONE or document.status is DocumentStatus.RUNNING:
            return canonical(document.image), document.age, at
    return None


def _of(task: str, entries: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (entry for entry in entries if _is_of(task, entry))


def _is_of(task: str, entry: dict[str, Any]) -> bool:
    return str(entry.get("run") or "").startswith(f"{task}/") and isinstance(entry.get("image"), str)
