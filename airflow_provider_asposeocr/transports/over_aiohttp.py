"""
One HTTP exchange over ``aiohttp``, for the triggerer and other coroutines. It decides nothing.

One session per event loop and connection, so that a thousand triggers share their connections; the last user closes it.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field

import aiohttp

from airflow_provider_asposeocr.api.exchanges import HttpRequest, HttpResponse, lower_case
from airflow_provider_asposeocr.api.refusals import transport_failure
from airflow_provider_asposeocr.connection import ServiceConnection
from airflow_provider_asposeocr.exceptions import AsposeOcrProtocolError
from airflow_provider_asposeocr.transports.failures import came_too_late, raise_unless_refused, what_broke
from airflow_provider_asposeocr.transports.proxies import proxy_to
from airflow_provider_asposeocr.transports.shared_deadlines import SharedDeadlines
from airflow_provider_asposeocr.transports.tls import tls_context

_MOST_CONNECTIONS = 100
_LONGEST_LINE = 64 * 1024
"""Bytes of a header."""


@dataclass(slots=True)
class _SharedSession:
    """A session, how many use it, and a turn for each of its connections: who waits for one holds no request yet."""

    session: aiohttp.ClientSession
    turns: asyncio.Semaphore
    users: int = 0
    deadlines: SharedDeadlines = field(default_factory=SharedDeadlines)
    proxies: dict[str, str | None] = field(default_factory=dict)
    """The proxy to each host, looked up once: thousands of polls ask the same one."""


_sessions: dict[tuple[asyncio.AbstractEventLoop, ServiceConnection], _SharedSession] = {}
# A forked child must not share its parent's sockets.
os.register_at_fork(after_in_child=_sessions.clear)


class AiohttpTransport:
    """
    Exchanges over ``aiohttp``, inside ``async with``: the last user of a connection closes the shared session.

    :param connection: where to.
    """

    __slots__ = ("_connection", "_key")

    def __init__(self, connection: ServiceConnection) -> None:
        self._connection = connection
        self._key: tuple[asyncio.AbstractEventLoop, ServiceConnection] | None = None

    async def __aenter__(self) -> AiohttpTransport:
        self._key = key = (asyncio.get_running_loop(), self._connection)
        shared = _sessions.get(key)
        if shared is None or shared.session.closed:
            connection = self._connection
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=tls_context(connection), limit=_MOST_CONNECTIONS),
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=None, sock_connect=connection.timeout, sock_read=connection.timeout
                ),
                # Not even for proxies: it would also put what a .netrc file says of the host beside our token.
                trust_env=False,
                # As the other transport takes it.
                max_line_size=_LONGEST_LINE,
                max_field_size=_LONGEST_LINE,
            )
            users = shared.users if shared else 0
            shared = _sessions[key] = _SharedSession(session, asyncio.Semaphore(_MOST_CONNECTIONS), users)
        shared.users += 1
        return self

    async def __aexit__(self, *error: object) -> None:
        key, self._key = self._key, None
        if key is None:
            return
        shared = _sessions[key]
        shared.users -= 1
        if shared.users == 0:
            del _sessions[key]
            await shared.session.close()

    async def exchange(self, request: HttpRequest) -> HttpResponse:
        """
        Make one exchange. Submissions go over ``requests``: a 401 in mid-upload is lost by aiohttp.

        :param request: what to send.
        :raises AsposeOcrError: where no whole answer came.
        """
        assert self._key is not None, "use it inside `async with`"
        assert not request.is_submission
        shared = _sessions[self._key]
        left = None if request.deadline is None else request.deadline - time.time()
        try:
            async with shared.deadlines.within(left) as scope:
                try:
                    # Not `async with`, which holds two coroutines for each that waits.
                    await shared.turns.acquire()
                    try:
                        return await self._exchange(shared, request)
                    finally:
                        shared.turns.release()
                finally:
                    shared.deadlines.forget(scope)
        except TimeoutError as error:
            raise transport_failure(request, came_too_late(self._connection.host)) from error

    async def _exchange(self, shared: _SharedSession, request: HttpRequest) -> HttpResponse:
        body = None
        status = 0
        try:
            async with shared.session.request(
                request.method,
                request.url,
                headers=request.headers,
                data=request.body,
                proxy=self._proxy(shared, request.url),
                allow_redirects=False,
            ) as response:
                status = response.status
                body = request.reader_for(status)
                try:
                    while body.wants_more and (chunk := await response.content.readany()):
                        body.feed(chunk)
                except AsposeOcrProtocolError as error:
                    raise_unless_refused(request, status, error)
                return HttpResponse(status, lower_case(response.headers), body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if body is not None and body.is_enough:
                return HttpResponse(status, {}, body)
            raise transport_failure(request, what_broke(error, self._connection.host)) from error

    def _proxy(self, shared: _SharedSession, url: str) -> str | None:
        host = url[: url.find("/", len("https://"))]
        if host not in shared.proxies:
            shared.proxies[host] = proxy_to(self._connection, url)
        return shared.proxies[host]
