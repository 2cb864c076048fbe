"""What the documents of a batch come to in one try, noted and counted; and when no more of them are submitted."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from airflow_provider_asposeocr import metrics
from airflow_provider_asposeocr.batches.documents import BatchDocument, DocumentStatus
from airflow_provider_asposeocr.batches.memory import BatchMemory
from airflow_provider_asposeocr.batches.plan import BatchPlan
from airflow_provider_asposeocr.batches.progress import Progress
from airflow_provider_asposeocr.batches.service import BatchService
from airflow_provider_asposeocr.events import Event, warned
from airflow_provider_asposeocr.exceptions import AsposeOcrError

log = logging.getLogger(__name__)


class Ends:
    """
    Notes what each document comes to.

    :param plan: what to do.
    :param memory: where it is noted.
    :param progress: counts.
    :param before: what :meth:`to_json` returned in the part of the try before this one; ``None`` where there was none.
    """

    def __init__(
        self, plan: BatchPlan, memory: BatchMemory, progress: Progress, before: Mapping[str, Any] | None = None
    ) -> None:
        before = before or {}
        self._plan = plan
        self._memory = memory
        self._progress = progress
        self._failed = int(before.get("failed") or 0)
        self.stopped: str | None = before.get("stopped")
        """Why no more documents are submitted, where that is so."""
        self.moved_at = 0.0
        """When something came forward last, in seconds since the epoch."""

    def to_json(self) -> dict[str, Any]:
        """Return what holds for the whole try, for the part of it after a deferral, as plain JSON."""
        return {"failed": self._failed, "stopped": self.stopped}

    def begin(self, service: BatchService) -> None:
        """
        Begin to count.

        :param service: knows the time.
        """
        self._service = service
        self.moved_at = service.now()

    async def left_running(self, document: BatchDocument, error: AsposeOcrError) -> None:
        """
        Take it that this try does not get at a job's result; the next one goes on with it.

        :param document: whose job it is.
        :param error: why.
        """
        await self._give_up(replace(document, error=str(error.about(image=document.image))), error)

    async def failed(self, document: BatchDocument, error: AsposeOcrError, *, in_doubt: bool = False) -> None:
        """
        Take it that a document failed.

        :param document: which.
        :param error: why.
        :param in_doubt: whether it may have been accepted all the same.
        """
        error.about(image=document.image)
        await self._give_up(document.failed(error, in_doubt=in_doubt), error)

    async def _give_up(self, document: BatchDocument, error: AsposeOcrError) -> None:
        ids = {"endpoint": self._plan.endpoint.name, "document": document.image, "ocr_task_id": document.ocr_task_id}
        warned(log, Event.DOCUMENT_FAILED, "%s", error, **ids, error=type(error).__name__)
        metrics.failed(error, self._plan.endpoint.name)
        self._failed += 1
        most = self._plan.max_failures
        if self._plan.fail_fast:
            self.stop("a document failed (on_error='fail_fast')")
        elif most is not None and self._failed > most:
            self.stop(f"more than max_failures={most} documents failed")
        await self.settled(document)

    async def settled(self, document: BatchDocument) -> None:
        """
        Note what a document has come to in this try.

        :param document: as it is now.
        """
        before = DocumentStatus.RUNNING if document.ocr_task_id else DocumentStatus.WAITING
        self._progress.moved(before, document.status)
        self.moved_at = self._service.now()
        if self._memory.record(document):
            await self.flush()

    async def flush(self) -> None:
        """Write the journal; where that fails, the next time takes it along."""
        try:
            await self._service.blocking(self.keep)
        except Exception as error:  # noqa: BLE001 - the one at the end matters
            log.warning("The journal could not be written: %s: %s", type(error).__name__, error)

    def keep(self) -> None:
        """Write the journal, and how many polls there were."""
        self._memory.flush()
        self._memory.keep_calls(self._progress.calls)

    def stop(self, why: str) -> None:
        """
        Submit no more documents.

        :param why: for the log and the error.
        """
        if self.stopped is None:
            self.stopped = why
            warned(log, Event.BATCH_STOPPED, "No more documents are submitted: %s", why)
