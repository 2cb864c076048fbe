"""
Access tokens: one per process and credentials, fetched by one caller while all others wait for it ("single flight").

The callers are threads and coroutines at once, so the store does no waiting and no I/O itself: it says who fetches
(a :class:`TokenLease`) and hands the others a future, on which each world waits in its own way.
"""

from __future__ import annotations

import copy
import hashlib
import math
import os
import re
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from functools import cached_property
from types import TracebackType
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from airflow_provider_asposeocr.api.texts import keep_secret
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.exceptions import AsposeOcrError

RENEWAL_MARGIN = 60.0
"""How many seconds before its end a token is renewed."""
_IN_A_ROW = 1.0
"""Seconds within which those who waited for a fetch that was given up begin the next one."""


class TokenAnswer(BaseModel):
    """The token endpoint's answer. Source: "Authorization", docs.aspose.cloud/ocr/authorization/."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)

    access_token: SecretStr = Field(min_length=1)
    expires_in: float = Field(default=3600, gt=0)
    """Seconds."""

    @field_validator("access_token")
    @classmethod
    def _fits_into_a_header(cls, token: SecretStr) -> SecretStr:
        if not re.fullmatch(r"[\x21-\x7e]+", token.get_secret_value()):
            raise ValueError("not a bearer token")
        return token


class Credentials(Value, frozen=True, dict=True):
    """
    Who asks, and where: the key of a token.

    :param token_url: where tokens are fetched.
    :param client_id: of the application in the vendor's dashboard.
    :param client_secret: of the same application.
    """

    UNSAID: ClassVar[tuple[str, ...]] = ("client_secret",)

    token_url: str
    client_id: str
    client_secret: str

    def __post_init__(self) -> None:
        keep_secret(self.client_secret)

    @cached_property
    def key(self) -> str:
        """A name for these credentials that does not tell them."""
        joined = "\n".join((self.token_url, self.client_id, self.client_secret))
        return hashlib.sha256(joined.encode()).hexdigest()


class _Waiters(Future[str | None]):
    """
    What the others wait for. None of them can cancel it for the rest, and each gets its own copy of an error: what a
    caller adds to one (its image, its job) is not the others' business.
    """

    def __init__(self) -> None:
        super().__init__()
        self.set_running_or_notify_cancel()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        return copy.copy(super().exception(timeout))

    def result(self, timeout: float | None = None) -> str | None:
        if (error := self.exception(timeout)) is not None:
            raise error
        return super().result(timeout)


class TokenLease:
    """
    The right, and the duty, to fetch a token for everybody who waits. A context manager: leaving it without
    :meth:`fulfil` tells the others the error, or to try themselves.

    :param store: keeps the token.
    :param claimant: who fetches it.
    :param waiters: what the others wait for.
    :param given_up: whether the fetch before was given up.
    """

    def __init__(
        self, store: TokenStore, claimant: Hashable, waiters: Future[str | None], *, given_up: bool = False
    ) -> None:
        self._store = store
        self.claimant = claimant
        self.waiters = waiters
        self._given_up_before = given_up

    def fulfil(self, answer: TokenAnswer) -> str:
        """
        Keep the token and wake the others.

        :param answer: what the service said.
        :returns: the token.
        """
        token = answer.access_token.get_secret_value()
        self._store.keep(self, token, answer.expires_in)
        self.waiters.set_result(token)
        return token

    def give_up(self) -> None:
        """
        Leave it to the others to try themselves, as this caller's time is over.

        Where that is so for the second time in a row, the service is slow: the others hear that. From one deadline to
        the next, those with much time would wait longest, and nobody's fetch come to its end.
        """
        if not self._given_up_before:
            self._store.release(self, given_up=True)
            self.waiters.set_result(None)

    def __enter__(self) -> TokenLease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._store.release(self)
        if self.waiters.done():
            return
        if isinstance(error, AsposeOcrError):
            # A copy: the caller goes on adding to its own.
            self.waiters.set_exception(copy.copy(error))
        else:
            self.waiters.set_result(None)


class TokenStore:
    """
    The token of one set of credentials.

    :param clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        # Re-entrant: a signal handler that cancels a job may interrupt its own thread inside a claim.
        self._lock = threading.RLock()
        self._clock = clock
        self._token: str | None = None
        self._renew_at = 0.0
        self._lease: TokenLease | None = None
        self._given_up_at = -math.inf

    def claim(self, rejected: str | None, claimant: Hashable) -> str | TokenLease | Future[str | None]:
        """
        Ask for a valid token.

        :param rejected: a token the service has just answered with a 401; it is not given again.
        :param claimant: who asks (a thread's ident, a task): it never waits for itself.
        :returns: the token; or a lease: the caller fetches it; or a future of what another is fetching (``None``: that
            other went away, claim again).
        """
        with self._lock:
            if self._token is not None and (self._token == rejected or self._clock() >= self._renew_at):
                self._token = None
            if self._token is not None:
                return self._token
            if self._lease is not None and self._lease.claimant != claimant:
                return self._lease.waiters
            again = self._clock() - self._given_up_at < _IN_A_ROW
            self._lease = TokenLease(self, claimant, _Waiters(), given_up=again)
            self._given_up_at = -math.inf
            return self._lease

    def keep(self, lease: TokenLease, token: str, expires_in: float) -> None:
        """
        Take what a lease has brought; used by :class:`TokenLease`.

        :param lease: that.
        :param token: what it brought.
        :param expires_in: for how many seconds that is good.
        """
        with self._lock:
            # A token that lives shorter than two margins is used for half its life.
            self._renew_at = self._clock() + expires_in - min(RENEWAL_MARGIN, expires_in / 2)
            self._token = token
            keep_secret(token)
            self.release(lease)

    def release(self, lease: TokenLease, *, given_up: bool = False) -> None:
        """
        End a lease; used by :class:`TokenLease`.

        :param lease: which. One that another has taken the place of is over already.
        :param given_up: whether its caller had no more time.
        """
        with self._lock:
            if self._lease is lease:
                self._lease = None
                if given_up:
                    self._given_up_at = self._clock()


_stores: dict[str, TokenStore] = {}
_stores_lock = threading.RLock()


def token_store(credentials: Credentials) -> TokenStore:
    """
    Return the one store of this process for these credentials.

    :param credentials: who asks; a changed secret is another store.
    """
    keep_secret(credentials.client_secret)
    with _stores_lock:
        if credentials.key not in _stores:
            _stores[credentials.key] = TokenStore()
        return _stores[credentials.key]


def forget_tokens() -> None:
    """Drop all tokens of this process; a forked child starts with none, as its parent's fetches go on elsewhere."""
    global _stores_lock  # noqa: PLW0603
    _stores_lock = threading.RLock()
    _stores.clear()


os.register_at_fork(after_in_child=forget_tokens)
