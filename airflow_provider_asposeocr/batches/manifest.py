"""The manifest of a batch, made of its list and its journal, and what it says of the whole."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

from airflow_provider_asposeocr.batches.documents import DONE, BatchDocument, DocumentStatus
from airflow_provider_asposeocr.batches.lines import entry_of, line_of
from airflow_provider_asposeocr.batches.memory import BatchMemory
from airflow_provider_asposeocr.batches.names import canonical
from airflow_provider_asposeocr.batches.slots import printable
from airflow_provider_asposeocr.storage.failures import remembering
from airflow_provider_asposeocr.storage.writing import write_file

MOST_FAILURES_IN_XCOM = 100
_IN_MEMORY = 1024 * 1024


@dataclass(slots=True)
class Summary:
    """
    What a batch has come to.

    :param counts: of the documents, by status.
    :param submissions: how many submissions were accepted, or may have been, in all tries.
    :param seconds: for how long jobs took, each.
    :param failures: the first of the documents that failed.
    :param hopeless: whether all that failed would fail again.
    """

    counts: Counter[DocumentStatus] = field(default_factory=Counter)
    submissions: int = 0
    seconds: list[float] = field(default_factory=list)
    failures: list[BatchDocument] = field(default_factory=list)
    hopeless: bool = True

    @property
    def documents(self) -> int:
        """How many there are."""
        return self.counts.total()

    @property
    def completed(self) -> int:
        """How many were read."""
        return self.counts[DocumentStatus.COMPLETED]

    @property
    def skipped(self) -> int:
        """How many need not be read."""
        return self.counts[DocumentStatus.SKIPPED]

    @property
    def failed(self) -> int:
        """How many have no result."""
        return self.documents - self.completed - self.skipped

    def add(self, document: BatchDocument) -> None:
        """
        Count a document.

        :param document: as it is at the end.
        """
        self.counts[document.status] += 1
        self.submissions += document.submissions
        if document.status is DocumentStatus.COMPLETED and document.seconds is not None:
            self.seconds.append(document.seconds)
        if document.error is None:
            return
        self.hopeless &= document.status in (DocumentStatus.REFUSED, DocumentStatus.SUBMITTING)
        if len(self.failures) < MOST_FAILURES_IN_XCOM:
            self.failures.append(document)

    def to_xcom(self) -> dict[str, Any]:
        """Return the counts, and the first failures, as plain JSON."""
        ordered = sorted(self.seconds)
        return {
            "documents": self.documents,
            "completed": self.completed,
            "skipped": self.skipped,
            "failed": self.failed,
            "submissions": self.submissions,
            "seconds": {
                name: ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else None
                for name, share in (("p50", 0.5), ("p95", 0.95))
            },
            "failures": [
                {"image": printable(each.image), "ocr_task_id": each.ocr_task_id, "error": printable(each.error or "")}
                for each in self.failures
            ],
        }


def last_words(memory: BatchMemory) -> Iterator[tuple[BatchDocument, bytes]]:
    """
    Read what each document has come to, in the order of the list, each with its line.

    What is on its way is newer than the journal, but for what a store that failed could not take or forget.

    :param memory: of the batch.
    """
    last: dict[int, bytes] = {}
    for line in memory.journal():
        entry = entry_of(line)
        if entry is not None:
            last[int(entry.get("number", 0))] = line
    underway = memory.slots.documents
    for number, listed in enumerate(memory.listed()):
        line = last.pop(number, listed)
        entry = entry_of(line)
        document = None if entry is None else BatchDocument.remembered(entry)
        if number in underway and not _is_newer(document, underway[number]):
            document = underway[number]
            line = line_of(document.to_json())
        if document is not None:
            yield document, line


def _is_newer(noted: BatchDocument | None, underway: BatchDocument) -> bool:
    """Whether the journal has what came of a submission of which the store knows less."""
    if noted is None or noted.status in DONE:
        return noted is not None
    if underway.status is DocumentStatus.SUBMITTING:
        return noted.ocr_task_id is not None and noted.submissions >= underway.submissions
    return noted.ocr_task_id is not None and noted.ocr_task_id == underway.ocr_task_id


def write_manifest(memory: BatchMemory, total: int) -> Summary:
    """
    Write the manifest: a line of JSON per document, in the order of the list.

    :param memory: of the batch.
    :param total: how many documents it has.
    :returns: what it says of the whole.
    :raises AsposeOcrBatchError: where the list is gone, or a part of it, or the manifest cannot be written.
    """
    summary = Summary()
    ages: dict[str, tuple[float, int]] = {}
    with (
        remembering(f"The manifest {memory.manifest} cannot be written"),
        tempfile.SpooledTemporaryFile(_IN_MEMORY) as spooled,
    ):
        for document, line in last_words(memory):
            summary.add(document)
            ages[canonical(document.image)] = document.age
            spooled.write(line.rstrip(b"\n") + b"\n")
        if summary.documents != total:
            raise memory.lost(total, summary.documents)
        memory.bytes_written += spooled.tell()
        spooled.seek(0)
        memory.keep_what_goes(ages)
        write_file(cast("BinaryIO", spooled), memory.manifest)
    return summary
