"""What a DAG file pays for importing operators: CPU of the import in a fresh process, over ``airflow.sdk``."""

from __future__ import annotations

import importlib
import statistics
import time

from benchmarks.measuring import in_fresh_process
from benchmarks.report import Goal, Table, Topic, number

MAX_MS = 45.0
MAX_SHARE = 0.25
"""Of what the http provider's operators cost in the same run."""
OURS, HTTP = "airflow_provider_asposeocr.operators.aspose_ocr", "airflow.providers.http.operators.http"
MODULES = (
    OURS,
    "airflow_provider_asposeocr.operators.batch",
    "airflow_provider_asposeocr.sensors.aspose_ocr",
    "airflow_provider_asposeocr.triggers.aspose_ocr",
    "airflow_provider_asposeocr.hooks.aspose_ocr",
    HTTP,
    "aspose_ocr_cloud",
)


def measure(module: str) -> float | None:
    """
    Import a module in this process, and return the CPU milliseconds.

    :param module: its name.
    :returns: ``None`` where there is no such module.
    """
    # As every DAG file does; the names of `airflow.sdk` load when first taken.
    from airflow.sdk import DAG, BaseOperator  # noqa: F401

    start = time.process_time()
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        return None
    return (time.process_time() - start) * 1000


def run(quick: bool) -> Topic:
    """
    Import all modules.

    :param quick: fewer times.
    """
    costs: dict[str, float] = {}
    for module in MODULES:
        # The first one writes the byte code.
        runs = [in_fresh_process(measure, module=module) for _ in range(1 + (3 if quick else 7))][1:]
        if None not in runs:
            costs[module] = statistics.median(runs)
    goal = Goal(
        "import of the operators module over `airflow.sdk`",
        f"<= {MAX_MS:g} ms, <= {MAX_SHARE:g} of the http provider's",
        f"{number(costs[OURS])} ms, {number(costs[OURS] / costs[HTTP])}",
        f"http provider {number(costs[HTTP])} ms",
        costs[OURS] <= MAX_MS and costs[OURS] <= MAX_SHARE * costs[HTTP],
    )
    table = Table("Imports: CPU ms over `airflow.sdk`", ("module", "CPU ms"), list(costs.items()))
    return Topic("Imports", [goal], [table])
