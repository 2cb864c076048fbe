"""
What is known of a batch that has succeeded, below Airflow 3.3: there is no task state store that would know it longer.

Airflow may run the try again, as where its XCom could not be pushed, or wake it twice by one event: the documents that
a clear was to read anew were billed again by each. And a clear of a run that overwrites reads nothing that others have
read since it began, which only that run can tell.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from airflow_provider_asposeocr.batches.pieces import Facts, Pieces

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

_TOLD = ("run", "max_tries", "since", "finished")


def keep_end(place: ObjectStoragePath, header: Mapping[str, Any]) -> None:
    """
    Keep that a task instance's batch has succeeded.

    :param place: the folder for what task instances leave behind.
    :param header: what it remembers of the batch as a whole.
    """
    # Their number, and no time: a clock may have been ahead then. Nor what a clear makes of the limit of tries.
    before = ended(place, str(header["run"])) or {}
    told = {name: header[name] for name in _TOLD if name in header}
    _pieces(place).add([{**told, "ends": int(before.get("ends", 0)) + 1, "ended_at": time.time()}])


def ended(place: ObjectStoragePath, run: str) -> dict[str, Any] | None:
    """
    Return what is known of a task instance's batch that has succeeded; ``None`` where nothing is.

    :param place: the folder of what task instances have left behind.
    :param run: the task instance.
    """
    ends = ((_facts_of(entry), entry) for entry in _pieces(place).read() if entry.get("run") == run)
    last = max(((facts[1], entry) for facts, entry in ends if facts is not None), key=itemgetter(0), default=None)
    return None if last is None else last[1]


def _pieces(place: ObjectStoragePath) -> Pieces:
    return Pieces(place, "ended", _facts_of)


def _facts_of(entry: Mapping[str, Any]) -> Facts | None:
    with suppress(KeyError, ValueError, TypeError, OverflowError):
        float(entry.get("since", 0.0))
        ended_at = float(entry["ended_at"])
        return str(entry.get("run")), (int(entry["ends"]), ended_at), ended_at
    return None
