"""
The calls of Aspose.OCR Cloud without any I/O: what to send, and what an answer means.

A call is one generator (:func:`conversation`) that yields what it needs (a token, an HTTP exchange) and receives it; a
synchronous and an asynchronous driver of a few lines each run it. So building requests, refreshing the token after a
401 and telling an error from an answer are written once. Source of all paths, headers and bodies: the seeds' cURL
examples; of the token: vendor's documentation, "Authorization".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, BinaryIO, Generic, Protocol, TypeVar
from urllib.parse import urlencode

from pydantic import ValidationError

from airflow_provider_asposeocr.api.endpoints import Endpoint, checked_ocr_task_id
from airflow_provider_asposeocr.api.payload import SubmissionBody
from airflow_provider_asposeocr.api.reading import TaskReader
from airflow_provider_asposeocr.api.results import OcrTask
from airflow_provider_asposeocr.api.tokens import Credentials, TokenAnswer
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrAmbiguousSubmissionError,
    AsposeOcrAuthError,
    AsposeOcrError,
    AsposeOcrInputError,
    AsposeOcrProtocolError,
    AsposeOcrRateLimitError,
    AsposeOcrRequestError,
    AsposeOcrServiceError,
)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

MAX_SHORT_ANSWER = 256 * 1024
"""Bytes. Tokens, ids and error bodies are short; more than this is not read."""


class AnswerReader(Protocol[T_co]):
    """Takes an answer's body as it arrives."""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""

    def close(self) -> T_co:
        """Return what they say, now that they are complete."""


class ShortAnswerReader:
    """
    Keeps a short body whole.

    :param too_long: makes the error for more than :data:`MAX_SHORT_ANSWER` bytes of what it says.
    """

    def __init__(self, too_long: Callable[[str], AsposeOcrError] = AsposeOcrProtocolError) -> None:
        self._body = bytearray()
        self._too_long = too_long

    def feed(self, chunk: bytes) -> None:
        """
        Take the next bytes.

        :raises AsposeOcrError: for more than :data:`MAX_SHORT_ANSWER` bytes.
        """
        self._body += chunk
        if len(self._body) > MAX_SHORT_ANSWER:
            raise self._too_long(f"The answer is over {MAX_SHORT_ANSWER} bytes where a short one belongs.")

    def close(self) -> bytes:
        """Return the body."""
        return bytes(self._body)


class RefusalReader:
    """Keeps the start of an error's body: the status says what it means, however long it is."""

    def __init__(self) -> None:
        self._body = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes, as far as they are wanted."""
        self._body += chunk[: MAX_SHORT_ANSWER - len(self._body)]

    def close(self) -> bytes:
        """Return the start of the body."""
        return bytes(self._body)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """
    One HTTP exchange to make.

    :param method: ``GET``, ``POST`` or ``DELETE``.
    :param url: whole, with its query.
    :param headers: all of them but ``Content-Length``.
    :param body: bytes, or a body in chunks of known length.
    :param new_reader: makes the reader of a good answer's body; every attempt takes a new one.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | SubmissionBody | None = field(default=None, repr=False)
    new_reader: Callable[[], AnswerReader[Any]] = ShortAnswerReader

    @property
    def is_submission(self) -> bool:
        """Whether it enqueues (and bills) a document."""
        return isinstance(self.body, SubmissionBody)

    def reader_for(self, status: int) -> AnswerReader[Any]:
        """
        Return a reader for the body of an answer.

        :param status: its HTTP status: bodies of errors are read as they are.
        """
        return self.new_reader() if 200 <= status < 300 else RefusalReader()


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """
    The answer to an :class:`HttpRequest`.

    :param status: HTTP status code.
    :param headers: with names in lower case.
    :param body: the reader that took the whole body.
    """

    status: int
    headers: Mapping[str, str]
    body: AnswerReader[Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenNeeded:
    """
    A conversation needs a token.

    :param rejected: the token that has just been answered with a 401, if any.
    """

    rejected: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """
    One call of the service.

    :param request: without authorization.
    :param read: turns a good answer's body into the call's value.
    :param authorized: whether it wants a bearer token.
    :param auth_refusals: the statuses that mean wrong credentials.
    """

    request: HttpRequest
    read: Callable[[AnswerReader[Any]], T]
    authorized: bool = True
    auth_refusals: frozenset[int] = frozenset({401})

    @property
    def presents_credentials(self) -> bool:
        """Whether client id and secret, or a token got by them, go with it."""
        return self.authorized or isinstance(self.request.body, bytes)


@dataclass(frozen=True, slots=True)
class ApiRoot:
    """
    Where the API lives.

    :param url: such as ``https://api.aspose.cloud/v5.0/ocr``.
    """

    url: str

    def submit(self, endpoint: Endpoint, body: SubmissionBody) -> Call[str]:
        """
        Enqueue a document; the value is the job's id. Source: seeds, "send-..." pages.

        :param endpoint: where.
        :param body: the document and its settings.
        """
        headers = {"Accept": "text/plain", "Content-Type": "application/json"}
        url = f"{self.url}/{endpoint.name}"
        # Such an answer is good by its status: the document may be accepted.
        new_reader = partial(ShortAnswerReader, ambiguous_submission)
        return Call(HttpRequest("POST", url, headers, body, new_reader), _read_id, endpoint.authorized)

    def task(self, endpoint: Endpoint, ocr_task_id: str, new_file: Callable[[], BinaryIO]) -> Call[OcrTask]:
        """
        Ask for a job with its results, once it is completed. Source: seeds, "fetch-..." pages.

        :param endpoint: where it was submitted.
        :param ocr_task_id: its id.
        :param new_file: makes the files the results are decoded into.
        """
        return self._ask(endpoint, endpoint.name, ocr_task_id, lambda: TaskReader(new_file))

    def status(self, endpoint: Endpoint, ocr_task_id: str) -> Call[OcrTask]:
        """
        Ask for a job's state without its results. Source: vendor's documentation, ``Utilities/GetTaskStatus``.

        :param endpoint: where it was submitted: one without authorization answers on its own path only.
        :param ocr_task_id: its id.
        """
        return self._ask(endpoint, endpoint.status_path, ocr_task_id, TaskReader)

    def cancel(self, endpoint: Endpoint, ocr_task_id: str) -> Call[None]:
        """
        Cancel a job. Source: vendor's documentation, "retrieve results or cancel the request"; its client.

        :param endpoint: where it was submitted.
        :param ocr_task_id: its id.
        """
        url = self._at(endpoint.name, ocr_task_id)
        return Call(HttpRequest("DELETE", url, {"Accept": "text/plain"}), _read_nothing, endpoint.authorized)

    def _ask(
        self, endpoint: Endpoint, path: str, ocr_task_id: str, new_reader: Callable[[], AnswerReader[OcrTask]]
    ) -> Call[OcrTask]:
        headers = {"Accept": "text/plain, application/json, text/json"}
        request = HttpRequest("GET", self._at(path, ocr_task_id), headers, new_reader=new_reader)
        return Call(request, _read_task, endpoint.authorized)

    def _at(self, path: str, ocr_task_id: str) -> str:
        return f"{self.url}/{path}?" + urlencode({"id": checked_ocr_task_id(ocr_task_id)})


def token_call(credentials: Credentials) -> Call[TokenAnswer]:
    """
    Fetch an access token. Source: vendor's documentation, "Authorization".

    :param credentials: whose.
    """
    form = {
        "grant_type": "client_credentials",
        "client_id": credentials.client_id,
        "client_secret": credentials.client_secret,
    }
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    request = HttpRequest("POST", credentials.token_url, headers, urlencode(form).encode())
    # OAuth answers wrong credentials with a 400 or a 401 (RFC 6749, section 5.2).
    return Call(request, _read_token, authorized=False, auth_refusals=frozenset({400, 401, 403}))


def conversation(call: Call[T]) -> Generator[TokenNeeded | HttpRequest, Any, T]:
    """
    Run a call: yields what it needs, receives a token or an :class:`HttpResponse`, returns the call's value.

    A 401 is answered once with a new token: it may have expired or been revoked in between.

    :param call: what to do.
    :raises AsposeOcrError: what the answer means where it is not a good one.
    """
    rejected: str | None = None
    while True:
        request = call.request
        token: str | None = None
        if call.authorized:
            token = yield TokenNeeded(rejected)
            request = replace(request, headers={**request.headers, "Authorization": f"Bearer {token}"})
        response: HttpResponse = yield request
        if response.status == 401 and call.authorized and rejected is None:
            rejected = token
            continue
        return _value(call, response)


def _value(call: Call[T], response: HttpResponse) -> T:
    if not 200 <= response.status < 300:
        raise _refusal(call, response)
    try:
        return call.read(response.body)
    except AsposeOcrProtocolError as error:
        if call.request.is_submission:
            raise ambiguous_submission(f"The service answered {response.status}, but {error.message}") from error
        raise


def _refusal(call: Call[Any], response: HttpResponse) -> AsposeOcrError:
    """What an answer other than 2xx means."""
    status = response.status
    body = excerpt(response.body.close())
    said = f"Aspose.OCR Cloud answered HTTP {status}" + (f": {body}" if body else "")
    retry_after = _retry_after(response.headers.get("retry-after"))
    if status == 429:
        return AsposeOcrRateLimitError(
            f"{said}. Too many calls, or the plan's quota is used up."
            + (" Nothing was accepted." if call.request.is_submission else ""),
            status=status,
            retry_after=retry_after,
            certainly_not_accepted=True,
        )
    if status >= 500 or status == 408:
        if call.request.is_submission and status != 503:
            return ambiguous_submission(f"{said}.")
        return AsposeOcrServiceError(
            f"{said}. The service is not well; asking again later can help.",
            status=status,
            retry_after=retry_after,
            certainly_not_accepted=status == 503,
        )
    if status in call.auth_refusals:
        if not call.presents_credentials:
            return AsposeOcrAuthError(f"{said}. The service refused a call that takes no client id and secret.")
        return AsposeOcrAuthError(
            f"{said}. The service refused the client id or the client secret: check login and password of the "
            "connection against the application in the vendor's dashboard."
        )
    if 300 <= status < 400:
        return AsposeOcrRequestError(
            f"{said}. The API root redirects to {response.headers.get('location', 'nowhere')!r:.200}, and credentials "
            "and documents are not sent after a redirect: set the connection's host to the right address.",
            status=status,
        )
    return AsposeOcrRequestError(
        f"{said}. The service refused the request, and would refuse it again.", status=status, body_excerpt=body
    )


def transport_failure(request: HttpRequest, what: str, *, connected: bool) -> AsposeOcrError:
    """
    Return the error for an exchange that broke, or brought no whole answer.

    :param request: the exchange.
    :param what: what happened, without any secret.
    :param connected: whether a connection was made: without one, nothing can have been accepted.
    """
    if isinstance(request.body, SubmissionBody):
        if connected and request.body.is_complete:
            return ambiguous_submission(f"{what} after the whole document was sent.")
        return AsposeOcrServiceError(
            f"{what} before the whole document was sent: it was not accepted and not billed.",
            certainly_not_accepted=True,
        )
    return AsposeOcrServiceError(f"{what}.")


def may_be_accepted(request: HttpRequest, error: BaseException) -> bool:
    """
    Say whether a submission that ended so may have been accepted.

    :param request: the submission.
    :param error: any, also one that interrupted the exchange from outside, such as Airflow's ``AirflowTaskTimeout``.
    """
    if isinstance(error, AsposeOcrServiceError):
        return not error.certainly_not_accepted
    if isinstance(error, AsposeOcrAuthError | AsposeOcrInputError | AsposeOcrRequestError):
        return False
    if isinstance(error, AsposeOcrAmbiguousSubmissionError):
        return True
    return isinstance(request.body, SubmissionBody) and request.body.may_be_complete


def ambiguous_submission(what: str) -> AsposeOcrAmbiguousSubmissionError:
    """
    Return the error for a submission that may have been accepted.

    :param what: what happened, a sentence.
    """
    return AsposeOcrAmbiguousSubmissionError(
        f"{what} The service may have accepted and billed the document, but no job id came back, so its result cannot "
        "be fetched. It is not submitted again by itself: clear the task to submit it anew, or set "
        "resubmit_on_ambiguity=True where a second bill is better than a failed task."
    )


_DATA = re.compile(r'("data"\s*:\s*")[^"]*')
_LONG_RUN = re.compile(r"[A-Za-z0-9+/=_.-]{40,}")
_LABELLED_SECRET = re.compile(r"""((?:\bBearer\s|(?:access_token|client_secret)"?\s*[:=])\s*"?)[^"&\s,}]+""", re.I)
_LAST_RUN = re.compile(r"[A-Za-z0-9+/=_.-]*\Z")
_MARKUP = re.compile(r"<[^>]*>")


def excerpt(body: bytes, length: int = 300) -> str:
    """
    Return the start of an answer that may stand in a message: no result, no token, no markup.

    :param body: the answer.
    :param length: how many characters at most.
    """
    text = body[: 8 * length].decode("utf-8", "replace")
    if len(body) > 8 * length:
        # What is cut may have been long.
        text = _LAST_RUN.sub("...", text, count=1)
    text = _LABELLED_SECRET.sub(r"\1...", _DATA.sub(r"\1...", _MARKUP.sub(" ", text)))
    text = _LONG_RUN.sub("...", text)
    text = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return text if len(text) <= length else text[:length] + "..."


_SECONDS = re.compile(r"\d{1,9}(?:\.\d{1,9})?", re.ASCII)
LONGEST_RETRY_AFTER = 24 * 3600.0
"""Seconds. No job lives longer."""


def _retry_after(value: str | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> float | None:
    """Seconds, from either form of the header; ``None`` where there is none, or it is unreadable."""
    if not value:
        return None
    if _SECONDS.fullmatch(value.strip()):
        return min(float(value), LONGEST_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    seconds = (at.replace(tzinfo=at.tzinfo or UTC) - now()).total_seconds()
    return min(max(0.0, seconds), LONGEST_RETRY_AFTER)


def _read_id(body: AnswerReader[Any]) -> str:
    text = body.close().decode("utf-8", "replace").strip().strip('"')
    try:
        return checked_ocr_task_id(text)
    except AsposeOcrInputError:
        raise AsposeOcrProtocolError(f"what came is not a job id: {excerpt(text.encode(), 80)!r}.") from None


def _read_task(body: AnswerReader[Any]) -> OcrTask:
    task: OcrTask = body.close()
    return task


def _read_nothing(body: AnswerReader[Any]) -> None:
    body.close()


def _read_token(body: AnswerReader[Any]) -> TokenAnswer:
    try:
        return TokenAnswer.model_validate_json(body.close())
    except ValidationError:
        raise AsposeOcrProtocolError(
            "The token endpoint's answer holds no access token. Is the connection's token_url right?"
        ) from None
