"""What a batch does at the service and on storages, one document at a time: in threads, and over one session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import copy_context
from typing import Protocol, TypeVar

from msgspec.structs import replace

from airflow_provider_asposeocr.api.results import OcrTask
from airflow_provider_asposeocr.batches.delivering import delivered, make_ready
from airflow_provider_asposeocr.batches.documents import BatchDocument
from airflow_provider_asposeocr.batches.intents import DocumentJournal
from airflow_provider_asposeocr.batches.listing import version_of
from airflow_provider_asposeocr.batches.plan import BatchPlan
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrAsyncHook, AsposeOcrHook
from airflow_provider_asposeocr.hooks.flows import LONGEST_FETCH
from airflow_provider_asposeocr.storage.documents import storage_path
from airflow_provider_asposeocr.storage.lineage import LOCAL_PROTOCOLS, document_sent

T = TypeVar("T")
_MOST_UPLOADS = 64
"""As many connections as the session keeps: each more is a warning in the log, and a handshake for nothing."""
_WRITERS = 16


class BatchService(Protocol):
    """What a run of a batch needs: the service and the storages, or what stands in for them with a time of its own."""

    def now(self) -> float:
        """Return the time in seconds since the epoch."""

    async def blocking(self, work: Callable[[], T]) -> T:
        """
        Do what takes its time, such as to write the journal, while all else goes on.

        :param work: what.
        """

    async def submit(self, document: BatchDocument, journal: DocumentJournal) -> None:
        """
        Check and submit a document.

        :param document: which.
        :param journal: is told of each POST, and of the job.
        """

    async def ask(self, document: BatchDocument) -> OcrTask:
        """
        Ask for a document's job, with its results once it is completed.

        :param document: whose.
        """

    async def deliver(self, document: BatchDocument, task: OcrTask) -> BatchDocument:
        """
        Write the results of a completed job, and return what its document has come to.

        :param document: whose it was.
        :param task: the job with its results.
        """

    async def cancel(self, document: BatchDocument) -> None:
        """
        Cancel a document's job.

        :param document: whose.
        """


class HookedService:
    """
    The service over the hooks. Nothing is repeated here: what a failure means for all is the gate's to say.

    :param hook: with the connection, for uploads.
    :param polling: the same, for polls.
    :param plan: what to do.
    :param uploads: threads for submissions.
    :param writers: threads for results.
    :param others: threads for what is remembered: neither waits for a slow upload, nor the reverse.
    :param clock: returns seconds since the epoch.
    """

    def __init__(
        self,
        hook: AsposeOcrHook,
        polling: AsposeOcrAsyncHook,
        plan: BatchPlan,
        uploads: Executor,
        writers: Executor,
        others: Executor,
        clock: Callable[[], float],
    ) -> None:
        self._hook = hook
        self._polling = polling
        self._plan = plan
        self._uploads = uploads
        self._writers = writers
        self._others = others
        self.now = clock

    @classmethod
    @asynccontextmanager
    async def over(
        cls, hook: AsposeOcrHook, plan: BatchPlan, clock: Callable[[], float]
    ) -> AsyncIterator[HookedService]:
        """
        Open threads enough for all uploads, and one pooled session for all polls.

        :param hook: with the connection.
        :param plan: what to do.
        :param clock: returns seconds since the epoch.
        """
        most = min(plan.max_concurrency + 1, _MOST_UPLOADS)
        with (
            ThreadPoolExecutor(most, thread_name_prefix="aspose-ocr-batch-upload") as uploads,
            ThreadPoolExecutor(min(most, _WRITERS), thread_name_prefix="aspose-ocr-batch-write") as writers,
            ThreadPoolExecutor(2, thread_name_prefix="aspose-ocr-batch-memory") as others,
        ):
            async with AsposeOcrAsyncHook.over(hook) as polling:
                yield cls(hook, polling, plan, uploads, writers, others, clock)

    async def blocking(self, work: Callable[[], T]) -> T:
        """
        Do what takes its time, while all else goes on.

        :param work: what.
        """
        return await _in(self._others, work)

    async def submit(self, document: BatchDocument, journal: DocumentJournal) -> None:
        """
        Check and submit a document.

        :param document: which.
        :param journal: is told of each POST, and of the job.
        """
        await _in(self._uploads, lambda: self._send(document, journal))

    def _send(self, document: BatchDocument, journal: DocumentJournal) -> None:
        plan, hook = self._plan, self._hook
        path = storage_path(document.image, plan.storage_conn_id)
        version = document.version or version_of(document.image, plan.storage_conn_id)
        submission = hook.prepare(
            plan.endpoint, document.image, plan.settings, regions=plan.regions, storage_conn_id=plan.storage_conn_id
        )
        make_ready(plan, document, submission.settings)
        if document.version is not None and path.protocol in LOCAL_PROTOCOLS:
            # It may have changed since it was listed. Elsewhere that costs a call, and may be said in other words.
            version = version_of(document.image, plan.storage_conn_id)
        journal.accepted(hook.send(submission, journal=journal), version)
        document_sent(path)

    async def ask(self, document: BatchDocument) -> OcrTask:
        """
        Ask for a document's job, with its results once it is completed.

        :param document: which.
        """
        task = await self._polling.get_task(
            self._plan.endpoint, document.ocr_task_id or "", retry_limit=0, deadline=self.now() + LONGEST_FETCH
        )
        return replace(task, id=document.ocr_task_id or task.id)

    async def deliver(self, document: BatchDocument, task: OcrTask) -> BatchDocument:
        """
        Write the results of a completed job.

        :param document: whose it was.
        :param task: the job with its results.
        """
        return await _in(self._writers, lambda: delivered(self._plan, document, task))

    async def cancel(self, document: BatchDocument) -> None:
        """
        Cancel a document's job.

        :param document: whose.
        """
        await self._polling.cancel(self._plan.endpoint, document.ocr_task_id or "")


async def _in(executor: Executor, work: Callable[[], T]) -> T:
    # As `asyncio.to_thread` does, but in threads of its own kind.
    return await asyncio.get_running_loop().run_in_executor(executor, copy_context().run, work)
