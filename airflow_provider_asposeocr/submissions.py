"""
What a task remembers of its submission across tries, so that no document is billed twice.

Kept in Airflow's task state store (3.3+), scoped to dag run, task and map index. It survives retries, killed processes,
deferral and a user's clear. An intent is written right before each POST and taken back where that was certainly not
accepted; the job's id is written as the very next statement after the answer. What lies between cannot be closed by any
client, and the intent lets the next try say so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Protocol

KEY = "aspose_ocr_submission"
"""Renaming it would lose the jobs of running tasks."""
RETENTION = timedelta(days=2)
"""Results live for 24 hours at the service; a record that is older names nothing any more."""


class TaskStateStore(Protocol):
    """What we use of Airflow's ``context["task_state_store"]``."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value."""

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        """Keep a JSON value."""

    def delete(self, key: str) -> None:
        """Forget a value."""


@dataclass(frozen=True, slots=True)
class SubmissionRecord:
    """
    One submission.

    :param endpoint: where to.
    :param fingerprint: of the document, the settings and the endpoint.
    :param max_tries: of the task instance: a user's clear raises it, a retry does not.
    :param ocr_task_id: the job's id; ``None`` while nobody knows whether the service accepted it.
    :param submitted_at: seconds since the epoch.
    """

    endpoint: str
    fingerprint: str
    max_tries: int
    ocr_task_id: str | None = None
    submitted_at: float = 0.0

    def why_not_for(self, other: SubmissionRecord) -> str | None:
        """
        Say why this submission does not serve another one, or ``None`` where it does.

        :param other: what is to be submitted now.
        """
        if self.max_tries != other.max_tries:
            return "the task was cleared by a user since"
        if self.endpoint != other.endpoint:
            return f"the endpoint was {self.endpoint} then"
        if self.fingerprint != other.fingerprint:
            return "the document or its settings changed since"
        return None


class SubmissionMemory:
    """
    The record of this task's submission.

    :param store: Airflow's task state store; ``None`` (below 3.3, or switched off) remembers nothing.
    """

    def __init__(self, store: TaskStateStore | None) -> None:
        self._store = store

    @classmethod
    def of(cls, context: Mapping[str, Any], *, durable: bool) -> SubmissionMemory:
        """
        Return the memory of the running task.

        :param context: Airflow's task context.
        :param durable: whether to remember at all.
        """
        return cls(context.get("task_state_store") if durable else None)

    def recall(self) -> SubmissionRecord | None:
        """Return what was remembered, if it can be read."""
        kept = self._store.get(KEY) if self._store is not None else None
        if not isinstance(kept, Mapping):
            return None
        known = {name: kept[name] for name in SubmissionRecord.__slots__ if name in kept}
        try:
            return SubmissionRecord(**known)
        except TypeError:
            return None

    def remember(self, record: SubmissionRecord) -> None:
        """
        Remember a submission, or the intent to make it.

        :param record: what.
        """
        if self._store is not None:
            self._store.set(KEY, asdict(record), retention=RETENTION)

    def forget(self, ocr_task_id: str | None = None) -> None:
        """
        Forget it: the job ended badly, was cancelled, or was certainly never accepted.

        :param ocr_task_id: the job that is meant: the record of another one, which a later try has submitted, stays.
        """
        if self._store is None:
            return
        if ocr_task_id is not None and (kept := self.recall()) is not None and kept.ocr_task_id != ocr_task_id:
            return
        self._store.delete(KEY)


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

    def about_to_send(self) -> None:
        """Write the intent, unless an earlier POST may have been accepted: then it is there."""
        self._check()
        self._maybe_accepted += 1
        if self._maybe_accepted == 1:
            self._memory.remember(self._record)

    def certainly_not_accepted(self) -> None:
        """Take the intent back, unless an earlier POST may have been accepted."""
        if self._maybe_accepted == 0:
            return
        self._maybe_accepted -= 1
        if self._maybe_accepted == 0:
            self._memory.forget()
