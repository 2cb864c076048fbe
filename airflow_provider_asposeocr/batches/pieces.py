"""Lines that many task instances add beside their work folders, in small files that become one once they are many."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow_provider_asposeocr.batches.lines import entries_in, line_of, names_in, put
from airflow_provider_asposeocr.batches.slots import RETENTION

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

Facts = tuple[str, tuple[float, float], float]
"""What an entry is about; what tells which of two about the same is the later one; its time, in seconds."""
_MOST_PIECES = 16
"""Pieces that are read as such by each run; then they become one."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """
    Lines of one kind. The last one about each thing is kept for as long as a clear is likely.

    :param place: the folder of the pieces.
    :param kind: their name begins so.
    :param facts_of: returns those of an entry; ``None`` where it is not worth keeping.
    """

    place: ObjectStoragePath
    kind: str
    facts_of: Callable[[dict[str, Any]], Facts | None]

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
        kept = self._worth_keeping(added)
        if not kept:
            return
        files = self._files()
        if len(files) < _MOST_PIECES:
            files = []
        else:
            # Others may do so at the same time, and what stands in two pieces then becomes one line again.
            kept = self._worth_keeping(chain((entry for file in files for entry in entries_in(file)), added))
        put(self.place / f"{self.kind}-{secrets.token_hex(6)}.jsonl", b"".join(kept))
        for file in files:
            with suppress(FileNotFoundError):
                file.unlink()

    def _worth_keeping(self, entries: Iterable[dict[str, Any]]) -> list[bytes]:
        kept: dict[str, tuple[tuple[float, float], bytes]] = {}
        latest: dict[str, float] = {}
        for entry in entries:
            facts = self.facts_of(entry)
            if facts is None:
                continue
            subject, age, at = facts
            # The clock that the last one was written by may have been behind.
            latest[subject] = max(at, latest.get(subject, 0.0))
            if subject not in kept or kept[subject][0] <= age:
                kept[subject] = age, line_of(entry)
        oldest = time.time() - RETENTION.total_seconds()
        return [line for subject, (_, line) in kept.items() if latest[subject] > oldest]

    def _files(self) -> list[ObjectStoragePath]:
        pattern = rf"{self.kind}-[0-9a-f]{{12}}\.jsonl"
        return [self.place / name for name in names_in(self.place) if re.fullmatch(pattern, name)]
