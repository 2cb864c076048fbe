"""Waiting for what other processes do."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], object], what: str, timeout: float = 90.0) -> float:
    """Wait until the condition holds, and return how many seconds that took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout, f"waited {timeout:g} s in vain until {what}"
        time.sleep(0.05)
    return time.monotonic() - started
