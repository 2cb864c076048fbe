"""The one running Airflow that most tests share: its DAG files, its connections, and its state before each test.

To start Airflow takes as long as two tests. A test does without this one only if it needs other settings, or ends the
process that started it. What keeps the others apart: runs and emulators of their own. And before each test,
`put_in_order` ends what the one before has left running, and starts what it has left dead.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from airflow_provider_asposeocr.emulator import EmulatorServer, TextReader
from tests.conftest import SCANS
from tests.integration.connections import connection_to
from tests.integration.hand_clock import FAST
from tests.integration.running_airflow import RunningAirflow
from tests.integration.trigger_table import trigger_table
from tests.integration.waiting import wait_until

HERE = Path(__file__).parent
EXAMPLES = SCANS.parent
EXAMPLE_FILES = ("example_scan_to_text.py", "example_invoice_to_database.py", "example_table_to_csv.py")
DAG_FILES = ("all_operators.py", "equal_names.py", "many_in_one_task.py", "one_document.py", "toys.py")

LATENCIES: Mapping[str, float] = {
    "aspose_ocr_default": 0.0,
    "ocr": 4.0,
    "ocr_endless": 3600.0,
    "ocr_batch": 3.0,
    "ocr_held": 60.0,
    "ocr_synchronous": 1.0,
    "ocr_deferrable": 8.0,
    "ocr_sensed": 12.0,
    "ocr_taskflow": 8.0,
    "ocr_quick": 0.0,
    "ocr_untouched": 0.0,
}
"""Seconds a job takes at the emulator of each connection; at ``HELD`` they pass when the test says so."""

HELD: Mapping[str, float] = {"ocr": FAST, "ocr_held": FAST, "ocr_batch": 1.0}
"""And how many pass in a second then."""
YEAR = 365 * 24 * 60 * 60.0


@contextlib.contextmanager
def run_emulators(reader: TextReader, clocks: Mapping[str, Callable[[], float]]) -> Iterator[dict[str, EmulatorServer]]:
    """An emulator for each connection, by its id; its time is ours unless it has a clock of its own."""
    with contextlib.ExitStack() as stack:
        yield {
            conn_id: stack.enter_context(
                EmulatorServer(
                    latency=latency,
                    reader=reader,
                    clock=clocks.get(conn_id, time.monotonic),
                    # Let no token expire while time flies.
                    token_lifetime=YEAR,
                )
            )
            for conn_id, latency in LATENCIES.items()
        }


def shared_airflow(emulators: Mapping[str, EmulatorServer], output: Path, database: str) -> RunningAirflow:
    """Airflow with the DAGs of all tests that share it, some of the examples among them.

    They write into the folder ``output``; the example with the invoice, into ``database``.
    """
    files = [HERE / "dags" / name for name in DAG_FILES] + [EXAMPLES / name for name in EXAMPLE_FILES]
    return RunningAirflow(
        dags={file.name: file.read_text() for file in files},
        connections={conn_id: connection_to(emulator) for conn_id, emulator in emulators.items()},
        env={
            "TEST_SCANS": str(SCANS),
            "TEST_OUTPUT": str(output),
            "ASPOSE_OCR_SCANS": str(SCANS),
            "ASPOSE_OCR_OUT": str(output / "examples"),
            "ASPOSE_OCR_DATABASE": database,
        },
        python_path=[HERE / "modules"],
    )


def put_in_order(airflow: RunningAirflow) -> None:
    """Let all components run, and nothing else: no DAG run, no task process, no trigger."""
    airflow.start_missing()
    for dag_id, run_id in airflow.unfinished_runs():
        airflow.set_run_state(dag_id, run_id, "failed")
    wait_until(lambda: not airflow.unfinished_runs(), "no DAG run is left")
    wait_until(lambda: not airflow.running_task_processes(), "no task process is left")
    with trigger_table(airflow) as triggers:
        wait_until(lambda: not triggers(), "no trigger is left")
