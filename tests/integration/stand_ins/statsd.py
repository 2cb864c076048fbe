"""
Stands in for the package ``statsd`` in Airflow's processes, where that is not installed: each metric is a datagram.

As in that package: counters, gauges, timings of milliseconds or timedeltas, and Airflow's timer.
"""

from __future__ import annotations

import contextlib
import socket
import time
from datetime import timedelta


class StatsClient:
    def __init__(self, host: str, port: int, prefix: str | None = None, ipv6: bool = False) -> None:
        self._to = (host, port)
        self._prefix = f"{prefix}." if prefix else ""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def _send(self, stat: str, value: str) -> None:
        with contextlib.suppress(OSError):
            self._socket.sendto(f"{self._prefix}{stat}:{value}".encode(), self._to)

    def incr(self, stat: str, count: int = 1, rate: float = 1) -> None:
        self._send(stat, f"{count}|c")

    def decr(self, stat: str, count: int = 1, rate: float = 1) -> None:
        self._send(stat, f"{-count}|c")

    def gauge(self, stat: str, value: float, rate: float = 1, delta: bool = False) -> None:
        self._send(stat, f"{value}|g")

    def timing(self, stat: str, delta: float | timedelta, rate: float = 1) -> None:
        milliseconds = delta.total_seconds() * 1000 if isinstance(delta, timedelta) else delta
        self._send(stat, f"{milliseconds:.6f}|ms")

    def timer(self, stat: str, rate: float = 1) -> Timer:
        return Timer(self, stat)


class Timer:
    def __init__(self, client: StatsClient, stat: str) -> None:
        self._client, self._stat = client, stat
        self._began = 0.0

    def start(self) -> Timer:
        self._began = time.perf_counter()
        return self

    def stop(self, send: bool = True) -> Timer:
        if send:
            self._client.timing(self._stat, (time.perf_counter() - self._began) * 1000)
        return self
