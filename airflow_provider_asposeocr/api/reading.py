"""
Reads a response object as it arrives: the long Base64 strings are decoded into files, the rest is small JSON.

No library streams long JSON strings at a fair price, so this small piece is ours. It follows the JSON text just closely
enough to know which string is the ``data`` of an entry of ``results``; everything else is kept as it came and parsed by
pydantic once the answer is complete. Memory does not grow with the result.
"""

from __future__ import annotations

import io
import json
from binascii import Error as Base64Error
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

import pybase64

from airflow_provider_asposeocr.api.results import OcrResultContent, OcrTask, task_from_response
from airflow_provider_asposeocr.exceptions import AsposeOcrProtocolError

MAX_JSON_BYTES = 4 * 1024 * 1024
"""What an answer may hold besides the results' data: ids, states, messages."""
MAX_RESULT_BYTES = 8 * 1024**3
"""What the decoded results of one job may hold together: more is an attack or a fault, and would fill the disk."""
SMALL_ANSWER = 4096
"""Bytes up to which an answer is read when it is complete."""
MAX_DEPTH = 32

_QUOTE, _BACKSLASH, _OPEN_OBJECT, _CLOSE_OBJECT = ord('"'), ord("\\"), ord("{"), ord("}")
_OPEN_ARRAY, _CLOSE_ARRAY, _COLON, _COMMA = ord("["), ord("]"), ord(":"), ord(",")
_STRUCTURE = frozenset(b"{}[]:,")
_WHITE_SPACE = b" \t\r\n"
_SIMPLE_ESCAPES = {
    ord('"'): b'"',
    ord("\\"): b"\\",
    ord("/"): b"/",
    ord("b"): b"\b",
    ord("f"): b"\f",
    ord("n"): b"\n",
    ord("r"): b"\r",
    ord("t"): b"\t",
}


class Base64Sink:
    """
    Decodes Base64 that arrives in pieces of any length into a file.

    :param file: a writable, seekable file.
    :param limit: how many decoded bytes it may become.
    """

    def __init__(self, file: BinaryIO, limit: int = MAX_RESULT_BYTES) -> None:
        self._file = file
        self._limit = limit
        self._rest = b""
        self._padded = False
        self.size = 0

    def feed(self, piece: bytes) -> None:
        """
        Decode one more piece.

        :raises AsposeOcrProtocolError: where it is not Base64, or more than the limit.
        """
        encoded = self._rest + piece if self._rest else piece
        whole = len(encoded) & ~3
        self._rest = encoded[whole:]
        if whole:
            self._decode(encoded[:whole] if self._rest else encoded)

    def _decode(self, encoded: bytes) -> None:
        try:
            if self._padded:
                raise Base64Error("data after the padding")
            decoded = pybase64.b64decode(encoded, validate=True)
        except Base64Error as error:
            squeezed = encoded.translate(None, _WHITE_SPACE)
            if len(squeezed) == len(encoded):
                raise AsposeOcrProtocolError(f"A result's data is not Base64: {error}.") from None
            self.feed_squeezed(squeezed)
            return
        self._padded = encoded.endswith(b"=")
        self.size += len(decoded)
        if self.size > self._limit:
            raise AsposeOcrProtocolError(f"The results are larger than the limit of {self._limit} bytes.")
        self._file.write(decoded)

    def feed_squeezed(self, piece: bytes) -> None:
        """Decode a piece out of which white space was taken, before what is still waiting."""
        rest, self._rest = self._rest, b""
        self.feed(piece)
        if rest:
            self.feed(rest)

    def close(self) -> OcrResultContent:
        """
        Return the decoded content, at its start.

        :raises AsposeOcrProtocolError: where the last group is incomplete.
        """
        rest = self._rest.translate(None, _WHITE_SPACE)
        self._rest = b""
        if rest:
            if len(rest) % 4:
                raise AsposeOcrProtocolError("A result's data is not Base64: it ends inside a group of four.")
            self._decode(rest)
        self._file.seek(0)
        return OcrResultContent(file=self._file, size=self.size)


class TaskReader:
    """
    Reads one response object from chunks of bytes.

    :param new_file: makes an empty, writable and seekable binary file for each result.
    :param result_limit: how many decoded bytes all results may have together.
    :param small_answer: how many bytes are held until more come, or the end: most polls bring a state and no results,
        and there is nothing to decode on the way.
    """

    def __init__(
        self,
        new_file: Callable[[], BinaryIO] = io.BytesIO,
        result_limit: int = MAX_RESULT_BYTES,
        small_answer: int = SMALL_ANSWER,
    ) -> None:
        self._new_file = new_file
        self._limit = result_limit
        self._json = bytearray()
        self._stack: list[int] = []
        self._keys: list[bytes] = []
        self._string_start: int | None = None
        self._is_key = False
        self._sink: Base64Sink | None = None
        self._escape = b""
        self._contents: list[OcrResultContent] = []
        self._escaped = False
        self._held: bytes | None = b""
        self._small_answer = small_answer

    def feed(self, chunk: bytes) -> None:
        """
        Take the next bytes of the answer.

        :raises AsposeOcrProtocolError: where they cannot be part of a response object, or are too many.
        """
        if self._held is not None:
            self._held += chunk
            if len(self._held) <= self._small_answer:
                return
            chunk, self._held = self._held, None
        at = 0
        while at < len(chunk):
            if self._sink is not None:
                at = self._feed_data(chunk, at)
            elif self._string_start is not None:
                at = self._feed_string(chunk, at)
            else:
                at = self._feed_structure(chunk, at)
            if len(self._json) > MAX_JSON_BYTES:
                raise AsposeOcrProtocolError(f"The answer holds over {MAX_JSON_BYTES} bytes besides its results.")

    def close(self) -> OcrTask:
        """
        Return the job, now that the answer is complete.

        :raises AsposeOcrProtocolError: where the answer was cut, or is not a response object.
        """
        if self._held is not None:
            held, self._held = self._held, None
            brackets = held.count(b"{") + held.count(b"[")
            if b'"data"' not in held and b"\\" not in held and brackets <= MAX_DEPTH:
                # What is wrong with an answer is said below.
                with suppress(AsposeOcrProtocolError):
                    return task_from_response(held)
            self.feed(held)
        if self._sink is not None or self._string_start is not None or self._stack:
            raise AsposeOcrProtocolError("The answer is cut off: its JSON does not end.")
        return task_from_response(bytes(self._json), self._contents)

    def _feed_structure(self, chunk: bytes, at: int) -> int:
        """Take everything up to and with the quote that opens the next string."""
        quote = chunk.find(b'"', at)
        end = len(chunk) if quote < 0 else quote
        between = chunk[at:end]
        for byte in between:
            if byte in _STRUCTURE:
                self._follow(byte)
        self._json += between
        if quote < 0:
            return end
        if self._is_data():
            self._sink = Base64Sink(self._new_file(), self._limit - sum(content.size for content in self._contents))
        else:
            self._json.append(_QUOTE)
            self._string_start = len(self._json)
        return end + 1

    def _follow(self, byte: int) -> None:
        if byte in (_OPEN_OBJECT, _OPEN_ARRAY):
            if len(self._stack) >= MAX_DEPTH:
                raise AsposeOcrProtocolError(f"The answer's JSON is nested over {MAX_DEPTH} levels deep.")
            self._stack.append(byte)
            self._keys.append(b"")
            self._is_key = byte == _OPEN_OBJECT
        elif byte in (_CLOSE_OBJECT, _CLOSE_ARRAY):
            if not self._stack or self._stack[-1] != (_OPEN_OBJECT if byte == _CLOSE_OBJECT else _OPEN_ARRAY):
                raise AsposeOcrProtocolError("The answer is not JSON: its brackets do not match.")
            self._stack.pop()
            self._keys.pop()
            self._is_key = False
        elif byte == _COLON:
            self._is_key = False
        elif byte == _COMMA and self._stack:
            self._is_key = self._stack[-1] == _OPEN_OBJECT

    def _is_data(self) -> bool:
        """Whether the string that opens here is the ``data`` of an entry of ``results``."""
        return (
            not self._is_key
            and self._stack == [_OPEN_OBJECT, _OPEN_ARRAY, _OPEN_OBJECT]
            and self._keys[0] == b"results"
            and self._keys[2] == b"data"
        )

    def _feed_string(self, chunk: bytes, at: int) -> int:
        """Take a short string: a key, an id, a state, a message."""
        if self._escaped:
            self._json.append(chunk[at])
            self._escaped = False
            return at + 1
        quote, backslash = chunk.find(b'"', at), chunk.find(b"\\", at)
        if backslash >= 0 and (quote < 0 or backslash < quote):
            self._json += chunk[at : backslash + 1]
            self._escaped = True
            return backslash + 1
        if quote < 0:
            self._json += chunk[at:]
            return len(chunk)
        self._json += chunk[at:quote]
        if self._is_key:
            self._keys[-1] = _unescaped(bytes(self._json[self._string_start :]))
        self._json.append(_QUOTE)
        self._string_start = None
        return quote + 1

    def _feed_data(self, chunk: bytes, at: int) -> int:
        """Take Base64: decode it, and leave its number in its place."""
        sink = self._sink
        assert sink is not None
        if self._escape:
            return self._feed_escape(sink, chunk, at)
        quote = chunk.find(b'"', at)
        end = len(chunk) if quote < 0 else quote
        backslash = chunk.find(b"\\", at, end)
        if backslash >= 0:
            sink.feed(chunk[at:backslash])
            self._escape = b"\\"
            return backslash + 1
        sink.feed(chunk[at:end] if at or end < len(chunk) else chunk)
        if quote < 0:
            return end
        self._json += b'"%d"' % len(self._contents)
        self._contents.append(sink.close())
        self._sink = None
        return quote + 1

    def _feed_escape(self, sink: Base64Sink, chunk: bytes, at: int) -> int:
        r"""Take one more byte of an escape such as ``\/`` or ``\u002B``."""
        self._escape += chunk[at : at + 1]
        kind = self._escape[1]
        if kind == ord("u") and len(self._escape) < 6:
            return at + 1
        if kind == ord("u"):
            sink.feed(_unescaped(self._escape))
        elif kind in _SIMPLE_ESCAPES:
            sink.feed(_SIMPLE_ESCAPES[kind])
        else:
            raise AsposeOcrProtocolError("The answer is not JSON: a result's data holds an unknown escape.")
        self._escape = b""
        return at + 1


def _unescaped(string: bytes) -> bytes:
    """The bytes that the inside of a JSON string stands for."""
    if b"\\" not in string:
        return string
    try:
        unescaped: str = json.loads(b'"' + string + b'"')
        return unescaped.encode()
    except ValueError:
        raise AsposeOcrProtocolError("The answer is not JSON: a string holds an unknown escape.") from None
