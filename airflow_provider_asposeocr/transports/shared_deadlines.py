"""
Deadlines of exchanges in an event loop, thousands of which may be under way.

An event loop keeps a timer that was cancelled until its time comes, or until most of its timers are such. So a timer
for each poll, which is over in milliseconds and may take an hour, costs memory, and collections of garbage that stop
the loop. One timer looks after all that have much time left.
"""

from __future__ import annotations

import asyncio

_NEAR = 5.0
"""Seconds below which a deadline is kept to exactly, by a timer of its own."""
_LOOK = 1.0
"""Seconds by which another one may be late."""


class SharedDeadlines:
    """Ends what takes too long, in one event loop."""

    __slots__ = ("_timer", "_times")

    def __init__(self) -> None:
        self._times: dict[asyncio.Timeout, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def within(self, seconds: float | None) -> asyncio.Timeout:
        """
        Return a scope that ends once its time is over, to be entered at once and forgotten at its end.

        :param seconds: how long it may take from now on; ``None`` for ever.
        """
        if seconds is None or seconds < _NEAR:
            return asyncio.timeout(seconds)
        loop, scope = asyncio.get_running_loop(), asyncio.timeout(None)
        self._times[scope] = loop.time() + seconds
        if self._timer is None:
            self._timer = loop.call_later(_LOOK, self._look, loop)
        return scope

    def forget(self, scope: asyncio.Timeout) -> None:
        """
        Let a scope be: it is over.

        :param scope: of :meth:`within`.
        """
        self._times.pop(scope, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for scope in [scope for scope, time in self._times.items() if time <= now]:
            self.forget(scope)
            scope.reschedule(now)
        # What has nothing to look after stops.
        self._timer = loop.call_later(_LOOK, self._look, loop) if self._times else None
