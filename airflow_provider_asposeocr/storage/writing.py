"""
Writing files on any storage: whole, or not at all, and in no other's place where that is asked for.

A file is written under a temporary name beside its final one and renamed, so that a half-written file never bears the
final name. An object storage shows an object only once it is whole, so there it is put at its place at once: one call
instead of a PUT, a COPY and a DELETE.
"""

from __future__ import annotations

import errno
import functools
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from airflow_provider_asposeocr.storage.documents import kind_of
from airflow_provider_asposeocr.storage.lineage import LOCAL_PROTOCOLS, open_untracked, result_written
from airflow_provider_asposeocr.storage.result_files import ResultFile, place_new

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

_BLOCK = 256 * 1024
_PIPED = 1024 * 1024
"""Bytes that are put from memory at most; more of them from a file on disk."""
OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl"})
"""Storages that have no folders to be made, and show a file only once it is whole."""
_PUT_WHOLE = OBJECT_STORES | {"memory"}


def write_file(content: BinaryIO, path: ObjectStoragePath) -> None:
    """
    Write a file, in the place of another one if there is one.

    :param content: what; read from its start, in blocks.
    :param path: where. Its folder is made.
    """
    make_folder(path.parent)
    is_moved = isinstance(content, ResultFile) and path.protocol in LOCAL_PROTOCOLS and content.move_to(path.path)
    if not (is_moved or _put_over(content, path)):
        with _partial(content, path) as partial:
            _move(partial, path)
    result_written(path)


def create_file(content: BinaryIO, path: ObjectStoragePath) -> None:
    """
    Write a file, and in no other's place: of two that do so at once, one fails.

    That holds on this machine's file systems, and on object storages whose file system can put an object on condition.
    Elsewhere it is looked as late as possible whether there is one.

    :param content: what; read from its start, in blocks.
    :param path: where. Its folder is made.
    :raises FileExistsError: there is one.
    """
    make_folder(path.parent)
    if path.protocol in LOCAL_PROTOCOLS:
        if not (isinstance(content, ResultFile) and content.move_to(path.path, replace=False)):
            with _partial(content, path) as partial:
                place_new(Path(partial.path), Path(path.path))
    elif not _put_new(content, path):
        with _partial(content, path) as partial:
            _refuse_existing(path)
            _move(partial, path)
    result_written(path)


def same_content(content: BinaryIO, path: ObjectStoragePath) -> bool:
    """
    Say whether a file holds just that.

    :param content: what; read from its start, in blocks.
    :param path: of the file.
    """
    if path.is_dir():
        return False
    content.seek(0)
    with open_untracked(path, "rb") as file:
        while True:
            block = content.read(_BLOCK)
            if file.read(len(block) or 1) != block:
                return False
            if not block:
                return True


@functools.lru_cache(maxsize=1024)
def ensure_writable(folder: ObjectStoragePath) -> None:
    """
    See that files can be written to a folder, by writing one: nothing else tells on every storage. Once per process.

    :param folder: is made where it is not there; a bucket is not.
    :raises Exception: of the storage, where that cannot be.
    """
    make_folder(folder)
    probe = _temporary_in(folder)
    with open_untracked(probe, "wb") as file:
        file.write(b"\n")
    _delete(probe)


def make_folder(folder: ObjectStoragePath) -> None:
    """
    Make a folder with all above it, where the storage has folders.

    :param folder: which; it may be there.
    """
    # Made with all above it, a folder of an object storage would be a new bucket, and a misspelt one never be noticed.
    if folder.protocol not in OBJECT_STORES:
        folder.mkdir(parents=True, exist_ok=True)


def _temporary_in(folder: ObjectStoragePath) -> ObjectStoragePath:
    # Not made of the final name, which may be as long as can be.
    return folder / f".aspose-ocr.{secrets.token_hex(8)}.part"


@contextmanager
def _partial(content: BinaryIO, path: ObjectStoragePath) -> Iterator[ObjectStoragePath]:
    """Write a content beside its final place; what still stands there in the end is deleted."""
    partial = _temporary_in(path.parent)
    content.seek(0)
    try:
        with open_untracked(partial, "wb") as file:
            while block := content.read(_BLOCK):
                file.write(block)
        yield partial
    except BaseException:
        # It may not be there; and what broke first is what is to be told.
        with suppress(Exception):
            _delete(partial)
        raise


_WILDCARD = re.compile(r"[*?\[{]")


def _move(partial: ObjectStoragePath, path: ObjectStoragePath) -> None:
    """Give a file its final name."""
    if path.protocol in LOCAL_PROTOCOLS:
        Path(partial.path).replace(path.path)
        return
    _refuse_folder(path)
    if path.protocol in _PUT_WHOLE or _WILDCARD.search(path.path):
        # What these do to move a file, but to the very name: `mv` takes `*`, `?` and `[` for a pattern.
        path.fs.cp_file(partial.path, path.path)
        _delete(partial)
    else:
        path.fs.mv(partial.path, path.path)


def _delete(path: ObjectStoragePath) -> None:
    if _WILDCARD.search(path.path):
        path.fs.rm_file(path.path)
    else:
        path.unlink()


def _put_over(content: BinaryIO, path: ObjectStoragePath) -> bool:
    """Put an object, in the place of another one, and say whether this storage does that."""
    if path.protocol not in _PUT_WHOLE:
        return False
    _refuse_folder(path)
    try:
        _put(content, path)
    except (FileExistsError, NotImplementedError):
        return False
    return True


def _put_new(content: BinaryIO, path: ObjectStoragePath) -> bool:
    """Put a new object on the condition that there is none, and say whether this storage can do that."""
    if path.protocol not in _PUT_WHOLE:
        return False
    # Some storages pass over the condition.
    _refuse_existing(path)
    try:
        _put(content, path, mode="create")
    except Exception as error:
        if isinstance(error, TypeError | NotImplementedError) or getattr(error, "errno", None) == errno.ENOSYS:
            # A file system or a server that does not know the condition.
            return False
        # Some say otherwise than by a FileExistsError that there is one.
        _refuse_existing(path)
        raise
    return True


def _put(content: BinaryIO, path: ObjectStoragePath, **how: str) -> None:
    """Put an object by one call, which is made only once the whole content was read."""
    if isinstance(content, ResultFile) and content.path:
        path.fs.put_file(str(content.path), path.path, **how)
        return
    content.seek(0)
    blocks = iter(functools.partial(content.read, _BLOCK), b"")
    begun = b""
    for block in blocks:
        begun += block
        if len(begun) > _PIPED:
            break
    else:
        path.fs.pipe_file(path.path, begun, **how)
        return
    with tempfile.NamedTemporaryFile(prefix="aspose-ocr-", suffix=".part") as file:
        for block in chain((begun,), blocks):
            file.write(block)
        file.flush()
        path.fs.put_file(file.name, path.path, **how)


def _refuse_folder(path: ObjectStoragePath) -> None:
    """A storage would put a file into a folder of its name, where nobody looks for it."""
    if path.protocol not in OBJECT_STORES and path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))


def _refuse_existing(path: ObjectStoragePath) -> None:
    if kind_of(path) is not None:
        raise FileExistsError(f"{path} exists already")
