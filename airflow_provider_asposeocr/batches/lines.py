"""Files of JSON lines, on any storage: written whole, read in blocks, from any place on."""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_asposeocr.storage.lineage import LOCAL_PROTOCOLS, open_untracked
from airflow_provider_asposeocr.storage.writing import make_folder

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

_BLOCK = 64 * 1024
_BREAKS = {ord("\u2028"): "\\u2028", ord("\u2029"): "\\u2029", ord("\x85"): "\\u0085"}
"""JSON may hold them as they are, but other readers of lines take them for the end of one."""


def line_of(entry: Mapping[str, Any]) -> bytes:
    """
    Return a line of JSON. A file name that is not UTF-8 stands in it by escapes, and comes back as it was.

    :param entry: plain JSON.
    """
    text = json.dumps(entry, ensure_ascii=False, separators=(", ", ": ")).translate(_BREAKS)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(entry).encode() + b"\n"


def entry_of(line: bytes) -> dict[str, Any] | None:
    """
    Return what a line says; ``None`` where it is not JSON, as the last one of a file that was cut.

    :param line: with or without its end.
    """
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def lines_in(path: ObjectStoragePath, offset: int = 0, *, longest: int | None = None) -> Iterator[tuple[int, bytes]]:
    """
    Read a file's lines, each with the offset of the next one.

    :param path: which; one that is not there has none.
    :param offset: where to begin, in bytes.
    :param longest: about how many bytes of one line are read; ``None`` for any.
    :raises ValueError: where a line is longer.
    """
    try:
        file = open_untracked(path, "rb")
    except FileNotFoundError:
        return
    with file as opened:
        opened.seek(offset)
        begun, size = [b""], 0
        while block := opened.read(_BLOCK):
            *ends, rest = block.split(b"\n")
            for end in ends:
                line = b"".join((*begun, end))
                begun, size = [], 0
                offset += len(line) + 1
                yield offset, line
            begun.append(rest)
            size += len(rest)
            if longest is not None and size > longest:
                raise ValueError(f"the line at byte {offset} is longer than {longest} bytes")
        if size:
            yield offset + size, b"".join(begun)


def entries_in(path: ObjectStoragePath) -> Iterator[dict[str, Any]]:
    """
    Read what a file's lines say, leaving out those that say nothing.

    :param path: which.
    """
    for _, line in lines_in(path):
        entry = entry_of(line)
        if entry is not None:
            yield entry


def put(path: ObjectStoragePath, content: bytes) -> None:
    """
    Write a small file whole or not at all, also where the power is lost, and make its folder.

    :param path: which; what is there is replaced.
    :param content: what.
    """
    if path.protocol in LOCAL_PROTOCOLS:
        target = Path(path.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)  # noqa: PTH105 - one system call
    else:
        # On other storages a file is there when it is whole.
        make_folder(path.parent)
        path.fs.pipe_file(path.path, content)


def names_in(folder: ObjectStoragePath) -> list[str]:
    """
    Return what is in a folder now, whatever was listed before (not every `ls` has a `refresh`); nothing where there is
    none.

    That is not asked for by `exists`, which on many storages says no as well where it could not find out: all that was
    read would be billed again.

    :param folder: on any storage.
    :raises OSError: where it cannot be listed.
    """
    folder.fs.invalidate_cache(folder.path)
    try:
        found = folder.fs.ls(folder.path, detail=False)
    except OSError as error:
        if isinstance(error, FileNotFoundError) or error.errno == errno.ENOENT:
            return []
        raise
    return sorted(str(name).rstrip("/").rpartition("/")[2] for name in found)
