"""
What an XCom and a line of a manifest look like, as far as the page reads them.

Both may be written by others: what looks otherwise is none of ours, and no error of the page.
"""

from __future__ import annotations

from typing import Any, TypedDict

import msgspec


class _Cost(TypedDict, total=False):
    submissions: int | None
    calls: int | None
    seconds: float | dict[str, Any] | None


class _Document(_Cost, total=False):
    image: str | None
    ocr_task_id: str | None
    files: list[Any] | None
    warnings: list[Any] | None
    cost: _Cost | None


class _Line(_Document, total=False):
    status: str | None
    error: str | None


class _Result(_Document, total=False):
    endpoint: str
    text: str | None
    results: list[Any] | None
    regions: list[Any] | None
    blocks: list[Any] | None
    rows: list[list[Any]] | None
    invoice: dict[str, Any] | None
    style: str | None
    fonts: list[str] | None
    documents: list[dict[str, Any]] | None


class _Batch(_Cost, total=False):
    endpoint: str
    manifest: str
    documents: int | None
    completed: int | None
    skipped: int | None
    failed: int | None
    cost: _Cost | None


def is_result(value: Any) -> bool:
    """
    Say whether a value is the XCom of a single document.

    :param value: any.
    """
    return _is_such(value, _Result) and "results" in value and "manifest" not in value


def is_batch(value: Any) -> bool:
    """
    Say whether a value is the XCom of a batch.

    :param value: any.
    """
    return _is_such(value, _Batch) and "manifest" in value


def is_progress(value: Any) -> bool:
    """
    Say whether a value is the progress of a batch.

    :param value: any.
    """
    return _is_such(value, _Batch) and {"documents", "submissions"} <= set(value)


def is_line(value: Any) -> bool:
    """
    Say whether a value is a line of a manifest.

    :param value: any.
    """
    return _is_such(value, _Line)


def _is_such(value: Any, shape: Any) -> bool:
    if not isinstance(value, dict):
        return False
    try:
        msgspec.convert(value, shape)
    except (ValueError, OverflowError, RecursionError):
        return False
    return True
