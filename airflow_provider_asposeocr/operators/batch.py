"""One Airflow task for many documents."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from airflow_provider_asposeocr.api.endpoints import endpoint_named
from airflow_provider_asposeocr.api.polling import PollVerdict
from airflow_provider_asposeocr.batches import (
    MANIFEST,
    BatchDocument,
    BatchMemory,
    BatchPlan,
    BatchRun,
    DocumentStatus,
    common_root,
    result_names,
)
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrBatchError,
    AsposeOcrBatchRefusedError,
    AsposeOcrError,
    AsposeOcrInputError,
)
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrHook
from airflow_provider_asposeocr.jobs import (
    DEFAULT_TIMEOUT,
    DEFERRAL_SLACK,
    OcrJob,
    OcrJobOperator,
    seconds,
    sleep_until_stopped,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

DEFAULT_MAX_CONCURRENCY = 16
MOST_FAILURES_IN_XCOM = 100
EARLIER = 0.9
"""The share of the likely duration of a job after which the trigger first asks for the one it watches."""
KNOWN_BACKOFF = 1.1
"""How much longer the trigger waits each time at most, where the duration is about known."""
_OVER = (PollVerdict.COMPLETED, PollVerdict.ERROR, PollVerdict.NOT_EXIST)
"""What the trigger says of the job it watched where that has ended."""
_IMAGE_SUFFIXES = frozenset({".bmp", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".gif", ".svg"})
_GLOB = frozenset("*?[")


class AsposeOcrBatchOperator(OcrJobOperator):
    """
    Recognizes many documents in one task: a worker start costs more than a small document.

    Submits up to ``max_concurrency`` at once, fetches each result as soon as it is there, and writes one file per
    document and result type below ``output_path``, in the folder structure of the input, with ``manifest.jsonl`` beside
    them: a line per document with ``image``, ``ocr_task_id``, ``status``, ``files``, ``warnings``, ``error`` and
    ``seconds``. A retry submits only what is not there yet. XCom: ``{"endpoint", "documents", "completed", "failed",
    "manifest", "failures": [{"image", "ocr_task_id", "error"}]}``, the first hundred failures.

    :param images: a list of paths or URIs, a folder (all images in it and below), or a glob. (templated)
    :param output_path: the folder for the results, on any storage. (templated)
    :param endpoint: such as ``RecognizeImage``.
    :param settings: for all documents; see
        :class:`~airflow_provider_asposeocr.operators.aspose_ocr.AsposeOcrOperator`. (templated)
    :param regions: for RecognizeRegions: the same for each document, as forms of one kind have them. (templated)
    :param max_concurrency: how many jobs are at the service at once.
    :param on_error: ``fail_at_end`` finishes the others first, ``fail_fast`` stops at the first failure, ``skip``
        succeeds and names the failures in the XCom and the manifest.
    :param timeout: seconds to wait for one job.
    :param durable: whether a later try goes on with what an earlier one has submitted: by the task state store (Airflow
        3.3+), below by the manifest, which may be ten seconds old.
    :param resubmit_on_ambiguity: whether to submit a document again that may have been billed already.
    :param kwargs: of :class:`~airflow_provider_asposeocr.jobs.OcrJobOperator` (``deferrable``, ``defer_after``, ...)
        and of Airflow's ``BaseOperator``.
    :raises AsposeOcrBatchError: where documents failed that another try may mend.
    :raises AsposeOcrBatchRefusedError: where all that failed would fail again.
    """

    template_fields: Sequence[str] = (
        "images",
        "settings",
        "regions",
        "output_path",
        "storage_conn_id",
        "aspose_ocr_conn_id",
    )
    template_fields_renderers = {"settings": "json"}  # noqa: RUF012 - Airflow's own form
    ui_color = "#d8ecd6"

    def __init__(
        self,
        *,
        images: Any,
        output_path: Any,
        endpoint: str = "RecognizeImage",
        settings: Any = None,
        regions: Any = None,
        max_concurrency: int = DEFAULT_MAX_CONCURRENCY,
        on_error: Literal["fail_at_end", "fail_fast", "skip"] = "fail_at_end",
        timeout: float | timedelta = DEFAULT_TIMEOUT,
        durable: bool = True,
        resubmit_on_ambiguity: bool = False,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("multiple_outputs", True)
        super().__init__(output_path=output_path, **kwargs)
        self.images = images
        self.endpoint = endpoint
        self.settings = settings
        self.regions = regions
        self.max_concurrency = max_concurrency
        self.on_error = on_error
        self.timeout = seconds(timeout)
        self.durable = durable
        self.resubmit_on_ambiguity = resubmit_on_ambiguity
        self._batch: BatchRun | None = None

    @functools.cached_property
    def hook(self) -> AsposeOcrHook:
        """A hook for the task's connection, which does not sleep through a kill."""
        return AsposeOcrHook(self.aspose_ocr_conn_id, sleep=self._nap)

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Check, go on where an earlier try stopped, and work.

        :param context: Airflow's task context.
        """
        return self._work(context)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """
        Go on after the trigger's event.

        :param context: Airflow's task context.
        :param event: of the job that was watched; what became of it shows at the next poll anyway.
        """
        return self._work(context, event or {})

    def deferral_timed_out(self, context: Context, error: Exception) -> dict[str, Any]:
        """
        Go on after Airflow's own time-out of a deferral: the jobs' deadlines say what is to be done.

        :param context: Airflow's task context.
        :param error: what Airflow raised.
        """
        return self._work(context, {})

    def on_kill(self) -> None:
        """Submit nothing more, and cancel the jobs if a user ended the task or ``execution_timeout`` is over."""
        if self._batch is not None:
            self._batch.killed = True
        super().on_kill()

    def _cancel_for_good(self) -> None:
        if self._batch is not None and self.cancel_on_kill:
            self._batch.cancel_running()

    def _nap(self, duration: float) -> None:
        """Sleep before a call is repeated, in any thread."""
        sleep_until_stopped(duration, self._batch.stop_if_killed if self._batch is not None else lambda: None)

    def _work(self, context: Context, event: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Begin a try, or go on with it after an event."""
        self._context = context
        woken = event is not None
        plan = self._plan(context)
        images = self._the_images()
        memory = self._memory(context, plan)
        documents = self._documents(images, memory, plan, woken=woken)
        names = result_names(images, self._root(images))
        if not images:
            self.log.warning("There are no images in %s: nothing to do.", self.images)
        self._stop_if_killed()
        over = [event["ocr_task_id"]] if event and event.get("status") in _OVER else []
        self._batch = run = BatchRun(self.hook, plan, documents, names, memory, woken=woken, over=over)
        for age in _known_ages(event, documents):
            run.learn(age)
        self.log.info("Batch of %d documents: %s", len(documents), run.progress())
        finished = run.run(self.defer_after if self.deferrable else None)
        self._stop_if_killed()
        if not finished:
            self._defer_batch(run, plan)
        self.log.info("Batch of %d documents: %s", len(documents), run.progress())
        return self._result(run, plan, memory)

    def _plan(self, context: Context) -> BatchPlan:
        from airflow_provider_asposeocr.hooks.documents import storage_path  # noqa: PLC0415 - fsspec loads when used

        if not self.output_path:
            raise AsposeOcrInputError("A batch needs output_path, the folder for its results. Nothing was sent.")
        if self.max_concurrency < 1:
            raise AsposeOcrInputError(f"max_concurrency must be at least 1, got {self.max_concurrency}.")
        if self.on_error not in ("fail_at_end", "fail_fast", "skip"):
            raise AsposeOcrInputError(f"on_error must be fail_at_end, fail_fast or skip, got {self.on_error!r}.")
        plan = BatchPlan(
            endpoint=endpoint_named(self.endpoint),
            settings=self.settings,
            regions=self.regions,
            folder=storage_path(str(self.output_path).rstrip("/"), self.storage_conn_id),
            storage_conn_id=self.storage_conn_id,
            overwrite=self.overwrite,
            max_concurrency=self.max_concurrency,
            timeout=self.timeout,
            fail_fast=self.on_error == "fail_fast",
            resubmit_on_ambiguity=self.resubmit_on_ambiguity,
            cancel_on_timeout=self.cancel_on_kill,
            max_tries=int(context["ti"].max_tries),
            schedule=self.poll_schedule(),
        )
        _ = plan.typed_settings
        return plan

    def _the_images(self) -> list[str]:
        from airflow_provider_asposeocr.hooks.documents import storage_path  # noqa: PLC0415 - likewise

        if not isinstance(self.images, str):
            if not isinstance(self.images, Iterable):
                raise AsposeOcrInputError(f"`images` must be a list, a folder or a glob, got {self.images!r:.80}.")
            images = [str(image) for image in self.images]
        elif _GLOB & set(self.images):
            pattern = storage_path(self.images, self.storage_conn_id)
            images = self._listed(pattern, pattern.fs.glob(pattern.path))
        else:
            path = storage_path(self.images, self.storage_conn_id)
            if path.is_dir():
                found = path.fs.find(path.path)
                images = self._listed(path, [each for each in found if _is_image(each)])
            elif path.exists():
                images = [self.images]
            else:
                raise AsposeOcrInputError(f"There is no folder or file {self.images}. Nothing was sent.")
        return list(dict.fromkeys(images))

    def _listed(self, path: ObjectStoragePath, found: Iterable[str]) -> list[str]:
        """Paths as the file system lists them, as the user would write them."""
        remote = "://" in str(self.images)
        return sorted(path.fs.unstrip_protocol(each) if remote else each for each in found)

    def _root(self, images: list[str]) -> str:
        """The folder below which the results keep the structure of the input."""
        if isinstance(self.images, str) and images and not _GLOB & set(self.images) and images != [self.images]:
            # All below one folder that may hold nothing but one folder: its own name must not get lost.
            root = self.images.rstrip("/")
            if all(image.startswith(f"{root}/") for image in images):
                return root
        return common_root(images)

    def _memory(self, context: Context, plan: BatchPlan) -> BatchMemory:
        ti: Any = context["ti"]
        run = "/".join(str(part) for part in (ti.dag_id, ti.task_id, ti.run_id, getattr(ti, "map_index", -1)))
        store: Any = context.get("task_state_store") if self.durable else None
        return BatchMemory(store, plan.folder / MANIFEST, run)

    def _documents(
        self, images: list[str], memory: BatchMemory, plan: BatchPlan, *, woken: bool
    ) -> list[BatchDocument]:
        """All documents, as this try begins with them."""
        if not self.overwrite:
            memory.refuse_foreign_manifest()
        remembered = memory.recall()
        documents = [
            self._begun(remembered[image], plan, woken=woken) if image in remembered else BatchDocument(image)
            for image in images
        ]
        if not woken:
            # Each try has the whole time-out: one that follows a crash is not punished for it.
            deadline = time.time() + plan.timeout
            documents = [
                replace(each, deadline=deadline) if each.status is DocumentStatus.RUNNING else each
                for each in documents
            ]
            memory.remember(*(each for each in documents if each.status is DocumentStatus.RUNNING))
        return documents

    def _begun(self, old: BatchDocument, plan: BatchPlan, *, woken: bool) -> BatchDocument:
        """A document of an earlier try, or from before a deferral, as it begins now."""
        if woken and old.fingerprint == plan.fingerprint:
            # The same try: what has failed in it has failed.
            return old
        # Its files are ours to replace.
        new = BatchDocument(old.image, files=old.files)
        if old.fingerprint != plan.fingerprint or not (self.durable or woken):
            return new
        cleared = old.max_tries != plan.max_tries
        if old.status is DocumentStatus.COMPLETED:
            return new if cleared and self.overwrite else old
        if cleared:
            # What runs is not gone on with: the clear has cancelled it.
            return new
        if old.status is DocumentStatus.RUNNING:
            return replace(old, error=None)
        if old.status is DocumentStatus.SUBMITTING and not self.resubmit_on_ambiguity:
            return replace(
                old,
                error="An earlier try was cut off while it submitted this document, which may have been billed: clear "
                "the task to submit it anew, or set resubmit_on_ambiguity=True.",
            )
        return new

    def _defer_batch(self, run: BatchRun, plan: BatchPlan) -> NoReturn:
        from airflow_provider_asposeocr.triggers.batch import AsposeOcrBatchTrigger  # noqa: PLC0415

        running = sorted(run.running, key=lambda document: document.submitted_at or 0.0)
        # With more to submit, the batch goes on once some of its jobs have ended; else once the last has.
        watched = running[(len(running) - 1) // 4 if run.unsubmitted else -1]
        started_at = watched.submitted_at or time.time()
        # Earlier than the watched job's, perhaps: then the worker is woken for the others.
        end_time = min(document.deadline or started_at + self.timeout for document in running)
        likely = run.likely_age
        # A little earlier than it is likely done: jobs may have become shorter.
        first = self.poll_interval if likely is None else EARLIER * likely
        self.log.info("%s: deferring until job %s has ended.", run.progress(), watched.ocr_task_id)
        backoff = self.poll_backoff if likely is None else min(self.poll_backoff, KNOWN_BACKOFF)
        self.defer(
            trigger=AsposeOcrBatchTrigger(
                ocr_task_ids=[document.ocr_task_id for document in running if document.ocr_task_id],
                likely_age=likely,
                ocr_task_id=watched.ocr_task_id or "",
                endpoint=plan.endpoint.name,
                started_at=started_at,
                next_poll_at=max(started_at + first, time.time()),
                end_time=end_time,
                **{**self.trigger_arguments(), "poll_backoff": backoff},
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=max(0.0, end_time - time.time()) + DEFERRAL_SLACK),
        )

    def _result(self, run: BatchRun, plan: BatchPlan, memory: BatchMemory) -> dict[str, Any]:
        documents = list(run.documents.values())
        failed = [document for document in documents if document.status is not DocumentStatus.COMPLETED]
        manifest = str(memory.manifest)
        if failed and self.on_error != "skip":
            if plan.fail_fast and self.cancel_on_kill:
                run.cancel_running()
            raise self._failure(failed, len(documents), manifest)
        return {
            "endpoint": plan.endpoint.name,
            "documents": len(documents),
            "completed": len(documents) - len(failed),
            "failed": len(failed),
            "manifest": manifest,
            "failures": [
                {"image": document.image, "ocr_task_id": document.ocr_task_id, "error": document.error}
                for document in failed[:MOST_FAILURES_IN_XCOM]
            ],
        }

    def _failure(self, unfinished: list[BatchDocument], total: int, manifest: str) -> AsposeOcrError:
        # Where the first failure ends the batch, the others have not failed.
        failed = [document for document in unfinished if document.error] or unfinished
        hopeless = all(document.status in (DocumentStatus.REFUSED, DocumentStatus.SUBMITTING) for document in failed)
        reasons = "; ".join(document.error or f"{document.image}: not finished" for document in failed[:3])
        more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
        kept = "What is done and what runs is kept: a retry submits only the others."
        kind = AsposeOcrBatchRefusedError if hopeless else AsposeOcrBatchError
        return kind(
            f"{len(failed)} of {total} documents failed, see {manifest}: {reasons}{more}. "
            + ("A retry would fail the same way." if hopeless else kept),
            endpoint=self.endpoint,
        )

    def deliver_task(self, context: Context, job: OcrJob, task: Any) -> NoReturn:
        """Not used: a batch delivers each document by itself."""
        raise NotImplementedError


def _known_ages(event: Mapping[str, Any] | None, documents: Iterable[BatchDocument]) -> list[float]:
    """For how long jobs have taken so far, the surest last."""
    known = []
    if event is None:
        took = sorted(document.seconds for document in documents if document.seconds)
        # Results of jobs that were waited for in the triggerer came later than they were there.
        known = took[len(took) // 4 : len(took) // 4 + 1]
    elif event.get("likely_age"):
        known.append(event["likely_age"])
    if event and event.get("ended_at"):
        watched = [each for each in documents if each.ocr_task_id == event.get("ocr_task_id") and each.submitted_at]
        known += [max(0.0, event["ended_at"] - each.submitted_at) for each in watched if each.submitted_at]
    return known


def _is_image(path: str) -> bool:
    name = PurePosixPath(path)
    return name.suffix.lower() in _IMAGE_SUFFIXES and not any(part.startswith(".") for part in name.parts)
