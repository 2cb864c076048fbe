"""
Many small documents: the batch operator and the vendor's SDK, at the same concurrency, on the same work.

The ways run side by side, each in a process and against a service of its own: nearly all of their time is waiting.
``python -m benchmarks.batches 2000`` does it with another number of documents.
"""

from __future__ import annotations

import asyncio
import heapq
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks import vendor
from benchmarks.documents import write_document
from benchmarks.measuring import in_fresh_process
from benchmarks.report import Goal, Table, Topic, markdown
from benchmarks.servers import LocalService, job_durations, statistics_of
from benchmarks.simulated_batch import Store

SIZE = 200_000
DOCUMENTS, FEW = 200, 100
LONGEST_START = 180.0
"""Seconds in which all processes must have warmed up."""
OURS, DEFERRED, OFTEN = "ours, in the worker", "ours, deferrable", "ours, deferred at each pause of half a second"
SDK = "vendor's SDK in threads"


@dataclass(frozen=True)
class Case:
    """
    Work for all ways.

    :param durations: see :func:`~benchmarks.servers.job_durations`.
    :param job_seconds: likewise.
    :param at_once: how many jobs.
    :param calls: the goal, of calls per document.
    :param over: the goal, of the end over the bound.
    :param slack: seconds beside that.
    :param documents: how many the goal is judged by; ``None`` for as many as all other cases have.
    """

    durations: str
    job_seconds: float
    at_once: int
    calls: float
    over: float
    slack: float = 0.0
    documents: int | None = None


CASES = (
    Case("equal", 2.0, 16, calls=1.5, over=1.05, slack=2.0),
    Case("equal", 2.0, 64, calls=1.5, over=1.05, slack=2.0),
    Case("humps", 4.8, 16, calls=3.0, over=1.3),
    Case("lognormal", 4.0, 16, calls=2.7, over=1.3, documents=2_000),
)


def with_operator(_url: str, documents: list[str], folder: Path, at_once: int) -> None:
    """Our operator, waiting in the worker."""
    _run_operator(documents, folder, at_once, deferrable=False)


def deferring(_url: str, documents: list[str], folder: Path, at_once: int) -> None:
    """Our operator as it is by itself; without the seconds that Airflow takes for a deferral."""
    _run_operator(documents, folder, at_once, deferrable=True)


def deferring_often(_url: str, documents: list[str], folder: Path, at_once: int) -> None:
    """Our operator, deferred ten times sooner than by itself, so that this is seen; likewise."""
    _run_operator(documents, folder, at_once, deferrable=True, defer_after=0.5)


def _run_operator(documents: list[str], folder: Path, at_once: int, **waiting: Any) -> None:
    from airflow.providers.common.compat.sdk import TaskDeferred

    from airflow_provider_asposeocr.operators.batch import AsposeOcrBatchOperator

    task_instance = SimpleNamespace(dag_id="dag", task_id="batch", run_id=folder.name, map_index=-1, max_tries=0)
    context: Any = {"ti": task_instance, "task_state_store": Store()}
    event: dict[str, Any] | None = None

    async def wait(trigger: Any) -> dict[str, Any]:
        events = [event.payload async for event in trigger.run()]
        return dict(events[0])

    while True:
        operator = AsposeOcrBatchOperator(
            task_id="batch",
            images=documents,
            output_path=str(folder),
            settings={"language": "English", "resultType": "Text"},
            max_concurrency=at_once,
            **waiting,
        )
        try:
            xcom = operator.execute(context) if event is None else operator.execute_complete(context, event)
        except TaskDeferred as deferred:
            event = asyncio.run(wait(deferred.trigger))
        else:
            assert xcom["completed"] == len(documents)
            return


def with_sdk(url: str, documents: list[str], folder: Path, at_once: int) -> None:
    """The SDK, in as many threads as there are documents at once."""
    folder.mkdir()
    with ThreadPoolExecutor(at_once) as threads:
        list(threads.map(lambda image: vendor.recognize(url, image, str(folder / Path(image).stem)), documents))


WAYS: dict[str, Callable[[str, list[str], Path, int], None]] = {
    OURS: with_operator,
    DEFERRED: deferring,
    OFTEN: deferring_often,
    SDK: with_sdk,
}


def measure(url: str, way: str, documents: list[str], at_once: int, ready: str) -> dict[str, float]:
    """
    Do a batch, in this process.

    :param url: of the service.
    :param way: a name of :data:`WAYS`.
    :param documents: their paths. The first one is sent before, as a warm-up.
    :param at_once: how many.
    :param ready: a folder in which each of the ways says that it has warmed up: they begin together.
    """
    with tempfile.TemporaryDirectory(prefix="aspose-ocr-bench-") as folder:
        WAYS[way](url, documents[:1], Path(folder) / "warm-up", 1)
        Path(ready, str(list(WAYS).index(way))).touch()
        deadline = time.monotonic() + LONGEST_START
        while len(list(Path(ready).iterdir())) < len(WAYS):
            assert time.monotonic() < deadline, "The other ways do not begin."
            time.sleep(0.05)
        before = statistics_of(url)
        wall, cpu = time.perf_counter(), time.process_time()
        WAYS[way](url, documents, Path(folder) / "results", at_once)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        after = statistics_of(url)
        assert after.submissions - before.submissions == len(documents)
        return {
            "seconds": wall,
            "calls": (after.polls - before.polls) / len(documents),
            "cpu_s": cpu / len(documents),
        }


def bounds(durations: str, job_seconds: float, count: int, at_once: int) -> tuple[float, float]:
    """
    Return the work by the number of places, and how long a client takes that knows the moment each job ends.

    :param durations: how long jobs take.
    :param job_seconds: likewise.
    :param count: how many documents there are.
    :param at_once: how many jobs.
    """
    # The first one was the warm-up's.
    took = list(islice(job_durations(durations, job_seconds), 1, count + 1))
    ends = [0.0] * at_once
    for seconds in took:
        heapq.heapreplace(ends, ends[0] + seconds)
    # Equal jobs come in rounds, the last of which may leave places empty.
    return max(ends) if durations == "equal" else sum(took) / at_once, max(ends)


def run(quick: bool, documents: int | None = None) -> Topic:
    """
    Do all batches.

    :param quick: fewer documents.
    :param documents: how many, where neither number is wanted.
    """
    goals: list[Goal] = []
    rows: list[list[str | float | int]] = []
    few = documents or (FEW if quick else DOCUMENTS)
    with tempfile.TemporaryDirectory(prefix="aspose-ocr-bench-") as folder:
        images = [str(write_document(Path(folder) / f"{at:03}.png", SIZE, seed=at)) for at in range(min(few, 200))]
        for case in CASES:
            judged = few if quick or documents else case.documents or few
            for count in sorted({few, judged}):
                paths = _copies(images, count, Path(folder) / f"{case.durations}-{case.at_once}-{count}")
                found = _costs(paths, case)
                least, in_order = bounds(case.durations, case.job_seconds, count, case.at_once)
                rows += [
                    [
                        f"{case.durations}, {case.job_seconds:g} s: {way}",
                        count,
                        case.at_once,
                        cost["seconds"],
                        least,
                        in_order,
                        cost["calls"],
                        cost["cpu_s"],
                    ]
                    for way, cost in found.items()
                ]
                if count == judged:
                    goals += [_goal(case, count, least, way, found[way], found[SDK]) for way in (OURS, DEFERRED)]
    notes = [
        "The bound: all jobs' durations by the number of places; of equal jobs, whole rounds. In order: a client that "
        "submits in order, and knows the moment each job ends. With 200 lognormal jobs that alone takes 1.17 x the "
        "bound, and who knows their distribution beforehand and asks when that pays takes 1.43 x at 2.4 calls, 1.36 x "
        "at 3.2: the last and longest ones weigh much. With 2,000 it takes 1.02 x, and 1.24 x at 2.7: their goal is "
        "judged by those.",
    ]
    return Topic("Batches", goals, [Table(f"Documents of {SIZE // 1000} KB", _COLUMNS, rows)], notes)


_COLUMNS = ("durations, way", "documents", "at once", "seconds", "bound", "in order", "calls each", "CPU s each")


def _goal(case: Case, count: int, least: float, way: str, cost: dict[str, float], peer: dict[str, float]) -> Goal:
    return Goal(
        f"{count} documents, {case.durations}, {case.at_once} at once, {way}",
        f"end <= {case.over:g} x the bound{f' + {case.slack:g} s' if case.slack else ''} at <= {case.calls:g} calls",
        f"{cost['seconds']:.1f} s ({cost['seconds'] / least:.2f} x) at {cost['calls']:.2f}",
        f"SDK {peer['seconds'] / least:.2f} x at {peer['calls']:.1f}",
        cost["seconds"] <= case.over * least + case.slack and cost["calls"] <= case.calls,
    )


def _copies(images: list[str], count: int, folder: Path) -> list[str]:
    """As many documents, under as many names."""
    folder.mkdir()
    documents = []
    for at in range(count):
        documents.append(str(folder / f"{at:05}.png"))
        Path(documents[-1]).hardlink_to(images[at % len(images)])
    return documents


def _costs(documents: list[str], case: Case) -> dict[str, dict[str, float]]:
    """What the ways cost, by their names; all at the same time."""
    with ExitStack() as stack:
        ready = stack.enter_context(tempfile.TemporaryDirectory(prefix="aspose-ocr-bench-"))
        threads = stack.enter_context(ThreadPoolExecutor(len(WAYS)))

        def cost(way: str) -> dict[str, float]:
            with LocalService(job_seconds=case.job_seconds, durations=case.durations) as service:
                found: dict[str, float] = in_fresh_process(
                    measure,
                    service_url=service.url,
                    url=service.url,
                    way=way,
                    documents=documents,
                    at_once=case.at_once,
                    ready=ready,
                )
                return found

        return dict(zip(WAYS, threads.map(cost, WAYS), strict=True))


if __name__ == "__main__":
    print(markdown([run(quick=False, documents=int(sys.argv[1]))], "Loopback."))
