"""
What is known of a batch that has succeeded, below Airflow 3.3: there is no task state store that would know it longer.

Airflow may run the try again, as where its XCom could not be pushed, or wake it twice by one event: the documents that
a clear was to read anew were billed again by each. And a clear of a run that overwrites reads nothing that others have
read since it began, which only that run can tell.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_asposeocr.batches.lines import line_of
from airflow_provider_asposeocr.batches.pieces import Pieces
from airflow_provider_asposeocr.batches.slots import RETENTION

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

_TOLD = ("run", "max_tries", "since", "finished")


def keep_end(place: ObjectStoragePath, header: Mapping[str, Any]) -> None:
    """
    Keep that a task instance's batch has succeeded.

    :param place: the folder for what task instances leave behind.
    :param header: what it remembers of the batch as a whole.
    """
    _pieces(place).add([{**{name: header[name] for name in _TOLD if name in header}, "ended_at": time.time()}])


def ended(place: ObjectStoragePath, run: str) -> dict[str, Any] | None:
    """
    Return what is known of a task instance's batch that has succeeded; ``None`` where nothing is.

    :param place: the folder of what task instances have left behind.
    :param run: the task instance.
    """
    with suppress(NotADirectoryError):
        # A file where the folder would be: whoever writes into it says so.
        return max((entry for entry in _pieces(place).read() if entry.get("run") == run), key=_ended_at, default=None)
    return None


def _pieces(place: ObjectStoragePath) -> Pieces:
    return Pieces(place, "ended", _worth_keeping)


def _worth_keeping(entries: Iterable[dict[str, Any]]) -> list[bytes]:
    """The last end of each task instance that is not too old."""
    kept: dict[str, dict[str, Any]] = {}
    oldest = time.time() - RETENTION.total_seconds()
    for entry in entries:
        run = str(entry.get("run"))
        if _ended_at(entry) > oldest and (run not in kept or _ended_at(kept[run]) <= _ended_at(entry)):
            kept[run] = entry
    return [line_of(entry) for entry in kept.values()]


def _ended_at(entry: Mapping[str, Any]) -> float:
    with suppress(ValueError, TypeError):
        return float(entry.get("ended_at", 0.0))
    return 0.0
