"""
What a task has read in earlier runs into a folder, and is not in the list of the latest one.

The manifest is of one run. Where each run has a list of its own, as a day's folder, the lines that the next manifest
would lose are kept in pieces, for as long as a clear of such a run is likely: its documents are not billed again.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Iterator, Set
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_asposeocr.batches.documents import DONE, BatchDocument, DocumentStatus
from airflow_provider_asposeocr.batches.lines import entries_in, line_of
from airflow_provider_asposeocr.batches.names import canonical
from airflow_provider_asposeocr.batches.pieces import Pieces
from airflow_provider_asposeocr.batches.slots import RETENTION

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath


def read_before(place: ObjectStoragePath, task: str) -> Iterator[dict[str, Any]]:
    """
    Read what was kept.

    :param place: the folder of the pieces.
    :param task: DAG and task, whose documents are meant.
    """
    yield from _of(task, _pieces(place, task).read())


def keep_what_goes(manifest: ObjectStoragePath, place: ObjectStoragePath, task: str, stay: Set[str]) -> None:
    """
    Keep the lines of a manifest that the next one will not have.

    :param manifest: which is about to be replaced.
    :param place: the folder for the pieces.
    :param task: DAG and task, whose documents are kept.
    :param stay: the canonical names of the documents that the next one will have.
    """
    _pieces(place, task).add(
        entry for entry in _of(task, entries_in(manifest)) if canonical(entry["image"]) not in stay
    )


def _pieces(place: ObjectStoragePath, task: str) -> Pieces:
    return Pieces(place, "before", functools.partial(_worth_keeping, task))


def _worth_keeping(task: str, entries: Iterable[dict[str, Any]]) -> list[bytes]:
    """The newest line of each document on which a bill hangs that is not too old."""
    kept: dict[str, tuple[tuple[float, int], bytes]] = {}
    oldest = time.time() - RETENTION.total_seconds()
    for entry in _of(task, entries):
        with suppress(ValueError, TypeError):
            document = BatchDocument.remembered(entry)
            age = float(document.submitted_at or 0.0), document.stage
            is_paid = document.status in DONE or document.status is DocumentStatus.RUNNING
            image = canonical(document.image)
            if is_paid and age[0] > oldest and (image not in kept or kept[image][0] <= age):
                kept[image] = age, line_of(entry)
    return [line for _, line in kept.values()]


def _of(task: str, entries: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for entry in entries:
        if str(entry.get("run") or "").startswith(f"{task}/") and isinstance(entry.get("image"), str):
            yield entry
