"""A throw-away Redis, from the machine's own binary (Debian: package ``redis-server``), that keeps nothing on disk."""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
from pathlib import Path

from tests.integration.running_airflow import free_port
from tests.integration.temporary_server import TemporaryServer


class RedisError(RuntimeError):
    """Redis is missing, or did not start; the message holds the end of what it printed."""


class TemporaryRedis(TemporaryServer):
    """A Redis server of its own on 127.0.0.1 and a free port, from ``__enter__`` to ``__exit__``."""

    START_TIMEOUT = 30.0

    def __init__(self) -> None:
        self._binary = shutil.which("redis-server")
        if self._binary is None:
            raise RedisError("No Redis server found. On Debian and Ubuntu: apt-get install redis-server")
        self.port = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def folder(self) -> Path:
        """Where it would write, and where it tells what it does."""
        return self._folder

    def _prepare(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="redis-"))

    def _start(self) -> None:
        assert self._binary is not None
        self.port = free_port()
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        log = self._folder / "redis.log"
        self._spawn([self._binary, *options], log, cwd=self._folder)
        self._wait_until(
            self._answers, lambda: RedisError(f"Redis did not start:\n{log.read_text(errors='replace')[-2000:]}")
        )

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        return False

    def _clean_up(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
