"""
The JSON body of a submission, with the image in it as Base64, produced in chunks of known total length.

Nothing is held but one chunk: memory does not grow with the file. The body can be iterated again (after a 401, or a
refusal that allows a repeat): each iteration opens the document anew. It only ever ends where the document was read to
its end and is as long as announced: the server of a document that grew or shrank is left with half a request.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO

import pybase64

from airflow_provider_asposeocr.api.settings import Settings
from airflow_provider_asposeocr.exceptions import AsposeOcrError, AsposeOcrInputError, AsposeOcrServiceError

CHUNK_SIZE = 48 * 1024
"""Bytes of the document per chunk: a multiple of three, so that chunks of Base64 join without padding between them."""


class SubmissionBody:
    """
    ``{"image": "<Base64>", "settings": {...}}`` in chunks.

    :param open_document: opens the document for reading; called once per iteration.
    :param size: of the document, in bytes.
    :param settings: only what the user set is written. Source: "Sending image for recognition",
        docs.aspose.cloud/ocr/send-image-for-recognition/.
    """

    def __init__(
        self, open_document: Callable[[], AbstractContextManager[BinaryIO]], size: int, settings: Settings
    ) -> None:
        self._open_document = open_document
        self._size = size
        self._prefix = b'{"image":"'
        self._suffix = b'"' + settings_property(settings) + b"}"
        self.is_complete = False
        """Whether the consumer came back for more after the last byte: before that, its exchange broke half-way."""
        self.may_be_complete = False
        """Whether the last byte was handed out: before that, not even an interrupted consumer can have sent it all."""
        self.has_another_size = False
        """Whether the document was found to be longer or shorter than announced."""

    def restart(self) -> None:
        """Forget how far the last sending came: another one begins, which may not even get as far as a connection."""
        self.is_complete = self.may_be_complete = self.has_another_size = False

    def __len__(self) -> int:
        return len(self._prefix) + (self._size + 2) // 3 * 4 + len(self._suffix)

    def __iter__(self) -> Iterator[bytes]:
        """
        Bring the body.

        :raises AsposeOcrInputError: where the document is longer or shorter than announced, or there no more.
        :raises AsposeOcrServiceError: where its storage fails.
        """
        self.restart()
        yield self._prefix
        pieces = self._pieces()
        try:
            while piece := _read(pieces):
                yield pybase64.b64encode(piece)
        finally:
            pieces.close()
        self.may_be_complete = True
        yield self._suffix
        # Reached when the consumer asks for more: it has sent all that came before.
        self.is_complete = True

    def _pieces(self) -> Generator[bytes, None, None]:
        """Read the document to its end."""
        left = self._size
        with self._open_document() as document:
            while left:
                piece = _read_exactly(document, min(CHUNK_SIZE, left))
                left -= len(piece)
                if not piece or (left and len(piece) < CHUNK_SIZE):
                    self.has_another_size = True
                    raise AsposeOcrInputError(
                        f"The document became shorter while it was read: {left} of {self._size} bytes are missing. "
                        "Nothing was submitted or billed. Run the task again once the file is complete."
                    )
                yield piece
            if document.read(1):
                self.has_another_size = True
                raise AsposeOcrInputError(
                    f"The document became longer while it was read: there is more than the {self._size} bytes that it "
                    "had. Nothing was submitted or billed. Run the task again once the file is complete."
                )


def _read(pieces: Iterator[bytes]) -> bytes:
    """The next piece, or none. What a storage raises is said as what it is: no exchange with the service broke."""
    try:
        return next(pieces, b"")
    except AsposeOcrError:
        raise
    except (FileNotFoundError, PermissionError) as error:
        raise AsposeOcrInputError(
            f"The document could not be read to its end: {error}. Nothing was submitted or billed."
        ) from error
    except Exception as error:
        raise AsposeOcrServiceError(
            f"The document could not be read to its end, its storage failed with {type(error).__name__}: {error}. "
            "Nothing was accepted or billed.",
            certainly_not_accepted=True,
        ) from error


def settings_property(settings: Settings) -> bytes:
    """
    The ``settings`` of a body, with a comma in front; nothing where the endpoint takes none.

    :param settings: of the job.
    """
    if not type(settings).model_fields:
        return b""
    return b',"settings":' + json.dumps(settings.to_wire()).encode()


def _read_exactly(document: BinaryIO, size: int) -> bytes:
    """Read ``size`` bytes; object storages may answer a read with less than was asked for."""
    chunk = document.read(size)
    while 0 < len(chunk) < size:
        more = document.read(size - len(chunk))
        if not more:
            break
        chunk += more
    return chunk
