"""
What a task remembers of its submission across tries, so that no document is billed twice.

Kept in Airflow's task state store (3.3+), scoped to dag run, task and map index. It survives retries, killed processes,
deferral and a user's clear. An intent is written right before each POST and taken back where that was certainly not
accepted; the job's id is written as soon as it is logged, right after the answer. What lies between cannot be closed by
any client, and the intent lets the next try say so.

A store that fails never hides what came first: what could not be written is written later in the try, if that works.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from msgspec.structs import replace
from tenacity import Retrying, stop_after_attempt, wait_exponential

from airflow_provider_asposeocr.events import Event, warned
from airflow_provider_asposeocr.exceptions import AsposeOcrError
from airflow_provider_asposeocr.jobs.record import SubmissionRecord

log = logging.getLogger(__name__)

T = TypeVar("T")

KEY = "aspose_ocr_submission"
"""Renaming it would lose the jobs of running tasks."""
RETENTION = timedelta(days=2)
"""Results live for 24 hours at the service; a record that is older names nothing any more."""
_ATTEMPTS = 3
"""How often a call of the store is made before it counts as failed, with waits of 0.05 and 0.1 s."""


class TaskStateStore(Protocol):
    """What we use of Airflow's ``context["task_state_store"]``."""

    def get(self, key: str, default: Any = None) -> Any:
        """
        Return a value.

        :param key: its name.
        :param default: what to return where there is none.
        """

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        """
        Keep a JSON value.

        :param key: its name.
        :param value: which.
        :param retention: for how long, as a timedelta.
        """

    def delete(self, key: str) -> None:
        """
        Forget a value.

        :param key: its name.
        """


class SubmissionMemory:
    """
    The record of this task's submission.

    :param store: Airflow's task state store; ``None`` (below 3.3, or switched off) remembers nothing.
    """

    def __init__(self, store: TaskStateStore | None) -> None:
        self._store = store
        self._unwritten: SubmissionRecord | None = None

    @classmethod
    def of(cls, context: Mapping[str, Any], *, durable: bool) -> SubmissionMemory:
        """
        Return the memory of the running task.

        :param context: Airflow's task context.
        :param durable: whether to remember at all.
        """
        return cls(context.get("task_state_store") if durable else None)

    @property
    def is_kept(self) -> bool:
        """Whether a later try will know what this one remembers."""
        return self._store is not None

    def recall(self) -> SubmissionRecord | None:
        """
        Return what was remembered, if it is a record.

        :raises AsposeOcrError: where the store does not answer: nobody knows then what is paid for already.
        """
        if self._store is None:
            return None
        if self._unwritten is not None:
            return self._unwritten
        store = self._store
        try:
            return SubmissionRecord.from_json(_persistently(lambda: store.get(KEY)))
        except Exception as error:
            raise AsposeOcrError(
                "Airflow's task state store cannot be read, so nobody knows whether an earlier try has submitted the "
                f"document ({type(error).__name__}: {error}). Nothing was sent in this try; a retry asks again.",
            ) from error

    def recall_if_possible(self) -> SubmissionRecord | None:
        """Return what was remembered, if the store answers: for what must not fail once a job is paid for."""
        try:
            return self.recall()
        except AsposeOcrError as error:
            warned(log, Event.RECORD_FAILED, "What this task remembers is not used: %s", error)
            return None

    def intend(self, record: SubmissionRecord) -> None:
        """
        Remember that a submission is about to be made.

        :param record: what, without a job's id.
        :raises AsposeOcrError: where the store does not take it: then it must not be made.
        """
        # Where the write fails, or `execution_timeout` cuts it off, it may stand there all the same.
        self._unwritten = record.without_job()
        try:
            self._write(record)
        except Exception as error:
            raise AsposeOcrError(
                "Airflow's task state store cannot be written, so a later try would not know of the submission "
                f"({type(error).__name__}: {error}). Nothing was sent; a retry submits. With durable=False it is "
                "submitted without the store, and every retry is billed.",
            ) from error

    def remember(self, record: SubmissionRecord) -> bool:
        """
        Remember a record; never raise, but say whether it is kept.

        :param record: what.
        """
        # First: `execution_timeout` may cut the write off.
        self._unwritten = record
        try:
            self._write(record)
        except Exception as error:  # noqa: BLE001 - whatever the store has: what came first goes on
            warned(
                log,
                Event.RECORD_FAILED,
                "Airflow's task state store could not be written (%s: %s), so a later try may not know: %s. It is "
                "written again before this try ends.",
                type(error).__name__,
                error,
                _told(record),
                endpoint=record.endpoint,
                ocr_task_id=record.ocr_task_id,
            )
            return False
        return True

    def learn(self, ocr_task_id: str) -> None:
        """
        Remember the job of a submission whose id could not be kept when it came.

        :param ocr_task_id: the job.
        """
        kept = self.recall_if_possible()
        if kept is not None and kept.in_doubt and kept.ocr_task_id is None:
            self.remember(replace(kept, ocr_task_id=ocr_task_id, in_doubt=False))

    def forget(self, ocr_task_id: str, *, failed: bool = False) -> None:
        """
        Forget a job: it ended badly, or was cancelled. What the task has written stays its own.

        :param ocr_task_id: the job that is meant: the record of another one, which a later try has submitted, stays.
        :param failed: whether it ended as ``Error``.
        """
        kept = self.recall_if_possible()
        if kept is not None and kept.ocr_task_id == ocr_task_id:
            self.remember(kept.without_job(failed=failed))

    def settle(self) -> None:
        """Write what could not be written before. Called before the task is deferred or ends."""
        if self._unwritten is not None:
            self.remember(self._unwritten)

    def _write(self, record: SubmissionRecord) -> None:
        if self._store is None:
            return
        store = self._store
        if record.is_worth_keeping:
            _persistently(lambda: store.set(KEY, record.to_json(), retention=RETENTION))
        else:
            _persistently(lambda: store.delete(KEY))
        self._unwritten = None


class SubmissionIntent:
    """
    Keeps the intent of a submission while a POST of it may have been accepted, and only then.

    It is the journal that :meth:`~airflow_provider_asposeocr.hooks.aspose_ocr.AsposeOcrHook.send` takes.

    :param memory: where.
    :param record: of the submission, without a job's id.
    :param check: called before each POST; it raises where none may be made any more.
    """

    def __init__(self, memory: SubmissionMemory, record: SubmissionRecord, check: Callable[[], object]) -> None:
        self._memory = memory
        self._record = record
        self._check = check
        self._maybe_accepted = 0
        self._is_announced = False

    def about_to_send(self) -> None:
        """Write the intent, unless an earlier POST may have been accepted: then it is there."""
        self._is_announced = False
        self._check()
        if self._maybe_accepted == 0:
            self._memory.intend(self._record)
        self._maybe_accepted += 1
        self._is_announced = True

    def certainly_not_accepted(self) -> None:
        """Take the intent back, unless an earlier POST may have been accepted. A failing store hides no refusal."""
        if not self._is_announced:
            # This POST was never made: it says nothing about the ones before it.
            return
        self._is_announced = False
        self._maybe_accepted -= 1
        if self._maybe_accepted == 0:
            self._memory.remember(self._record.without_job())


def _persistently(call: Callable[[], T]) -> T:
    attempts = Retrying(stop=stop_after_attempt(_ATTEMPTS), wait=wait_exponential(0.05), reraise=True)
    return attempts(call)


def _told(record: SubmissionRecord) -> str:
    if record.ocr_task_id:
        return (
            f"{record.endpoint} job {record.ocr_task_id} is submitted and billed; its result can be fetched by this id "
            "for 24 hours, by the sensor or by get_task of the hook"
        )
    if record.in_doubt:
        return "a submission is being made"
    return "no submission is open: the last one was not accepted, or its job is gone"
