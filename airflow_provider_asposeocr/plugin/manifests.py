"""The manifest of a batch, a page of it at a time: however long it is, a request reads a bounded part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_asposeocr.batches.lines import entry_of, lines_in
from airflow_provider_asposeocr.plugin.refusals import NotShownError
from airflow_provider_asposeocr.plugin.shapes import is_line

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

LINES = 100
"""On a page."""
_MOST_READ = 64 * 1024 * 1024
"""Bytes that one request looks through for lines that match."""
_MOST_LINES = 500_000
"""Likewise, where they are short."""
_LONGEST_LINE = 4 * 1024 * 1024
"""Bytes of one line: a file of a single one is none that a batch has written, and would be read whole."""


@dataclass(slots=True)
class ManifestPage:
    """
    A part of a manifest.

    :param lines: those that match, each with the offset where it begins.
    :param following: where to read on; ``None`` at the end.
    """

    lines: list[tuple[int, Mapping[str, Any]]] = field(default_factory=list)
    following: int | None = None


def page_of(path: ObjectStoragePath, after: int, words: str, status: str) -> ManifestPage:
    """
    Read a part of a manifest.

    :param path: the manifest.
    :param after: the offset to begin at.
    :param words: what the name or the error of a document holds, in any case; nothing for all.
    :param status: which status; nothing for all.
    :raises NotShownError: where it is not there, or its storage not well.
    """
    page, begins = ManifestPage(), _line_start(path, after)
    sought = words.casefold()
    try:
        for count, (ends, line) in enumerate(_lines_in(path, begins)):
            if len(page.lines) == LINES or begins - after > _MOST_READ or count == _MOST_LINES:
                page.following = begins
                break
            entry = _entry_of(line)
            if entry is not None and _matches(entry, sought, status):
                page.lines.append((begins, entry))
            begins = ends
    except Exception as error:
        raise _unreadable(error) from error
    return page


def document_at(path: ObjectStoragePath, offset: int) -> Mapping[str, Any]:
    """
    Return one document of a manifest.

    :param path: the manifest.
    :param offset: where its line begins.
    :raises NotShownError: where no line begins there.
    """
    if _line_start(path, offset) == offset:
        try:
            entry = next((_entry_of(line) for _, line in _lines_in(path, offset)), None)
        except Exception as error:
            raise _unreadable(error) from error
        if entry is not None:
            return entry
    raise NotShownError("There is no such document in the manifest; it may have been written anew.")


_lines_in = partial(lines_in, longest=_LONGEST_LINE)


def _entry_of(line: bytes) -> dict[str, Any] | None:
    """What a line says, if it is one of a manifest."""
    try:
        entry = entry_of(line)
    except RecursionError:
        return None
    return entry if is_line(entry) else None


def _line_start(path: ObjectStoragePath, offset: int) -> int:
    """The offset, if a line begins there, else that of the next one: a manifest may be written anew meanwhile."""
    if offset == 0:
        return 0
    try:
        return next((ends for ends, _ in _lines_in(path, offset - 1)), offset - 1)
    except Exception as error:
        raise _unreadable(error) from error


def _matches(entry: Mapping[str, Any], sought: str, status: str) -> bool:
    if status and entry.get("status") != status:
        return False
    return not sought or any(sought in str(entry.get(name) or "").casefold() for name in ("image", "error"))


def _unreadable(error: Exception) -> NotShownError:
    return NotShownError(f"The manifest cannot be read from here ({type(error).__name__}).", status=502)
