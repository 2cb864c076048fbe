"""
Many documents in one task: what is remembered of each, and the loop that submits, asks, fetches and writes.

The loop keeps at most ``max_concurrency`` jobs at the service, asks for each when it is likely done, and writes each
result the moment it is there. It runs in a worker; while all jobs only wait, the task is deferred and one trigger
watches for all of them. What each document has come to is remembered before and after each submission, so that a later
try submits only what is not there yet.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Collection, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from contextvars import copy_context
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import timedelta
from enum import StrEnum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from airflow_provider_asposeocr.api.endpoints import Endpoint
from airflow_provider_asposeocr.api.pacing import BatchPolls
from airflow_provider_asposeocr.api.polling import Poller, PollOutcome, PollSchedule, PollVerdict, failure_of
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrAmbiguousSubmissionError,
    AsposeOcrAuthError,
    AsposeOcrError,
    AsposeOcrInputError,
    AsposeOcrInterruptedError,
)
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrAsyncHook, AsposeOcrHook
from airflow_provider_asposeocr.hooks.lineage import document_sent
from airflow_provider_asposeocr.outputs import OutputFiles, deliver, expected_extensions, write_file
from airflow_provider_asposeocr.submissions import RETENTION, TaskStateStore

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_asposeocr.api.results import OcrTask
    from airflow_provider_asposeocr.api.settings import Settings

log = logging.getLogger(__name__)

MANIFEST = "manifest.jsonl"
PROGRESS_INTERVAL = 10.0
"""Seconds between two lines of progress in the log, and between two writes of the manifest, at least."""
_CHUNK = 25
"""Documents per key of the task state store: a write stays small, and so does the number of keys."""
_HEADER = "aspose_ocr_batch"
_LONGEST_PAUSE = 0.5
"""Seconds. How long the loop sleeps at a stretch, so that it notices a kill."""
_MOST_THREADS = 64
_CANCELLING_THREADS = 16
_LONGEST_END = 30.0
"""Seconds that an interrupted batch waits for what is under way."""


class DocumentStatus(StrEnum):
    """What a document of a batch has come to."""

    WAITING = "Waiting"
    """Nothing was sent."""
    SUBMITTING = "Submitting"
    """A POST is out: if the task dies now, nobody knows whether the service accepted it."""
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"
    """With an error that another try may mend."""
    REFUSED = "Refused"
    """With an error that no other try can mend."""


_FORGOTTEN: Mapping[str, Any] = {
    "status": DocumentStatus.WAITING,
    "ocr_task_id": None,
    "submitted_at": None,
    "deadline": None,
}


@dataclass(frozen=True, slots=True)
class BatchDocument:
    """
    One document of a batch: a line of the manifest.

    :param image: its path or URI.
    :param status: what it has come to.
    :param ocr_task_id: the id of its job.
    :param files: the URIs of its results, or of those that an earlier submission of the same task brought.
    :param warnings: of the service.
    :param error: why it failed.
    :param seconds: from its submission to its result.
    :param submitted_at: seconds since the epoch.
    :param fingerprint: of the settings and the endpoint.
    :param run: the task instance it belongs to.
    :param deadline: until when to wait for its job, in seconds since the epoch.
    :param max_tries: of the task instance when it was submitted: a user's clear raises it, a retry does not.
    """

    image: str
    status: DocumentStatus = DocumentStatus.WAITING
    ocr_task_id: str | None = None
    files: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    error: str | None = None
    seconds: float | None = None
    submitted_at: float | None = None
    fingerprint: str | None = None
    run: str | None = None
    deadline: float | None = None
    max_tries: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the document as plain JSON: Airflow's store takes nothing else."""
        return {**asdict(self), "status": self.status.value, "files": list(self.files), "warnings": list(self.warnings)}

    @classmethod
    def remembered(cls, kept: Mapping[str, Any]) -> BatchDocument:
        """
        Return a document as it was remembered.

        :param kept: what :meth:`to_json` returned.
        :raises ValueError: where it is not such.
        """
        known = {name: kept[name] for name in (each.name for each in fields(cls)) if name in kept}
        try:
            document = cls(**known)
            return replace(
                document,
                status=DocumentStatus(document.status),
                files=tuple(document.files),
                warnings=tuple(document.warnings),
            )
        except TypeError as error:
            raise ValueError(str(error)) from error


@dataclass(slots=True)
class _Chunk:
    """Some documents, under one key of the task state store."""

    key: str
    documents: dict[str, BatchDocument] = field(default_factory=dict)
    changes: int = 0
    written: int = 0


class BatchMemory:
    """
    What is remembered of a batch's documents: in Airflow's task state store, or (below 3.3) in the manifest.

    Any thread may use it. What changes while a write is under way goes into the next one, all at once.

    :param store: Airflow's task state store, or ``None``.
    :param manifest: where the manifest is.
    :param run: the task instance: a manifest of another one is not ours to read or to replace.
    """

    def __init__(self, store: TaskStateStore | None, manifest: ObjectStoragePath, run: str) -> None:
        self._store = store
        self.manifest = manifest
        self._run = run
        self._chunk_of: dict[str, _Chunk] = {}
        self._chunks: list[_Chunk] = []
        self._chunks_known = 0
        """How many the header in the store names."""
        self._changing = threading.Lock()
        self._writing = threading.Lock()

    def recall(self) -> dict[str, BatchDocument]:
        """Return what is remembered, by image."""
        kept = self._from_store() if self._store is not None else self._from_manifest()
        documents = {}
        for entry in kept:
            with suppress(ValueError):
                document = BatchDocument.remembered(entry)
                documents[document.image] = document
        for chunk in self._chunks:
            chunk.documents = {image: documents[image] for image in chunk.documents if image in documents}
            self._chunk_of.update(dict.fromkeys(chunk.documents, chunk))
        return documents

    def _from_store(self) -> Iterable[Mapping[str, Any]]:
        assert self._store is not None
        header = self._store.get(_HEADER) or {}
        self._chunks_known = int(header.get("chunks", 0))
        entries: list[Mapping[str, Any]] = []
        for number in range(self._chunks_known):
            key = f"{_HEADER}_{number}"
            kept = self._store.get(key) or {}
            self._chunks.append(_Chunk(key, dict.fromkeys(kept, BatchDocument(""))))
            entries += kept.values()
        return entries

    def _from_manifest(self) -> Iterable[Mapping[str, Any]]:
        return [entry for entry in self.manifest_lines() if entry.get("run") == self._run]

    def manifest_lines(self) -> list[dict[str, Any]]:
        """Return the lines of the manifest that is there, if one is and can be read."""
        if not self.manifest.exists():
            return []
        entries = []
        for line in self.manifest.read_text().splitlines():
            with suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, dict):
                    entries.append(entry)
        return entries

    def refuse_foreign_manifest(self) -> None:
        """
        Refuse to replace the manifest of another task or run.

        :raises AsposeOcrInputError: naming it.
        """
        if {entry.get("run") for entry in self.manifest_lines()} - {self._run}:
            raise AsposeOcrInputError(
                f"{self.manifest} is the manifest of another run. Set overwrite=True to replace it, or give each run "
                "its own output_path, such as one with {{ run_id }}. Nothing was sent."
            )

    def remember(self, *documents: BatchDocument) -> None:
        """
        Remember what documents have come to; it is kept when this returns.

        :param documents: the documents.
        """
        if self._store is None:
            return
        with self._changing:
            wanted = {}
            for document in documents:
                chunk = self._chunk_for(document.image)
                chunk.documents[document.image] = document
                chunk.changes += 1
                wanted[chunk.key] = (chunk, chunk.changes)
        for chunk, change in wanted.values():
            self._write(chunk, change)

    def flush(self) -> None:
        """Write what could not be written when it changed."""
        if self._store is not None:
            for chunk in list(self._chunks):
                self._write(chunk, chunk.changes)

    def _chunk_for(self, image: str) -> _Chunk:
        if image not in self._chunk_of:
            if not self._chunks or len(self._chunks[-1].documents) >= _CHUNK:
                self._chunks.append(_Chunk(f"{_HEADER}_{len(self._chunks)}"))
            self._chunk_of[image] = self._chunks[-1]
        return self._chunk_of[image]

    def _write(self, chunk: _Chunk, change: int) -> None:
        assert self._store is not None
        with self._writing:
            if chunk.written >= change:
                # With what another thread has written meanwhile.
                return
            with self._changing:
                changes, chunks = chunk.changes, len(self._chunks)
                documents = dict(chunk.documents)
            if chunks > self._chunks_known:
                self._store.set(_HEADER, {"chunks": chunks}, retention=RETENTION)
                self._chunks_known = chunks
            kept = {image: document.to_json() for image, document in documents.items()}
            self._store.set(chunk.key, kept, retention=RETENTION)
            chunk.written = changes

    def write_manifest(self, documents: Iterable[BatchDocument]) -> None:
        """
        Write the manifest: a line of JSON per document.

        :param documents: all of them.
        """
        lines = (json.dumps({**document.to_json(), "run": self._run}, ensure_ascii=False) for document in documents)
        write_file(io.BytesIO("".join(f"{line}\n" for line in lines).encode()), self.manifest)


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """
    What a batch is to do.

    :param endpoint: where to.
    :param settings: as the user gave them.
    :param regions: for RecognizeRegions: the same for each document.
    :param folder: where the results go.
    :param storage_conn_id: the Airflow connection of the storage.
    :param overwrite: whether files of other runs may be replaced.
    :param max_concurrency: how many jobs are at the service at once.
    :param timeout: seconds to wait for one job.
    :param fail_fast: whether the first failure ends the batch.
    :param resubmit_on_ambiguity: whether to submit again what may have been billed already.
    :param cancel_on_timeout: whether to cancel a job that does not end in time.
    :param max_tries: of the task instance.
    :param schedule: when to ask again after a failed poll.
    """

    endpoint: Endpoint
    settings: Any
    regions: Any
    folder: ObjectStoragePath
    storage_conn_id: str | None
    overwrite: bool
    max_concurrency: int
    timeout: float
    fail_fast: bool
    resubmit_on_ambiguity: bool
    cancel_on_timeout: bool
    max_tries: int
    schedule: PollSchedule

    @property
    def typed_settings(self) -> Settings:
        """
        The settings, checked.

        :raises AsposeOcrInputError: where they are wrong.
        """
        from airflow_provider_asposeocr.api.settings import parse_settings  # noqa: PLC0415

        return parse_settings(self.endpoint, self.settings, self.regions)

    @property
    def fingerprint(self) -> str:
        """A digest of the endpoint and the settings: jobs of others are not gone on with."""
        wire = json.dumps(self.typed_settings.to_wire(), sort_keys=True)
        return hashlib.sha256(f"{self.endpoint.name}\n{wire}".encode()).hexdigest()


class _Intent:
    """
    Remembers that a document is being submitted, while a POST of it may have been accepted, and only then.

    It is the journal that :meth:`~airflow_provider_asposeocr.hooks.aspose_ocr.AsposeOcrHook.send` takes.

    :param run: of the batch.
    :param document: as it is remembered before.
    """

    def __init__(self, run: BatchRun, document: BatchDocument) -> None:
        self._run = run
        self._document = document
        self._maybe_accepted = 0

    @property
    def in_doubt(self) -> bool:
        """Whether the document may have been accepted."""
        return self._maybe_accepted > 0

    def about_to_send(self) -> None:
        """Write the intent, unless an earlier POST may have been accepted: then it is there."""
        self._run.stop_if_killed()
        if not self.in_doubt:
            self._run.keep(replace(self._document, status=DocumentStatus.SUBMITTING, submitted_at=time.time()))
        self._maybe_accepted += 1

    def certainly_not_accepted(self) -> None:
        """Take the intent back, unless an earlier POST may have been accepted."""
        if not self.in_doubt:
            return
        self._maybe_accepted -= 1
        if not self.in_doubt:
            self._run.keep(self._document)


class BatchRun:
    """
    One try at a batch.

    :param hook: with the connection.
    :param plan: what to do.
    :param documents: all documents of the batch, as they are remembered.
    :param names: the path of each image below the output folder, without extension.
    :param memory: what is remembered.
    :param woken: whether this goes on after a deferral, and is not a try of its own.
    :param over: the ids of jobs that are known to have ended, as that which woke the worker.
    """

    def __init__(
        self,
        hook: AsposeOcrHook,
        plan: BatchPlan,
        documents: Sequence[BatchDocument],
        names: Mapping[str, str],
        memory: BatchMemory,
        *,
        woken: bool = False,
        over: Collection[str] = (),
    ) -> None:
        self._hook = hook
        self._plan = plan
        self.documents = {document.image: document for document in documents}
        self._names = names
        self._memory = memory
        self._polls = BatchPolls(sum(each.status is not DocumentStatus.COMPLETED for each in documents))
        self._waiting = deque(document.image for document in documents if document.status is DocumentStatus.WAITING)
        self._over = frozenset(over)
        self._pollers: dict[str, Poller] = {}
        self._busy: set[asyncio.Task[None]] = set()
        self._in_flight: set[str] = set()
        self._of_earlier_try = set() if woken else {document.image for document in self.running}
        self._began = time.time()
        # Where the deferral is part of it, the estimate goes by the whole try.
        since = [each.submitted_at for each in documents if each.submitted_at] if woken else []
        self._estimated_from = min(since, default=self._began)
        self._done_before = 0 if woken else self._count(DocumentStatus.COMPLETED)
        self._reported_at = self._began
        self._moved_at = self._began
        self._stopped = False
        self._broken: BaseException | None = None
        self._cancelled: set[str] = set()
        self.killed = False
        """Set by ``on_kill``."""

    @property
    def running(self) -> list[BatchDocument]:
        """The documents whose jobs are at the service."""
        return [document for document in self.documents.values() if document.status is DocumentStatus.RUNNING]

    @property
    def unsubmitted(self) -> int:
        """How many documents are still to be submitted."""
        return len(self._waiting)

    @property
    def likely_age(self) -> float | None:
        """How many seconds a job takes, as far as that is known."""
        return self._polls.pacer.likely_age if self._polls.pacer.knows else None

    def learn(self, age: float) -> None:
        """
        Take it that a job was done at an age.

        :param age: in seconds.
        """
        self._polls.learn(age)

    def stop_if_killed(self) -> None:
        """
        Refuse to submit what nobody waits for any more.

        :raises AsposeOcrInterruptedError: where ``killed`` was set.
        """
        if self.killed:
            raise AsposeOcrInterruptedError("The task's process was told to end. Nothing was sent.")

    def run(self, pause_after: float | None) -> bool:
        """
        Work until all is done, or until all that is left is waiting for longer than ``pause_after``.

        In a thread of its own: a signal handler (of a kill, or of ``execution_timeout``) may raise or block wherever
        the main thread is, and in an event loop that would be lost or stop everything.

        :param pause_after: seconds; ``None`` to wait in the worker however long it takes.
        :returns: whether nothing is left to wait for; if not, its jobs are running and remembered.
        """
        # Here, where nothing runs beside it: a look-up blocks.
        _ = self._hook.connection
        ended: Future[bool] = Future()

        def work() -> None:
            try:
                ended.set_result(asyncio.run(self._run(pause_after)))
            except BaseException as error:  # noqa: BLE001 - raised again in the main thread
                ended.set_exception(error)

        thread = threading.Thread(target=copy_context().run, args=(work,), name="aspose-ocr-batch", daemon=True)
        thread.start()
        try:
            return ended.result()
        except BaseException:
            self.killed = True
            thread.join(_LONGEST_END)
            raise

    async def _run(self, pause_after: float | None) -> bool:
        async with self._workshop() as hook:
            for document in self.running:
                self._follow(document)
            while not self._ending and (self._waiting or self._in_flight):
                self._start_due(hook)
                next_due = self._polls.next_due(time.time())
                if pause_after is not None and not self._busy and self._quiet(next_due) >= pause_after:
                    return False
                await self._rest(next_due)
                await self._report()
        return True

    @property
    def _ending(self) -> bool:
        return self._stopped or self.killed or self._broken is not None

    def _quiet(self, next_due: float | None) -> float:
        """For how many seconds nothing came forward, and nothing will."""
        return max(next_due or 0.0, time.time()) - self._moved_at

    @asynccontextmanager
    async def _workshop(self) -> AsyncIterator[AsposeOcrAsyncHook]:
        """Threads enough for all uploads, and one pooled session for all polls."""
        threads = min(self._plan.max_concurrency, _MOST_THREADS) + 2
        with ThreadPoolExecutor(threads, thread_name_prefix="aspose-ocr-batch") as executor:
            asyncio.get_running_loop().set_default_executor(executor)
            async with AsposeOcrAsyncHook.over(self._hook) as hook:
                try:
                    yield hook
                finally:
                    await self._settle()
        if self._broken is not None:
            raise self._broken

    async def _settle(self) -> None:
        """Let what is under way come to its end, as a POST that is out must be remembered, and keep everything."""
        while self._busy:
            await asyncio.wait(self._busy)
        try:
            await asyncio.to_thread(self._memory.flush)
        finally:
            await asyncio.to_thread(self._memory.write_manifest, list(self.documents.values()))

    def _start_due(self, hook: AsposeOcrAsyncHook) -> None:
        """Start the submissions there is room for and the polls that are due."""
        while self._waiting and len(self._in_flight) < self._plan.max_concurrency:
            image = self._waiting.popleft()
            self._in_flight.add(image)
            self._start(self._submit(self.documents[image]))
        for image in self._polls.take_due(time.time()):
            self._start(self._ask(hook, self.documents[image]))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._busy.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        """Let no error get lost: its document would be waited for until the end of time."""
        self._busy.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None and self._broken is None:
            self._broken = error

    async def _rest(self, until: float | None) -> None:
        """Sleep until something is due, or something under way is done."""
        pause = min(max(0.0, (until or time.time() + _LONGEST_PAUSE) - time.time()), _LONGEST_PAUSE)
        if self._busy:
            await asyncio.wait(self._busy, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(pause)

    async def _submit(self, document: BatchDocument) -> None:
        from airflow_provider_asposeocr.hooks.documents import storage_path  # noqa: PLC0415 - fsspec loads when used

        # Its files are ours to replace; all else is of an earlier submission.
        fresh = BatchDocument(
            document.image, files=document.files, fingerprint=self._plan.fingerprint, max_tries=self._plan.max_tries
        )
        intent = _Intent(self, fresh)
        try:
            ocr_task_id = await asyncio.to_thread(self._sent, fresh, intent)
        except AsposeOcrAuthError:
            # So it would be for all others.
            raise
        except AsposeOcrError as error:
            if self.killed and not intent.in_doubt:
                return
            await self._failed(fresh, error, in_doubt=intent.in_doubt)
            return
        except Exception as error:  # noqa: BLE001 - a storage's own errors are many, and end one document only
            wrapped = AsposeOcrError(f"{type(error).__name__}: {error}")
            await self._failed(fresh, wrapped, in_doubt=intent.in_doubt)
            return
        now = time.time()
        submitted = replace(
            fresh,
            status=DocumentStatus.RUNNING,
            ocr_task_id=ocr_task_id,
            submitted_at=now,
            deadline=now + self._plan.timeout,
        )
        await self._keep(submitted)
        self._follow(submitted)
        await asyncio.to_thread(document_sent, storage_path(document.image, self._plan.storage_conn_id))

    def _sent(self, document: BatchDocument, intent: _Intent) -> str:
        """Check and send a document, in a thread, and return its job's id."""
        plan = self._plan
        self.stop_if_killed()
        submission = self._hook.prepare(
            plan.endpoint,
            document.image,
            plan.settings,
            regions=plan.regions,
            storage_conn_id=plan.storage_conn_id,
        )
        if not document.files:
            extensions = expected_extensions(submission.endpoint, submission.settings)
            self._files(document.image).refuse_existing(extensions, document.image)
        return self._hook.send(submission, resubmit_on_ambiguity=plan.resubmit_on_ambiguity, journal=intent)

    def _follow(self, document: BatchDocument) -> None:
        """Wait for a document's job."""
        now = time.time()
        started, deadline = document.submitted_at or now, document.deadline or now + self._plan.timeout
        self._pollers[document.image] = Poller(self._plan.schedule, started, deadline)
        self._polls.follow(document.image, started, deadline, over=document.ocr_task_id in self._over)
        self._in_flight.add(document.image)

    async def _ask(self, hook: AsposeOcrAsyncHook, document: BatchDocument) -> None:
        image, poller = document.image, self._pollers[document.image]
        assert document.ocr_task_id is not None
        try:
            task = await hook.get_task(self._plan.endpoint, document.ocr_task_id, retry_limit=0)
            outcome = poller.on_answer(task, time.time())
        except AsposeOcrError as error:
            outcome = poller.on_failure(error, time.time())
            if not outcome.is_final:
                log.info("Poll failed, asking again in %.1f s: %s", outcome.delay, error)
                self._polls.not_answered(image, time.time() + outcome.delay)
                return
        if not outcome.is_final:
            self._of_earlier_try.discard(image)
            self._polls.not_ended(image, time.time())
            return
        if outcome.verdict in (PollVerdict.COMPLETED, PollVerdict.ERROR):
            self._polls.ended(image)
        self._polls.forget(image)
        del self._pollers[image]
        await self._ended(hook, document, outcome)
        self._of_earlier_try.discard(image)

    async def _ended(self, hook: AsposeOcrAsyncHook, document: BatchDocument, outcome: PollOutcome) -> None:
        """Deliver the result of a job, or remember what became of it."""
        assert document.ocr_task_id is not None
        verdict = outcome.verdict
        if verdict is PollVerdict.COMPLETED and outcome.task is not None:
            await self._completed(document, replace(outcome.task, id=document.ocr_task_id))
            return
        if document.ocr_task_id in self._cancelled:
            return
        if verdict in (PollVerdict.ERROR, PollVerdict.NOT_EXIST) and document.image in self._of_earlier_try:
            log.warning(
                "An earlier try submitted %s as job %s, which is now %s; submitting anew, which is billed again.",
                document.image,
                document.ocr_task_id,
                verdict,
            )
            self._in_flight.discard(document.image)
            self._waiting.append(document.image)
            return
        aftermath = ""
        goes_on = verdict in (PollVerdict.GAVE_UP, PollVerdict.REFUSED)
        if verdict is PollVerdict.TIMED_OUT:
            goes_on = not await self._cancel_late(hook, document)
            aftermath = "It goes on at the service." if goes_on else "It was cancelled; a retry submits it again."
        failure = failure_of(
            outcome,
            endpoint=self._plan.endpoint.name,
            ocr_task_id=document.ocr_task_id,
            image=document.image,
            aftermath=aftermath,
        )
        if isinstance(failure, AsposeOcrAuthError):
            # So it would be for all others.
            raise failure
        if goes_on:
            await self._left_running(document, failure)
        else:
            await self._failed(document, failure)

    async def _cancel_late(self, hook: AsposeOcrAsyncHook, document: BatchDocument) -> bool:
        """Cancel a job that did not end in time if that is wanted, and say whether that worked."""
        if not self._plan.cancel_on_timeout:
            return False
        try:
            await hook.cancel(self._plan.endpoint, document.ocr_task_id or "")
        except AsposeOcrError as error:
            log.warning("Job %s could not be cancelled and goes on: %s", document.ocr_task_id, error)
            return False
        return True

    async def _completed(self, document: BatchDocument, task: OcrTask) -> None:
        plan = self._plan
        files = self._files(document.image)
        if document.files or plan.overwrite:
            files = replace(files, overwrite=True)
        try:
            xcom = await asyncio.to_thread(
                deliver, task, plan.endpoint, settings=plan.typed_settings, files=files, max_xcom_bytes=0
            )
        except AsposeOcrError as error:
            await self._left_running(document, error)
            return
        except Exception as error:  # noqa: BLE001 - a storage's own errors are many, and end one document only
            await self._left_running(document, AsposeOcrError(f"{type(error).__name__}: {error}"))
            return
        await self._keep(
            replace(
                document,
                status=DocumentStatus.COMPLETED,
                files=tuple(entry["file"] for entry in xcom["results"]),
                warnings=tuple(xcom["warnings"]),
                error=None,
                seconds=round(time.time() - (document.submitted_at or time.time()), 3),
            )
        )
        self._in_flight.discard(document.image)

    def _files(self, image: str) -> OutputFiles:
        name = PurePosixPath(self._names[image])
        folder = self._plan.folder
        for part in name.parent.parts:
            folder = folder / part
        return OutputFiles(folder, name.name, None, self._plan.overwrite)

    async def _left_running(self, document: BatchDocument, error: AsposeOcrError) -> None:
        """This try does not get at a job's result; the next one goes on with it."""
        error.about(image=document.image)
        log.warning("%s", error)
        await self._keep(replace(document, error=str(error)))
        self._in_flight.discard(document.image)
        self._stopped = self._stopped or self._plan.fail_fast

    async def _failed(self, document: BatchDocument, error: AsposeOcrError, *, in_doubt: bool = False) -> None:
        from airflow.providers.common.compat.sdk import AirflowFailException  # noqa: PLC0415

        if in_doubt or isinstance(error, AsposeOcrAmbiguousSubmissionError):
            status = DocumentStatus.SUBMITTING
        else:
            permanent = isinstance(error, AirflowFailException)
            status = DocumentStatus.REFUSED if permanent else DocumentStatus.FAILED
        error.about(image=document.image)
        log.warning("%s", error)
        await self._keep(replace(document, status=status, error=str(error)))
        self._in_flight.discard(document.image)
        self._stopped = self._stopped or self._plan.fail_fast

    async def _keep(self, document: BatchDocument) -> None:
        await asyncio.to_thread(self.keep, document)

    def keep(self, *documents: BatchDocument) -> None:
        """
        Remember what documents have come to.

        :param documents: the documents.
        """
        for document in documents:
            self.documents[document.image] = document
        self._moved_at = time.time()
        self._memory.remember(*documents)

    def _count(self, *statuses: DocumentStatus) -> int:
        return sum(document.status in statuses for document in self.documents.values())

    async def _report(self) -> None:
        """Log the progress and write the manifest, not too often."""
        now = time.time()
        if now - self._reported_at < PROGRESS_INTERVAL:
            return
        self._reported_at = now
        log.info("%s", self.progress())
        try:
            await asyncio.to_thread(self._memory.write_manifest, list(self.documents.values()))
        except Exception as error:  # noqa: BLE001 - the one at the end matters
            log.warning("The manifest could not be written: %s: %s", type(error).__name__, error)

    def progress(self) -> str:
        """Say how far the batch is, and how long it will take."""
        done = self._count(DocumentStatus.COMPLETED)
        failed = self._count(DocumentStatus.FAILED, DocumentStatus.REFUSED)
        here = done - self._done_before
        left = len(self.documents) - done - failed
        elapsed = time.time() - self._estimated_from
        estimate = f", about {timedelta(seconds=round(elapsed / here * left))} left" if here and left else ""
        return f"{done} of {len(self.documents)} done, {failed} failed, {len(self.running)} running{estimate}"

    def cancel_running(self) -> None:
        """Cancel all jobs at the service and forget them; those that cannot be cancelled are logged and go on."""

        def cancel(document: BatchDocument) -> BatchDocument | None:
            ocr_task_id = document.ocr_task_id or ""
            self._cancelled.add(ocr_task_id)
            try:
                self._hook.cancel(self._plan.endpoint, ocr_task_id)
            except AsposeOcrError as error:
                log.warning("Job %s could not be cancelled and goes on: %s", ocr_task_id, error)
                return None
            return replace(document, **_FORGOTTEN)

        running = [each for each in self.running if each.ocr_task_id and each.ocr_task_id not in self._cancelled]
        if not running:
            return
        with ThreadPoolExecutor(_CANCELLING_THREADS) as executor:
            forgotten = [document for document in executor.map(cancel, running) if document]
        log.info("%d of %d jobs are cancelled.", len(forgotten), len(running))
        # The result of one may have come meanwhile.
        self.keep(*(each for each in forgotten if self.documents[each.image].status is DocumentStatus.RUNNING))


def result_names(images: Sequence[str], root: str) -> dict[str, str]:
    """
    Return where each image's results go below the output folder, without extension: its place below the root.

    :param images: paths or URIs.
    :param root: what they have in common.
    """
    below = {image: PurePosixPath(image[len(root) :].lstrip("/") or PurePosixPath(image).name) for image in images}
    stems = Counter(str(path.with_suffix("")) for path in below.values())
    # Where a.jpg and a.png lie in one folder, both keep their extension.
    return {
        image: str(path if stems[str(path.with_suffix(""))] > 1 else path.with_suffix(""))
        for image, path in below.items()
    }


def common_root(images: Sequence[str]) -> str:
    """
    Return the folder that all images are in.

    :param images: paths or URIs.
    """
    parents = [image.rpartition("/")[0].split("/") for image in images]
    common = []
    for parts in zip(*parents, strict=False):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    return "/".join(common)
