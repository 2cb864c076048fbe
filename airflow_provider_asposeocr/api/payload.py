"""
The JSON body of a submission, with the image in it as Base64, produced in chunks of known total length.

Nothing is held but one chunk: memory does not grow with the file. The body can be iterated again (after a 401, or a
refusal that allows a repeat): each iteration opens the document anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO

import pybase64

from airflow_provider_asposeocr.api.settings import Settings
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError

CHUNK_SIZE = 48 * 1024
"""Bytes of the document per chunk: a multiple of three, so that chunks of Base64 join without padding between them."""


class SubmissionBody:
    """
    ``{"image": "<Base64>", "settings": {...}}`` in chunks.

    :param open_document: opens the document for reading; called once per iteration.
    :param size: of the document, in bytes.
    :param settings: only what the user set is written. Source: seeds, "send-image-for-recognition".
    """

    def __init__(
        self, open_document: Callable[[], AbstractContextManager[BinaryIO]], size: int, settings: Settings
    ) -> None:
        self._open_document = open_document
        self._size = size
        self._prefix = b'{"image":"'
        self._suffix = b'","settings":' + json.dumps(settings.to_wire()).encode() + b"}"
        self.is_complete = False
        """Whether the consumer came back for more after the last byte: before that, its exchange broke half-way."""
        self.may_be_complete = False
        """Whether the last byte was handed out: before that, not even an interrupted consumer can have sent it all."""

    def restart(self) -> None:
        """Forget how far the last sending came: another one begins, which may not even get as far as a connection."""
        self.is_complete = self.may_be_complete = False

    def __len__(self) -> int:
        return len(self._prefix) + (self._size + 2) // 3 * 4 + len(self._suffix)

    def __iter__(self) -> Iterator[bytes]:
        self.restart()
        yield self._prefix
        left = self._size
        with self._open_document() as document:
            while left:
                chunk = _read_exactly(document, min(CHUNK_SIZE, left))
                if len(chunk) < min(CHUNK_SIZE, left):
                    raise AsposeOcrInputError(
                        f"The document became shorter while it was read: {left - len(chunk)} of {self._size} bytes are "
                        "missing. Nothing was submitted or billed. Run the task again once the file is complete."
                    )
                left -= len(chunk)
                yield pybase64.b64encode(chunk)
        self.may_be_complete = True
        yield self._suffix
        # Reached when the consumer asks for more: it has sent all that came before.
        self.is_complete = True


def _read_exactly(document: BinaryIO, size: int) -> bytes:
    """Read ``size`` bytes; object storages may answer a read with less than was asked for."""
    chunk = document.read(size)
    while 0 < len(chunk) < size:
        more = document.read(size - len(chunk))
        if not more:
            break
        chunk += more
    return chunk
