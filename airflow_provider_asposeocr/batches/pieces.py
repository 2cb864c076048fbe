"""Lines that many task instances add beside their work folders, in small files that become one once they are many."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow_provider_asposeocr.batches.lines import entries_in, names_in, put

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

_MOST_PIECES = 16
"""Pieces that are read as such by each run; then they become one."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """
    Lines of one kind.

    :param place: the folder of the pieces.
    :param kind: their name begins so.
    :param worth_keeping: returns the lines that are to be kept of what some entries say, each once.
    """

    place: ObjectStoragePath
    kind: str
    worth_keeping: Callable[[Iterable[dict[str, Any]]], list[bytes]]

    def read(self) -> Iterator[dict[str, Any]]:
        """Read them all, also where other task instances make one of the pieces meanwhile."""
        seen: set[str] = set()
        # Those that are gone stand in one that was there before they went.
        while unseen := [piece for piece in self._files() if piece.name not in seen]:
            for piece in unseen:
                seen.add(piece.name)
                yield from entries_in(piece)

    def add(self, entries: Iterable[dict[str, Any]]) -> None:
        """
        Add what is worth keeping, and make one of the pieces if they are many.

        :param entries: plain JSON, each.
        """
        added = list(entries)
        kept = self.worth_keeping(added)
        if not kept:
            return
        files = self._files()
        if len(files) < _MOST_PIECES:
            files = []
        else:
            # Others may do so at the same time, and what stands in two pieces then becomes one line again.
            kept = self.worth_keeping(chain((entry for file in files for entry in entries_in(file)), added))
        put(self.place / f"{self.kind}-{secrets.token_hex(6)}.jsonl", b"".join(kept))
        for file in files:
            with suppress(FileNotFoundError):
                file.unlink()

    def _files(self) -> list[ObjectStoragePath]:
        pattern = rf"{self.kind}-[0-9a-f]{{12}}\.jsonl"
        return [self.place / name for name in names_in(self.place) if re.fullmatch(pattern, name)]
