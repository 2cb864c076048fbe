"""Many small documents: the batch operator, the vendor's SDK one after the other, and the SDK in threads."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks import vendor
from benchmarks.documents import write_document
from benchmarks.measuring import in_fresh_process
from benchmarks.report import Goal, Table, Topic, number
from benchmarks.servers import LocalService

SIZE = 200_000
MAX_OVER_BOUND = 1.05
MAX_SLACK_S = 2.0
MAX_CALLS = 1.5
MANY, FEW, THREADS = 64, 16, 16
OURS, SDK, SDK_THREADS = "ours: AsposeOcrBatchOperator", "vendor's SDK, one after the other", "vendor's SDK in threads"


class _Store:
    """Airflow's task state store, in memory."""

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return self._kept.get(key, default)

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        self._kept[key] = value

    def delete(self, key: str) -> None:
        self._kept.pop(key, None)


def with_operator(_url: str, documents: list[str], folder: Path, at_once: int) -> None:
    """Our operator, waiting in the worker."""
    from airflow_provider_asposeocr.operators.batch import AsposeOcrBatchOperator

    operator = AsposeOcrBatchOperator(
        task_id="batch",
        images=documents,
        output_path=str(folder),
        settings={"language": "English", "resultType": "Text"},
        max_concurrency=at_once,
        deferrable=False,
    )
    task_instance = SimpleNamespace(dag_id="dag", task_id="batch", run_id=folder.name, map_index=-1, max_tries=0)
    context: Any = {"ti": task_instance, "task_state_store": _Store()}
    assert operator.execute(context)["completed"] == len(documents)


def with_sdk(url: str, documents: list[str], folder: Path, at_once: int) -> None:
    """The SDK, in as many threads as there are documents at once."""
    folder.mkdir()
    with ThreadPoolExecutor(at_once) as threads:
        list(threads.map(lambda image: vendor.recognize(url, image, str(folder / Path(image).stem)), documents))


WAYS: dict[str, Callable[[str, list[str], Path, int], None]] = {
    OURS: with_operator,
    SDK: with_sdk,
    SDK_THREADS: with_sdk,
}


def measure(url: str, way: str, documents: list[str], at_once: int) -> dict[str, float]:
    """
    Do a batch, in this process.

    :param url: of the service.
    :param way: a name of :data:`WAYS`.
    :param documents: their paths. The first one is sent before, as a warm-up.
    :param at_once: how many.
    """
    with tempfile.TemporaryDirectory(prefix="aspose-ocr-bench-") as folder:
        WAYS[way](url, documents[:1], Path(folder) / "warm-up", 1)
        wall, cpu = time.perf_counter(), time.process_time()
        WAYS[way](url, documents, Path(folder) / "results", at_once)
        return {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def run(quick: bool) -> Topic:
    """
    Do all batches.

    :param quick: fewer documents, shorter jobs.
    """
    count, job_seconds, subset = (40, 1.0, 2) if quick else (200, 2.0, 5)
    cases = ((OURS, MANY), (OURS, FEW), (SDK_THREADS, THREADS), (SDK, 1))
    rows: list[list[str | float | int]] = []
    figures: dict[tuple[str, int], dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="aspose-ocr-bench-") as folder:
        documents = [
            str(write_document(Path(folder) / f"{position:03}.png", SIZE, seed=position)) for position in range(count)
        ]
        for way, at_once in cases:
            part = documents[:subset] if way == SDK else documents
            with LocalService(job_seconds=job_seconds) as service:
                # The warm-up document alone, to know what it asked.
                in_fresh_process(
                    measure, service_url=service.url, url=service.url, way=way, documents=part[:1], at_once=1
                )
                warm_up = service.statistics().polls / 2
                before = service.statistics().polls
                found = in_fresh_process(
                    measure, service_url=service.url, url=service.url, way=way, documents=part, at_once=at_once
                )
                found["calls"] = (service.statistics().polls - before - warm_up) / len(part)
            found["wall_s"] *= count / len(part)
            found["bound_s"] = math.ceil(count / at_once) * job_seconds
            figures[way, at_once] = found
            name = way if len(part) == count else f"{way} ({len(part)} measured, times {count // len(part)})"
            rows.append([name, at_once, found["wall_s"], found["bound_s"], found["calls"], found["cpu_s"] / len(part)])
    return Topic("Batches", _goals(figures, count, job_seconds), [_table(rows, count, job_seconds)])


def _goals(figures: dict[tuple[str, int], dict[str, float]], count: int, job_seconds: float) -> list[Goal]:
    many, few = figures[OURS, MANY], figures[OURS, FEW]
    sdk, threads = figures[SDK, 1], figures[SDK_THREADS, THREADS]
    calls = max(many["calls"], few["calls"])
    slack = max(found["wall_s"] - found["bound_s"] * MAX_OVER_BOUND for found in (many, few))
    return [
        Goal(
            f"{count} documents of {job_seconds:g} s each, {MANY} at once",
            f"within 5 % of the bound of {many['bound_s']:g} s",
            f"{many['wall_s']:.2f} s ({(many['wall_s'] / many['bound_s'] - 1) * 100:+.1f} %)",
            f"SDK {number(sdk['wall_s'])} s, {THREADS} threads {number(threads['wall_s'])} s",
            many["wall_s"] <= many["bound_s"] * MAX_OVER_BOUND,
        ),
        Goal(
            f"calls per document in a batch, {MANY} and {FEW} at once",
            f"<= {MAX_CALLS:g}, end within 5 % + {MAX_SLACK_S:g} s of the bound",
            f"{many['calls']:.2f} and {few['calls']:.2f}, end {many['wall_s']:.1f} of {many['bound_s']:g} s "
            f"and {few['wall_s']:.1f} of {few['bound_s']:g} s",
            f"SDK {sdk['calls']:.1f}",
            calls <= MAX_CALLS and slack <= MAX_SLACK_S,
        ),
    ]


def _table(rows: list[list[str | float | int]], count: int, job_seconds: float) -> Table:
    return Table(
        f"{count} documents of {SIZE // 1000} KB, {job_seconds:g} s each",
        ("way", "at once", "seconds", "bound", "calls per document", "CPU s per document"),
        rows,
    )
