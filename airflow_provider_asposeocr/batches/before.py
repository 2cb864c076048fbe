"""
What a task has read in earlier runs into a folder, and is not in the list of the latest one.

The manifest is of one run. Where each run has a list of its own, as a day's folder, the lines that the next manifest
would lose are kept in pieces, for as long as a clear of such a run is likely: its documents are not billed again.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable, Iterator, Set
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow_provider_asposeocr.batches.documents import DONE, BatchDocument, DocumentStatus
from airflow_provider_asposeocr.batches.lines import entries_in, line_of, names_in, put
from airflow_provider_asposeocr.batches.names import canonical
from airflow_provider_asposeocr.batches.slots import RETENTION

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

_MOST_PIECES = 16
"""Pieces that are read as such by each run; then they become one."""


def read_before(place: ObjectStoragePath, task: str) -> Iterator[dict[str, Any]]:
    """
    Read what was kept, also where other task instances make one of the pieces meanwhile.

    :param place: the folder of the pieces.
    :param task: DAG and task, whose documents are meant.
    """
    seen: set[str] = set()
    # Those that are gone stand in one that was there before they went.
    while unseen := [piece for piece in _pieces(place) if piece.name not in seen]:
        for piece in unseen:
            seen.add(piece.name)
            yield from _of(task, piece)


def keep_what_goes(manifest: ObjectStoragePath, place: ObjectStoragePath, task: str, stay: Set[str]) -> None:
    """
    Keep the lines of a manifest that the next one will not have.

    :param manifest: which is about to be replaced.
    :param place: the folder for the pieces.
    :param task: DAG and task, whose documents are kept.
    :param stay: the canonical names of the documents that the next one will have.
    """
    gone = [entry for entry in _of(task, manifest) if canonical(entry["image"]) not in stay]
    kept = _worth_keeping(gone)
    if not kept:
        return
    pieces = _pieces(place)
    if len(pieces) < _MOST_PIECES:
        pieces = []
    else:
        # Others may do so at the same time, and what stands in two pieces then becomes one line again.
        kept = _worth_keeping(chain((entry for piece in pieces for entry in _of(task, piece)), gone))
    put(place / f"before-{secrets.token_hex(6)}.jsonl", b"".join(kept))
    for piece in pieces:
        with suppress(FileNotFoundError):
            piece.unlink()


def _worth_keeping(entries: Iterable[dict[str, Any]]) -> list[bytes]:
    """The newest line of each document on which a bill hangs that is not too old."""
    kept: dict[str, tuple[tuple[float, int], bytes]] = {}
    oldest = time.time() - RETENTION.total_seconds()
    for entry in entries:
        with suppress(ValueError, TypeError):
            document = BatchDocument.remembered(entry)
            age = float(document.submitted_at or 0.0), document.stage
            is_paid = document.status in DONE or document.status is DocumentStatus.RUNNING
            image = canonical(document.image)
            if is_paid and age[0] > oldest and (image not in kept or kept[image][0] <= age):
                kept[image] = age, line_of(entry)
    return [line for _, line in kept.values()]


def _of(task: str, path: ObjectStoragePath) -> Iterator[dict[str, Any]]:
    for entry in entries_in(path):
        if str(entry.get("run") or "").startswith(f"{task}/") and isinstance(entry.get("image"), str):
            yield entry


def _pieces(place: ObjectStoragePath) -> list[ObjectStoragePath]:
    return [place / name for name in names_in(place) if re.fullmatch(r"before-[0-9a-f]{12}\.jsonl", name)]
