"""
Reads a response object as it arrives: the long Base64 strings are decoded into files, the rest is small JSON.

No library streams long JSON strings at a fair price, so this small piece is ours. It follows the JSON text just closely
enough to know which string is the ``data`` of an entry of ``results``; everything else is kept as it came and parsed by
pydantic once the answer is complete. Memory does not grow with the result.
"""

from __future__ import annotations

import codecs
import io
import json
import re
from binascii import Error as Base64Error
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

import pybase64
from msgspec.structs import replace

from airflow_provider_asposeocr.api.results import OcrResultContent, OcrTask, task_from_response
from airflow_provider_asposeocr.exceptions import AsposeOcrDeliveryError, AsposeOcrProtocolError

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
_END_OR_ESCAPE = re.compile(rb'["\\]')
_WHITE_SPACE = b" \t\r\n"
_BYTE_ORDER_MARK = codecs.BOM_UTF8


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

        :param piece: of the Base64.
        :raises AsposeOcrProtocolError: where it is not Base64, or more than the limit.
        :raises AsposeOcrDeliveryError: where the file cannot be written.
        """
        encoded = self._rest + piece if self._rest else piece
        whole = len(encoded) & ~3
        self._rest = encoded[whole:]
        if whole:
            self._decode(encoded[:whole] if self._rest else encoded)

    def feed_escaped(self, piece: bytes) -> None:
        r"""
        Decode one more piece, in which whole escapes of JSON stand, such as ``\/`` or ``\u002B``.

        :param piece: of the Base64.
        :raises AsposeOcrProtocolError: likewise.
        """
        self.feed(_unescaped(piece))

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
        with _kept_on_this_machine():
            self._file.write(decoded)

    def feed_squeezed(self, piece: bytes) -> None:
        """
        Decode a piece out of which white space was taken, before what is still waiting.

        :param piece: of the Base64.
        """
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
        with _kept_on_this_machine():
            self._file.seek(0)
        return OcrResultContent(file=self._file, size=self.size)


class _PassedOver:
    """
    Keeps nothing of a result: who asks for a state is told a state.

    :param limit: how many bytes it may have.
    """

    def __init__(self, limit: int) -> None:
        self._left = limit // 3 * 4 + 4

    def feed(self, piece: bytes) -> None:
        """
        Pass over one more piece.

        :param piece: of the Base64.
        :raises AsposeOcrProtocolError: where it is more than the limit.
        """
        self._left -= len(piece)
        if self._left < 0:
            raise AsposeOcrProtocolError("The results are larger than the limit.")

    feed_escaped = feed


class TaskReader:
    """
    Reads one response object from chunks of bytes.

    :param new_file: makes an empty, writable and seekable binary file for each result; ``None`` passes over them.
    :param result_limit: how many decoded bytes all results may have together.
    :param small_answer: how many bytes are held until more come, or the end: most polls bring a state and no results,
        and there is nothing to decode on the way.
    """

    wants_more = True
    is_enough = False

    def __init__(
        self,
        new_file: Callable[[], BinaryIO] | None = io.BytesIO,
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
        self._sink: Base64Sink | _PassedOver | None = None
        self._escape = b""
        self._contents: list[OcrResultContent] = []
        self._escaped = False
        self._held: bytes | None = b""
        # At least as many as a byte order mark has.
        self._small_answer = max(small_answer, len(_BYTE_ORDER_MARK))

    def feed(self, chunk: bytes) -> None:
        """
        Take the next bytes of the answer.

        :param chunk: those.
        :raises AsposeOcrProtocolError: where they cannot be part of a response object, or are too many.
        """
        if self._held is not None:
            self._held += chunk
            if len(self._held) <= self._small_answer:
                return
            chunk, self._held = self._held.removeprefix(_BYTE_ORDER_MARK), None
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
            held, self._held = self._held.removeprefix(_BYTE_ORDER_MARK), None
            brackets = held.count(b"{") + held.count(b"[")
            if b'"data"' not in held and b"\\" not in held and brackets <= MAX_DEPTH:
                # What is wrong with an answer is said below.
                with suppress(AsposeOcrProtocolError):
                    return task_from_response(held)
            self.feed(held)
        if self._sink is not None or self._string_start is not None or self._stack:
            raise AsposeOcrProtocolError("The answer is cut off: its JSON does not end.")
        task = task_from_response(bytes(self._json), self._contents)
        return task if self._new_file else replace(task, results=())

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
            self._sink = self._new_sink()
        else:
            self._json.append(_QUOTE)
            self._string_start = len(self._json)
        return end + 1

    def _new_sink(self) -> Base64Sink | _PassedOver:
        if self._new_file is None:
            return _PassedOver(self._limit)
        with _kept_on_this_machine():
            file = self._new_file()
        return Base64Sink(file, self._limit - sum(content.size for content in self._contents))

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
        # One search for both: a text of escapes alone, or many short texts, would be searched to the end for each.
        found = _END_OR_ESCAPE.search(chunk, at)
        if found is None:
            self._json += chunk[at:]
            return len(chunk)
        stop = found.start()
        if chunk[stop] == _BACKSLASH:
            self._json += chunk[at : stop + 1]
            self._escaped = True
            return stop + 1
        self._json += chunk[at:stop]
        if self._is_key:
            self._keys[-1] = _unescaped(bytes(self._json[self._string_start :]))
        self._json.append(_QUOTE)
        self._string_start = None
        return stop + 1

    def _feed_data(self, chunk: bytes, at: int) -> int:
        """Take Base64: decode it, and leave its number in its place."""
        sink = self._sink
        assert sink is not None
        held, self._escape = self._escape, b""
        end = chunk.find(b'"', at)
        while end >= 0 and _is_escaped(held, chunk, at, end):
            end = chunk.find(b'"', end + 1)
        piece = chunk[at : end if end >= 0 else len(chunk)] if at or end >= 0 else chunk
        if held:
            piece = held + piece
        if b"\\" in piece:
            if end < 0:
                piece, self._escape = _cut_before_open_escape(piece)
            sink.feed_escaped(piece)
        else:
            sink.feed(piece)
        if end < 0:
            return len(chunk)
        if isinstance(sink, Base64Sink):
            self._json += b'"%d"' % len(self._contents)
            self._contents.append(sink.close())
        else:
            self._json += b"null"
        self._sink = None
        return end + 1


@contextmanager
def _kept_on_this_machine() -> Iterator[None]:
    """What fails in here is this machine's own trouble: no exchange broke, and to download it again helps nobody."""
    try:
        yield
    except OSError as error:
        raise AsposeOcrDeliveryError(
            f"The result arrives, but finds no place on this machine: {error}. Is there a folder for temporary files "
            "(TMPDIR), and room in it? The job is completed and billed: its result can be fetched by its id for 24 "
            "hours. A retry fetches it, and nothing is billed again."
        ) from error


def _trailing_backslashes(text: bytes, start: int, end: int) -> int:
    at = end
    while at > start and text[at - 1] == _BACKSLASH:
        at -= 1
    return end - at


def _is_escaped(held: bytes, chunk: bytes, start: int, at: int) -> bool:
    """Whether the character at a place is one of an escape, what was held of the last chunk considered."""
    before = _trailing_backslashes(chunk, start, at)
    if before == at - start:
        before += _trailing_backslashes(held, 0, len(held))
    return before % 2 == 1


def _cut_before_open_escape(piece: bytes) -> tuple[bytes, bytes]:
    """Split a piece of a string before the escape that goes on in the next chunk, if there is one."""
    at = piece.rfind(b"\\", max(0, len(piece) - 5))
    if at < 0 or _is_escaped(b"", piece, 0, at):
        return piece, b""
    escape = piece[at:]
    is_open = len(escape) == 1 or (escape[1:2] == b"u" and len(escape) < 6)
    return (piece[:at], escape) if is_open else (piece, b"")


def _unescaped(string: bytes) -> bytes:
    """The bytes that the inside of a JSON string stands for."""
    if b"\\" not in string:
        return string
    try:
        # Not strict: line breaks in Base64 are as good as escaped ones.
        unescaped: str = json.loads(f'"{string.decode()}"', strict=False)
        return unescaped.encode()
    except ValueError:
        raise AsposeOcrProtocolError("The answer is not JSON: a string holds an unknown escape.") from None
