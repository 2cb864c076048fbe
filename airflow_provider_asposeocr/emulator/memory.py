"""Gives memory back: what a large page took is free after its job, but the C library would keep it for the next."""

from __future__ import annotations

import ctypes
import threading
import time
from contextlib import suppress

_PAUSE = 1.0
_lock = threading.Lock()
_next = 0.0


def give_back() -> None:
    """Hand what is free back to the system, at most once a second. Nothing happens where the C library is not glibc."""
    global _next  # noqa: PLW0603 - it is the process's memory
    with _lock:
        if time.monotonic() < _next:
            return
        _next = time.monotonic() + _PAUSE
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
