"""
The documents of a batch that are on their way, in Airflow's task state store.

They are few, however large the batch is: what is done stands in the journal. Each has a slot, and some slots share one
key of the store, so that a write stays small. What changes while a write is under way goes into the next one, all at
once. Any thread may use it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Set
from contextlib import suppress
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from airflow_provider_asposeocr.batches.documents import BatchDocument
from airflow_provider_asposeocr.jobs.memory import TaskStateStore

HEADER = "aspose_ocr_batch"
RETENTION = timedelta(days=30)
"""A batch may run, or wait for a clear, far longer than the service keeps a result."""
_SLOTS_PER_KEY = 40
_MOST_MISSING = 8
"""Keys in a row that are not there, after which there are no more: threads write them in no sure order."""
_ESCAPED = "image_hex"


class Slots:
    """
    What is on its way, by the numbers of the documents.

    :param store: Airflow's task state store, or one like it.
    """

    def __init__(self, store: TaskStateStore) -> None:
        self._store = store
        self._documents: dict[int, BatchDocument] = {}
        self._kept: dict[int, dict[str, Any]] = {}
        """The documents as the store takes them."""
        self._slot_of: dict[int, int] = {}
        self._free: list[int] = []
        self._slots = 0
        self._changes: dict[int, int] = {}
        self._written: dict[int, int] = {}
        self._changing = threading.Lock()
        self._writing = threading.Lock()

    def recall(self, keys: int | None = None) -> dict[int, BatchDocument]:
        """
        Return what was on its way.

        :param keys: how many keys of the store may hold some; ``None`` to find that out.
        """
        taken: set[int] = set()
        missing = key = 0
        while key < keys if keys is not None else missing < _MOST_MISSING:
            kept = self._store.get(f"{HEADER}_{key}")
            missing = 0 if isinstance(kept, Mapping) else missing + 1
            key += 1
            for slot, entry in kept.items() if isinstance(kept, Mapping) else ():
                with suppress(ValueError, TypeError):
                    document = _from_store(entry)
                    self._documents[document.number] = document
                    self._kept[document.number] = dict(entry)
                    self._slot_of[document.number] = int(slot)
                    taken.add(int(slot))
        self._slots = max(key - missing, 0) * _SLOTS_PER_KEY
        self._free = sorted(set(range(self._slots)) - taken, reverse=True)
        return dict(self._documents)

    @property
    def keys(self) -> int:
        """How many keys of the store may hold some."""
        return -(-self._slots // _SLOTS_PER_KEY)

    @property
    def documents(self) -> dict[int, BatchDocument]:
        """What is on its way, as it is now."""
        with self._changing:
            return dict(self._documents)

    def keep(self, *documents: BatchDocument) -> None:
        """
        Remember what documents have come to; it is kept when this returns.

        :param documents: which.
        """
        with self._changing:
            for document in documents:
                if document.number not in self._slot_of:
                    self._slot_of[document.number] = self._free.pop() if self._free else self._slots
                    self._slots = max(self._slots, self._slot_of[document.number] + 1)
                self._documents[document.number] = document
                self._kept[document.number] = _to_store(document)
            wanted = self._changed(document.number for document in documents)
        self._write(wanted)

    def set_right(self, now: float) -> Set[int]:
        """
        Take it that nothing was submitted later than now: where the clock has been put back, or another machine's was
        ahead, no job would be asked for, timed out or believed to be gone until then.

        :param now: the time in seconds since the epoch.
        :returns: the numbers of the documents of which that was said.
        """
        late = [replace(each, submitted_at=now) for each in self.documents.values() if (each.submitted_at or 0.0) > now]
        if late:
            self.keep(*late)
        return {document.number for document in late}

    def release(self, numbers: Iterable[int]) -> None:
        """
        Forget documents that stand in the journal.

        :param numbers: of which.
        """
        with self._changing:
            numbers = [number for number in numbers if number in self._slot_of]
            wanted = self._changed(numbers)
            for number in numbers:
                del self._documents[number], self._kept[number]
                self._free.append(self._slot_of.pop(number))
        self._write(wanted)

    def flush(self) -> None:
        """Write what could not be written when it changed."""
        self._write(dict(self._changes))

    @property
    def unwritten(self) -> list[BatchDocument]:
        """What the store may not know as it is now."""
        with self._changing:
            keys = {key for key, change in self._changes.items() if self._written.get(key, 0) < change}
            return [each for number, each in self._documents.items() if self._slot_of[number] // _SLOTS_PER_KEY in keys]

    def clear(self) -> None:
        """Forget all."""
        for key in range(self.keys):
            self._store.delete(f"{HEADER}_{key}")

    def _changed(self, numbers: Iterable[int]) -> dict[int, int]:
        keys = {self._slot_of[number] // _SLOTS_PER_KEY for number in numbers}
        for key in keys:
            self._changes[key] = self._changes.get(key, 0) + 1
        return {key: self._changes[key] for key in keys}

    def _write(self, wanted: Mapping[int, int]) -> None:
        for key, change in wanted.items():
            with self._writing:
                if self._written.get(key, 0) >= change:
                    # With what another thread has written meanwhile.
                    continue
                with self._changing:
                    changes = self._changes[key]
                    kept = {
                        str(slot): self._kept[number]
                        for number, slot in self._slot_of.items()
                        if slot // _SLOTS_PER_KEY == key
                    }
                self._store.set(f"{HEADER}_{key}", kept, retention=RETENTION)
                self._written[key] = changes


def _to_store(document: BatchDocument) -> dict[str, Any]:
    kept = {name: value for name, value in document.to_json().items() if value not in (None, [])}
    try:
        document.image.encode()
    except UnicodeEncodeError:
        kept[_ESCAPED] = document.image.encode(errors="surrogateescape").hex()
        kept["image"] = printable(document.image)
        kept.pop("name", None)
        kept["name_hex"] = (document.name or "").encode(errors="surrogateescape").hex()
    return kept


def _from_store(kept: Mapping[str, Any]) -> BatchDocument:
    entry = dict(kept)
    if _ESCAPED in entry:
        entry["image"] = bytes.fromhex(entry[_ESCAPED]).decode(errors="surrogateescape")
        entry["name"] = bytes.fromhex(entry["name_hex"]).decode(errors="surrogateescape")
    return BatchDocument.remembered(entry)


def printable(text: str) -> str:
    """
    Return a file name as it may stand in a log, an XCom or a database: what is not UTF-8 in it as escapes.

    :param text: the name.
    """
    return text.encode(errors="backslashreplace").decode()
