"""How far a batch is, how fast it goes, and how long it will take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from airflow_provider_asposeocr.batches.documents import DocumentStatus

PROGRESS_INTERVAL = 10.0
"""Seconds between two reports at least."""


@dataclass(slots=True)
class Progress:
    """
    The progress of one try at a batch.

    :param total: how many documents there are.
    :param began_at: when the try began, in seconds since the epoch; a wake goes on with it.
    :param counts: of what the documents have come to, by status.
    :param ready_before: how many had a result when the try began.
    """

    total: int
    began_at: float
    counts: Counter[str] = field(default_factory=Counter)
    ready_before: int = 0
    calls: int = 0
    """Polls in all tries."""
    submissions: int = 0
    """In all tries."""
    _reported_at: float = 0.0

    @property
    def ready(self) -> int:
        """How many have a result."""
        return self.counts[DocumentStatus.COMPLETED] + self.counts[DocumentStatus.SKIPPED]

    @property
    def failed(self) -> int:
        """How many have failed."""
        return sum(
            self.counts[status] for status in (DocumentStatus.FAILED, DocumentStatus.REFUSED, DocumentStatus.SUBMITTING)
        )

    def moved(self, before: str, after: str) -> None:
        """
        Count a document that has come to something else.

        :param before: its status before.
        :param after: its status now.
        """
        self.counts[before] -= 1
        self.counts[after] += 1

    def is_due(self, now: float) -> bool:
        """
        Say whether it is time for a report, which is then taken as made.

        :param now: the time.
        """
        if now - max(self._reported_at, self.began_at) < PROGRESS_INTERVAL:
            return False
        self._reported_at = now
        return True

    def facts(self, now: float, running: int) -> dict[str, Any]:
        """
        Return the progress as plain JSON.

        :param now: the time.
        :param running: how many jobs are at the service.
        """
        here, elapsed = self.ready - self.ready_before, max(now - self.began_at, 1e-3)
        left = self.total - self.ready - self.failed
        rate = here / elapsed
        return {
            "documents": self.total,
            "completed": self.counts[DocumentStatus.COMPLETED],
            "skipped": self.counts[DocumentStatus.SKIPPED],
            "failed": self.failed,
            "running": running,
            "submissions": self.submissions,
            "calls": self.calls,
            "per_minute": round(rate * 60, 1),
            "seconds_left": round(left / rate) if rate and left else None,
        }


def sentence(facts: Mapping[str, Any]) -> str:
    """
    Say how far a batch is.

    :param facts: of :meth:`Progress.facts`.
    """
    skipped = f", {facts['skipped']} skipped" if facts["skipped"] else ""
    rate = f", {facts['per_minute']:g} a minute" if facts["per_minute"] else ""
    left = facts["seconds_left"]
    estimate = f", about {timedelta(seconds=left)} left" if left else ""
    return (
        f"{facts['completed']} of {facts['documents']} done{skipped}, {facts['failed']} failed, "
        f"{facts['running']} running{rate}{estimate}"
    )
