"""
The document of a job: a path on any storage, bytes, or an open file; looked at before anything is submitted.

Paths are Airflow's ``ObjectStoragePath``: local files, ``s3://``, ``gs://``, ``abfs://`` and whatever else it opens.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import ObjectStoragePath
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

try:
    from airflow.sdk.io import attach
except ImportError:  # Airflow 2.11
    from airflow.io.store import attach  # type: ignore[import-not-found, no-redef]

from airflow_provider_asposeocr.api.formats import IMAGE_FORMATS
from airflow_provider_asposeocr.api.images import HEAD_SIZE, ImageFacts, image_facts, with_directory
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from airflow_provider_asposeocr.storage.failures import NOTHING_SENT, NOTHING_SUBMITTED, before_sending
from airflow_provider_asposeocr.storage.lineage import LOCAL_PROTOCOLS, open_untracked

_BLOCK = 256 * 1024
_DROPPED = re.compile(r"[\t\r\n]")


@dataclass(slots=True)
class Document:
    """
    A document to be submitted.

    :param name: its path or URI, or what it is, for messages.
    :param size: in bytes, as its storage tells; once its content was read, as it was found.
    :param open: opens it for reading, from its start, as often as needed.
    :param path: where it is stored; ``None`` for bytes and open files.
    :param is_counted: whether the size was found by reading, and so is that of the content whose digest was taken.
    """

    name: str
    size: int
    open: Callable[[], AbstractContextManager[BinaryIO]] = field(repr=False)
    path: ObjectStoragePath | None = None
    is_counted: bool = False

    def facts(self, formats: tuple[str, ...] = IMAGE_FORMATS) -> ImageFacts:
        """
        Look at its first bytes.

        :param formats: the formats that the endpoint takes.
        :raises AsposeOcrInputError: where it is empty, or of no other format.
        :raises AsposeOcrStorageError: where its storage is not there, or not well.
        """
        with self.open() as file:
            return with_directory(image_facts(file.read(HEAD_SIZE), self.name, formats), file)

    def sha256(self) -> str:
        """
        The digest of its content: what tells a changed document from the same one at another place or time. What is
        sent later is as long as what was read here, or nothing.
        """
        digest = hashlib.sha256()
        self.size = 0
        with self.open() as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                self.size += len(block)
        self.is_counted = True
        return digest.hexdigest()

    def count_again(self) -> bool:
        """
        Count the bytes of a document that was found to be of another size than its storage told.

        :returns: whether it was the storage that erred, as one that tells compressed sizes; else the document changed.
        """
        if self.is_counted or self.path is None:
            return False
        with before_sending(f"{self.name} cannot be read", self.name):
            if _told_size(self.path) != self.size:
                return False
            with self.open() as file:
                self.size = _counted(file)
        self.is_counted = True
        return True


def document(image: Any, storage_conn_id: str | None = None) -> Document:
    """
    Return the document that a user means.

    :param image: a path or URI (``str``, ``pathlib.Path``, ``ObjectStoragePath``), bytes, or a seekable binary file.
    :param storage_conn_id: the Airflow connection of the storage, where it needs one.
    :raises AsposeOcrInputError: where there is no such file, or it cannot be opened.
    :raises AsposeOcrStorageError: where its storage is not there, or not well.
    """
    if isinstance(image, bytes | bytearray | memoryview):
        content = bytes(image)
        return Document(f"an image of {len(content)} bytes", len(content), lambda: io.BytesIO(content))
    if hasattr(image, "read") and not isinstance(image, os.PathLike):
        return _open_file(image)
    if not isinstance(image, str | os.PathLike | ObjectStoragePath) or not str(image).strip():
        # What holds bytes is not quoted.
        got = f"{image!r:.80}" if image is None or isinstance(image, str | int) else f"a {type(image).__name__}"
        raise AsposeOcrInputError(
            f"`image` must be the path or URI of a file, got {got}. For many images map the operator: "
            ".partial(...).expand(image=[...])."
        )
    return _stored(str(image), storage_path(image, storage_conn_id))


def storage_path(path: Any, storage_conn_id: str | None = None) -> ObjectStoragePath:
    """
    Return a path on any storage.

    :param path: a path or URI; one that is an ``ObjectStoragePath`` keeps its own connection.
    :param storage_conn_id: the Airflow connection of the storage, where it needs one.
    :raises AsposeOcrInputError: where nothing installed opens such a URI.
    :raises AsposeOcrStorageError: where its storage is not there, or not well.
    """
    if isinstance(path, ObjectStoragePath):
        return path
    text = str(path)
    with before_sending(f"{path} is no path or URI"):
        scheme = urlsplit(text).scheme
    if text and not scheme:
        # Airflow 2.11 takes a relative path to begin at the root.
        text = os.path.abspath(text)  # noqa: PTH100 - resolves no links
    if scheme in LOCAL_PROTOCOLS:
        # What Airflow would open it with, but without looking through all providers: the Amazon one alone takes 0.16 s.
        attach("file", fs=LocalFileSystem())
    with before_sending(f"{path} cannot be opened"):
        try:
            stored = _path(text, storage_conn_id)
            # Airflow 2.11 looks for what opens it only now.
            _ = stored.fs
            return stored
        except (ValueError, ImportError) as error:
            raise AsposeOcrInputError(
                f"{path} cannot be opened: {error}. Install the Airflow provider of that storage "
                f"(such as apache-airflow-providers-amazon[s3fs] for s3://). {NOTHING_SENT}"
            ) from error


def kind_of(path: ObjectStoragePath) -> str | None:
    """
    Return what there is at a path, as ``directory`` or ``file``; ``None`` where there is nothing.

    That is not asked for by `is_dir` and `exists`, which on many storages say no as well where they could not find out.

    :param path: on any storage.
    """
    try:
        return str(path.fs.info(path.path).get("type", "file"))
    except (FileNotFoundError, NotADirectoryError):
        return None


def _path(text: str, conn_id: str | None) -> ObjectStoragePath:
    """A path as it is spelt: tabs and ends of lines are dropped from what is read as a URI, which is another file's."""
    dropped = _DROPPED.search(text)
    if dropped is None:
        return ObjectStoragePath(text, conn_id=conn_id)
    at = text.rfind("/", 0, dropped.start()) + 1
    start, rest = text[:at], text[at:]
    if start in ("", "//") or start.endswith("://"):
        raise ValueError("its scheme or its bucket holds a tab or an end of a line")
    return ObjectStoragePath(start, conn_id=conn_id) / rest


def _stored(name: str, path: ObjectStoragePath) -> Document:
    with before_sending(f"{name} cannot be opened", name):
        try:
            if path.is_dir():
                raise AsposeOcrInputError(
                    f"{name} is a folder. `image` is one file; for a folder list it and map the operator: "
                    f".partial(...).expand(image=[...]). {NOTHING_SENT}",
                    image=name,
                )
            if path.protocol in LOCAL_PROTOCOLS and Path(path.path).exists() and not Path(path.path).is_file():
                # To count the bytes of a pipe or of a device may last for ever.
                raise AsposeOcrInputError(f"{name} is no file, but a pipe or a device. {NOTHING_SENT}", image=name)
            size = _told_size(path)
        except FileNotFoundError:
            raise AsposeOcrInputError(
                f"There is no file {name}. Check the path, and that the worker (not only your machine) can see it. "
                f"{NOTHING_SENT}",
                image=name,
            ) from None
        source = Document(name, size, partial(_opened, name, path), path)
        if source.size <= 0:
            # No size is told by storages that make their files as they are read.
            source.count_again()
    return source


@contextmanager
def _opened(name: str, path: ObjectStoragePath) -> Iterator[BinaryIO]:
    """Open a document. What breaks while it is read, be it to send it, is said as ours: it is not a broken exchange."""
    with before_sending(f"{name} cannot be read", name, so=NOTHING_SUBMITTED), open_untracked(path, "rb") as file:
        yield file


def _told_size(path: ObjectStoragePath) -> int:
    """What its storage says of the size of a file; 0 where that is nothing."""
    return int(path.stat().st_size or 0)


def _counted(file: BinaryIO) -> int:
    size = 0
    while block := file.read(_BLOCK):
        size += len(block)
    return size


def _open_file(file: BinaryIO) -> Document:
    with before_sending("`image` is an open file that cannot be read"):
        if not (hasattr(file, "seekable") and file.seekable()):
            raise AsposeOcrInputError(
                "`image` is a file that cannot seek: a repeat could not send it again. Pass a path."
            )
        if file.read(0) != b"":
            raise AsposeOcrInputError("`image` is an open text file: it must be opened in binary mode. Pass a path.")
        start = file.tell()
        size = file.seek(0, io.SEEK_END) - start
        file.seek(start)

    @contextmanager
    def reopened() -> Iterator[BinaryIO]:
        with before_sending("`image`, an open file, cannot be read"):
            file.seek(start)
            try:
                yield file
            finally:
                # Who looks at the document a second time begins where it begins.
                file.seek(start)

    name = getattr(file, "name", None)
    return Document(str(name) if isinstance(name, str) else f"an image of {size} bytes", size, reopened)
