"""What of a batch is still to be submitted, read from its list as it is needed."""

from __future__ import annotations

from collections import deque

from airflow_provider_asposeocr.batches.documents import BatchDocument
from airflow_provider_asposeocr.batches.memory import BatchMemory


class ToDo:
    """
    The documents to submit: those that are to be submitted again first, then those on the list.

    :param memory: holds the list.
    :param offset: where to read it on.
    :param unread: how many stand there.
    """

    def __init__(self, memory: BatchMemory, offset: int, unread: int) -> None:
        self.offset = offset
        self.unread = unread
        self.again: deque[BatchDocument] = deque()
        self._list = memory.to_do(offset)

    def __len__(self) -> int:
        """How many there are."""
        return self.unread + len(self.again)

    def take(self) -> BatchDocument | None:
        """Return the next one; ``None`` where there is none."""
        if self.again:
            return self.again.popleft()
        found = next(self._list, None)
        if found is None:
            self.unread = 0
            return None
        self.offset, document = found
        self.unread -= 1
        return document
