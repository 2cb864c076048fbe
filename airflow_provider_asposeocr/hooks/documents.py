"""
The document of a job: a path on any storage, bytes, or an open file; looked at before anything is submitted.

Paths are Airflow's ``ObjectStoragePath``: local files, ``s3://``, ``gs://``, ``abfs://`` and whatever else it opens.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import ObjectStoragePath
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

try:
    from airflow.sdk.io import attach
except ImportError:  # Airflow 2.11
    from airflow.io.store import attach  # type: ignore[import-not-found, no-redef]

from airflow_provider_asposeocr.api.images import HEAD_SIZE, ImageFacts, image_facts
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from airflow_provider_asposeocr.hooks.lineage import LOCAL_PROTOCOLS, open_untracked

_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Document:
    """
    A document to be submitted.

    :param name: its path or URI, or what it is, for messages.
    :param size: in bytes.
    :param open: opens it for reading, from its start, as often as needed.
    :param path: where it is stored; ``None`` for bytes and open files.
    """

    name: str
    size: int
    open: Callable[[], AbstractContextManager[BinaryIO]] = field(repr=False)
    path: ObjectStoragePath | None = None

    def facts(self) -> ImageFacts:
        """
        Look at its first bytes.

        :raises AsposeOcrInputError: where it is empty, or of no format the service reads.
        """
        with self.open() as file:
            head = file.read(HEAD_SIZE)
        return image_facts(head, self.name)

    def sha256(self) -> str:
        """The digest of its content: what tells a changed document from the same one at another place or time."""
        digest = hashlib.sha256()
        with self.open() as file:
            while block := file.read(_BLOCK):
                digest.update(block)
        return digest.hexdigest()


def document(image: Any, storage_conn_id: str | None = None) -> Document:
    """
    Return the document that a user means.

    :param image: a path or URI (``str``, ``pathlib.Path``, ``ObjectStoragePath``), bytes, or a seekable binary file.
    :param storage_conn_id: the Airflow connection of the storage, where it needs one.
    :raises AsposeOcrInputError: where there is no such file, or it cannot be opened.
    """
    if isinstance(image, bytes | bytearray | memoryview):
        content = bytes(image)
        return Document(f"an image of {len(content)} bytes", len(content), lambda: io.BytesIO(content))
    if hasattr(image, "read") and not isinstance(image, os.PathLike):
        return _open_file(image)
    if not isinstance(image, str | os.PathLike | ObjectStoragePath) or not str(image).strip():
        raise AsposeOcrInputError(
            f"`image` must be the path or URI of a file, got {image!r:.80}. For many images map the operator: "
            ".partial(...).expand(image=[...])."
        )
    return _stored(str(image), storage_path(image, storage_conn_id))


def storage_path(path: Any, storage_conn_id: str | None = None) -> ObjectStoragePath:
    """
    Return a path on any storage.

    :param path: a path or URI; one that is an ``ObjectStoragePath`` keeps its own connection.
    :param storage_conn_id: the Airflow connection of the storage, where it needs one.
    :raises AsposeOcrInputError: where nothing installed opens such a URI.
    """
    if isinstance(path, ObjectStoragePath):
        return path
    text = str(path)
    scheme = urlsplit(text).scheme
    if text and not scheme:
        # Airflow 2.11 takes a relative path to begin at the root.
        text = os.path.abspath(text)  # noqa: PTH100 - resolves no links
    if scheme in LOCAL_PROTOCOLS:
        # What Airflow would open it with, but without looking through all providers: the Amazon one alone takes 0.16 s.
        attach("file", fs=LocalFileSystem())
    try:
        stored = ObjectStoragePath(text, conn_id=storage_conn_id)
        # Airflow 2.11 looks for what opens it only now.
        _ = stored.fs
        return stored
    except (ValueError, ImportError) as error:
        raise AsposeOcrInputError(
            f"{path} cannot be opened: {error}. Install the Airflow provider of that storage "
            "(such as apache-airflow-providers-amazon[s3fs] for s3://). Nothing was sent."
        ) from error


def _stored(name: str, path: ObjectStoragePath) -> Document:
    try:
        if path.is_dir():
            raise AsposeOcrInputError(
                f"{name} is a folder. `image` is one file; for a folder list it and map the operator: "
                ".partial(...).expand(image=[...]). Nothing was sent.",
                image=name,
            )
        size = int(path.stat().st_size)
    except FileNotFoundError:
        raise AsposeOcrInputError(
            f"There is no file {name}. Check the path, and that the worker (not only your machine) can see it. "
            "Nothing was sent.",
            image=name,
        ) from None
    except PermissionError as error:
        raise AsposeOcrInputError(f"{name} may not be read: {error}. Nothing was sent.", image=name) from error
    except (OSError, ValueError, ImportError) as error:
        raise AsposeOcrInputError(f"{name} cannot be opened: {error}. Nothing was sent.", image=name) from error
    return Document(name, size, lambda: open_untracked(path, "rb"), path)


def _open_file(file: BinaryIO) -> Document:
    if not file.seekable():
        raise AsposeOcrInputError("`image` is a file that cannot seek: a repeat could not send it again. Pass a path.")
    if file.read(0) != b"":
        raise AsposeOcrInputError("`image` is an open text file: it must be opened in binary mode. Pass a path.")
    start = file.tell()
    size = file.seek(0, io.SEEK_END) - start

    def reopened() -> AbstractContextManager[BinaryIO]:
        file.seek(start)
        return nullcontext(file)

    reopened()
    name = getattr(file, "name", None)
    return Document(str(name) if isinstance(name, str) else f"an image of {size} bytes", size, reopened)
