"""A server in a process of its own, from ``__enter__`` to ``__exit__``."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from tests.integration.process_sessions import kill_session


class TemporaryServer:
    """
    A server that leads a session of its own. What was begun of it is ended where it does not start.

    ``_prepare`` makes what ``_clean_up`` removes; ``_start`` starts it, by ``_spawn`` and ``_wait_until``.
    """

    START_TIMEOUT = 60.0
    _server: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The server, which leads a session of its own."""
        assert self._server is not None
        return self._server.pid

    def __enter__(self) -> Self:
        self._prepare()
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def _prepare(self) -> None:
        """Make its folder: nothing, unless a subclass says otherwise."""

    def _start(self) -> None:
        """Start the server, and wait until it is ready."""
        raise NotImplementedError

    def _spawn(self, command: Sequence[str], log: Path, *, stdout: IO[bytes] | int | None = None, **how: Any) -> None:
        """Start its process, which writes to the log: all, or its errors alone where ``stdout`` goes elsewhere."""
        with log.open("ab") as file:
            self._server = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file if stdout is None else stdout,
                stderr=file,
                start_new_session=True,
                **how,
            )

    def _wait_until(self, is_ready: Callable[[], object], failed: Callable[[], Exception]) -> None:
        """Wait until the server is ready, and raise what ``failed`` returns where it ends before, or takes too long."""
        assert self._server is not None
        deadline = time.monotonic() + self.START_TIMEOUT
        while not is_ready():
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise failed()
            time.sleep(0.02)

    def _end(self) -> None:
        if self._server is not None:
            self._stop(self._server)
            self._server = None
        self._clean_up()

    def _stop(self, server: subprocess.Popen[bytes]) -> None:
        kill_session(server.pid)
        server.wait()

    def _clean_up(self) -> None:
        """Remove what the server leaves: nothing, unless a subclass says otherwise."""
