"""Whole runs of DAGs with @task.aspose_ocr, by ``airflow dags test`` in an Airflow of their own, on either line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_asposeocr.emulator import EmulatorServer

ROOT = Path(__file__).parents[3]

DAG_FILE = """
import os
from datetime import datetime
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG, task

SCANS, OUT = os.environ["ASPOSE_OCR_SCANS"], os.environ["TEST_OUT"]

with DAG("taskflow", start_date=datetime(2024, 1, 1), schedule=None):

    @task.aspose_ocr(deferrable=True, defer_after=0, poll_interval=0.05, durable=False)
    def deferred(name: str):
        return {"image": Path(SCANS) / "letters" / name, "output_path": f"{OUT}/deferred/"}

    @task.aspose_ocr(endpoint="DetectRegions", output_path=OUT + "/{{ dag.dag_id }}/", preview=True)
    def templated() -> bytes:
        return Path(SCANS, "two-columns.jpg").read_bytes()

    @task
    def check(texts):
        texts = list(texts)
        assert [text.split()[0] for text in texts] == FIRST_WORDS, len(texts)

    mapped = deferred.override(task_id="mapped").expand(name=["01-apples.jpg", "02-order.jpg"])
    check(mapped["text"])
    templated()
"""


class DagTests:
    """``airflow dags test`` in a home of its own."""

    def __init__(self, home: Path, emulator: EmulatorServer) -> None:
        self.home = home
        self.environment = {
            **os.environ,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW_CONN_ASPOSE_OCR_DEFAULT": json.dumps(
                {"conn_type": "aspose_ocr", "host": emulator.url, "login": "id", "password": "secret"}
            ),
            "ASPOSE_OCR_SCANS": str(ROOT / "example_dags" / "scans"),
            "ASPOSE_OCR_CHUNKS": str(home / "chunks"),
            "TEST_OUT": str(home / "out"),
        }
        self.airflow("db", "migrate")

    def airflow(self, *arguments: str) -> str:
        """Run the command line of Airflow, and return what it said."""
        command = [sys.executable, "-m", "airflow", *arguments]
        done = subprocess.run(command, env=self.environment, cwd=self.home, capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        assert done.returncode == 0, said[-6000:]
        return said


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorServer]:
    """An emulator whose jobs take a moment."""
    with EmulatorServer(latency=0.2) as server:
        yield server


@pytest.fixture(scope="module")
def dag_tests(tmp_path_factory: pytest.TempPathFactory, emulator: EmulatorServer) -> DagTests:
    home = tmp_path_factory.mktemp("airflow")
    (home / "dags").mkdir()
    example = ROOT / "example_dags" / "example_scans_to_chunks.py"
    (home / "dags" / example.name).write_text(example.read_text())
    letters = ROOT / "example_dags" / "scans" / "expected" / "letters"
    first = [(letters / name).read_text().split()[0] for name in ("01-apples.txt", "02-order.txt")]
    (home / "dags" / "taskflow.py").write_text(DAG_FILE.replace("FIRST_WORDS", repr(first)))
    return DagTests(home, emulator)


def test_functions_are_mapped_deferred_and_templated(dag_tests: DagTests, emulator: EmulatorServer) -> None:
    """Results of functions that deferred go where the functions said, and parts of them are XComs of their own."""
    before = emulator.calls().accepted
    dag_tests.airflow("dags", "test", "taskflow")
    out = dag_tests.home / "out"
    assert sorted(path.name for path in (out / "deferred").iterdir()) == ["01-apples.txt", "02-order.txt"]
    assert sorted(path.suffixes[-1] for path in (out / "taskflow").iterdir()) == [".json", ".png"]
    assert emulator.calls().accepted - before == 3


def test_the_example_cuts_new_scans_into_chunks(dag_tests: DagTests, emulator: EmulatorServer) -> None:
    """Each scan is read once, a second run finds nothing new, and no log holds a text."""
    before = emulator.calls().accepted
    said = dag_tests.airflow("dags", "test", "example_scans_to_chunks")
    files = sorted((dag_tests.home / "chunks").iterdir())
    assert [file.stem for file in files] == ["01-apples", "02-order", "03-notice", "04-thanks"]
    for file in files:
        expected = (ROOT / "example_dags" / "scans" / "expected" / "letters" / f"{file.stem}.txt").read_text().split()
        chunks = [json.loads(line) for line in file.read_text().splitlines()]
        assert " ".join(chunk["text"] for chunk in chunks).split() == expected
        assert all(Path(chunk["metadata"]["source"]).stem == file.stem for chunk in chunks)
    assert "Odette" not in said
    dag_tests.airflow("dags", "test", "example_scans_to_chunks", "2024-01-02")
    assert emulator.calls().accepted - before == len(files)
