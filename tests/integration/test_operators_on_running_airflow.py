"""
All operators, the sensor and the decorator on a really running Airflow: synchronous, deferrable and mapped.

All DAG runs are started first and only then looked at: most of their time is waiting. Each mode has an emulator of
its own, so that calls can be counted.
"""

from __future__ import annotations

import difflib
import json
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_asposeocr.emulator import EmulatorServer
from tests.conftest import CLIENT_SECRET, SCANS
from tests.integration.airflow_api import FINISHED_RUN_STATES
from tests.integration.documents import expected_words
from tests.integration.running_airflow import RunningAirflow
from tests.integration.shared_airflow import put_in_order
from tests.integration.trigger_table import trigger_table

pytestmark = pytest.mark.integration

EMULATORS = ("synchronous", "deferrable", "sensed", "taskflow", "quick", "untouched")
DAG_IDS = ("read_deferrable", "read_synchronous", "taskflow", "quick_job", "bad_input")
MODES = ("synchronous", "deferrable")
LETTERS = ("01-apples", "02-order", "03-notice", "04-thanks")
RESULT_KEYS = {"text", "results", "file", "files", "ocr_task_id", "endpoint", "warnings", "cost"}
DEFERRED_TASKS = 10
"""Tasks of ``read_deferrable`` that wait for a job, each of them in the triggerer."""
LINK = "_link_AsposeOcrResultLink"
"""Airflow keeps each button of a task as an XCom."""
TRIGGER = "airflow_provider_asposeocr.triggers.aspose_ocr.AsposeOcrTaskTrigger"
TRIGGER_KWARGS = {
    "ocr_task_id",
    "endpoint",
    "aspose_ocr_conn_id",
    "started_at",
    "next_poll_at",
    "end_time",
    "waiting",
    "cost",
}


@dataclass
class Runs:
    """One run of every DAG, all ended."""

    airflow: RunningAirflow
    emulators: dict[str, EmulatorServer]
    output: Path
    ids: dict[str, str] = field(default_factory=dict)
    trigger_rows: set[tuple[str, str]] = field(default_factory=set)
    """Class path and kwargs of all triggers that were in the database at any time."""

    @property
    def tokens(self) -> list[str]:
        """All that were issued: each lives longer than the runs."""
        return [token for emulator in self.emulators.values() for token in emulator.tokens()]

    def xcom(self, dag_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        return self.airflow.xcom(dag_id, self.ids[dag_id], task_id, key, map_index)

    def log(self, dag_id: str, task_id: str, map_index: int = -1) -> str:
        # Of the last try: on a busy machine, Airflow was seen to know no first one of a task that had run but once.
        try_number = self.airflow.task_instance(dag_id, self.ids[dag_id], task_id, map_index).try_number
        return self.airflow.task_log(dag_id, self.ids[dag_id], task_id, try_number, map_index)

    def states(self, dag_id: str) -> dict[tuple[str, int], str | None]:
        return {(ti.task_id, ti.map_index): ti.state for ti in self.airflow.task_instances(dag_id, self.ids[dag_id])}


@pytest.fixture(scope="module")
def runs(airflow_of_all: RunningAirflow, emulators: dict[str, EmulatorServer], output: Path) -> Runs:
    airflow = airflow_of_all
    put_in_order(airflow)
    (output / "text.png").write_text("This is no image.")
    started = time.monotonic()
    runs = Runs(airflow, {name: emulators[f"ocr_{name}"] for name in EMULATORS}, output)
    runs.ids["submit_and_sense"] = run_id = airflow.trigger("submit_and_sense")
    # The job must be running still when the sensors begin: the other runs keep all workers busy for a while.
    airflow.wait_for_task("submit_and_sense", run_id, "reschedule", {"up_for_reschedule", "success", "failed"})
    runs.ids |= {dag_id: airflow.trigger(dag_id) for dag_id in DAG_IDS}
    _wait_for_all(runs)
    print(f"All runs have ended after {time.monotonic() - started:.1f} s")
    return runs


def _wait_for_all(runs: Runs, timeout: float = 300.0) -> None:
    """Wait for the end of all runs, and look all the time at what stands in the table of triggers."""
    airflow = runs.airflow
    running = dict(runs.ids)
    deadline = time.monotonic() + timeout
    with trigger_table(airflow) as trigger_rows:
        while running:
            assert time.monotonic() < deadline, f"these have not ended: {running}"
            runs.trigger_rows |= trigger_rows()
            running = {
                dag: run for dag, run in running.items() if airflow.run_state(dag, run) not in FINISHED_RUN_STATES
            }
            time.sleep(0.3)


@pytest.mark.parametrize("mode", MODES)
def test_every_task_succeeds(runs: Runs, mode: str) -> None:
    one = ("page", "count_words", "trial", "detect", "columns", "card", "pdf")
    tasks = [*((task_id, -1) for task_id in one), *(("letters", index) for index in range(len(LETTERS)))]
    assert runs.states(f"read_{mode}") == dict.fromkeys(tasks, "success")


@pytest.mark.parametrize("mode", MODES)
def test_a_page_is_read_and_its_xcoms_are_plain_json(runs: Runs, mode: str) -> None:
    dag_id = f"read_{mode}"
    result = runs.xcom(dag_id, "page")
    expected = expected_words("huckleberry-finn-page-29")
    words = result["text"].split()

    # The reader misses a letter here and there of the book of 1884; the other scans are read without a fault.
    assert difflib.SequenceMatcher(None, words, expected, autojunk=False).ratio() > 0.98
    assert "WELL, I got a good going-over in the morning," in result["text"]
    assert set(result) == RESULT_KEYS
    assert result["endpoint"] == "RecognizeImage"
    assert result["results"] == [{"type": "Text", "text": result["text"]}]
    assert result["warnings"] == []
    assert set(runs.airflow.xcom_keys(dag_id, runs.ids[dag_id], "page")) == RESULT_KEYS | {"return_value", LINK}
    for key in RESULT_KEYS:
        assert runs.xcom(dag_id, "page", key) == result[key]
    assert runs.xcom(dag_id, "count_words") == len(words)


@pytest.mark.parametrize("mode", MODES)
def test_the_trial_masks_every_tenth_word(runs: Runs, mode: str) -> None:
    result = runs.xcom(f"read_{mode}", "trial")

    expected = expected_words("id-card-form")
    masked = ["*" * len(word) if at % 10 == 0 else word for at, word in enumerate(expected, start=1)]
    assert result["text"].split() == masked
    assert result["endpoint"] == "RecognizeImageTrial"


@pytest.mark.parametrize("mode", MODES)
def test_detected_regions_go_straight_into_recognize_regions(runs: Runs, mode: str) -> None:
    detected = runs.xcom(f"read_{mode}", "detect", "regions")
    result = runs.xcom(f"read_{mode}", "columns")

    assert len(detected) == 4
    assert all(isinstance(number, int) for rectangle in detected for number in rectangle)
    assert set(result) == RESULT_KEYS | {"regions"}
    assert [(region["rect"], region["order"]) for region in result["regions"]] == list(
        zip(detected, range(4), strict=True)
    )
    assert result["text"].split() == expected_words("two-columns")
    assert result["text"] == "\n".join(region["text"] for region in result["regions"])


@pytest.mark.parametrize("mode", MODES)
def test_the_fields_of_a_form(runs: Runs, mode: str) -> None:
    """The fields of a form are read at their places, in their order."""
    regions = runs.xcom(f"read_{mode}", "card", "regions")
    assert [region["text"] for region in regions] == [
        "ORRELWICK",
        "TAMSIN IVY",
        "14 MARCH 1987",
        "LOWER FENNICK",
        "BX 204 771 396",
    ]


@pytest.mark.parametrize("mode", MODES)
def test_mapped_letters(runs: Runs, mode: str) -> None:
    """Each mapped task reads its own letter."""
    for index, letter in enumerate(LETTERS):
        assert runs.xcom(f"read_{mode}", "letters", "text", index).split() == expected_words(f"letters/{letter}")


@pytest.mark.parametrize("mode", MODES)
def test_a_pdf_goes_into_a_file_and_its_uri_into_xcom(runs: Runs, mode: str) -> None:
    result = runs.xcom(f"read_{mode}", "pdf")

    (entry,) = result["results"]
    assert entry["type"] == "Pdf"
    assert entry["file"].endswith(f"/{mode}/receipt.pdf")
    assert "text" not in entry
    assert [path.name for path in (runs.output / mode).iterdir()] == ["receipt.pdf"]
    assert (runs.output / mode / "receipt.pdf").read_bytes().startswith(b"%PDF-")


def test_synchronous_tasks_never_defer(runs: Runs) -> None:
    calls = runs.emulators["synchronous"].calls()
    assert calls.count("GET", "Utilities/GetTaskStatus") == 0
    assert calls.accepted == DEFERRED_TASKS


def test_deferrable_tasks_are_followed_by_the_triggerer(runs: Runs) -> None:
    calls = runs.emulators["deferrable"].calls()

    # The trial endpoint, which has no authorization, is polled on its own path.
    assert calls.count("GET", "Utilities/GetTaskStatus") >= DEFERRED_TASKS - 1
    assert calls.count("GET", "RecognizeImageTrial") >= 2
    # The worker asks once: for the result.
    assert calls.count("GET", "RecognizeImage") == 1 + len(LETTERS) + 1
    assert calls.count("GET", "DetectRegions") == 1
    assert calls.count("GET", "RecognizeRegions") == 2
    assert calls.accepted == DEFERRED_TASKS
    for task_id in ("page", "trial", "detect", "columns", "card", "pdf"):
        assert "is still running: deferring" in runs.log("read_deferrable", task_id)
    for index in range(len(LETTERS)):
        assert "is still running: deferring" in runs.log("read_deferrable", "letters", index)


def test_the_sensor_pokes_reschedules_and_defers(runs: Runs) -> None:
    assert set(runs.states("submit_and_sense").values()) == {"success"}
    submitted = runs.xcom("submit_and_sense", "submit")
    assert set(submitted) == {"ocr_task_id", "endpoint"}
    for task_id in ("poke", "reschedule", "deferred"):
        result = runs.xcom("submit_and_sense", task_id)
        assert set(result) == RESULT_KEYS
        assert result["text"].split() == expected_words("letters/02-order")
        assert {key: result[key] for key in submitted} == submitted
        assert runs.xcom("submit_and_sense", task_id, "text") == result["text"]
    assert runs.xcom("submit_and_sense", "count_words") == len(expected_words("letters/02-order"))
    calls = runs.emulators["sensed"].calls()
    assert calls.accepted == 1
    assert calls.count("GET", "Utilities/GetTaskStatus") >= 1
    assert "is still running: deferring" in runs.log("submit_and_sense", "deferred")
    assert "rescheduling task" in runs.log("submit_and_sense", "reschedule").lower()


def test_a_mapped_deferrable_function_reads_each_document_once(runs: Runs) -> None:
    """What `@task.aspose_ocr` maps over is submitted once each, waited for in the triggerer, and goes on as text."""
    assert runs.states("taskflow") == dict.fromkeys(
        [*(("letter", index) for index in range(len(LETTERS))), ("count_all_words", -1)], "success"
    )
    for index, letter in enumerate(LETTERS):
        result = runs.xcom("taskflow", "letter", map_index=index)
        assert set(result) == RESULT_KEYS
        assert result["text"].split() == expected_words(f"letters/{letter}")
    words = sum(len(expected_words(f"letters/{letter}")) for letter in LETTERS)
    assert runs.xcom("taskflow", "count_all_words") == words
    calls = runs.emulators["taskflow"].calls()
    assert (calls.accepted, calls.count("GET", "RecognizeImage")) == (len(LETTERS), len(LETTERS))
    assert calls.count("GET", "Utilities/GetTaskStatus") >= len(LETTERS)
    for index in range(len(LETTERS)):
        assert "is still running: deferring" in runs.log("taskflow", "letter", index)


def test_a_job_that_ends_within_defer_after_is_never_deferred_and_costs_one_post_and_its_polls(runs: Runs) -> None:
    assert runs.states("quick_job") == {("read", -1): "success"}
    assert runs.xcom("quick_job", "read", "text").split() == expected_words("letters/03-notice")
    calls = runs.emulators["quick"].calls()
    # Ready at once, however slow the machine is; the first poll, after 2 s, brings the result.
    assert calls.by_endpoint == {"POST RecognizeImage": 1, "GET RecognizeImage": 1}
    assert calls.token_calls == 1
    assert "deferring" not in runs.log("quick_job", "read")


@pytest.mark.parametrize(
    ("task_id", "message"),
    [
        ("missing_file", "no-such-file.jpg"),
        ("text_as_image", "text.png"),
        ("unknown_setting", "colour"),
        ("no_output_path", "set output_path"),
        ("region_outside", "5000"),
        ("no_connection", "'no_such_connection' is not defined"),
    ],
)
def test_bad_input_fails_at_once_and_is_not_retried(runs: Runs, task_id: str, message: str) -> None:
    instance = runs.airflow.task_instance("bad_input", runs.ids["bad_input"], task_id)
    assert (instance.state, instance.try_number) == ("failed", 1)
    log = runs.log("bad_input", task_id)
    assert message in log
    assert ("AsposeOcrConnectionNotFoundError" if task_id == "no_connection" else "AsposeOcrInputError") in log


def test_bad_input_costs_no_call(runs: Runs) -> None:
    calls = runs.emulators["untouched"].calls()
    assert (calls.total, calls.token_calls) == (0, 0)


def test_no_secret_token_or_recognized_text_is_in_any_log(runs: Runs) -> None:
    lines = [line for path in (SCANS / "expected").rglob("*.txt") for line in path.read_text().splitlines()]
    forbidden = [CLIENT_SECRET, *runs.tokens, *(line for line in lines if len(line) >= 10)]
    assert len(runs.tokens) >= 4
    assert len(forbidden) > 100
    pattern = re.compile("|".join(re.escape(text) for text in forbidden))

    read, found = 0, []
    for path in runs.airflow.log_folder.rglob("*"):
        if path.is_file():
            log = path.read_text(errors="replace")
            read += len(log)
            found += [(path.relative_to(runs.airflow.log_folder), match[0]) for match in pattern.finditer(log)]

    print(f"{read / 1e6:.1f} MB of logs")
    assert found == []
    # The logs are there, and hold what they should.
    submitted = sum(len(emulator.jobs()) for emulator in runs.emulators.values())
    folders = [runs.airflow.log_folder / f"dag_id={dag_id}" for dag_id in runs.ids]
    task_logs = "".join(path.read_text() for folder in folders for path in folder.rglob("attempt=*.log"))
    assert task_logs.count("Submitted ") == submitted


def test_no_secret_token_or_recognized_text_is_in_any_trigger_or_xcom_key(runs: Runs) -> None:
    ours = [kwargs for classpath, kwargs in runs.trigger_rows if classpath == TRIGGER]
    assert len(ours) == DEFERRED_TASKS + 1 + len(LETTERS)
    for kwargs in ours:
        assert set(json.loads(kwargs)) == TRIGGER_KWARGS
        assert not [secret for secret in (CLIENT_SECRET, *runs.tokens) if secret in kwargs]
        assert len(kwargs) < 600
    keys = {
        key
        for dag_id, run_id in runs.ids.items()
        for ti in runs.airflow.task_instances(dag_id, run_id)
        for key in runs.airflow.xcom_keys(dag_id, run_id, ti.task_id, ti.map_index)
    }
    assert keys <= RESULT_KEYS | {"regions", "return_value", LINK}
