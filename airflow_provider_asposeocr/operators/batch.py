"""One Airflow task for many documents."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from airflow.providers.common.compat.sdk import AirflowSkipException
from msgspec.structs import replace

from airflow_provider_asposeocr.api.checks import endpoint_named, switch
from airflow_provider_asposeocr.api.pacer import DEFAULT_CALLS_PER_DOCUMENT
from airflow_provider_asposeocr.api.waiting import time_limit
from airflow_provider_asposeocr.batches.beginning import Start, drawn_up, frozen, gone_on_with, header_of, looked_at
from airflow_provider_asposeocr.batches.deferring import LEAST_DEFERRAL, standing, start_of, taken_up, trigger_for
from airflow_provider_asposeocr.batches.documents import BatchDocument, DocumentStatus
from airflow_provider_asposeocr.batches.farewell import FAREWELL, FAREWELL_WITHOUT_A_KILL, cancel_all
from airflow_provider_asposeocr.batches.guards import checked_beforehand, refuse_beyond
from airflow_provider_asposeocr.batches.listing import listed
from airflow_provider_asposeocr.batches.manifest import write_manifest
from airflow_provider_asposeocr.batches.memory import BatchMemory
from airflow_provider_asposeocr.batches.outcome import failure_of, paused, xcom_of
from airflow_provider_asposeocr.batches.plan import BatchPlan, OnExisting
from airflow_provider_asposeocr.batches.progress import sentence
from airflow_provider_asposeocr.batches.reports import batch_facts, places
from airflow_provider_asposeocr.batches.run import BatchRun
from airflow_provider_asposeocr.batches.table import needs_a_table, write_table
from airflow_provider_asposeocr.batches.telling import tell
from airflow_provider_asposeocr.batches.threads import work
from airflow_provider_asposeocr.events import Event, told
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from airflow_provider_asposeocr.hooks.synchronous import AsposeOcrHook
from airflow_provider_asposeocr.jobs.following import DEFAULT_TIMEOUT, OcrJobOperator
from airflow_provider_asposeocr.jobs.job import OcrJob
from airflow_provider_asposeocr.jobs.kills import sleep_until_stopped
from airflow_provider_asposeocr.storage.documents import storage_path
from airflow_provider_asposeocr.storage.failures import NOTHING_SENT
from airflow_provider_asposeocr.triggers.batch import ENDED

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

DEFAULT_MAX_CONCURRENCY = 16
_ON_ERROR = ("fail_at_end", "fail_fast", "skip")
_ON_EXISTING = ("skip", "overwrite", "fail")
_RESULTS = (None, "manifest", "parquet")
_ON_EMPTY = ("skip", "fail", "succeed")
_LEAST = {
    **dict.fromkeys(("max_concurrency", "max_documents", "max_submissions", "max_calls_per_document"), 1),
    "max_failures": 0,
}


class AsposeOcrBatchOperator(OcrJobOperator):
    """
    Recognizes many documents in one task: a worker start costs more than a small document.

    Submits up to ``max_concurrency`` at once, fetches each result as soon as it is there, and writes one file per
    document and result type below ``output_path``, in the folder structure of the input, with ``manifest.jsonl`` beside
    them: a line per document with ``image``, ``ocr_task_id``, ``status``, ``files``, ``warnings``, ``error`` and
    ``seconds``. A retry submits only what is not there yet; so does the next run into the same folder, which skips what
    has not changed. XCom: ``{"endpoint", "documents", "completed", "skipped", "failed", "submissions", "calls",
    "seconds": {"p50", "p95"}, "manifest", "failures": [{"image", "ocr_task_id", "error"}]}``, the first hundred
    failures; ``table`` where there is one; and ``progress`` while it runs.

    :param images: a list of paths or URIs, a folder (all images in it and below), a glob, or a chunk of a folder; see
        :func:`~airflow_provider_asposeocr.batches.chunks.chunks`. (templated)
    :param output_path: the folder for the results, on any storage. (templated)
    :param endpoint: such as ``RecognizeImage``.
    :param settings: for all documents; see
        :class:`~airflow_provider_asposeocr.operators.document.AsposeOcrOperator`. (templated)
    :param regions: for RecognizeRegions: the same for each document, as forms of one kind have them. (templated)
    :param include: patterns such as ``*.tif`` or ``2024/*``, of which one must match a path below the folder.
    :param exclude: patterns of which none may match.
    :param output_storage_conn_id: the Airflow connection of the storage of ``output_path``; by default
        ``storage_conn_id``. (templated)
    :param max_concurrency: how many jobs are at the service at once.
    :param max_calls_per_document: how many polls to spend on a job, on the average: fewer cost less and wait longer.
    :param on_error: ``fail_at_end`` finishes the others first, ``fail_fast`` stops at the first failure, ``skip``
        succeeds and names the failures in the XCom and the manifest.
    :param on_existing: ``skip`` reads only what is new, or changed since an earlier run of this task wrote its result;
        ``overwrite`` reads in each run everything anew (so does ``overwrite=True``); ``fail`` refuses to begin where a
        result is there.
    :param on_empty: where there are no documents: ``skip`` the task, ``fail``, or ``succeed``.
    :param max_documents: refuse to begin where more than so many would be read.
    :param max_submissions: submit no more than so many documents, in all tries.
    :param max_failures: submit no more documents once more than so many have failed in one try.
    :param dry_run: list and check the documents, and submit nothing.
    :param results: ``parquet`` writes ``results.parquet`` beside the manifest, too: a row per document, page or region
        with its text (extra ``parquet``). By default, and as ``manifest``, there is none.
    :param timeout: seconds to wait for one job; ``None`` for ever.
    :param durable: whether a later try goes on with what an earlier one has submitted: by the task state store (Airflow
        3.3+), below by files in the output folder.
    :param resubmit_on_ambiguity: whether to submit a document again that may have been billed already.
    :param resubmit_failed_jobs: whether each try submits again what ended as ``Error``; by default one more does.
    :param resubmit_on_clear: whether a user's clear has everything read, and billed, anew.
    :param kwargs: of :class:`~airflow_provider_asposeocr.jobs.following.OcrJobOperator` (``deferrable``,
        ``defer_after``, ...) and of Airflow's ``BaseOperator``.
    :raises AsposeOcrBatchError: where documents failed that another try may mend.
    :raises AsposeOcrBatchRefusedError: where all that failed would fail again.
    :raises AsposeOcrBatchPausedError: where the service is away for long; ``retry_after`` says when to come back.
    """

    template_fields: Sequence[str] = (
        "images",
        "settings",
        "regions",
        "output_path",
        "storage_conn_id",
        "output_storage_conn_id",
        "aspose_ocr_conn_id",
    )
    template_fields_renderers = {"settings": "json"}  # noqa: RUF012 - Airflow's own form
    ui_color = "#d8ecd6"
    farewell = FAREWELL

    def __init__(
        self,
        *,
        images: Any,
        output_path: Any,
        endpoint: str = "RecognizeImage",
        settings: Any = None,
        regions: Any = None,
        include: str | Sequence[str] = (),
        exclude: str | Sequence[str] = (),
        output_storage_conn_id: str | None = None,
        max_concurrency: int = DEFAULT_MAX_CONCURRENCY,
        max_calls_per_document: float = DEFAULT_CALLS_PER_DOCUMENT,
        on_error: Literal["fail_at_end", "fail_fast", "skip"] = "fail_at_end",
        on_existing: OnExisting = "skip",
        on_empty: Literal["skip", "fail", "succeed"] = "skip",
        max_documents: int | None = None,
        max_submissions: int | None = None,
        max_failures: int | None = None,
        dry_run: bool = False,
        results: Literal["manifest", "parquet"] | None = None,
        timeout: float | timedelta | None = DEFAULT_TIMEOUT,
        durable: bool = True,
        resubmit_on_ambiguity: bool = False,
        resubmit_failed_jobs: bool = False,
        resubmit_on_clear: bool = False,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("multiple_outputs", True)
        super().__init__(output_path=output_path, **kwargs)
        self.images = images
        self.endpoint = endpoint
        self.settings = settings
        self.regions = regions
        self.include = (include,) if isinstance(include, str) else tuple(include)
        self.exclude = (exclude,) if isinstance(exclude, str) else tuple(exclude)
        self.output_storage_conn_id = output_storage_conn_id
        self.max_concurrency = max_concurrency
        self.max_calls_per_document = max_calls_per_document
        self.on_error = on_error
        self.on_existing = on_existing
        self.on_empty = on_empty
        self.max_documents = max_documents
        self.max_submissions = max_submissions
        self.max_failures = max_failures
        self._only_looks = switch(dry_run, "dry_run")
        if results not in _RESULTS:
            raise AsposeOcrInputError(f"results must be one of 'manifest' and 'parquet', got {results!r:.80}.")
        self.results = results
        self.timeout = time_limit(timeout)
        self.durable = switch(durable, "durable")
        self.resubmit_on_ambiguity = switch(resubmit_on_ambiguity, "resubmit_on_ambiguity")
        self.resubmit_failed_jobs = switch(resubmit_failed_jobs, "resubmit_failed_jobs")
        self.resubmit_on_clear = switch(resubmit_on_clear, "resubmit_on_clear")
        self._is_told_to_end = False
        self._asked: set[str] = set()
        """The ids of jobs that were asked for since the task was told to end, and have answered."""
        self._batch: BatchRun | None = None
        self._memory: BatchMemory | None = None

    @functools.cached_property
    def hook(self) -> AsposeOcrHook:
        """A hook for the task's connection. It repeats nothing: the batch's gate says when a call is worth it."""
        return AsposeOcrHook(self.aspose_ocr_conn_id, retry_limit=0, sleep=self._nap)

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Check, go on where an earlier try stopped, and work.

        :param context: Airflow's task context.
        """
        self._context = context
        return self._begin(context, durable=self.durable)

    def _begin(self, context: Context, *, durable: bool) -> dict[str, Any]:
        plan = self._plan(context)
        memory = self._remembered(context, plan)
        began_at = time.time()
        header = memory.header(may_run=getattr(context["ti"], "try_number", 1) > 1) if durable else None
        cleared = header is not None and header.get("max_tries") != plan.max_tries
        if header is not None and not cleared:
            # It may be one of a batch that has succeeded, whose XCom could not be pushed.
            plan = replace(plan, resubmit_on_clear=False)
        if header is not None and self._goes_on(header, plan, cleared=cleared):
            if self._only_looks:
                return checked_beforehand(looked_at(header, plan, memory, cleared=cleared), plan, self.hook)
            start = gone_on_with(header, plan, memory, cleared=cleared)
        else:
            if self.results == "parquet":
                # Not where jobs are paid for: they are fetched, and a retry elsewhere may have it.
                needs_a_table(memory, plan)
            documents = self._drawn_up(plan, memory, durable=durable)
            if not documents and self.on_empty != "succeed":
                sentence = f"There are no documents in {self.images!r:.200}. {NOTHING_SENT}"
                raise AirflowSkipException(sentence) if self.on_empty == "skip" else AsposeOcrInputError(sentence)
            refuse_beyond(documents, plan, self.max_documents, cleared=cleared)
            if self._only_looks:
                return checked_beforehand(documents, plan, self.hook)
            memory.begin_anew()
            start = frozen(documents, memory)
        memory.keep_header(header_of(start, plan, began_at=began_at))
        return self._work(context, plan, memory, start, began_at)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """
        Go on after the trigger's event.

        :param context: Airflow's task context.
        :param event: names the jobs that are known to have ended.
        """
        self._context = context
        plan = self._plan(context)
        # What `durable` says now is about the next tries.
        memory = self._remembered(context, plan, woken=True)
        header = memory.header_of_deferral()
        if header is None or header.get("finished") or "offset" not in header:
            # What is woken once more has succeeded already.
            return self._begin(context, durable=self.durable or header is not None)
        event = event or {}
        stays = event.get("status", ENDED) != ENDED
        if stays:
            self.log.warning("Waiting for the jobs in the worker, as the triggerer cannot: %s", event.get("message"))
        if header.get("woken"):
            # Airflow has lost the worker that was woken then, and wakes another one: what that did is in no header.
            start = gone_on_with(header, plan, memory, cleared=False)
        else:
            header = taken_up(header, event)
            memory.go_on(header)
            memory.keep_header({**header, "woken": True})
            start = start_of(header)
        began_at, over = header["began_at"], event.get("ended") or ()
        return self._work(context, plan, memory, start, began_at, header, over, stays)

    def deferral_timed_out(self, context: Context, error: Exception) -> dict[str, Any]:
        """
        Go on after Airflow's own time-out of a deferral: the jobs' deadlines say what is to be done.

        :param context: Airflow's task context.
        :param error: what Airflow raised.
        """
        return self.execute_complete(context)

    def on_kill(self) -> None:
        """Submit nothing more, and cancel the jobs if a user ended the task or ``execution_timeout`` is over."""
        self._is_told_to_end = True
        if self._batch is not None:
            self._batch.killed = True
        super().on_kill()

    def _stop_if_killed(self) -> None:
        if self._is_told_to_end:
            self._kill.settle(is_sure=True)
        super()._stop_if_killed()

    def _cancel_for_good(self) -> None:
        if self._batch is not None and self._memory is not None and self.waiting.cancel_on_kill:
            self._cancel_running(self._memory, self.farewell)

    def _cancel_running(self, memory: BatchMemory, within: float) -> None:
        running = [
            each
            for each in memory.slots.documents.values()
            if each.status is DocumentStatus.RUNNING and each.ocr_task_id not in self._asked
        ]
        if running:
            self._asked |= cancel_all(
                self.hook, endpoint_named(self.endpoint), running, lambda each: memory.slots.keep(*each), within
            )

    def _nap(self, duration: float) -> None:
        """Sleep before a call is repeated, in any thread."""
        sleep_until_stopped(duration, self._batch.stop_if_killed if self._batch is not None else lambda: None)

    def _goes_on(self, header: Mapping[str, Any], plan: BatchPlan, *, cleared: bool) -> bool:
        """Whether the list of an earlier try is worked on: it is frozen until the batch has succeeded."""
        if header.get("finished") or header.get("fingerprint") != plan.fingerprint:
            return False
        return not (cleared and plan.resubmit_on_clear) and "total" in header

    def _work(
        self,
        context: Context,
        plan: BatchPlan,
        memory: BatchMemory,
        start: Start,
        began_at: float,
        header: Mapping[str, Any] | None = None,
        over: Sequence[str] = (),
        stays: bool = False,
    ) -> dict[str, Any]:
        """Work at the batch; return its XCom, or defer and never return."""
        self._stop_if_killed()
        self._memory = memory
        report = functools.partial(self._tell, context)
        self._batch = run = BatchRun(plan, memory, start, began_at=began_at, header=header, over=over, report=report)
        defers = self.deferrable and not stays
        is_paid = any(each.ocr_task_id for each in memory.slots.documents.values())
        try:
            finished = work(self.hook, plan, run, self.waiting.defer_after if defers else None, is_paid=is_paid)
        except Exception:
            # Who ended the task comes first.
            self._stop_if_killed()
            raise
        self._stop_if_killed()
        now = time.time()
        facts = run.progress.facts(now, len(run.running))
        self._tell(context, facts)
        remembered = standing(run, plan, start.total, now)
        wait = run.hopeless_wait(now)
        if not finished and defers and (wait is None or self._may_wait(run, now)):
            memory.keep_header(remembered)
            told(self.log, Event.BATCH_DEFERRED, "Deferring until some of %d jobs have ended.", len(run.running))
            trigger, net = trigger_for(run, plan, self.waiting, self.aspose_ocr_conn_id, wait, now)
            self.defer(trigger=trigger, method_name="execute_complete", timeout=net)
        if run.ends.stopped is not None and plan.fail_fast and self.waiting.cancel_on_kill:
            self._cancel_running(memory, FAREWELL_WITHOUT_A_KILL)
        summary = write_manifest(memory, start.total)
        if not finished:
            raise paused(summary, plan, run.gate, wait or LEAST_DEFERRAL)
        manifest = str(memory.manifest)
        failure = failure_of(summary, plan, manifest, skip=self.on_error == "skip", stopped=run.ends.stopped)
        table = write_table(memory, plan, failure, self._stop_if_killed) if self.results == "parquet" else None
        if failure is not None:
            raise failure
        try:
            memory.end(remembered, may_bill_again=plan.overwrite or self.resubmit_on_clear or not self.durable)
        except Exception as error:  # noqa: BLE001 - the manifest says it all
            self.log.warning("What is no longer needed could not be removed: %s: %s", type(error).__name__, error)
        xcom = xcom_of(summary, plan, manifest, run.progress.calls, table)
        return self.delivered(context, batch_facts(xcom, self.images), xcom)

    def document_places(self) -> tuple[str, ...]:
        """Return where the documents are: a folder, or the first of a list."""
        return places(self.images)

    def _may_wait(self, run: BatchRun, now: float) -> bool:
        """Whether waiting in the triggerer is still worth it: the jobs' time-out says how long."""
        troubled = run.gate.submissions.troubled_since or run.gate.polls.troubled_since or now
        return self.timeout is None or now - troubled < self.timeout

    def _tell(self, context: Context, facts: Mapping[str, Any]) -> None:
        """Let people see how far it is: in the log, as an XCom, and as metrics."""
        told(self.log, Event.BATCH_PROGRESS, "Batch of %d documents: %s", facts["documents"], sentence(facts), **facts)
        tell(context, facts, self.log)

    def _plan(self, context: Context) -> BatchPlan:
        if not self.output_path or str(self.output_path).strip() == "None":
            raise AsposeOcrInputError(f"A batch needs output_path, the folder for its results. {NOTHING_SENT}")
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and value >= least):
                raise AsposeOcrInputError(
                    f"{name} must be a number, at least {least}, got {value!r:.40}. {NOTHING_SENT}"
                )
        for name, allowed in (("on_error", _ON_ERROR), ("on_existing", _ON_EXISTING), ("on_empty", _ON_EMPTY)):
            if getattr(self, name) not in allowed:
                raise AsposeOcrInputError(f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}.")
        plan = BatchPlan(
            endpoint=endpoint_named(self.endpoint),
            settings=self.settings,
            regions=self.regions,
            folder=storage_path(str(self.output_path).rstrip("/"), self.output_storage_conn_id or self.storage_conn_id),
            storage_conn_id=self.storage_conn_id,
            on_existing="overwrite" if self.overwrite else self.on_existing,
            max_concurrency=self.max_concurrency,
            timeout=self.timeout,
            fail_fast=self.on_error == "fail_fast",
            resubmit_on_ambiguity=self.resubmit_on_ambiguity,
            resubmit_failed_jobs=self.resubmit_failed_jobs,
            resubmit_on_clear=self.resubmit_on_clear,
            cancel_on_timeout=self.waiting.cancel_on_kill,
            max_tries=int(context["ti"].max_tries),
            max_submissions=self.max_submissions,
            max_failures=self.max_failures,
            calls_per_document=self.max_calls_per_document,
            schedule=self.waiting.schedule,
            doubt_patience=self.doubt_patience,
        )
        _ = plan.typed_settings
        return plan

    def _drawn_up(self, plan: BatchPlan, memory: BatchMemory, *, durable: bool) -> list[BatchDocument]:
        chosen = self.include, self.exclude, plan.endpoint.formats
        listing = listed(self.images, self.storage_conn_id, plan.folder, *chosen)
        return list(drawn_up(listing, plan, memory, durable=durable))

    def _remembered(self, context: Context, plan: BatchPlan, *, woken: bool = False) -> BatchMemory:
        ti: Any = context["ti"]
        run = "/".join(str(part) for part in (ti.dag_id, ti.task_id, ti.run_id, getattr(ti, "map_index", -1)))
        store: Any = context.get("task_state_store") if self.durable or woken else None
        return BatchMemory(store, plan.folder, run)

    def deliver_task(self, context: Context, job: OcrJob, task: Any) -> NoReturn:
        """
        Not used: a batch delivers each document by itself.

        :param context: Airflow's task context.
        :param job: a job.
        :param task: the same with its results.
        """
        raise NotImplementedError
