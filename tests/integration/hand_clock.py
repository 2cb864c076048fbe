"""A clock for an emulator whose jobs end when the test says so, on a slow machine as on a fast one."""

from __future__ import annotations

import threading
import time

FAST = 100.0
"""Seconds that pass in a second while time flies: a job of some seconds has then ended when it is first asked for."""


class HandClock:
    """
    A clock that stands still, unless a test turns it forward or lets it run.

    :param rate: seconds that pass in a second while it runs.
    """

    def __init__(self, rate: float = FAST) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._turned = 0.0
        self._running_since: float | None = None

    def __call__(self) -> float:
        with self._lock:
            return self._now()

    def _now(self) -> float:
        if self._running_since is None:
            return self._turned
        return self._turned + self._rate * (time.monotonic() - self._running_since)

    def turn(self, seconds: float) -> None:
        """Turn it forward."""
        with self._lock:
            self._turned += seconds

    def run(self) -> None:
        """Let time pass."""
        with self._lock:
            self._turned, self._running_since = self._now(), time.monotonic()

    def stop(self) -> None:
        """Let it stand still again."""
        with self._lock:
            self._turned, self._running_since = self._now(), None
