"""A simulated service with a time of its own: a batch of a hundred thousand documents takes seconds."""

from __future__ import annotations

import asyncio
import math
import random
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, TypeVar

from msgspec.structs import replace

from airflow_provider_asposeocr.api.answers import TaskStatus
from airflow_provider_asposeocr.api.results import OcrTask
from airflow_provider_asposeocr.batches.documents import BatchDocument, DocumentStatus
from airflow_provider_asposeocr.batches.intents import DocumentJournal
from airflow_provider_asposeocr.exceptions import AsposeOcrError, AsposeOcrRateLimitError, AsposeOcrServiceError

T = TypeVar("T")


class _Jumping(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Does not wait, but lets the time pass."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("nothing will ever happen again")
            self.now += timeout
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop in which a sleep takes no time, but the clock goes on."""

    def __init__(self) -> None:
        self.jumping = _Jumping()
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.now


def simulated(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in a time of its own."""
    loop = JumpingLoop()
    try:
        return loop.run_until_complete(work())
    finally:
        loop.close()


def lognormal(seed: int) -> Callable[[int], float]:
    """Durations as they are: median 4 s, sigma 0.8."""
    dice = random.Random(seed)
    return lambda _: dice.lognormvariate(math.log(4), 0.8)


def two_humps(seed: int) -> Callable[[int], float]:
    """Four of five jobs take 1 s, one takes 20."""
    dice = random.Random(seed)
    return lambda _: 1.0 if dice.random() < 0.8 else 20.0


def equal(seconds: float) -> Callable[[int], float]:
    return lambda _: seconds


@dataclass
class SimulatedService:
    """
    Stands in for the service, the threads and the storages.

    :param duration: of the job of each document, by its number.
    :param answer: seconds that a call takes.
    :param write: seconds that it takes to write a result.
    :param outages: between which times, from the start, all calls are answered with 503.
    :param posts_per_second: how many submissions are accepted in each second.
    :param quota: how many submissions are accepted at all, and the wait that is asked for then.
    :param broken_writes: how many results the storage does not take before it does.
    :param forgetful: whether a job is forgotten once its results were fetched.
    """

    duration: Callable[[int], float]
    answer: float = 0.02
    write: float = 0.0
    outages: tuple[tuple[float, float], ...] = ()
    posts_per_second: int | None = None
    quota: tuple[int, float] | None = None
    broken_writes: float = 0
    forgetful: bool = False
    ends: dict[str, float] = field(default_factory=dict)
    accepted: int = 0
    posts: int = 0
    polls: int = 0
    most_at_once: int = 0
    written: int = 0
    _in_second: dict[int, int] = field(default_factory=dict)
    _underway: int = 0
    _write_failures: int = 0

    epoch: float = 1_700_000_000.0

    def now(self) -> float:
        return self.epoch + asyncio.get_running_loop().time()

    async def blocking(self, work: Callable[[], T]) -> T:
        return work()

    def _is_away(self) -> bool:
        passed = self.now() - self.epoch
        return any(begin <= passed < end for begin, end in self.outages)

    async def submit(self, document: BatchDocument, journal: DocumentJournal) -> None:
        journal.about_to_send()
        self.posts += 1
        await asyncio.sleep(self.answer)
        error: AsposeOcrError | None = None
        second = int(self.now())
        if self._is_away():
            error = AsposeOcrServiceError("HTTP 503", status=503, certainly_not_accepted=True)
        elif self.quota is not None and self.accepted >= self.quota[0]:
            error = AsposeOcrRateLimitError(
                "HTTP 429", status=429, retry_after=self.quota[1], certainly_not_accepted=True
            )
        elif self.posts_per_second is not None and self._in_second.get(second, 0) >= self.posts_per_second:
            error = AsposeOcrRateLimitError("HTTP 429", status=429, certainly_not_accepted=True)
        if error is not None:
            journal.certainly_not_accepted()
            raise error
        self._in_second[second] = self._in_second.get(second, 0) + 1
        self.accepted += 1
        self._underway += 1
        self.most_at_once = max(self.most_at_once, self._underway)
        ocr_task_id = f"job-{document.number}-{document.submissions}"
        self.ends[ocr_task_id] = self.now() + self.duration(document.number)
        journal.accepted(ocr_task_id, document.version)

    async def ask(self, document: BatchDocument) -> OcrTask:
        task = await self.status(document.ocr_task_id or "")
        if task.status is TaskStatus.COMPLETED:
            self._underway -= 1
            if self.forgetful:
                del self.ends[task.id]
        return task

    async def status(self, ocr_task_id: str) -> OcrTask:
        """As the trigger asks: nothing is fetched."""
        self.polls += 1
        asked = self.now()
        await asyncio.sleep(self.answer)
        if self._is_away():
            raise AsposeOcrServiceError("HTTP 503", status=503)
        ended = self.ends[ocr_task_id] <= asked
        return OcrTask(id=ocr_task_id, status=TaskStatus.COMPLETED if ended else TaskStatus.PROCESSING)

    async def deliver(self, document: BatchDocument, task: OcrTask) -> BatchDocument:
        await asyncio.sleep(self.write)
        if self._write_failures < self.broken_writes:
            self._write_failures += 1
            raise OSError("no space left on device")
        self.written += 1
        return replace(document, status=DocumentStatus.COMPLETED, files=(f"/out/{document.name}.txt",))

    async def cancel(self, document: BatchDocument) -> None:
        self.ends.pop(document.ocr_task_id or "", None)


def task_context(run_id: str = "run", max_tries: int = 2) -> dict[str, Any]:
    return {"ti": SimpleNamespace(dag_id="dag", task_id="batch", run_id=run_id, map_index=-1, max_tries=max_tries)}
