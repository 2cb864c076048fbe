"""
How things are measured: in a fresh interpreter, after a warm-up, as medians; memory by the process's resident set.

A benchmark calls :func:`in_fresh_process` with a function of this package, which there calls :func:`cost_of`.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MIB = 1024 * 1024
MB = 1000 * 1000
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@dataclass(frozen=True, slots=True)
class Cost:
    """
    What an action costs.

    :param cpu_s: CPU seconds, in user and in kernel mode, of all threads.
    :param peak_mib: by how much the resident memory was at most higher than that of the warm process.
    :param wall_s: seconds.
    """

    cpu_s: float
    peak_mib: float
    wall_s: float


def cost_of(action: Callable[[], object], warm_up: Callable[[], object], runs: int) -> dict[str, float]:
    """
    Measure an action in this process, as a median of runs.

    :param action: what to measure.
    :param warm_up: the same with little data; run first, so that modules, connections and pools are there.
    :param runs: how often.
    """
    for _ in range(3):
        warm_up()
    gc.collect()
    base = resident_mib()
    costs = []
    for _ in range(runs):
        with peak_memory() as peak:
            wall, cpu = time.perf_counter(), time.process_time()
            action()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        costs.append(Cost(cpu, max(peak[0] - base, 0.0), wall))
    return {
        name: statistics.median(getattr(cost, name) for cost in costs)
        for name in (field.name for field in fields(Cost))
    }


def resident_mib() -> float:
    """Return the resident memory of this process."""
    return _status("VmRSS")


@contextmanager
def peak_memory() -> Iterator[list[float]]:
    """Yield a list whose only item is, at the end, the highest resident memory meanwhile, in MiB."""
    peak = [0.0]
    try:
        # 5: forget the high-water mark.
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        with _sampled(peak):
            yield peak
        return
    yield peak
    peak[0] = _status("VmHWM")


@contextmanager
def _sampled(peak: list[float]) -> Iterator[None]:
    """Where the kernel's high-water mark cannot be reset: look often."""
    import psutil

    process, stop = psutil.Process(), threading.Event()

    def look() -> None:
        while True:
            peak[0] = max(peak[0], process.memory_info().rss / MIB)
            if stop.wait(0.002):
                return

    sampler = threading.Thread(target=look)
    sampler.start()
    try:
        yield
    finally:
        stop.set()
        sampler.join()


def _status(name: str) -> float:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        import psutil

        return float(psutil.Process().memory_info().rss) / MIB
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def in_fresh_process(function: Callable[..., Any], *, service_url: str | None = None, **arguments: Any) -> Any:
    """
    Call a function of a module in a new interpreter, and return what it returns.

    :param function: of the top level of a module; takes and returns plain JSON values.
    :param service_url: where the Airflow connection ``aspose_ocr_default`` leads.
    :param arguments: for the function.
    """
    with tempfile.TemporaryDirectory(prefix="aspose-ocr-bench-") as folder:
        answer = Path(folder) / "answer.json"
        subprocess.run(
            [
                sys.executable,
                "-c",
                "from benchmarks.measuring import main; main()",
                f"{function.__module__}:{function.__qualname__}",
                json.dumps(arguments),
                str(answer),
            ],
            cwd=ROOT,
            env=environment(folder, service_url),
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return json.loads(answer.read_text())


def environment(airflow_home: str, service_url: str | None = None) -> dict[str, str]:
    """
    Return the environment of a measured process: an Airflow of its own, no proxies, one connection.

    :param airflow_home: an empty folder.
    :param service_url: where the Airflow connection ``aspose_ocr_default`` leads.
    """
    # An installed package has its byte code beside it: compiling is not what a user pays for at each start.
    unwanted = {*_PROXIES, "PYTHONDONTWRITEBYTECODE"}
    variables = {name: value for name, value in os.environ.items() if name.upper() not in unwanted}
    variables |= {
        "AIRFLOW_HOME": airflow_home,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "AIRFLOW__METRICS__TIMER_UNIT_CONSISTENCY": "True",
    }
    if service_url:
        connection = {"conn_type": "aspose_ocr", "host": service_url, "login": "bench", "password": "no secret"}
        variables["AIRFLOW_CONN_ASPOSE_OCR_DEFAULT"] = json.dumps(connection)
    return variables


def main() -> None:
    """Be the fresh process: call the function that the arguments name, and write down what it returns."""
    target, arguments, answer = sys.argv[1:]
    module, _, name = target.partition(":")
    returned = getattr(importlib.import_module(module), name)(**json.loads(arguments))
    Path(answer).write_text(json.dumps(returned if not isinstance(returned, Cost) else asdict(returned)))
