"""
One document of three seconds on a really running Airflow: from the start of the DAG run to the end of the task.

Beside our operator run the vendor's SDK in a Python task, our operator deferred at once, and, as the floor, a Python
task that sleeps for as long as the job and our default polls take on average: what is longer than that is our own work.
"""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import dataclass
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
    runs: dict[str, list[_Run]] = {way: [] for way in DAG_IDS}
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
                    run = _run(airflow, dag_id, service)
                    if counts:
                        runs[way].append(run)
    rows: list[list[str | float | int | None]] = []
    overheads = {}
    for way, each in runs.items():
        overheads[way] = overhead = [run.seconds - run.noticed_after for run in each]
        deferred = "yes" if any(run.deferred for run in each) else "no"
        figures = (statistics.median(overhead), min(overhead), max(overhead))
        rows.append(
            [
                way,
                statistics.median(run.seconds for run in each),
                statistics.median(run.delay for run in each),
                *figures,
                deferred,
            ]
        )
    ours, floor, sdk = (statistics.median(overheads[way]) for way in (OURS, FLOOR, SDK))
    never_deferred = not any(run.deferred for run in runs[OURS])
    goal = Goal(
        f"a {JOB_SECONDS:g} s job on a running Airflow, DAG run start to task end, over the job and the poll delay",
        f"<= {MAX_OVERHEAD:g} s, never deferred",
        f"{number(ours)} s, {'never' if never_deferred else 'sometimes'} deferred",
        f"SDK {number(sdk)} s; a task that only sleeps {number(floor)} s",
        ours <= MAX_OVERHEAD and never_deferred,
    )
    table = Table(
        f"{rounds} runs each, a document of {DOCUMENT_BYTES // 1000} KB",
        ("way", "median s", "poll delay", "over both: median", "least", "most", "deferred"),
        rows,
    )
    notes = [
        "The poll delay is from the end of the job to the answer that told of it, as the service saw it; of the task "
        f"that sleeps, it is a part of the sleep. What that one takes more is Airflow's: {number(floor)} s for a "
        f"worker, its supervisor, the DAG file. Ours takes {number(ours - floor)} s besides."
    ]
    return Topic("A running Airflow", [goal], [table], notes)


@dataclass(frozen=True, slots=True)
class _Run:
    """
    What a DAG run took.

    :param seconds: from its start to the end of its task.
    :param noticed_after: from the submission to the answer that told of the job's end; of the floor, its sleep.
    :param deferred: whether its task was deferred.
    """

    seconds: float
    noticed_after: float
    deferred: bool

    @property
    def delay(self) -> float:
        """Seconds by which the end of the job was noticed late."""
        return self.noticed_after - JOB_SECONDS


def _run(airflow: Any, dag_id: str, service: LocalService) -> _Run:
    run_id = airflow.trigger(dag_id)
    assert airflow.wait_for_run(dag_id, run_id) == "success"
    began = datetime.fromisoformat(airflow.api("GET", f"dags/{dag_id}/dagRuns/{run_id}")["start_date"])
    (ti,) = airflow.task_instances(dag_id, run_id)
    submits = dag_id != DAG_IDS[FLOOR]
    return _Run(
        (ti.end - began).total_seconds(),
        service.statistics().noticed_after if submits else JOB_SECONDS + POLL_DELAY,
        "deferring" in airflow.task_log(dag_id, run_id, ti.task_id).lower(),
    )
