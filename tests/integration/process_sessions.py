"""Sessions of processes: who is in one, how it is ended, and who does that if the test process cannot any more."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil


class Guard:
    """A process that ends what we started if we are killed and cannot do it ourselves.

    It waits for the end of its standard input, which comes with our own end.
    """

    _SOURCE = """
import os, shutil, signal, sys, time
sessions, folders = set(), []
for line in sys.stdin:
    kind, _, value = line.rstrip("\\n").partition(" ")
    if kind == "session":
        sessions.add(int(value))
    else:
        folders.append(value)
def members():
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.getsid(int(name)) in sessions:
                yield int(name)
        except OSError:
            pass
for _ in range(20):
    for pid in members():
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
    time.sleep(0.1)
for folder in folders:
    shutil.rmtree(folder, ignore_errors=True)
"""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", self._SOURCE],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def watch_session(self, pid: int) -> None:
        self._tell(f"session {pid}")

    def watch_folder(self, folder: Path) -> None:
        self._tell(f"folder {folder}")

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()


def session_members(leader: int) -> list[psutil.Process]:
    """The live processes of a session; those that only wait for being reaped do not count."""
    members = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.Error):
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
    return members


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill_session(leader: int) -> None:
    while members := session_members(leader):  # again and again, because one may have forked in between
        for process in members:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(0.02)
