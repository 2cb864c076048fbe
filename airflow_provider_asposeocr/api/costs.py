"""What a job has cost: each submission is billed, and so is each call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct


class Cost(Struct):
    """
    What was spent.

    :param submissions: how many were accepted, or may have been.
    :param calls: how many calls were made: submissions, polls, fetches, cancellations; not those for a token.
    """

    submissions: int = 0
    calls: int = 0

    def add(self, other: Cost) -> None:
        """
        Count what was spent elsewhere, as before a deferral.

        :param other: that.
        """
        self.submissions += other.submissions
        self.calls += other.calls

    def to_json(self) -> dict[str, int]:
        """Return it as plain JSON."""
        return {"submissions": self.submissions, "calls": self.calls}

    @classmethod
    def from_json(cls, told: Any) -> Cost:
        """
        Return what :meth:`to_json` described; nothing where that is not one: an old trigger does not count.

        :param told: anything.
        """
        if not isinstance(told, Mapping):
            return cls()
        numbers = (told.get(name) for name in ("submissions", "calls"))
        return cls(*(number if isinstance(number, int) else 0 for number in numbers))
