"""
Deadlines of exchanges over ``requests``, whose time-outs are for each part of an answer and not for the whole.

An answer that drips a byte at a time never runs into those. So where a deadline comes, a timer shuts the exchange's
socket down, whatever is being read from it: the head, the body, or the handshake.
"""

from __future__ import annotations

import functools
import os
import socket
import threading
import time
from contextlib import suppress
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import PoolManager

from airflow_provider_asposeocr.transports.interim_answers import FinalAnswer

# Re-entrant: a signal handler that cancels a job may interrupt its own thread here.
_lock = threading.RLock()
_running = threading.local()


def _renew_lock() -> None:
    """A forked child must not wait for a thread of its parent."""
    global _lock  # noqa: PLW0603
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_renew_lock)


class DeadlineWatch:
    """
    Watches over the exchange that this thread makes inside ``with``.

    :param deadline: until when its answer must be whole, in seconds since the epoch; ``None`` for no such time.
    """

    def __init__(self, deadline: float | None) -> None:
        self.left = None if deadline is None else max(0.0, deadline - time.time())
        """Seconds until then."""
        self.has_come = False
        """Whether the deadline came before the end of the exchange."""
        self._is_over = False
        self._connection: Any = None
        self._socket: Any = None
        self._timer: threading.Timer | None = None
        self._outer: DeadlineWatch | None = None

    def __enter__(self) -> DeadlineWatch:
        self._outer, _running.watch = getattr(_running, "watch", None), self
        if self.left is not None:
            self._timer = threading.Timer(self.left, self._come)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        with _lock:
            self._is_over = True
        _running.watch = self._outer
        if self._timer is not None:
            self._timer.cancel()

    def begin(self, connection: Any) -> None:
        """
        Take note of the connection that the exchange goes over.

        :param connection: of urllib3, now ours until another exchange takes it.
        :raises TimeoutError: where the deadline has come.
        """
        with _lock:
            connection.watch = self
            self._connection, self._socket = connection, connection.sock
            if self.has_come:
                raise TimeoutError("the deadline has come")

    def _come(self) -> None:
        with _lock:
            if self._is_over:
                return
            self.has_come = True
            connection = self._connection
            # While it connects, it has no socket yet when it begins; once an answer closes it, none any more.
            pipe = self._socket or getattr(connection, "sock", None)
            if pipe is None or (connection.sock is pipe and connection.watch is not self):
                return
            with suppress(OSError):
                # Past TLS, whose own state the reading thread is using. A proxy's TLS wraps the socket.
                socket.socket.shutdown(getattr(pipe, "socket", pipe), socket.SHUT_RDWR)


class WatchedAdapter(HTTPAdapter):
    """An adapter of ``requests`` whose connections tell the :class:`DeadlineWatch` of their thread what they do."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools, with connections of ours."""
        super().init_poolmanager(*args, **kwargs)
        _watch_pools_of(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """
        Return the pools that go through a proxy, likewise.

        :param proxy: its URL.
        """
        known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not known:
            _watch_pools_of(manager)
        return manager


def _watch_pools_of(manager: PoolManager) -> None:
    pools = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {scheme: _watched_pool(pool) for scheme, pool in pools.items()}


@functools.cache
def _watched_pool(pool: Any) -> Any:
    connection = type(f"Watched{pool.ConnectionCls.__name__}", (_Watched, pool.ConnectionCls), {})
    return type(f"Watched{pool.__name__}", (pool,), {"ConnectionCls": connection})


class _Watched:
    """What our connections do besides."""

    response_class = FinalAnswer
    watch: DeadlineWatch | None = None
    sock: Any

    def connect(self) -> None:
        self._begin()
        super().connect()  # type: ignore[misc]

    def _tunnel(self) -> None:
        super()._tunnel()  # type: ignore[misc]
        # A proxy's answer that was cut looks whole: TLS must not begin on a socket that is shut down.
        self._begin()

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._begin()
        super().request(*args, **kwargs)  # type: ignore[misc]

    def getresponse(self) -> Any:
        # Again: now it has a socket.
        self._begin()
        return super().getresponse()  # type: ignore[misc]

    def _begin(self) -> None:
        watch: DeadlineWatch | None = getattr(_running, "watch", None)
        if watch is not None:
            watch.begin(self)
