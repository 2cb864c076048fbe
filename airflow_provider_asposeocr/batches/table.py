"""
The results of a batch as one Parquet table, beside its manifest: a row per document, page or region.

The texts are read from the files that were written, those of earlier tries and runs too. So it is the table of the
whole list whatever happened between, and writing it again gives the same one. It is written in groups of rows, to a
temporary file: memory does not grow with the batch.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from airflow_provider_asposeocr.api.endpoints import ResultShape
from airflow_provider_asposeocr.api.results import result_type_named
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.batches.documents import DONE, BatchDocument
from airflow_provider_asposeocr.batches.lines import entries_in, names_in
from airflow_provider_asposeocr.batches.memory import BatchMemory
from airflow_provider_asposeocr.batches.plan import BatchPlan
from airflow_provider_asposeocr.batches.slots import printable
from airflow_provider_asposeocr.exceptions import AsposeOcrBatchError, AsposeOcrInputError
from airflow_provider_asposeocr.extras import module_of_extra
from airflow_provider_asposeocr.storage.documents import storage_path
from airflow_provider_asposeocr.storage.failures import NOTHING_SENT, before_sending, what_broke
from airflow_provider_asposeocr.storage.lineage import open_untracked
from airflow_provider_asposeocr.storage.writing import write_file

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

COLUMNS = (
    ("document", "string"),
    ("ocr_task_id", "string"),
    ("status", "string"),
    ("endpoint", "string"),
    ("language", "string"),
    ("settings", "string"),
    ("page", "int32"),
    ("region", "int32"),
    ("rect", "list<int32>"),
    ("text", "string"),
    ("warnings", "list<string>"),
    ("error", "string"),
    ("file", "string"),
    ("files", "list<string>"),
    ("seconds", "float64"),
    ("submitted_at", "timestamp[us, UTC]"),
    ("run", "string"),
)
"""The table's columns and their types, whatever is in them: each may be null."""
_TELLING = {"document", "ocr_task_id", "status", "run"}
"""Columns that no table of somebody else has, all of them."""
ROWS_PER_GROUP = 10_000
BYTES_PER_GROUP = 16 * 1024 * 1024
LONGEST_TEXT = 16 * 1024 * 1024
"""Bytes. A longer one stands in its file only."""
_READERS = 16
_BEYOND_INT32 = 2**31


def needs_arrow() -> tuple[Any, Any]:
    """
    Return pyarrow, and what of it writes Parquet.

    :raises AsposeOcrInputError: where it is not installed, naming the extra.
    """
    purpose = "results='parquet'"
    return module_of_extra("pyarrow", "parquet", purpose), module_of_extra("pyarrow.parquet", "parquet", purpose)


def needs_a_table(memory: BatchMemory, plan: BatchPlan) -> None:
    """
    See, before anything is billed, that there can be a table.

    :param memory: of the batch.
    :param plan: what to do.
    :raises AsposeOcrInputError: where the extra is missing, a region's numbers are beyond those of its columns, or a
        file of somebody else bears its name.
    """
    needs_arrow()
    if not plan.overwrite:
        with before_sending(f"{memory.table} cannot be looked into"):
            is_in_the_way = memory.table.name in names_in(memory.folder) and not _is_ours(memory.table)
        if is_in_the_way:
            raise AsposeOcrInputError(
                f"{memory.table} is no table of a batch, and would be replaced by one (results='parquet'): set "
                f"output_path to another folder, or overwrite=True. {NOTHING_SENT}"
            )
    for region in getattr(plan.typed_settings, "regions", ()):
        for number in (region.order, *region.rect.corners):
            if not -_BEYOND_INT32 <= number < _BEYOND_INT32:
                raise AsposeOcrInputError(
                    f"A region's number {number} is too large for the table (results='parquet'): it has 32 bits. "
                    f"{NOTHING_SENT}"
                )


def _is_ours(table: ObjectStoragePath) -> bool:
    arrow, parquet = needs_arrow()
    try:
        with open_untracked(table, "rb") as file:
            return set(parquet.read_schema(file).names) >= _TELLING
    except arrow.ArrowInvalid:
        return False


def schema() -> Any:
    """Return the table's schema, as pyarrow has it."""
    arrow, _ = needs_arrow()
    types = {
        "string": arrow.string(),
        "int32": arrow.int32(),
        "float64": arrow.float64(),
        "list<int32>": arrow.list_(arrow.int32()),
        "list<string>": arrow.list_(arrow.string()),
        "timestamp[us, UTC]": arrow.timestamp("us", tz="UTC"),
    }
    return arrow.schema([(name, types[kind]) for name, kind in COLUMNS])


def write_table(
    memory: BatchMemory, plan: BatchPlan, failure: Exception | None = None, check: Callable[[], object] = lambda: None
) -> str | None:
    """
    Write the table of a batch whose manifest is written, in the place of an older one, and return its URI.

    :param memory: of the batch.
    :param plan: what was done.
    :param failure: what the task fails with anyway: beside it, a table that cannot be written is a warning.
    :param check: is called now and then; it raises where the task was told to end.
    :raises AsposeOcrBatchError: where that cannot be: a retry writes it, and nothing is billed again.
    """
    try:
        _written(memory, plan, check)
    except Exception as error:
        check()
        refused = AsposeOcrBatchError(
            f"The table {memory.table} could not be written: {what_broke(error)}. All that was read stands in its "
            f"files, see {memory.manifest}: a retry writes the table, and nothing is billed again.",
            endpoint=plan.endpoint.name,
        )
        if failure is None:
            raise refused from error
        log.warning("%s", refused)
        return None
    return str(memory.table)


def _written(memory: BatchMemory, plan: BatchPlan, check: Callable[[], object]) -> None:
    arrow, parquet = needs_arrow()
    kinds = schema()
    rows = _Rows(plan)
    with tempfile.TemporaryFile() as file:
        with parquet.ParquetWriter(file, kinds, compression="zstd") as writer:
            # The manifest has just been written: unlike the journal, it is read line by line.
            documents = (BatchDocument.remembered(entry) for entry in entries_in(memory.manifest))
            for group in _groups(rows.of(documents)):
                check()
                writer.write_table(arrow.Table.from_pylist(group, schema=kinds))
        file.seek(0)
        write_file(cast("BinaryIO", file), memory.table)


def _groups(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        group.append(row)
        size += len(row["text"] or "")
        if len(group) >= ROWS_PER_GROUP or size >= BYTES_PER_GROUP:
            yield group
            group, size = [], 0
    if group:
        yield group


class _Part(Value, frozen=True):
    """A file of text of a document, and what of the document that is: all of it, a page, a region; 0 where unknown."""

    file: str | None
    place: int = 0


class _Rows:
    """
    Makes the rows of documents.

    :param plan: what was done.
    """

    def __init__(self, plan: BatchPlan) -> None:
        settings = plan.typed_settings
        self._folder = plan.folder
        self._spelt = f"{str(plan.folder).rstrip('/')}/"
        self._regions = (
            sorted(getattr(settings, "regions", ()), key=lambda region: region.order)
            if plan.endpoint.result_shape is ResultShape.PER_REGION
            else []
        )
        texts = [part for part in settings.result_parts if result_type_named(part).is_text]
        best = "Text" if "Text" in texts else next(iter(texts), None)
        self._extension = result_type_named(best).extension if best else None
        wire = settings.to_wire()
        language = wire.get("language")
        self._same = {
            "endpoint": plan.endpoint.name,
            "language": None if language is None else str(language),
            "settings": json.dumps(wire, ensure_ascii=False, sort_keys=True),
        }

    def of(self, documents: Iterable[BatchDocument]) -> Iterator[dict[str, Any]]:
        """
        Return the rows of documents, in their order. Some files are read ahead, side by side.

        :param documents: as they are at the end.
        """
        ahead: deque[Future[list[dict[str, Any]]]] = deque()
        with ThreadPoolExecutor(_READERS, thread_name_prefix="aspose-ocr-batch-table") as readers:
            for document in documents:
                ahead.append(readers.submit(self._of_one, document))
                if len(ahead) >= 2 * _READERS:
                    yield from ahead.popleft().result()
            while ahead:
                yield from ahead.popleft().result()

    def _of_one(self, document: BatchDocument) -> list[dict[str, Any]]:
        is_done = document.status in DONE
        files = [printable(file) for file in document.files] if is_done else []
        row = {
            **self._same,
            "document": printable(document.image),
            "ocr_task_id": document.ocr_task_id,
            "status": document.status.value,
            "error": None if document.error is None else printable(document.error),
            "files": files,
            "seconds": document.seconds,
            "submitted_at": None if document.submitted_at is None else int(document.submitted_at * 1e6),
            "run": document.reader or document.run,
        }
        return [self._filled(row, part, document) for part in self._parts(document, is_done=is_done)]

    def _parts(self, document: BatchDocument, *, is_done: bool) -> list[_Part]:
        if not is_done:
            return [_Part(None)]
        places = document.places or (0,) * len(document.files)
        texts = [
            _Part(file, place)
            for file, place in zip(document.files, places, strict=False)
            if self._extension and file.endswith(self._extension)
        ]
        if self._regions and any(part.place for part in texts):
            # Each region has a row, also one that came back without a result.
            by_place = {part.place: part for part in texts}
            return [by_place.get(place, _Part(None, place)) for place in range(1, len(self._regions) + 1)]
        return texts or [_Part(next(iter(document.files), None))]

    def _filled(self, row: dict[str, Any], part: _Part, document: BatchDocument) -> dict[str, Any]:
        region = self._regions[part.place - 1] if self._regions and part.place else None
        warnings = [printable(warning) for warning in document.warnings]
        return {
            **row,
            "page": part.place if part.place and not self._regions else None,
            "region": None if region is None else region.order,
            "rect": None if region is None else region.rect.corners,
            "text": self._text(part.file, warnings),
            "warnings": warnings,
            "file": None if part.file is None else printable(part.file),
        }

    def _text(self, file: str | None, warnings: list[str]) -> str | None:
        if file is None or not (self._extension and file.endswith(self._extension)):
            return None
        try:
            with open_untracked(self._path(file), "rb") as opened:
                content = opened.read(LONGEST_TEXT + 1)
        except FileNotFoundError:
            warnings.append(f"{printable(file)} is not there any more: its text is not in this table.")
            return None
        if len(content) > LONGEST_TEXT:
            warnings.append(f"{printable(file)} has more than {LONGEST_TEXT} bytes: its text is not in this table.")
            return None
        return content.decode("utf-8-sig", errors="replace")

    def _path(self, file: str) -> ObjectStoragePath:
        # Below the output folder, whose connection a URI of Airflow 2.11 does not hold.
        return self._folder / file[len(self._spelt) :] if file.startswith(self._spelt) else storage_path(file)
