"""
Lineage: Airflow's hook-level lineage (OpenLineage and others read it) is told which documents were sent, and which
files were written.

Files are opened without ``ObjectStoragePath``'s own tracking. That notes every block read as lineage, the temporary
name of a file instead of its own, and, when the first block is read, loads the assets of all providers, which delays
the submission by tenths of a second.
"""

from __future__ import annotations

import logging
import string
import threading
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, BinaryIO, Literal, cast
from urllib.parse import quote

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

LOCAL_PROTOCOLS = frozenset({"", "file"})
"""What stands before ``://`` in the path of a local file."""

# Airflow makes its collector at the first question: two threads that ask at once get two, and one is never read.
_reporting = threading.Lock()


def open_untracked(path: ObjectStoragePath, mode: Literal["rb", "wb"]) -> AbstractContextManager[BinaryIO]:
    """
    Open a file.

    :param path: which.
    :param mode: to read or to write.
    """
    return cast("AbstractContextManager[BinaryIO]", path.fs.open(path.path, mode))


def document_sent(path: ObjectStoragePath | None) -> None:
    """
    Report a document as an input of the task.

    :param path: where it is stored; ``None`` for one that is not.
    """
    if path is not None:
        _report(path, "add_input_asset")


def result_written(path: ObjectStoragePath) -> None:
    """
    Report a result as an output of the task.

    :param path: its file.
    """
    _report(path, "add_output_asset")


def _report(path: ObjectStoragePath, method: Literal["add_input_asset", "add_output_asset"]) -> None:
    from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector  # noqa: PLC0415

    uri = f"file://{path.path}" if path.protocol in LOCAL_PROTOCOLS else str(path)
    try:
        with _reporting:
            # Airflow takes ASCII only.
            getattr(get_hook_lineage_collector(), method)(context=path, uri=quote(uri, safe=string.punctuation))
    except Exception as error:  # noqa: BLE001 - providers make assets of URIs; what is paid for is not lost for that
        log.warning("No lineage for %s: %s: %s", path, type(error).__name__, error)
