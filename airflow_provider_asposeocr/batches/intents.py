"""The journal of one document's submission."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from msgspec.structs import replace

from airflow_provider_asposeocr.api.conversations import SubmissionJournal
from airflow_provider_asposeocr.batches.documents import BatchDocument, DocumentStatus
from airflow_provider_asposeocr.batches.slots import printable
from airflow_provider_asposeocr.events import Event, told

log = logging.getLogger(__name__)


class DocumentJournal(SubmissionJournal, Protocol):
    """Is also told of a document's job, the moment its id is known."""

    def accepted(self, ocr_task_id: str, version: str | None) -> None:
        """
        Called right after the answer.

        :param ocr_task_id: the job's id.
        :param version: of the file that was sent, as its storage tells it.
        """


class BatchIntent:
    """
    Remembers that a document is being submitted, while a POST of it may have been accepted, and only then.

    It is the journal that :meth:`~airflow_provider_asposeocr.hooks.aspose_ocr.AsposeOcrHook.send` takes.

    :param document: as it is remembered before.
    :param keep: remembers a document.
    :param check: called before each POST; it raises where none may be made any more.
    :param clock: returns seconds since the epoch.
    """

    def __init__(
        self,
        document: BatchDocument,
        keep: Callable[[BatchDocument], object],
        check: Callable[[], object],
        clock: Callable[[], float],
    ) -> None:
        self.document = document
        self.store_error: Exception | None = None
        """Why what must be remembered before a POST could not be: nothing was sent."""
        self._keep = keep
        self._check = check
        self._clock = clock
        self._maybe_accepted = 0

    @property
    def in_doubt(self) -> bool:
        """Whether the document may have been accepted."""
        return self._maybe_accepted > 0

    def about_to_send(self) -> None:
        """Write the intent, unless an earlier POST may have been accepted: then it is there."""
        self._check()
        if not self.in_doubt:
            intended = replace(
                self.document,
                status=DocumentStatus.SUBMITTING,
                submitted_at=self._clock(),
                submissions=self.document.submissions + 1,
            )
            try:
                self._keep(intended)
            except Exception as error:
                self.store_error = error
                # Where only the answer was lost, the intent stands in the store; and another write would take it along.
                self._take_back(self.document)
                raise
            self._before, self.document = self.document, intended
        self._maybe_accepted += 1

    def certainly_not_accepted(self) -> None:
        """Take the intent back, unless an earlier POST may have been accepted."""
        if not self.in_doubt:
            return
        self._maybe_accepted -= 1
        if not self.in_doubt:
            self.document = self._before
            self._take_back(self.document)

    def _take_back(self, document: BatchDocument) -> None:
        try:
            self._keep(document)
        except Exception as error:  # noqa: BLE001 - what came first goes on
            # The next write of the same key takes it along.
            log.warning("That %s was not accepted could not be noted: %s", printable(document.image), error)

    def accepted(self, ocr_task_id: str, version: str | None) -> None:
        """
        Remember the job of the document. Where that fails, the batch goes on with the id it has.

        :param ocr_task_id: its id.
        :param version: of the file.
        """
        names = {"document": printable(self.document.image), "ocr_task_id": ocr_task_id}
        told(log, Event.JOB_SUBMITTED, "%s is job %s", *names.values(), **names)
        self._maybe_accepted = 0
        self.document = replace(
            self.document,
            status=DocumentStatus.RUNNING,
            ocr_task_id=ocr_task_id,
            submitted_at=self._clock(),
            version=version,
        )
        try:
            self._keep(self.document)
        except Exception as error:  # noqa: BLE001 - the job is paid for
            log.warning("Job %s could not be remembered: %s: %s", ocr_task_id, type(error).__name__, error)
