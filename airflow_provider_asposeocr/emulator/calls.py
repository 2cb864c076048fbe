"""The emulator's book of calls: what a user of the real service would be billed."""

from __future__ import annotations

import threading
from collections import Counter

from pydantic import BaseModel


class CallReport(BaseModel):
    """
    The calls received since the start or the last reset, as ``GET /emulator/calls`` shows them.

    Every call counts, answered with an error or not; the token endpoint, which is free, is counted by itself.
    """

    total: int
    """Calls of the OCR endpoints."""
    by_endpoint: dict[str, int]
    """The same by method and path, such as ``"POST RecognizeImage"``."""
    token_calls: int
    """Calls of the token endpoint."""
    accepted: int
    """Submissions that became a job."""
    accepted_by_image: dict[str, int]
    """The same by SHA-256 of the image: a 2 is a document that was submitted twice."""

    def count(self, method: str, endpoint: str) -> int:
        """
        How many calls of one kind there were.

        :param method: such as ``POST``.
        :param endpoint: such as ``RecognizeImage``.
        """
        return self.by_endpoint.get(f"{method} {endpoint}", 0)


class CallBook:
    """Counts calls."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Count from zero."""
        with self._lock:
            self._calls: Counter[str] = Counter()
            self._accepted: Counter[str] = Counter()
            self._token_calls = 0

    def record(self, method: str, endpoint: str) -> None:
        """
        Count a call of an OCR endpoint.

        :param method: such as ``POST``.
        :param endpoint: the path below the version.
        """
        with self._lock:
            self._calls[f"{method} {endpoint}"] += 1

    def record_token_call(self) -> None:
        """Count a call of the token endpoint."""
        with self._lock:
            self._token_calls += 1

    def record_accepted(self, image_sha256: str) -> None:
        """
        Count a job.

        :param image_sha256: fingerprint of its image.
        """
        with self._lock:
            self._accepted[image_sha256] += 1

    def report(self) -> CallReport:
        """What was counted."""
        with self._lock:
            return CallReport(
                total=self._calls.total(),
                by_endpoint=dict(sorted(self._calls.items())),
                token_calls=self._token_calls,
                accepted=self._accepted.total(),
                accepted_by_image=dict(self._accepted),
            )
