"""
One HTTP exchange as values: what to send, what came back, and how an answer's body is taken as it arrives.

The transports carry these; they decide nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from msgspec.structs import replace

from airflow_provider_asposeocr.api.payload import SubmissionBody
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.exceptions import AsposeOcrError, AsposeOcrProtocolError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

MAX_SHORT_ANSWER = 256 * 1024
"""Bytes. Tokens, ids and error bodies are short; more than this is not read."""


class AnswerReader(Protocol[T_co]):
    """Takes an answer's body as it arrives."""

    @property
    def wants_more(self) -> bool:
        """Whether more of the body matters; what does not is left unread, and the connection closed."""

    @property
    def is_enough(self) -> bool:
        """Whether what came says it all, even where the exchange breaks before the end of the body."""

    def feed(self, chunk: bytes) -> None:
        """
        Take the next bytes.

        :param chunk: those.
        """

    def close(self) -> T_co:
        """Return what they say, now that they are complete."""


class ShortAnswerReader:
    """
    Keeps a short body whole.

    :param too_long: makes the error for more than :data:`MAX_SHORT_ANSWER` bytes of what it says.
    """

    wants_more = True
    is_enough = False

    def __init__(self, too_long: Callable[[str], AsposeOcrError] = AsposeOcrProtocolError) -> None:
        self._body = bytearray()
        self._too_long = too_long

    def feed(self, chunk: bytes) -> None:
        """
        Take the next bytes.

        :param chunk: those.
        :raises AsposeOcrError: for more than :data:`MAX_SHORT_ANSWER` bytes.
        """
        self._body += chunk
        if len(self._body) > MAX_SHORT_ANSWER:
            raise self._too_long(f"The answer is over {MAX_SHORT_ANSWER} bytes where a short one belongs.")

    def close(self) -> bytes:
        """Return the body."""
        return bytes(self._body)


class RefusalReader:
    """
    Keeps the start of an error's body: the status says what it means, however long it is.

    :param limit: how many bytes.
    """

    is_enough = True

    def __init__(self, limit: int = MAX_SHORT_ANSWER) -> None:
        self._body = bytearray()
        self._limit = limit

    @property
    def wants_more(self) -> bool:
        """Whether the start is not complete yet."""
        return len(self._body) < self._limit

    def feed(self, chunk: bytes) -> None:
        """
        Take the next bytes, as far as they are wanted.

        :param chunk: those.
        """
        self._body += chunk[: self._limit - len(self._body)]

    def close(self) -> bytes:
        """Return the start of the body."""
        return bytes(self._body)


class HttpRequest(Value, frozen=True):
    """
    One HTTP exchange to make.

    :param method: ``GET``, ``POST`` or ``DELETE``.
    :param url: whole, with its query.
    :param headers: all of them but ``Content-Length``.
    :param body: bytes, or a body in chunks of known length.
    :param new_reader: makes the reader of a good answer's body; every attempt takes a new one.
    :param deadline: until when the answer must be whole, in seconds since the epoch: a time-out for each part of it
        does not end one that drips.
    """

    UNSAID: ClassVar[tuple[str, ...]] = ("headers", "body")

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | SubmissionBody | None = None
    new_reader: Callable[[], AnswerReader[Any]] = ShortAnswerReader
    deadline: float | None = None

    @property
    def is_submission(self) -> bool:
        """Whether it enqueues (and bills) a document."""
        return isinstance(self.body, SubmissionBody)

    def reader_for(self, status: int) -> AnswerReader[Any]:
        """
        Return a reader for the body of an answer.

        :param status: its HTTP status: bodies of errors are read as they are, and those of redirects not at all.
        """
        if 200 <= status < 300:
            return self.new_reader()
        return RefusalReader(0) if 300 <= status < 400 else RefusalReader()


class HttpResponse(Value, frozen=True):
    """
    The answer to an :class:`HttpRequest`.

    :param status: HTTP status code.
    :param headers: with names in lower case.
    :param body: the reader that took the whole body.
    """

    UNSAID: ClassVar[tuple[str, ...]] = ("body",)

    status: int
    headers: Mapping[str, str]
    body: AnswerReader[Any]


def lower_case(headers: Mapping[str, str]) -> dict[str, str]:
    """
    Return the headers of an answer with their names in lower case, and those of one name as one.

    :param headers: as they came.
    """
    joined: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        joined[key] = f"{joined[key]}, {value}" if key in joined else value
    return joined


class Call(Value, Generic[T], frozen=True):
    """
    One call of the service.

    :param request: without authorization.
    :param read: turns a good answer's body into the call's value.
    :param authorized: whether it wants a bearer token.
    :param auth_refusals: the statuses that mean wrong credentials.
    :param endpoint: of the job that it is about; ``None`` for a call that does not count, as for a token.
    :param ocr_task_id: the id of that job, where it has one.
    """

    request: HttpRequest
    read: Callable[[AnswerReader[Any]], T]
    authorized: bool = True
    auth_refusals: frozenset[int] = frozenset({401})
    endpoint: str | None = None
    ocr_task_id: str | None = None

    def by(self, deadline: float | None) -> Call[T]:
        """
        Return the same call with a deadline, which holds for the token it needs too.

        :param deadline: until when the answer must be whole, in seconds since the epoch; ``None`` for ever.
        """
        return replace(self, request=replace(self.request, deadline=deadline))

    @property
    def presents_credentials(self) -> bool:
        """Whether client id and secret, or a token got by them, go with it."""
        return self.authorized or isinstance(self.request.body, bytes)
