"""
Calls as conversations: generators that yield what they need and receive it, so that nothing in them does any I/O.

A synchronous and an asynchronous driver of a few lines each (in :mod:`airflow_provider_asposeocr.hooks`) take the
steps. Which steps there are, when a token is fetched, what is repeated after which pause: that is said once, here.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Generator, Hashable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from typing import Any, ClassVar, Protocol, TypeVar

from msgspec.structs import replace
from tenacity import Retrying

from airflow_provider_asposeocr.api.calls import token_call
from airflow_provider_asposeocr.api.exchanges import Call, HttpRequest, HttpResponse
from airflow_provider_asposeocr.api.payload import SubmissionBody
from airflow_provider_asposeocr.api.refusals import may_be_accepted, refusal, without_an_id
from airflow_provider_asposeocr.api.tokens import Credentials, TokenAnswer, TokenLease, token_store
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.exceptions import AsposeOcrError, AsposeOcrProtocolError, AsposeOcrServiceError

T = TypeVar("T")

_NOBODY_TOLD = nullcontext()
_NEARLY = 0.1
"""Seconds by which what has measured a deadline may differ from the clock."""


class Pause(Value, frozen=True):
    """
    A step: wait.

    :param seconds: for how long.
    :param sleep: how, where not as the driver does: a function, or for the asynchronous driver a coroutine function.
    """

    seconds: float
    sleep: Callable[[float], Any] | None = None


class TokenAwaited(Value, frozen=True):
    """
    A step: wait for the token that another caller is fetching.

    A driver that would keep that other from going on, as it blocks the event loop, answers :data:`CANNOT_WAIT`.

    :param future: brings it; ``None`` where that other went away.
    :param deadline: until when to wait, in seconds since the epoch; then the driver raises :class:`TimeoutError`.
    """

    future: Future[str | None]
    deadline: float | None = None

    @property
    def seconds_left(self) -> float | None:
        """Seconds to wait at most; ``None`` for ever."""
        return None if self.deadline is None else max(0.0, self.deadline - time.time())


class _CannotWait(enum.Enum):
    CANNOT_WAIT = enum.auto()


CANNOT_WAIT = _CannotWait.CANNOT_WAIT
"""The answer to :class:`TokenAwaited` of a driver that must not wait."""


class SecretLearned(Value, frozen=True):
    """
    A step: see to it that no log shows a secret.

    :param secret: a new token.
    """

    UNSAID: ClassVar[tuple[str, ...]] = ("secret",)

    secret: str


class ConnectionWanted(Value, frozen=True):
    """A step: look the connection up, if that is still to be done."""


Step = HttpRequest | Pause | TokenAwaited | SecretLearned | ConnectionWanted
"""What a driver is asked for. It answers an exchange with an :class:`HttpResponse`, a wait for a token with that."""
Flow = Generator[Step, Any, T]
"""A conversation that a driver can run."""


class SubmissionJournal(Protocol):
    """Is told of each POST of a submission, so that a later try knows whether one may have been accepted."""

    def about_to_send(self) -> None:
        """Called right before a POST is put on the wire."""

    def certainly_not_accepted(self) -> None:
        """Called right after, where the service certainly did not accept it."""


class Caller(Protocol):
    """Makes calls: what each of them costs is told to it."""

    def token(self, rejected: str | None, deadline: float | None) -> Flow[str]:
        """
        Bring a token.

        :param rejected: one that has just been answered with a 401, if any.
        :param deadline: until when it must be there, in seconds since the epoch; ``None`` for ever.
        """

    def count_call(self, endpoint: str) -> None:
        """
        Count a call that is about to be made.

        :param endpoint: of the job that it is about.
        """


def conversation(call: Call[T], caller: Caller, journal: SubmissionJournal | None = None) -> Flow[T]:
    """
    Make a call.

    A 401 is answered once with a new token: it may have expired or been revoked in between.

    :param call: which.
    :param caller: has the token, and counts.
    :param journal: is told of each POST of a submission.
    :raises AsposeOcrError: what the answer means where it is not a good one; it names the job that the call is about.
    """
    rejected: str | None = None
    try:
        while True:
            request = call.request
            bearer: str | None = None
            if call.authorized:
                bearer = yield from caller.token(rejected, request.deadline)
                request = replace(request, headers={**request.headers, "Authorization": f"Bearer {bearer}"})
            if isinstance(request.body, SubmissionBody):
                request.body.restart()
            with _NOBODY_TOLD if journal is None else _told(journal, request):
                if call.endpoint is not None:
                    caller.count_call(call.endpoint)
                response: HttpResponse = yield request
                if response.status != 401 or not call.authorized or rejected is not None:
                    return _value(call, response)
            if journal is not None:
                journal.certainly_not_accepted()
            rejected = bearer
    except AsposeOcrError as error:
        error.about(endpoint=call.endpoint, ocr_task_id=call.ocr_task_id)
        raise


@contextmanager
def _told(journal: SubmissionJournal, request: HttpRequest) -> Iterator[None]:
    """Tell the journal of a POST, and where that ends badly, whether it may have been accepted."""
    try:
        journal.about_to_send()
        yield
    except BaseException as error:
        if not may_be_accepted(request, error):
            journal.certainly_not_accepted()
        raise


def _value(call: Call[T], response: HttpResponse) -> T:
    if not 200 <= response.status < 300:
        raise refusal(call, response)
    try:
        return call.read(response.body)
    except AsposeOcrProtocolError as error:
        if call.request.is_submission:
            what = f"The service answered {response.status}, but {error.message}"
            raise without_an_id(call.request, what) from error
        raise


def shared_token(
    credentials: Credentials, claimant: Hashable, rejected: str | None, deadline: float | None
) -> Flow[str]:
    """
    Bring the token of this process: fetched by one caller while all others wait for it.

    :param credentials: whose token.
    :param claimant: who asks, such as the ident of the thread.
    :param rejected: a token that has just been answered with a 401, if any.
    :param deadline: until when it must be there, in seconds since the epoch; ``None`` for ever.
    """
    store = token_store(credentials)
    while True:
        claim = store.claim(rejected, claimant)
        if isinstance(claim, str):
            return claim
        if isinstance(claim, TokenLease):
            with claim:
                try:
                    return claim.fulfil((yield from _new_token(credentials, deadline)))
                except AsposeOcrServiceError:
                    if deadline is not None and time.time() > deadline - _NEARLY:
                        # How little time this caller had is no reason for the others to fail.
                        claim.give_up()
                    raise
        try:
            token: str | _CannotWait | None = yield TokenAwaited(claim, deadline)
        except TimeoutError as error:
            raise AsposeOcrServiceError(
                "The access token did not come in time: another call is still fetching it."
            ) from error
        if token is CANNOT_WAIT:
            return (yield from _new_token(credentials, deadline)).access_token.get_secret_value()
        if token:
            return token


def _new_token(credentials: Credentials, deadline: float | None) -> Flow[TokenAnswer]:
    answer = yield from conversation(token_call(credentials).by(deadline), _NOBODY)
    yield SecretLearned(answer.access_token.get_secret_value())
    return answer


class _Nobody:
    """Fetches a token, which takes none and does not count."""

    def token(self, rejected: str | None, deadline: float | None) -> Flow[str]:
        raise AssertionError("the call for a token takes none")

    def count_call(self, endpoint: str) -> None:
        raise AssertionError("the call for a token does not count")


_NOBODY = _Nobody()


def repeated(attempt: Callable[[], Flow[T]], policy: dict[str, Any]) -> Flow[T]:
    """
    Run a conversation again, after a pause, as long as a policy says so.

    :param attempt: begins it anew.
    :param policy: of :func:`~airflow_provider_asposeocr.api.retrying.retry_policy`.
    """
    pauses: list[float] = []
    for tried in Retrying(sleep=pauses.append, **policy):
        if pauses:
            yield Pause(pauses.pop())
        with tried:
            return (yield from attempt())
    raise AssertionError("tenacity ends with a result or an error")
