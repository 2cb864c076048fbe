"""
One HTTP exchange over ``requests``, for workers and for every submission. It decides nothing.

One pooled session per process and connection. Redirects are not followed: neither the token nor the document goes
anywhere but to the connection's host.
"""

from __future__ import annotations

import os
import ssl
import threading
from typing import Any

import requests

from airflow_provider_asposeocr.api.exchanges import HttpRequest, HttpResponse, lower_case
from airflow_provider_asposeocr.api.refusals import transport_failure
from airflow_provider_asposeocr.connection import ServiceConnection
from airflow_provider_asposeocr.exceptions import AsposeOcrError, AsposeOcrProtocolError
from airflow_provider_asposeocr.transports.deadlines import DeadlineWatch, WatchedAdapter
from airflow_provider_asposeocr.transports.failures import came_too_late, raise_unless_refused, what_broke
from airflow_provider_asposeocr.transports.proxies import proxy_to
from airflow_provider_asposeocr.transports.tls import tls_context

# Bytes of a body at a time. Smaller reads cost calls; with 1 MiB each read gets its memory anew from the system, and a
# large result takes three times the CPU.
_CHUNK = 256 * 1024
_POOL_SIZE = 64

_sessions: dict[tuple[ServiceConnection, ssl.SSLContext], requests.Session] = {}
"""By whom they trust, too: a bundle that was replaced, or that the environment names now, is another one."""
# Re-entrant: a signal handler that cancels a job may interrupt its own thread here.
_sessions_lock = threading.RLock()


def _forget_sessions() -> None:
    """A forked child must not share its parent's sockets."""
    global _sessions_lock  # noqa: PLW0603
    _sessions_lock = threading.RLock()
    _sessions.clear()


os.register_at_fork(after_in_child=_forget_sessions)


class RequestsTransport:
    """
    Exchanges over ``requests``.

    :param connection: where to.
    :param session: a session to use instead of the process's shared one.
    """

    def __init__(self, connection: ServiceConnection, session: requests.Session | None = None) -> None:
        self._connection = connection
        self._session = session

    @property
    def session(self) -> requests.Session:
        """The process's session for this connection."""
        if self._session is None:
            context = tls_context(self._connection)
            with _sessions_lock:
                key = (self._connection, context)
                if key not in _sessions:
                    _sessions[key] = new_session(self._connection, context)
                self._session = _sessions[key]
        return self._session

    def exchange(self, request: HttpRequest) -> HttpResponse:
        """
        Make one exchange.

        :param request: what to send.
        :raises AsposeOcrError: where no whole answer came.
        """
        with DeadlineWatch(request.deadline) as watch:
            return self._exchange(request, watch)

    def _exchange(self, request: HttpRequest, watch: DeadlineWatch) -> HttpResponse:
        connection = self._connection
        session, proxy = self.session, proxy_to(connection, request.url)
        timeout = connection.timeout if watch.left is None else max(0.001, min(connection.timeout, watch.left))
        try:
            response = session.request(
                request.method,
                request.url,
                headers=dict(request.headers),
                data=request.body,
                # Without this, requests replaces our token by what a .netrc file says of the host.
                auth=_as_it_is,
                timeout=(timeout, timeout),
                proxies={"all": proxy} if proxy else {},
                allow_redirects=False,
                stream=True,
            )
        except (requests.RequestException, OSError) as error:
            raise self._failure(request, watch, error) from error
        with response:
            body = request.reader_for(response.status_code)
            try:
                # A longer read that breaks loses what it has read, such as the id of a paid job.
                chunks = response.iter_content(1 if request.is_submission and response.status_code < 300 else _CHUNK)
                while body.wants_more and (chunk := next(chunks, b"")):
                    body.feed(chunk)
            except (requests.RequestException, OSError) as error:
                if not body.is_enough:
                    raise self._failure(request, watch, error) from error
            except AsposeOcrProtocolError as error:
                raise_unless_refused(request, response.status_code, error)
            if watch.has_come and not body.is_enough:
                # A body without a length ends where its socket does.
                raise self._failure(request, watch)
            return HttpResponse(response.status_code, lower_case(response.headers), body)

    def _failure(
        self, request: HttpRequest, watch: DeadlineWatch, error: BaseException | None = None
    ) -> AsposeOcrError:
        host = self._connection.host
        if error is None or watch.has_come:
            return transport_failure(request, came_too_late(host))
        return transport_failure(request, what_broke(error, host))


class _StayingSession(requests.Session):
    """Follows no redirect, and does not even look at one: ``requests`` parses its address and reads its body."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """
        Say that there is none.

        :param resp: any answer.
        """


class _Adapter(WatchedAdapter):
    """
    Connections that trust whom we say: requests itself would load its own certificates beside them, for each anew.

    :param context: verifies certificates, those of proxies too.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(pool_connections=4, pool_maxsize=_POOL_SIZE, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        return super().proxy_manager_for(proxy, **kwargs, ssl_context=self._context, proxy_ssl_context=self._context)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """
        Leave it to the context.

        :param conn: as ``requests`` passes it, and so the others.
        :param url: likewise.
        :param verify: likewise.
        :param cert: likewise.
        """


def new_session(connection: ServiceConnection, context: ssl.SSLContext) -> requests.Session:
    """
    Return a session with a pool for many threads, which repeats nothing by itself.

    :param connection: where to.
    :param context: whom to trust.
    """
    session = _StayingSession()
    # Proxies and certificates of the environment are ours to look up, as both transports must take the same.
    session.trust_env = False
    session.verify = connection.verify is not False
    adapter = _Adapter(context)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
