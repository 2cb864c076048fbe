"""What a benchmark reports: goals, and tables of figures; as Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

Cell = str | float | int | None
_REACHED = {True: "yes", False: "no", None: "not measured"}


@dataclass(frozen=True, slots=True)
class Goal:
    """
    One line of the table of goals.

    :param what: is measured.
    :param goal: to reach.
    :param measured: what we cost.
    :param peer: what the same costs today, without us.
    :param reached: whether the goal is; ``None`` where it was not measured.
    """

    what: str
    goal: str
    measured: str
    peer: str
    reached: bool | None


@dataclass(frozen=True, slots=True)
class Table:
    """
    Figures of one topic.

    :param title: above it.
    :param columns: their names.
    :param rows: one per way to do it.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(slots=True)
class Topic:
    """
    The outcome of one benchmark.

    :param title: what it is about.
    :param goals: its lines in the table of goals.
    :param tables: all its figures.
    :param notes: what a reader must know of how they came about.
    """

    title: str
    goals: list[Goal] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def number(value: Cell) -> str:
    """
    Return a figure with three significant digits.

    :param value: a number; or text, which stays as it is.
    """
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)


def markdown(topics: Iterable[Topic], machine: str) -> str:
    """
    Return the report for people.

    :param topics: what was measured.
    :param machine: where.
    """
    topics = list(topics)
    lines = ["# Benchmarks", "", machine, "", "## Goals", ""]
    lines += _table(
        ("what", "goal", "measured", "today, without us", "reached"),
        [
            (
                goal.what,
                goal.goal,
                goal.measured,
                goal.peer,
                _REACHED[goal.reached],
            )
            for topic in topics
            for goal in topic.goals
        ],
    )
    for topic in topics:
        lines += ["", f"## {topic.title}"]
        for table in topic.tables:
            lines += ["", f"**{table.title}**", "", *_table(table.columns, table.rows)]
        lines += [text for note in topic.notes for text in ("", note)]
    return "\n".join([*lines, ""])


def as_json(topics: Iterable[Topic], machine: str) -> str:
    """
    Return the report for programs.

    :param topics: what was measured.
    :param machine: where.
    """
    document: dict[str, Any] = {"machine": machine, "topics": [asdict(topic) for topic in topics]}
    return json.dumps(document, indent=2) + "\n"


def _table(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> list[str]:
    written = [[number(cell).replace("|", "\\|") for cell in row] for row in (columns, *rows)]
    widths = [max(len(row[at]) for row in written) for at in range(len(columns))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in written
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]
