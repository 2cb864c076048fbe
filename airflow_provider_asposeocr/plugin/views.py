"""What the page of one result shows, made of its XCom or of its line in a manifest, and of its files."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from airflow_provider_asposeocr.api.endpoints import ENDPOINTS, ResultShape
from airflow_provider_asposeocr.api.hocr import pages_from_hocr
from airflow_provider_asposeocr.api.images import ImageFacts
from airflow_provider_asposeocr.api.results import RESULT_TYPES
from airflow_provider_asposeocr.api.typed_results import (
    INVOICE_DATES,
    INVOICE_NUMBERS,
    INVOICE_TEXTS,
    blocks_from_json,
    fonts_from_text,
    invoice_from_json,
    rows_from_csv,
)
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.plugin.marks import MarkedRegion, Sheet, sheet_of_regions, sheets_of_hocr
from airflow_provider_asposeocr.plugin.pictures import SHOWN_BY_BROWSERS
from airflow_provider_asposeocr.plugin.places import Places, beginning_of
from airflow_provider_asposeocr.plugin.refusals import NotShownError
from airflow_provider_asposeocr.storage.documents import Document

_MOST_TEXT = 1024 * 1024
"""Bytes of a text that are shown."""
_MOST_MARKUP = 8 * 1024 * 1024
"""Bytes of an hOCR or JSON that is read for its boxes."""
MOST_ROWS = 1000
_MOST_COLUMNS = 200
_MOST_REGION_FILES = 100
_TYPES = {kind.extension: name for name, kind in reversed(RESULT_TYPES.items())}
_SHOWN_INLINE = {".png": "picture", ".wav": "sound"}

_ORDER = {name: at for at, name in enumerate((*INVOICE_TEXTS, *INVOICE_DATES, *INVOICE_NUMBERS))}

Opener = Callable[[], tuple[Document, ImageFacts]]


class FileLink(Value, frozen=True):
    """
    A file of a result.

    :param index: its place among the result's files: by that alone the page asks for it.
    :param name: what it is called.
    :param uri: where it is.
    :param type: of the result in it.
    """

    index: int
    name: str
    uri: str
    type: str

    @property
    def shown_as(self) -> str:
        """``picture`` or ``sound`` where a browser shows it."""
        return _SHOWN_INLINE.get(posixpath.splitext(self.name)[1].lower(), "")


@dataclass(slots=True)
class ResultView:
    """
    The page of one result.

    :param endpoint: what read the document.
    :param image: the document, as the user named it.
    :param ocr_task_id: the job.
    :param status: of a document in a batch.
    :param error: likewise.
    :param warnings: what the service and we had to say.
    :param cost: of the job, each with its name.
    :param files: of its results.
    :param sheets: its pages, with boxes.
    :param text: all of it, where it was asked for.
    :param rows: of a table.
    :param fields: of an invoice or a font.
    :param notes: what is not shown, and why.
    :param size: of the picture in pixels, where it is known.
    :param has_picture: whether the document can be shown.
    :param is_pdf: whether it is a PDF, which has pages to turn.
    """

    endpoint: str
    image: str = ""
    ocr_task_id: str = ""
    status: str = ""
    error: str = ""
    warnings: Sequence[str] = ()
    cost: Sequence[tuple[str, str]] = ()
    files: list[FileLink] = field(default_factory=list)
    sheets: list[Sheet] = field(default_factory=list)
    text: str = ""
    rows: Sequence[Sequence[str]] = ()
    fields: Sequence[tuple[str, str]] = ()
    notes: list[str] = field(default_factory=list)
    size: tuple[int, int] | None = None
    has_picture: bool = False
    is_pdf: bool = False


def view_of_xcom(xcom: Mapping[str, Any], places: Places) -> ResultView:
    """
    Return the page of a task's one result.

    :param xcom: of the task.
    :param places: where it reads and writes.
    """
    view = _begun(str(xcom["endpoint"]), xcom, places.document)
    results = [each for each in xcom.get("results") or () if isinstance(each, Mapping)]
    entries = [_Entry(str(each.get("type")), each.get("text"), each.get("file")) for each in results]
    if isinstance(xcom.get("text"), str):
        view.text = xcom["text"]
        # A long text stands in the XCom once.
        entries = [each for each in entries if each.type != "Text" or each.uri]
    elif xcom.get("documents") and not any(each.type == "Text" and each.uri for each in entries):
        view.text, xcom = _of_documents(xcom)
    _filled(view, entries, places, xcom)
    return view


def _of_documents(xcom: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The text of a result that stands in the XCom as documents for language models, and the XCom with it in place."""
    found = [(each.get("text"), each.get("metadata")) for each in xcom.get("documents") or ()]
    texts = [(text, about) for text, about in found if isinstance(text, str) and isinstance(about, Mapping)]
    regions = [
        {**region, "text": next((text for text, about in texts if _is_of(about, region)), None)}
        for region in xcom.get("regions") or ()
        if isinstance(region, Mapping)
    ]
    return "\n".join(text for text, _ in texts), {**xcom, "regions": regions}


def _is_of(about: Mapping[str, Any], region: Mapping[str, Any]) -> bool:
    return "order" in about and (about["order"], about.get("rect")) == (region.get("order"), region.get("rect"))


def view_of_line(endpoint: str, line: Mapping[str, Any], places: Places) -> ResultView:
    """
    Return the page of one document of a batch.

    :param endpoint: of the batch.
    :param line: its line of the manifest.
    :param places: where the task reads and writes.
    """
    view = _begun(endpoint, line, lambda: places.document_of_batch(line.get("image")))
    view.status, view.error = str(line.get("status") or ""), str(line.get("error") or "")
    _filled(view, [_Entry(link.type, None, link.uri) for link in view.files], places, {})
    return view


class _Entry(Value, frozen=True):
    """One result: its text where the XCom has it, else its file."""

    UNSAID: ClassVar[tuple[str, ...]] = ("text",)

    type: str
    text: Any
    uri: Any


def _begun(endpoint: str, told: Mapping[str, Any], opener: Opener) -> ResultView:
    files = [str(uri) for uri in told.get("files") or ()]
    view = ResultView(
        endpoint,
        ocr_task_id=str(told.get("ocr_task_id") or ""),
        warnings=[str(warning) for warning in told.get("warnings") or ()],
        cost=cost_of(told.get("cost") or told),
        files=[FileLink(at, posixpath.basename(uri), uri, _type_of(uri)) for at, uri in enumerate(files)],
    )
    try:
        found, facts = opener()
    except NotShownError as refusal:
        view.image = str(told.get("image") or "")
        view.notes.append(f"The document is not shown. {refusal.sentence}")
        return view
    view.image = found.name
    view.has_picture = facts.format in SHOWN_BY_BROWSERS or facts.format in ("TIFF", "PDF")
    view.is_pdf = facts.format == "PDF"
    if facts.width and facts.height:
        view.size = (facts.width, facts.height)
    return view


def cost_of(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """
    Return what a job cost, as the XCom tells it.

    :param told: ``{"submissions", "calls", "seconds"}``, as far as known.
    """
    cost = [
        (name, f"{told[name]:,}")
        for name in ("submissions", "calls")
        if isinstance(told.get(name), int) and not isinstance(told[name], bool)
    ]
    seconds = told.get("seconds")
    if isinstance(seconds, Mapping):
        cost += [(f"seconds ({name})", rounded(seconds[name])) for name in ("p50", "p95") if seconds.get(name)]
    elif isinstance(seconds, int | float):
        cost.append(("seconds", rounded(seconds)))
    return cost


def rounded(seconds: Any) -> str:
    """
    Return seconds for people.

    :param seconds: a number; what is none, or none that can be, is a question mark.
    """
    return f"{seconds:,.1f}" if isinstance(seconds, int | float) and abs(seconds) < 1e15 else "?"


def _type_of(uri: str) -> str:
    return _TYPES.get(posixpath.splitext(uri)[1].lower(), "")


def _filled(view: ResultView, entries: Sequence[_Entry], places: Places, xcom: Mapping[str, Any]) -> None:
    """Read what the results say, as far as each can be read; what cannot is a note."""

    def told(entry: _Entry, most: int) -> str:
        if isinstance(entry.text, str):
            return entry.text
        text, is_all = beginning_of(places.result(entry.uri), most)
        if not is_all and entry.type == "Text":
            view.notes.append(f"The text is longer than what is shown here ({most:,} bytes): its file has all.")
        elif not is_all:
            raise NotShownError(f"The {entry.type} result is too large to be shown here.")
        return text

    def of(kind: str, most: int, read: Callable[[str], Any], limit: int = 1) -> list[Any]:
        found = []
        for entry in [each for each in entries if each.type == kind][:limit]:
            try:
                found.append(read(told(entry, most)))
            except NotShownError as refusal:
                view.notes.append(refusal.sentence)
            except (ValueError, RecursionError, OverflowError) as error:
                # Never what a parser quotes of the document.
                view.notes.append(f"The {kind} result cannot be read ({type(error).__name__}).")
        return found

    shape = ENDPOINTS[view.endpoint].result_shape
    if shape is ResultShape.INVOICE:
        invoice: Any = xcom.get("invoice") or next(iter(of("Text", _MOST_TEXT, invoice_from_json)), {})
        view.fields = _named(invoice)
    elif shape is ResultShape.FONTS:
        style, fonts = (
            (xcom.get("style"), xcom.get("fonts"))
            if "fonts" in xcom
            else next(iter(of("Text", _MOST_TEXT, fonts_from_text)), (None, []))
        )
        view.fields = _named({"style": style, "fonts": ", ".join(fonts or ())})
    elif not view.text:
        view.text = "\n".join(of("Text", _MOST_TEXT, str, limit=_MOST_REGION_FILES))
    if shape is ResultShape.TABLE:
        rows = xcom.get("rows") or [row for found in of("Csv", _MOST_TEXT, rows_from_csv) for row in found]
        widest = max((len(row) for row in rows), default=0)
        view.rows = [row[:_MOST_COLUMNS] for row in rows[:MOST_ROWS]]
        if widest > _MOST_COLUMNS:
            view.notes.append(f"The table has {widest:,} columns, of which {_MOST_COLUMNS:,} are shown.")
        if len(rows) > MOST_ROWS:
            view.notes.append(f"The table has {len(rows):,} rows, of which {MOST_ROWS:,} are shown.")
    if len(view.text) > _MOST_TEXT:
        view.text = view.text[:_MOST_TEXT]
        view.notes.append(f"The text is longer than what is shown here ({_MOST_TEXT:,} characters): the XCom has all.")
    view.sheets = next(
        (found for found in _sheets(shape, of, xcom, view.notes) if any(sheet.regions for sheet in found)), [Sheet()]
    )
    _texts_of_regions(view, of)


def _sheets(shape: ResultShape, of: Any, xcom: Mapping[str, Any], notes: list[str]) -> Any:
    """The pages with their boxes, by whatever tells the most of them."""
    for pages in of("Hocr", _MOST_MARKUP, pages_from_hocr):
        yield sheets_of_hocr(pages, notes)
    yield [sheet_of_regions(xcom.get("regions") or xcom.get("blocks") or ())]
    if shape is ResultShape.RECTANGLES:
        yield [sheet_of_regions(found) for found in of("Other", _MOST_MARKUP, json.loads) if isinstance(found, list)]
    yield [sheet_of_regions(found) for found in of("JSON", _MOST_MARKUP, blocks_from_json)]


def _texts_of_regions(view: ResultView, of: Any) -> None:
    """Give regions the texts that were too long for the XCom: there is a file for each."""
    sheet = view.sheets[0]
    if ENDPOINTS[view.endpoint].result_shape is not ResultShape.PER_REGION or sheet.has_text or view.text == "":
        return
    texts = of("Text", _MOST_TEXT // 16, str, limit=_MOST_REGION_FILES)
    if len(texts) == len(sheet.regions):
        view.sheets = [
            Sheet(
                [MarkedRegion(each.number, each.rect, text) for each, text in zip(sheet.regions, texts, strict=True)],
                sheet.size,
            )
        ]


def _named(values: Any) -> list[tuple[str, str]]:
    """Fields for people: what is missing is a dash."""
    if not isinstance(values, Mapping):
        return []
    # PostgreSQL keeps no order of names: those of the service come first, and what was found before what was not.
    names = sorted(values, key=lambda name: (values[name] in (None, ""), _ORDER.get(name, len(_ORDER)), name))
    return [
        (str(name).replace("_", " "), "\N{EN DASH}" if values[name] in (None, "") else str(values[name]))
        for name in names
    ]
