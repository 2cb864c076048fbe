"""
Tables: which words stand in which cell.

Where lines are drawn, they are the grid; else rows are what stands at one height, and columns what stands one below the
other. Cells that span several columns are not told.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from statistics import median

import cv2
import numpy as np
import numpy.typing as npt

from airflow_provider_asposeocr.emulator.filters import grey
from airflow_provider_asposeocr.emulator.page import Box, Page, Word
from airflow_provider_asposeocr.emulator.tools import tool

Rows = list[list[str]]

_LEAST_LINE = 0.12  # of the page's width or height, for a stroke to be a line of the table
_LINE_GAP = 6  # pixels within which two strokes are one line
_COLUMN_GAP = 1.1  # in heights of a line: a narrower gap is a word space
_FORMULA = ("=", "+", "-", "@")


def rows_of(page: Page) -> Rows:
    """
    Return the cells of the table of a page, row by row; all rows have as many cells.

    :param page: what was read.
    """
    words = [
        (word, Box.around(word.corners))
        for block in page.image_blocks
        for line in block.lines
        for fragment in line.fragments
        for word in fragment.placed_words()
    ]
    if not words:
        return []
    upright, level = _drawn_lines(page)
    if len(upright) >= 2 and len(level) >= 2:
        return _in_grid(words, upright, level)
    return _by_gaps(words)


def _drawn_lines(page: Page) -> tuple[list[float], list[float]]:
    """Where upright and level lines are drawn: their x and their y."""
    shades = grey(page.image)
    if float(np.median(shades)) < 100:
        shades = np.asarray(255 - shades, dtype=np.uint8)
    ink = cv2.adaptiveThreshold(shades, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, 31, 10)
    height, width = shades.shape
    found: list[list[float]] = []
    for across, kernel in (
        (False, np.ones((max(10, round(_LEAST_LINE * height)), 1), np.uint8)),
        (True, np.ones((1, max(10, round(_LEAST_LINE * width))), np.uint8)),
    ):
        # A line that is a hair off straight is broken into steps: thickened, it is one again.
        thick = cv2.dilate(ink, np.ones((3, 1) if across else (1, 3), np.uint8))
        lines = cv2.morphologyEx(thick, cv2.MORPH_OPEN, kernel)
        found.append(_gathered(np.nonzero(lines.any(axis=1 if across else 0))[0]))
    return found[0], found[1]


def _gathered(places: npt.NDArray[np.int64]) -> list[float]:
    """The middles of runs of neighbouring places."""
    groups: list[list[int]] = []
    for place in places.tolist():
        if groups and place - groups[-1][-1] <= _LINE_GAP:
            groups[-1].append(place)
        else:
            groups.append([place])
    return [sum(group) / len(group) for group in groups]


def _in_grid(words: Sequence[tuple[Word, Box]], upright: Sequence[float], level: Sequence[float]) -> Rows:
    cells: dict[tuple[int, int], list[tuple[Word, Box]]] = {}
    for word, box in words:
        column = sum(line <= (box.left + box.right) / 2 for line in upright) - 1
        row = sum(line <= box.middle for line in level) - 1
        if 0 <= column < len(upright) - 1 and 0 <= row < len(level) - 1:
            cells.setdefault((row, column), []).append((word, box))
    return [
        [_cell(cells.get((row, column), ())) for column in range(len(upright) - 1)] for row in range(len(level) - 1)
    ]


def _cell(words: Sequence[tuple[Word, Box]]) -> str:
    return " ".join(word.text for line in _lines(words) for word, _ in line)


def _lines(words: Sequence[tuple[Word, Box]]) -> list[list[tuple[Word, Box]]]:
    """Words at one height are one line, from left to right."""
    lines: list[list[tuple[Word, Box]]] = []
    for word, box in sorted(words, key=lambda entry: entry[1].middle):
        last = lines[-1] if lines else None
        if last and abs(sum(other.middle for _, other in last) / len(last) - box.middle) <= 0.5 * box.height:
            last.append((word, box))
        else:
            lines.append([(word, box)])
    return [sorted(line, key=lambda entry: entry[1].left) for line in lines]


def _by_gaps(words: Sequence[tuple[Word, Box]]) -> Rows:
    height = median(box.height for _, box in words)
    lines = _lines(words)
    # Pieces of a line that stand closer than a gap belong to one cell.
    pieces: list[list[tuple[Box, str]]] = []
    for line in lines:
        pieces.append([])
        for word, box in line:
            if pieces[-1] and box.left - pieces[-1][-1][0].right < _COLUMN_GAP * height:
                before, text = pieces[-1].pop()
                pieces[-1].append((before.union(box), f"{text} {word.text}"))
            else:
                pieces[-1].append((box, word.text))
    columns = _columns([box for line in pieces for box, _ in line if len(line) > 1] or [pieces[0][0][0]])
    rows: Rows = []
    for piece in pieces:
        row = [""] * len(columns)
        for box, text in piece:
            at = max(range(len(columns)), key=lambda column: _overlap(box, columns[column]))
            row[at] = f"{row[at]} {text}".strip()
        rows.append(row)
    return rows


def _columns(boxes: Sequence[Box]) -> list[tuple[float, float]]:
    """What stands one below the other is one column."""
    columns: list[tuple[float, float]] = []
    for box in sorted(boxes, key=lambda box: box.left):
        if columns and box.left < columns[-1][1]:
            columns[-1] = columns[-1][0], max(columns[-1][1], box.right)
        else:
            columns.append((box.left, box.right))
    return columns


def _overlap(box: Box, column: tuple[float, float]) -> float:
    return min(box.right, column[1]) - max(box.left, column[0])


def as_text(rows: Rows) -> bytes:
    """
    A table as plain text, its columns below each other.

    :param rows: its cells.
    """
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)] if rows else []
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines).encode()


def as_csv(rows: Rows) -> bytes:
    """
    A table as CSV, with the numbers of its columns as first line, as the service has it.

    Source: the example of "Fetching table recognition result", docs.aspose.cloud/ocr/fetch-table-recognition-result/.

    :param rows: its cells.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    if rows:
        writer.writerow(range(len(rows[0])))
    writer.writerows(rows)
    return file.getvalue().encode()


def as_workbook(rows: Rows) -> bytes:
    """
    A table as an Excel workbook; all cells are text, none a formula.

    :param rows: its cells.
    """
    book = tool("openpyxl", "openpyxl", "tables as Excel workbooks").Workbook()
    sheet = book.active
    for at, row in enumerate(rows, start=1):
        for column, text in enumerate(row, start=1):
            cell = sheet.cell(at, column, "".join(letter for letter in text if letter >= " "))
            if text.startswith(_FORMULA):
                cell.data_type = "s"
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()
