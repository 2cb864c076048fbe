"""
The two transports: one HTTP exchange over ``requests``, and one over ``aiohttp``. They decide nothing.

Sessions are pooled: one per process and connection (for aiohttp: per event loop and connection), so that a thousand
triggers share their connections. Redirects are not followed: neither the token nor the document goes anywhere but to
the connection's host.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_asposeocr.api.calls import HttpRequest, HttpResponse, ambiguous_submission, transport_failure
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError, AsposeOcrProtocolError
from airflow_provider_asposeocr.hooks.connection import ServiceConnection, is_loopback

if TYPE_CHECKING:
    import aiohttp
    import requests

# Bytes of a body at a time. Smaller reads cost calls; with 1 MiB each read gets its memory anew from the system, and a
# large result takes three times the CPU.
_CHUNK = 512 * 1024
_POOL_SIZE = 64
_ASYNC_CONNECTIONS = 100

_sessions: dict[ServiceConnection, requests.Session] = {}
# Re-entrant: a signal handler that cancels a job may interrupt its own thread here.
_sessions_lock = threading.RLock()


def _forget_sessions() -> None:
    """A forked child must not share its parent's sockets."""
    global _sessions_lock  # noqa: PLW0603
    _sessions_lock = threading.RLock()
    _sessions.clear()
    _async_sessions.clear()


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
            with _sessions_lock:
                if self._connection not in _sessions:
                    _sessions[self._connection] = new_session()
                self._session = _sessions[self._connection]
        return self._session

    def exchange(self, request: HttpRequest) -> HttpResponse:
        """
        Make one exchange.

        :param request: what to send.
        :raises AsposeOcrError: where no whole answer came.
        """
        import requests  # noqa: PLC0415 - a DAG file that is only parsed needs no HTTP library

        connection = self._connection
        try:
            response = self.session.request(
                request.method,
                request.url,
                headers=dict(request.headers),
                data=request.body,
                # Without this, requests replaces our token by what a .netrc file says of the host.
                auth=_as_it_is,
                timeout=(connection.timeout, connection.timeout),
                verify=connection.verify,
                proxies=dict(connection.proxies) or _no_environment_for_loopback(request.url),
                allow_redirects=False,
                stream=True,
            )
        except requests.RequestException as error:
            connected = not isinstance(error, requests.ConnectTimeout | requests.exceptions.SSLError) and not (
                isinstance(error, requests.ConnectionError) and _never_connected(error)
            )
            raise transport_failure(request, _what(error, connection.host), connected=connected) from error
        with response:
            body = request.reader_for(response.status_code)
            try:
                for chunk in response.iter_content(_CHUNK):
                    body.feed(chunk)
            except (requests.RequestException, OSError) as error:
                if response.status_code < 300:
                    raise transport_failure(request, _what(error, connection.host), connected=True) from error
            except AsposeOcrProtocolError as error:
                _unless_refused(request, response.status_code, error)
            return HttpResponse(response.status_code, _lower(response.headers), body)


def new_session() -> requests.Session:
    """Return a session with a pool for many threads, which repeats nothing by itself."""
    import requests  # noqa: PLC0415
    from requests.adapters import HTTPAdapter  # noqa: PLC0415

    session = requests.Session()
    adapter = HTTPAdapter(pool_connections=4, pool_maxsize=_POOL_SIZE, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _never_connected(error: requests.ConnectionError) -> bool:
    from urllib3.exceptions import NameResolutionError, NewConnectionError, ProxyError  # noqa: PLC0415

    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, NewConnectionError | NameResolutionError | ProxyError)


@dataclass(slots=True)
class _SharedSession:
    """A session, how many use it, and a turn for each of its connections: who waits for one holds no request yet."""

    session: aiohttp.ClientSession
    turns: asyncio.Semaphore
    users: int = 0
    proxies: dict[str, str | None] = field(default_factory=dict)
    """The proxy to each host, looked up once: thousands of polls ask the same one."""


_async_sessions: dict[tuple[asyncio.AbstractEventLoop, ServiceConnection], _SharedSession] = {}
os.register_at_fork(after_in_child=_forget_sessions)


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
        import aiohttp  # noqa: PLC0415

        self._key = key = (asyncio.get_running_loop(), self._connection)
        shared = _async_sessions.get(key)
        if shared is None or shared.session.closed:
            connection = self._connection
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=_tls(connection.verify), limit=_ASYNC_CONNECTIONS),
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=None, sock_connect=connection.timeout, sock_read=connection.timeout
                ),
                # Not even for proxies: it would also put what a .netrc file says of the host beside our token.
                trust_env=False,
            )
            users = shared.users if shared else 0
            shared = _async_sessions[key] = _SharedSession(session, asyncio.Semaphore(_ASYNC_CONNECTIONS), users)
        shared.users += 1
        return self

    async def __aexit__(self, *error: object) -> None:
        key, self._key = self._key, None
        if key is None:
            return
        shared = _async_sessions[key]
        shared.users -= 1
        if shared.users == 0:
            del _async_sessions[key]
            await shared.session.close()

    async def exchange(self, request: HttpRequest) -> HttpResponse:
        """
        Make one exchange. Submissions go over ``requests``: a 401 in mid-upload is lost by aiohttp.

        :param request: what to send.
        :raises AsposeOcrError: where no whole answer came.
        """
        assert self._key is not None, "use it inside `async with`"
        assert not request.is_submission
        shared = _async_sessions[self._key]
        async with shared.turns:
            return await self._exchange(shared, request)

    async def _exchange(self, shared: _SharedSession, request: HttpRequest) -> HttpResponse:
        import aiohttp  # noqa: PLC0415

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
                    async for chunk in response.content.iter_any():
                        body.feed(chunk)
                except AsposeOcrProtocolError as error:
                    _unless_refused(request, status, error)
                return HttpResponse(status, _lower(response.headers), body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if body is not None and status >= 300:
                return HttpResponse(status, {}, body)
            raise transport_failure(request, _what(error, self._connection.host), connected=True) from error

    def _proxy(self, shared: _SharedSession, url: str) -> str | None:
        host = url[: url.find("/", len("https://"))]
        if host not in shared.proxies:
            shared.proxies[host] = _proxy(self._connection, url)
        return shared.proxies[host]


def _no_environment_for_loopback(url: str) -> dict[str, str] | None:
    """Plain http is allowed to this machine because it stays here: it must not travel to a proxy."""
    name = urlsplit(url).hostname or ""
    return {"no_proxy": name} if is_loopback(name) else None


def _proxy(connection: ServiceConnection, url: str) -> str | None:
    """The proxy that ``requests`` would take: the connection's, or else the environment's."""
    from requests.utils import get_environ_proxies, select_proxy  # noqa: PLC0415

    proxies = dict(connection.proxies)
    if not proxies and _no_environment_for_loopback(url) is None:
        proxies = get_environ_proxies(url)
    return select_proxy(url, proxies) or None


def _unless_refused(request: HttpRequest, status: int, error: AsposeOcrProtocolError) -> None:
    """Raise what is wrong with a body, but of a refusal: there the status says it all."""
    if not 200 <= status < 300:
        return
    if request.is_submission:
        raise ambiguous_submission(f"The service answered {status}, but: {error.message}") from error
    raise error


def _tls(verify: bool | str) -> ssl.SSLContext | bool:
    if isinstance(verify, bool):
        return verify
    try:
        if Path(verify).is_dir():
            return ssl.create_default_context(capath=verify)
        return ssl.create_default_context(cafile=verify)
    except OSError as error:
        raise AsposeOcrInputError(f"The extra `verify` names {verify}, which holds no CA bundle: {error}.") from error


def _lower(headers: Mapping[str, Any]) -> dict[str, str]:
    return {name.lower(): str(value) for name, value in headers.items()}


def _what(error: BaseException, host: str) -> str:
    """Say what broke by the kind of error alone: the libraries' own texts repeat the URL and whatever it holds."""
    chain: list[BaseException] = []
    cause: Any = error
    while isinstance(cause, BaseException) and cause not in chain:
        chain.append(cause)
        inner = next((argument for argument in cause.args if isinstance(argument, BaseException)), None)
        cause = getattr(cause, "reason", None) or inner or cause.__cause__ or cause.__context__
    kinds = {type(link).__name__ for link in chain}
    if kinds & {"NameResolutionError", "gaierror", "ClientConnectorDNSError"}:
        return f"The host of {host} is not known: is the network up, and the connection's host right? The call broke"
    if kinds & {"SSLError", "SSLCertVerificationError", "ClientConnectorCertificateError", "ClientConnectorSSLError"}:
        return f"The TLS certificate of {host} was not accepted (extra `verify` takes a CA bundle). The call broke"
    if kinds & {"ProxyError", "ClientProxyConnectionError", "ClientHttpProxyError"}:
        return f"The proxy to {host} did not answer (extra `proxies`). The call broke"
    if kinds & {"ConnectionRefusedError"}:
        return f"{host} refused the connection: is the service running there? The call broke"
    if any("Timeout" in kind for kind in kinds) or kinds & {"timeout"}:
        return f"{host} did not answer in time (extra `timeout`). The call broke"
    return f"The exchange with {host} broke ({type(chain[-1]).__name__})"
