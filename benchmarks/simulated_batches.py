"""Batches in a time of their own: what a document costs in a large one, what a wake costs, what durations do."""

from __future__ import annotations

import logging
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measuring import in_fresh_process, peak_memory, resident_mib
from benchmarks.report import Goal, Table, Topic
from benchmarks.simulated_batch import SimulatedBatch
from benchmarks.simulated_service import SimulatedService, equal, lognormal, two_humps

MAX_GROWTH, MAX_BYTES_A_DOCUMENT, MAX_BYTES, MAX_WAKE_GROWTH, MAX_OVER_BOUND = 1.5, 1024, 3.0, 2.0, 1.3
DURATIONS: dict[str, tuple[Callable[[int], float], float]] = {
    "equal, 2 s": (equal(2.0), 1.5),
    "lognormal, median 4 s": (lognormal(0), 2.7),
    "80 % 1 s, 20 % 20 s": (two_humps(0), 3.0),
}
"""By name: the durations, and how many calls a document may cost."""


def measure_whole(documents: int, durations: str, at_once: int) -> dict[str, float]:
    """
    Run a batch to its end, in this process.

    :param documents: how many.
    :param durations: a name of :data:`DURATIONS`.
    :param at_once: how many jobs.
    """
    logging.disable(logging.INFO)
    took = [DURATIONS[durations][0](number) for number in range(documents)]
    with tempfile.TemporaryDirectory(prefix="aspose-ocr-bench-") as folder:
        SimulatedBatch(SimulatedService(equal(1.0)), Path(folder) / "warm-up", 50, 16).run()
        # What the simulation itself remembers of each job is not ours.
        service = SimulatedService(took.__getitem__, forgetful=True)
        batch = SimulatedBatch(service, Path(folder) / "results", documents, at_once)
        base = resident_mib()
        with peak_memory() as peak:
            cpu = time.process_time()
            batch.run()
            cpu = time.process_time() - cpu
        assert batch.summary is not None
        assert batch.summary.completed == documents
        return {
            "cpu_ms": cpu / documents * 1000,
            "peak_bytes": (peak[0] - base) * 1024 * 1024 / documents,
            "bytes": batch.bytes_written / batch.memory().manifest.stat().st_size,
            "seconds": batch.seconds,
            "bound": math.ceil(documents / at_once) * 2.0 if durations.startswith("equal") else sum(took) / at_once,
            "calls": service.polls / documents,
        }


def measure_wake(documents: int) -> dict[str, float]:
    """
    Run a batch until it would be deferred, wake it when its jobs have ended, and measure that alone.

    :param documents: how many.
    """
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory(prefix="aspose-ocr-bench-") as folder:
        batch = SimulatedBatch(SimulatedService(equal(30.0)), Path(folder), documents, 64)
        batch.run(pause_after=1.0)
        costs: list[dict[str, float]] = []
        for _ in range(3):
            batch.service.epoch += 60.0
            batch.store.bytes = 0
            memory = batch.memory()
            memory.go_on({**batch.store.kept["aspose_ocr_batch"]})
            memory.keep_header(batch.header)
            cpu = time.process_time()
            header = memory.header() or {}
            run = batch.wake(header, 1.0)
            costs.append(
                {"cpu_ms": (time.process_time() - cpu) * 1000, "bytes": batch.bytes_written + batch.store.bytes}
            )
            batch.header = {
                **header,
                "counts": {str(name): number for name, number in run.progress.counts.items()},
                "waiting": run.to_do.unread,
                "offset": run.to_do.offset,
            }
        return min(costs, key=lambda cost: cost["cpu_ms"])


def run(quick: bool) -> Topic:
    """
    Simulate all.

    :param quick: fewer documents.
    """
    few, many = (1_000, 10_000) if quick else (1_000, 100_000)
    some = 500 if quick else 2_000
    found: dict[Any, dict[str, float]] = {}
    for documents in (few, many):
        found[documents] = in_fresh_process(measure_whole, documents=documents, durations="equal, 2 s", at_once=64)
        found["wake", documents] = in_fresh_process(measure_wake, documents=documents)
    for name in DURATIONS:
        found[name] = in_fresh_process(measure_whole, documents=some, durations=name, at_once=16)
    small, large = found[few], found[many]
    growth = large["cpu_ms"] / small["cpu_ms"]
    wakes = found["wake", few], found["wake", many]
    wake_growth = {name: wakes[1][name] / wakes[0][name] for name in ("cpu_ms", "bytes")}
    goals = [
        Goal(
            f"{many} documents in one batch, CPU per document against {few}",
            f"<= {MAX_GROWTH:g} x",
            f"{growth:.2f} x ({large['cpu_ms']:.2f} ms)",
            "-",
            growth <= MAX_GROWTH,
        ),
        Goal(
            f"{many} documents in one batch, peak memory",
            "<= 1 KB a document",
            f"{large['peak_bytes']:.0f} bytes",
            "all in memory",
            large["peak_bytes"] <= MAX_BYTES_A_DOCUMENT,
        ),
        Goal(
            f"{many} documents in one batch, bytes of list, journal and manifest",
            f"<= {MAX_BYTES:g} x the manifest",
            f"{large['bytes']:.2f} x",
            "-",
            large["bytes"] <= MAX_BYTES,
        ),
        Goal(
            f"one wake of a deferred batch, CPU and bytes, {many} documents against {few}",
            f"<= {MAX_WAKE_GROWTH:g} x",
            f"{wake_growth['cpu_ms']:.2f} x ({wakes[1]['cpu_ms']:.0f} ms), {wake_growth['bytes']:.2f} x",
            "-",
            max(wake_growth.values()) <= MAX_WAKE_GROWTH,
        ),
    ]
    for name, (_, calls) in DURATIONS.items():
        figures = found[name]
        most = figures["bound"] * 1.05 + 2 if name.startswith("equal") else figures["bound"] * MAX_OVER_BOUND
        goals.append(
            Goal(
                f"{some} simulated documents, {name}, 16 at once",
                f"end <= {most:.0f} s at <= {calls:g} calls",
                f"{figures['seconds']:.0f} s ({figures['seconds'] / figures['bound']:.2f} x the bound) at "
                f"{figures['calls']:.2f} calls",
                "-",
                figures["seconds"] <= most and figures["calls"] <= calls,
            )
        )
    rows = [[str(name), *(figures.get(key) for key in _COLUMNS)] for name, figures in found.items()]
    return Topic("Simulated batches", goals, [Table("In a time of their own", ("what", *_COLUMNS), rows)])


_COLUMNS = ("cpu_ms", "peak_bytes", "bytes", "seconds", "bound", "calls")
