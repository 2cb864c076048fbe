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

from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

from airflow_provider_asposeocr.events import Event, warned

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

_PLAIN = "".join(sorted(set(string.punctuation) - set("%?#")))

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


def asset_uri(place: str) -> str:
    """
    Return the URI by which Airflow knows a file as an asset: ASCII, with a scheme, without an Airflow connection's id.

    :param place: a path, or a URI as :class:`ObjectStoragePath` has it, such as ``s3://my_conn@bucket/key``.
    """
    scheme, host, path = _parts(place)
    # A name may hold what would begin a query or a fragment, and on a disk bytes that are no UTF-8.
    return f"{scheme}://{host}{quote(path, safe=_PLAIN, errors='surrogateescape')}"


def dataset_name(place: str) -> tuple[str, str]:
    """
    Return the namespace and the name of a file by OpenLineage's rules of naming.

    Source: "Naming", openlineage.io/docs/spec/naming/, and ``openlineage.client.naming`` of its Python client.

    :param place: a path or a URI, as for :func:`asset_uri`.
    """
    scheme, host, path = _parts(place)
    if scheme == "file":
        return "file", path
    return f"{scheme}://{host}", path if scheme == "hdfs" else path.lstrip("/") or "/"


_SAME_SCHEMES = {"": "file", "local": "file", "s3a": "s3", "s3n": "s3", "gcs": "gs", "abfs": "abfss", "wasb": "wasbs"}
"""One store, several names: the one that OpenLineage and Airflow's assets have."""


def _parts(place: str) -> tuple[str, str, str]:
    """The scheme, the host or bucket, and the path of a file. A name may hold any character, ``?`` and ``#`` too."""
    scheme, separator, rest = place.partition("://")
    if not separator:
        scheme, rest = "", place.removeprefix("file:")
    scheme = _SAME_SCHEMES.get(scheme.lower(), scheme.lower())
    if scheme == "file":
        return scheme, "", f"/{rest.lstrip('/')}"
    host, slash, path = rest.partition("/")
    return scheme, host.rpartition("@")[2], slash + path


def _report(path: ObjectStoragePath, method: Literal["add_input_asset", "add_output_asset"]) -> None:
    try:
        with _reporting:
            # Not asset_uri: whoever reads this may want the connection that is in the path.
            uri = f"file://{path.path}" if path.protocol in LOCAL_PROTOCOLS else str(path)
            # Airflow takes ASCII only.
            getattr(get_hook_lineage_collector(), method)(
                context=path, uri=quote(uri, safe=string.punctuation, errors="surrogateescape")
            )
    except Exception as error:  # noqa: BLE001 - providers make assets of URIs; what is paid for is not lost for that
        warned(log, Event.LINEAGE_FAILED, "No lineage for %s: %s: %s", path, type(error).__name__, error)
