"""
One document of three seconds on a really running Airflow: from the start of the DAG run to the end of the task.

Beside our operator run the vendor's SDK in a Python task, our operator deferred at once, and, as the floor, a Python
task that sleeps for as long as the job and our default polls take on average: what is longer than that is our own work.
"""

from __future__ import annotations

import statistics
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.documents import write_document
from benchmarks.measuring import ROOT
from benchmarks.report import Goal, Table, Topic, number
from benchmarks.servers import LocalService

JOB_SECONDS = 3.0
POLL_DELAY = 1.5
"""Seconds. The default polls come 2 and 4.5 seconds after the submission, give or take their jitter."""
MAX_OVERHEAD = 0.4
DOCUMENT_BYTES = 200_000

OURS, DEFERRED = "ours: AsposeOcrRecognizeImageOperator", "ours, deferred at once (defer_after=0)"
SDK, FLOOR = "SDK in a Python task, sleep 1", "floor: a Python task that sleeps for job + poll delay"
DAG_IDS = {OURS: "ours", DEFERRED: "deferred", SDK: "sdk", FLOOR: "floor"}

DAGS = f"""
import os
import time

from airflow.sdk import DAG, task

from airflow_provider_asposeocr.operators.aspose_ocr import AsposeOcrRecognizeImageOperator

DOCUMENT, SERVICE = os.environ["BENCH_DOCUMENT"], os.environ["BENCH_SERVICE"]

with DAG("ours"):
    AsposeOcrRecognizeImageOperator(task_id="read", image=DOCUMENT)

with DAG("deferred"):
    AsposeOcrRecognizeImageOperator(task_id="read", image=DOCUMENT, deferrable=True, defer_after=0)

with DAG("sdk"):

    @task
    def read():
        from benchmarks import vendor

        job = vendor.submit(SERVICE, DOCUMENT)
        while not vendor.write_results(SERVICE, job, os.environ["BENCH_TARGET"]):
            time.sleep(1)

    read()

with DAG("floor"):

    @task
    def read():
        time.sleep({JOB_SECONDS + POLL_DELAY})

    read()
"""


def run(quick: bool) -> Topic:
    """
    Let the DAGs run in turn, one at a time, each once before it counts.

    :param quick: once only.
    """
    from tests.integration.running_airflow import RunningAirflow

    rounds = 1 if quick else 9
    seconds: dict[str, list[float]] = {way: [] for way in DAG_IDS}
    deferred = {}
    with tempfile.TemporaryDirectory() as folder, LocalService(job_seconds=JOB_SECONDS) as service:
        airflow = RunningAirflow(
            dags={"bench.py": DAGS},
            connections={
                "aspose_ocr_default": {
                    "conn_type": "aspose_ocr",
                    "host": service.url,
                    "login": "bench",
                    "password": "no secret",
                }
            },
            env={
                "BENCH_DOCUMENT": str(write_document(Path(folder) / "document.png", DOCUMENT_BYTES)),
                "BENCH_SERVICE": service.url,
                "BENCH_TARGET": str(Path(folder) / "target"),
            },
            python_path=[ROOT],
        )
        with airflow:
            for counts in [False] + [True] * rounds:
                for way, dag_id in DAG_IDS.items():
                    took, deferred[way] = _one_run(airflow, dag_id)
                    if counts:
                        seconds[way].append(took)
    ours = statistics.median(seconds[OURS])
    floor = statistics.median(seconds[FLOOR])
    limit = JOB_SECONDS + POLL_DELAY + MAX_OVERHEAD
    goal = Goal(
        f"a {JOB_SECONDS:g} s job on a running Airflow, DAG run start to task end",
        f"<= {limit:g} s (job + poll delay + {MAX_OVERHEAD:g}), never deferred",
        f"{number(ours)} s, {'deferred' if deferred[OURS] else 'never deferred'}",
        f"SDK {number(statistics.median(seconds[SDK]))} s; sleeping alone {number(floor)} s",
        ours <= limit and not deferred[OURS],
    )
    rows: list[list[str | float | int | None]] = [
        [way, statistics.median(took), min(took), max(took), "yes" if deferred[way] else "no"]
        for way, took in seconds.items()
    ]
    table = Table(
        f"{rounds} runs each, a document of {DOCUMENT_BYTES // 1000} KB",
        ("way", "median s", "least s", "most s", "deferred"),
        rows,
    )
    notes = [
        f"What a task costs over its sleep of {JOB_SECONDS + POLL_DELAY:g} s is Airflow's: a worker, its supervisor, "
        f"the DAG file; {number(floor - JOB_SECONDS - POLL_DELAY)} s here. Ours takes {number(ours - floor)} s more. "
        "The two polls have a jitter of 10 % each."
    ]
    return Topic("A running Airflow", [goal], [table], notes)


def _one_run(airflow: Any, dag_id: str) -> tuple[float, bool]:
    """Run a DAG, and return how many seconds it took, and whether its task was deferred."""
    run_id = airflow.trigger(dag_id)
    assert airflow.wait_for_run(dag_id, run_id) == "success"
    began = datetime.fromisoformat(airflow.api("GET", f"dags/{dag_id}/dagRuns/{run_id}")["start_date"])
    (ti,) = airflow.task_instances(dag_id, run_id)
    return (ti.end - began).total_seconds(), "deferring" in airflow.task_log(dag_id, run_id, ti.task_id).lower()
