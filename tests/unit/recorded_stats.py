"""A backend of Airflow's stats that keeps what it is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from types import SimpleNamespace
from typing import Any


class RecordedStats:
    """Counters by name and tags, timers and gauges by name."""

    def __init__(self) -> None:
        self.counters: Counter[tuple[str, ...]] = Counter()
        self.timers: dict[str, list[float]] = {}
        self.gauges: dict[str, float] = {}

    def incr(self, stat: str, count: int = 1, rate: float = 1, *, tags: dict[str, str] | None = None) -> None:
        self.counters[(stat, *(tags or {}).values())] += count

    def timing(self, stat: str, dt: timedelta, *, tags: dict[str, str] | None = None) -> None:
        self.timers.setdefault(stat, []).append(dt.total_seconds())

    def gauge(self, stat: str, value: float, *_: Any, tags: dict[str, str] | None = None) -> None:
        self.gauges[stat] = value

    def timer(self, *_: Any, **__: Any) -> Any:
        return nullcontext(SimpleNamespace(duration=0.0))

    def ours(self) -> dict[tuple[str, ...], int]:
        """The counters of this provider."""
        return {key: count for key, count in self.counters.items() if key[0].startswith("aspose_ocr.")}


class BrokenStats:
    """A backend that fails."""

    def __getattr__(self, name: str) -> Any:
        raise OSError("no route to the host of the metrics")


@contextmanager
def backend(of_stats: Any) -> Iterator[None]:
    """Let Airflow's stats go to a backend, as each of its two lines lets one set it."""
    try:
        from airflow.sdk.observability import stats
    except ImportError:  # Airflow 2.11
        from airflow.stats import Stats

        before, Stats.instance = Stats.instance, of_stats
        try:
            yield
        finally:
            Stats.instance = before
        return
    from airflow.sdk.observability.metrics.stats_utils import get_stats_factory

    stats.initialize(factory=lambda: of_stats, export_legacy_names=False)
    try:
        yield
    finally:
        stats.initialize(factory=get_stats_factory(), export_legacy_names=True)
