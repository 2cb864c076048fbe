"""
Results as values: the rows of a table, the fields of an invoice, the fonts of a page, the blocks of hOCR and JSON.

Pure functions from the text of a result, so that a task behind the operator can call them on the file. What a job's
XCom gets of them is decided by the :class:`~airflow_provider_asposeocr.api.endpoints.ResultShape` of its endpoint.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

from airflow_provider_asposeocr.api.endpoints import ResultShape
from airflow_provider_asposeocr.api.hocr import blocks_from_hocr
from airflow_provider_asposeocr.api.results import OcrResult, OcrTask
from airflow_provider_asposeocr.exceptions import AsposeOcrProtocolError

__all__ = ["blocks_from_hocr", "blocks_from_json", "fonts_from_text", "invoice_from_json", "rows_from_csv"]

INVOICE_TEXTS = (
    *("supplier_name", "supplier_address", "supplier_email", "supplier_phone", "supplier_tax_id"),
    *("receiver_name", "receiver_address", "receiver_tax_id"),
    *("currency", "bank_name", "bic", "account"),
)
INVOICE_DATES = ("issue_date", "due_date")
INVOICE_NUMBERS = ("total_amount", "net_amount", "vat")
NO_VAT = -1
"""Stands for a missing ``vat``. Source of the fields: "Fetching invoice processing result",
docs.aspose.cloud/ocr/fetch-invoice-recognition-result/."""

_MARKUP = 16
"""How many times as large as its text and places an hOCR is at most, about."""
_DATE_FORMATS = ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y/%m/%d", "%d.%m.%Y")


def rows_from_csv(text: str) -> list[list[str]]:
    """
    Return the rows of a CSV result, as lists of cells without the white space around them.

    The service writes the numbers of the columns (``0,1,2``) as a first line: it is no row of the table, and left out.
    Source: the example of "Fetching table recognition result", docs.aspose.cloud/ocr/fetch-table-recognition-result/.

    :param text: the CSV.
    :raises ValueError: where a cell is longer than Python's reader takes (128 KiB).
    """
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text.lstrip("\ufeff")), strict=False)]
    except csv.Error as error:
        raise ValueError(f"it is no CSV: {error}") from None
    if rows and rows[0] == [str(number) for number in range(len(rows[0]))]:
        del rows[0]
    while rows and not any(rows[-1]):
        del rows[-1]
    return rows


def invoice_from_json(text: str) -> dict[str, Any]:
    """
    Return the fields of an invoice: dates as ISO strings, amounts as numbers, what is missing as ``None``.

    A field that the service has added is kept as it is.

    :param text: the JSON of a RecognizeAndParseInvoice job.
    :raises ValueError: where it is not a JSON object.
    """
    fields = json.loads(text)
    if not isinstance(fields, dict):
        raise ValueError(f"it is a JSON {type(fields).__name__}, not an object")
    invoice: dict[str, Any] = dict.fromkeys((*INVOICE_DATES, *INVOICE_TEXTS, *INVOICE_NUMBERS))
    for name, value in fields.items():
        if name in INVOICE_DATES:
            invoice[name] = _date(value)
        elif name in INVOICE_NUMBERS:
            invoice[name] = _number(value)
        else:
            invoice[name] = value if not isinstance(value, str) else value.strip() or None
    if invoice["vat"] == NO_VAT:
        invoice["vat"] = None
    return invoice


def _date(value: Any) -> str | None:
    text = str(value or "").strip()
    for form in _DATE_FORMATS:
        try:
            return datetime.strptime(text, form).date().isoformat()
        except ValueError:
            continue
    try:
        return date.fromisoformat(text[:10]).isoformat()
    except ValueError:
        return text or None


def _number(value: Any) -> int | float | None:
    if isinstance(value, bool) or value in (None, ""):
        return None
    if isinstance(value, int):
        return value
    try:
        number = float(str(value).replace(",", "") if isinstance(value, str) else value)
    except (TypeError, ValueError):
        return None
    # JSON has no infinity: a database would refuse it.
    return number if math.isfinite(number) else None


def fonts_from_text(text: str) -> tuple[str | None, list[str]]:
    """
    Return the style and the fonts of an IdentifyFont result: ``{'style': 'regular', 'font': ['tahoma', ...]}``.

    The service writes it in single quotes, which is no JSON; both are read, and nothing of it is ever run. Source:
    "Fetching font identification result", docs.aspose.cloud/ocr/fetch-font-identification-result/.

    :param text: the result.
    :raises ValueError: where it is neither.
    """
    try:
        found = json.loads(text)
    except ValueError:
        try:
            found = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            raise ValueError("it is neither JSON nor a literal in single quotes") from None
    if not isinstance(found, dict):
        raise ValueError(f"it is a {type(found).__name__}, not an object")
    style, fonts = found.get("style"), found.get("font") or []
    if isinstance(fonts, str):
        fonts = [fonts]
    if not isinstance(fonts, list | tuple) or not all(isinstance(font, str) for font in fonts):
        raise ValueError("its `font` is not a list of names")
    return str(style) if style else None, list(fonts)


def blocks_from_json(text: str) -> list[dict[str, Any]]:
    """
    Return the blocks of a JSON result: ``[{"rect": [x1, y1, x2, y2], "text"}, ...]`` in pixels.

    Corners may be named in any of the ways the service has used: two or four points, or the names of a rectangle.

    :param text: the JSON.
    :raises ValueError: where it is not a list of blocks, or an object that holds one.
    """
    found = json.loads(text)
    if isinstance(found, dict):
        found = next((value for value in found.values() if isinstance(value, list)), None)
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ValueError("it is not a list of blocks")
    blocks = []
    for entry in found:
        numbers = [
            number for name, value in entry.items() if not isinstance(value, str) for number in _numbers(name, value)
        ]
        xs = [number for axis, number in numbers if axis == "x"]
        ys = [number for axis, number in numbers if axis == "y"]
        texts = [value for name, value in entry.items() if isinstance(value, str) and "text" in name.lower()]
        rect = [min(xs), min(ys), max(xs), max(ys)] if xs and ys else None
        blocks.append({"rect": rect, "text": texts[0] if texts else ""})
    return blocks


def _numbers(name: str, value: Any) -> list[tuple[str, int]]:
    """The coordinates below a property, each with its axis: by the last letter of its name, or its place in a list."""
    if isinstance(value, Mapping):
        return [found for key, part in value.items() for found in _numbers(str(key), part)]
    if isinstance(value, list):
        if value and all(isinstance(part, int | float) and not isinstance(part, bool) for part in value):
            return [("xy"[at % 2], round(part)) for at, part in enumerate(value)]
        return [found for part in value for found in _numbers(name, part)]
    axis = name[-1:].lower()
    if axis in ("x", "y") and isinstance(value, int | float) and not isinstance(value, bool):
        return [(axis, round(value))]
    return []


def _table_values(task: OcrTask, limit: int) -> dict[str, Any]:
    found = _small(task.of_type("Csv"), limit)
    return {"rows": [row for result in found for row in rows_from_csv(result.text)]} if found else {}


def _invoice_values(task: OcrTask, _limit: int) -> dict[str, Any]:
    return {"invoice": next((invoice_from_json(result.text) for result in task.of_type("Text")), None)}


def _font_values(task: OcrTask, _limit: int) -> dict[str, Any]:
    style, fonts = next((fonts_from_text(result.text) for result in task.of_type("Text")), (None, []))
    return {"style": style, "fonts": fonts}


def _block_values(task: OcrTask, limit: int) -> dict[str, Any]:
    for kind, read in (("JSON", blocks_from_json), ("Hocr", blocks_from_hocr)):
        found = _small(task.of_type(kind), limit)
        if found:
            return {"blocks": [block for result in found for block in read(result.text)]}
    return {}


def _storable(value: Any) -> Any:
    """A value without what Airflow's database refuses: NUL, half a surrogate pair, numbers that JSON does not have."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {_storable(name): _storable(part) for name, part in value.items()}
    return [_storable(part) for part in value] if isinstance(value, list) else value


def _small(results: list[OcrResult], limit: int) -> list[OcrResult]:
    """All the results, unless they are so large that reading them for an XCom is in vain."""
    return results if sum(result.size for result in results) <= _MARKUP * limit else []


TYPED_VALUES: Mapping[ResultShape, Callable[[OcrTask, int], dict[str, Any]]] = MappingProxyType(
    {
        ResultShape.TABLE: _table_values,
        ResultShape.INVOICE: _invoice_values,
        ResultShape.FONTS: _font_values,
        ResultShape.ENTRIES: _block_values,
    }
)
"""The keys that an endpoint's XCom has besides those of all endpoints, by the shape of its results."""


_ADDED_TO = {ResultShape.ENTRIES: "blocks", ResultShape.TABLE: "rows"}
"""What is only added to the file or text that was asked for."""


def typed_values(task: OcrTask, shape: ResultShape, max_bytes: int, warnings: list[str]) -> dict[str, Any]:
    """
    Return the endpoint's own keys of the XCom of a completed job.

    :param task: the job, with its results.
    :param shape: how its results are read.
    :param max_bytes: values whose JSON is longer are left out: they stand in the result's file.
    :param warnings: get one more where blocks or rows cannot be read: the result they are of is whole without them.
    :raises AsposeOcrProtocolError: where what was asked for cannot be read, naming the job, which is billed.
    """
    read = TYPED_VALUES.get(shape)
    if read is None:
        return {}
    try:
        values = _storable(read(task, max_bytes))
    except (ValueError, OverflowError, RecursionError, AsposeOcrProtocolError) as error:
        # A reader's own words; never what a parser quotes of the document.
        said = error.message if isinstance(error, AsposeOcrProtocolError) else str(error)
        why = "it is not JSON" if isinstance(error, json.JSONDecodeError) else said.rstrip(".") or type(error).__name__
        if shape in _ADDED_TO:
            what = _ADDED_TO[shape]
            warnings.append(f"The {what} of the result cannot be read: {why}. The result itself is complete.")
            return {}
        raise AsposeOcrProtocolError(
            f"The result of job {task.id} cannot be read: {why}. The job is billed; its result can be fetched again by "
            "its id for 24 hours.",
            ocr_task_id=task.id,
        ) from None
    return {name: value for name, value in values.items() if len(json.dumps(value).encode()) <= max_bytes}
