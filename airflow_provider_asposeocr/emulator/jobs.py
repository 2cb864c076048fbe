"""
The queue: jobs from the moment they are accepted to the moment they are forgotten.

What state a job is in follows from the clock and from how far its reading is; nothing wakes up for a waiting job, so
thousands of them cost nothing. Reading itself happens in a small pool of threads.
"""

from __future__ import annotations

import logging
import threading
import traceback
import uuid
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import ClassVar

import msgspec
from pydantic import BaseModel

from airflow_provider_asposeocr.api.answers import (
    ErrorDetails,
    ResponseStatusCode,
    ResultEntry,
    TaskResponse,
    TaskStatus,
)
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.emulator.memory import give_back

log = logging.getLogger(__name__)

Clock = Callable[[], float]


class JobFailedError(Exception):
    """
    A job cannot be done; it ends as ``Error``.

    :param messages: what the client is told.
    """

    def __init__(self, *messages: str) -> None:
        super().__init__(*messages)
        self.messages = list(messages)


class Outcome(Value, frozen=True):
    """
    What a finished job gives.

    :param results: the entries of the answer.
    :param warnings: notices that do not make it fail.
    :param code: how complete the results are.
    """

    UNSAID: ClassVar[tuple[str, ...]] = ("results",)

    results: list[ResultEntry]
    warnings: list[str] = msgspec.field(default_factory=list)
    code: ResponseStatusCode = ResponseStatusCode.OK


Work = Callable[[], Outcome]


@dataclass(slots=True)
class Fate:
    """
    What fault injection makes of a job, whatever its reading gives.

    :param failure: it ends as ``Error`` with these messages.
    :param ended: it is over without regard to the latency.
    :param messages: additional messages of a completed job.
    :param warnings: additional warnings of a completed job.
    :param lost: nobody knows of it any more.
    """

    failure: list[str] | None = None
    ended: bool = False
    messages: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    lost: bool = False


@dataclass(slots=True)
class _Job:
    id: str
    endpoint: str
    image_sha256: str
    submitted: float
    reading: Future[Outcome]
    fate: Fate
    cancelled: bool = False


class JobSummary(BaseModel):
    """A job as ``GET /emulator/jobs`` shows it: never a word of the document."""

    id: str
    endpoint: str
    status: TaskStatus
    cancelled: bool
    image_sha256: str


class JobQueue:
    """
    Accepts jobs and answers for them.

    :param latency: seconds a job takes at least, a third of them waiting.
    :param retention: seconds after which a job is forgotten.
    :param workers: how many images are read at the same time.
    :param clock: seconds from any start.
    """

    def __init__(self, *, latency: float, retention: float, workers: int, clock: Clock) -> None:
        self._latency = latency
        self._retention = retention
        self._clock = clock
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="aspose-ocr-emulator-reader")
        self._jobs: OrderedDict[str, _Job] = OrderedDict()
        self._lock = threading.RLock()

    def submit(self, endpoint: str, image_sha256: str, work: Work, fate: Fate, *, prefix: str = "") -> str:
        """
        Accept a job.

        :param endpoint: the endpoint it was sent to.
        :param image_sha256: fingerprint of its image.
        :param work: does it, in a thread of the pool.
        :param fate: what is to become of it.
        :param prefix: takes the place of the first characters of its id.
        :returns: its id.
        """
        with self._lock:
            self._forget_expired()
            job = _Job(
                id=prefix + str(uuid.uuid4())[len(prefix) :],
                endpoint=endpoint,
                image_sha256=image_sha256,
                submitted=self._clock(),
                reading=self._pool.submit(work),
                fate=fate,
            )
            self._jobs[job.id.lower()] = job
            return job.id

    def answer(self, job_id: str, endpoint: str | None) -> TaskResponse:
        """
        The response object of a job.

        :param job_id: its id.
        :param endpoint: the endpoint that is asked; ``None`` for the one that knows the state of all, but no results.
        """
        with self._lock:
            job = self._known(job_id, endpoint)
            if job is None:
                return _unknown(job_id)
            status = self._status(job)
            if status is TaskStatus.NOT_EXIST:
                return _unknown(job_id)
            if status in (TaskStatus.PENDING, TaskStatus.PROCESSING):
                return TaskResponse(id=job_id, task_status=status, response_status_code=ResponseStatusCode.NOT_READY)
            if status is TaskStatus.ERROR:
                return TaskResponse(
                    id=job_id,
                    task_status=status,
                    response_status_code=ResponseStatusCode.ERROR,
                    error=ErrorDetails(messages=_failure_of(job)),
                )
            outcome = job.reading.result()
            messages, warnings = job.fate.messages, outcome.warnings + job.fate.warnings
            return TaskResponse(
                id=job_id,
                task_status=status,
                response_status_code=outcome.code,
                results=None if endpoint is None else outcome.results,
                error=ErrorDetails(messages=messages, warnings=warnings) if messages or warnings else None,
            )

    def cancel(self, job_id: str, endpoint: str) -> None:
        """
        Forget a job and its results, as far as clients can see. No other endpoint's job, and none that is unknown.

        :param job_id: its id.
        :param endpoint: the endpoint it was sent to.
        """
        with self._lock:
            job = self._known(job_id, endpoint)
            if job is not None:
                job.cancelled = True
                self._drop_reading(job)

    def endpoint_of(self, job_id: str) -> str | None:
        """
        The endpoint that a job was sent to.

        :param job_id: its id.
        """
        with self._lock:
            job = self._known(job_id, None)
            return job.endpoint if job else None

    def fate_of(self, job_id: str) -> Fate | None:
        """
        What fault injection may change about a job.

        :param job_id: its id.
        """
        with self._lock:
            job = self._known(job_id, None)
            return job.fate if job else None

    def summaries(self) -> list[JobSummary]:
        """All jobs that are not forgotten, oldest first."""
        with self._lock:
            self._forget_expired()
            return [
                JobSummary(
                    id=job.id,
                    endpoint=job.endpoint,
                    status=self._status(job),
                    cancelled=job.cancelled,
                    image_sha256=job.image_sha256,
                )
                for job in self._jobs.values()
            ]

    def clear(self) -> None:
        """Forget all jobs."""
        with self._lock:
            for job in self._jobs.values():
                job.reading.cancel()
            self._jobs.clear()

    def close(self) -> None:
        """Stop reading. An image that is being read is read to its end, by a thread nobody waits for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _known(self, job_id: str, endpoint: str | None) -> _Job | None:
        self._forget_expired()
        job = self._jobs.get(job_id.lower())
        return job if job is not None and endpoint in (None, job.endpoint) else None

    def _forget_expired(self) -> None:
        # All jobs live equally long, so the oldest stand in front.
        deadline = self._clock() - self._retention
        while self._jobs:
            oldest = next(iter(self._jobs.values()))
            if oldest.submitted > deadline:
                return
            oldest.reading.cancel()
            del self._jobs[oldest.id.lower()]

    @staticmethod
    def _drop_reading(job: _Job) -> None:
        if not job.reading.cancel():
            # It runs or has run: let go of what it gave.
            job.reading = Future()

    def _status(self, job: _Job) -> TaskStatus:
        if job.cancelled or job.fate.lost:
            return TaskStatus.NOT_EXIST
        if job.fate.failure is not None and job.fate.ended:
            return TaskStatus.ERROR
        elapsed = self._clock() - job.submitted
        begun = job.reading.running() or job.reading.done()
        if not begun or elapsed < self._latency / 3:
            return TaskStatus.PENDING
        if not job.reading.done() or elapsed < self._latency:
            return TaskStatus.PROCESSING
        if job.fate.failure is not None or job.reading.exception() is not None:
            return TaskStatus.ERROR
        return TaskStatus.COMPLETED


def guarded(work: Work) -> Work:
    """
    Work that ends in a result or in a :class:`JobFailedError`, whatever goes wrong.

    :param work: what may fail in any way.
    """

    def run() -> Outcome:
        try:
            return work()
        except JobFailedError:
            raise
        except Exception as error:
            # Any fault of the emulator must end the job in view of its client, not leave it pending for ever.
            # Only where, and of what type: the message of an unforeseen exception might quote the document.
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("The emulator failed to do a job: %s\n%s", type(error).__name__, where)
            raise JobFailedError(f"The emulator failed to do the job: {type(error).__name__}.") from error
        finally:
            give_back()

    return run


def _failure_of(job: _Job) -> list[str]:
    if job.fate.failure is not None:
        return job.fate.failure
    error = job.reading.exception()
    return error.messages if isinstance(error, JobFailedError) else [str(error)]


def _unknown(job_id: str) -> TaskResponse:
    return TaskResponse(
        id=job_id, task_status=TaskStatus.NOT_EXIST, response_status_code=ResponseStatusCode.TASK_NOT_FOUND
    )
