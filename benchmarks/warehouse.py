"""
A warehouse in one task of a really running Airflow: every document read once and paid for once, whatever happens.

PostgreSQL, scheduler, triggerer and API server are real; the service is the emulator with one answer for all, a rate
limit, and an outage in the middle. The worker and the triggerer are killed once each, by SIGKILL. Then the same folder
again with a few documents changed and added, and once more as it is.

``make warehouse``, or ``python -m benchmarks.warehouse --documents 300``. It ends with 1 where a count is wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.__main__ import RESULTS, machine
from benchmarks.fixed_emulator import FixedEmulator
from benchmarks.measuring import ROOT
from benchmarks.report import Goal, Table, Topic, as_json, markdown
from benchmarks.warehouse_folder import Found, Options, Warehouse
from tests.integration.running_airflow import RunningAirflow

CHANGED, ADDED = 10, 5
DAG_FILE = """
import os
from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_asposeocr.operators.batch import AsposeOcrBatchOperator

with DAG("warehouse"):
    AsposeOcrBatchOperator(
        task_id="read",
        images=os.environ["WAREHOUSE_IN"],
        output_path=os.environ["WAREHOUSE_OUT"],
        max_concurrency=int(os.environ["WAREHOUSE_AT_ONCE"]),
        deferrable=True,
        retries=3,
        retry_delay=timedelta(seconds=1),
    )
"""
PATIENCE = {
    # The harness lets a scheduler count as dead after 15 s. On two cores that are busy it is silent for longer.
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "120",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "120",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "120",
}


def run(options: Options) -> Topic:
    """
    Show it all.

    :param options: what.
    """
    many = options.documents
    goals: list[Goal] = []

    def must(what: str, wanted: object, found: object) -> None:
        goals.append(Goal(what, str(wanted), str(found), "-", wanted == found))

    with tempfile.TemporaryDirectory(prefix="warehouse-") as name, FixedEmulator(options.job_seconds) as emulator:
        folder = Path(name)
        airflow = RunningAirflow(
            dags={"warehouse.py": DAG_FILE},
            connections={
                "aspose_ocr_default": {
                    "conn_type": "aspose_ocr",
                    "host": emulator.url,
                    "login": "warehouse",
                    "password": "no secret",
                }
            },
            env={
                "WAREHOUSE_IN": str(folder / "in"),
                "WAREHOUSE_OUT": str(folder / "out"),
                "WAREHOUSE_AT_ONCE": str(options.at_once),
                **PATIENCE,
            },
            python_path=[ROOT],
        )
        with airflow:
            warehouse = Warehouse(options, airflow, emulator, folder)
            warehouse.write(range(many))
            first = warehouse.read(disturbed=True)
            billed = Counter(emulator.calls().accepted_by_image.values())
            must("first run", "success", first.state)
            must("results", many, warehouse.results())
            must("submissions that the service accepted", many, first.accepted)
            must("documents by how often they were accepted", {1: many}, dict(billed))
            must("lines of the manifest", {"Completed": many}, dict(warehouse.manifest()))
            must("what went wrong: outage, worker killed, triggerer killed", 4, len(first.events))
            manifest_bytes = (warehouse.outbox / "manifest.jsonl").stat().st_size

            warehouse.write(range(0, many, many // CHANGED)[:CHANGED], version=1)
            warehouse.write(range(many, many + ADDED))
            second = warehouse.read(disturbed=False)
            read = CHANGED + ADDED
            must(f"the same folder, {CHANGED} changed and {ADDED} added", "success", second.state)
            must("its submissions", read, second.accepted)
            must("its manifest", {"Completed": read, "Skipped": many - CHANGED}, dict(warehouse.manifest()))

            third = warehouse.read(disturbed=False)
            must("the same folder as it is", "success", third.state)
            must("its submissions", 0, third.accepted)
            must("its calls", 0, third.calls)
    rows = [_row(each, found) for each, found in (("first", first), ("changed", second), ("as it is", third))]
    columns = (
        "run", "seconds", "tries", "deferrals", "accepted", "POSTs", "calls but POSTs, per document",
        "by the trigger", "log lines", "peak MiB of the task", "of the triggerer",
    )  # fmt: skip
    notes = [
        f"{many} documents of {options.size} bytes, {options.job_seconds:g} s a job, {options.at_once} at once, "
        f"{options.rate} POSTs a second, away for {options.outage:g} s.",
        "; ".join(first.events),
        f"List, journal and slots beside it: {first.journal_bytes} bytes in {first.journal_files} files at most, "
        f"{first.journal_bytes / many:.0f} a document; the manifest: {manifest_bytes} bytes, "
        f"{manifest_bytes / many:.0f} a document.",
        f"CPU seconds of the first run: {first.cpu}.",
        f"Rows that the first run added to Airflow's database: {first.rows}.",
        f"Its XCom: {json.dumps({name: value for name, value in first.xcom.items() if name != 'manifest'})[:1000]}",
    ]
    return Topic("A warehouse", goals, [Table("Runs", columns, rows)], notes)


def _row(name: str, found: Found) -> list[str | float | int | None]:
    read = max(found.accepted, 1)
    return [
        name,
        found.seconds,
        found.tries,
        found.deferrals,
        found.accepted,
        found.posts,
        (found.calls - found.posts) / read,
        found.trigger_calls / read,
        found.log_lines,
        found.worker_mib,
        found.triggerer_mib,
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Show it, print the report and write it down.

    :param arguments: of the command line.
    :returns: 1 where a count is wrong.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.warehouse", description="A warehouse in one task.")
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--bytes", type=int, default=2_000, help="of each document")
    parser.add_argument("--job-seconds", type=float, default=2.0)
    parser.add_argument("--at-once", type=int, default=200, help="jobs at the service")
    parser.add_argument("--rate", type=int, default=50, help="POSTs a second that the service takes")
    parser.add_argument("--outage", type=float, default=60.0, help="seconds for which it answers 503, in the middle")
    parser.add_argument("--time-limit", type=float, default=1800.0, help="seconds for a run")
    parser.add_argument("--json", type=Path, default=RESULTS / "warehouse.json", help="where to write the figures")
    given = parser.parse_args(arguments)
    topic = run(
        Options(
            given.documents, given.bytes, given.job_seconds, given.at_once, given.rate, given.outage, given.time_limit
        )
    )
    where = machine(quick=False)
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(as_json([topic], where))
    print(markdown([topic], where))
    wrong = [goal for goal in topic.goals if not goal.reached]
    for goal in wrong:
        print(f"WRONG: {goal.what}: {goal.measured}, and not {goal.goal}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
