"""A throw-away Redis, from the machine's own binary (Debian: package ``redis-server``), that keeps nothing on disk."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.integration.process_sessions import kill_session
from tests.integration.running_airflow import free_port

START_TIMEOUT = 30.0


class RedisError(RuntimeError):
    """Redis is missing, or did not start; the message holds the end of what it printed."""


class TemporaryRedis:
    """A Redis server of its own on 127.0.0.1 and a free port, from ``__enter__`` to ``__exit__``."""

    def __init__(self) -> None:
        self._binary = shutil.which("redis-server")
        if self._binary is None:
            raise RedisError("No Redis server found. On Debian and Ubuntu: apt-get install redis-server")
        self.port = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The server, which leads a session of its own."""
        return self._server.pid

    @property
    def folder(self) -> Path:
        """Where it would write, and where it tells what it does."""
        return self._folder

    def __enter__(self) -> Self:
        assert self._binary is not None
        self._folder = Path(tempfile.mkdtemp(prefix="redis-"))
        self.port = free_port()
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with (self._folder / "redis.log").open("ab") as log:
            self._server = subprocess.Popen(
                [self._binary, *options],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > deadline:
                said = (self._folder / "redis.log").read_text(errors="replace")[-2000:]
                raise RedisError(f"Redis did not start:\n{said}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        return False

    def _end(self) -> None:
        kill_session(self._server.pid)
        self._server.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
