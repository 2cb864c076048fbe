"""Reading order of pages with very many lines."""

from __future__ import annotations

import sys

from airflow_provider_asposeocr.emulator import Fragment
from airflow_provider_asposeocr.emulator.layout import blocks_in_reading_order


def table(rows: int, cells: int = 3) -> list[Fragment]:
    """The fragments of a table without lines."""

    def cell(x: float, y: float) -> Fragment:
        return Fragment("a cell", 0.9, ((x, y), (x + 80, y), (x + 80, y + 20), (x, y + 20)))

    return [cell(100.0 * column, 30.0 * row) for row in range(rows) for column in range(cells)]


def calls_to_read(rows: int) -> int:
    """How many calls of functions it takes: the same on every machine."""
    count = 0

    def counted(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    fragments = table(rows)
    sys.setprofile(counted)
    try:
        (block,) = blocks_in_reading_order(fragments, correct_skew=True, find_columns=True)
    finally:
        sys.setprofile(None)
    assert len(block.lines) == rows
    return count


def test_twice_the_rows_cost_four_times_the_work_at_most():
    """A long till roll or table is arranged in seconds, not in minutes."""
    assert calls_to_read(48) < 4.5 * calls_to_read(24)


def test_a_page_of_many_cells_is_arranged_with_little_work():
    """Sixty rows of three cells are a page, and arranged at once."""
    assert calls_to_read(60) < 400_000
