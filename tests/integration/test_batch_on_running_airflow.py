"""
Many documents in one task on a really running Airflow: nothing is lost, nothing is billed twice, whatever is killed.

**When the worker is killed.** A process that dies while a POST is out leaves a document in doubt, which no client can
help, and which is not submitted again without leave. So the worker is stopped first (SIGSTOP: it does nothing any
more), and killed only if nothing is in doubt then. That is seen, not hoped for: before each POST the operator writes
``Submitting`` into the task state store, and takes it back only after the answer. Where the store, once what was on its
way there has arrived, shows no document as ``Submitting``, no POST is out; and where it knows the ids of all jobs that
the emulator has accepted, no answer is lost. If either is not so, the process goes on, and the test tries again later.

**When the triggerer is killed.** Once it polls for the batch. A fast machine may never defer, and a slow one may have
found all jobs ended before the triggerer looks at the first: so time stands still at the service from the end of the
worker to that of the triggerer, and no job ends.
"""

from __future__ import annotations

import itertools
import json
import re
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_asposeocr.emulator import EmulatorServer
from tests.integration.airflow_api import FINISHED_RUN_STATES
from tests.integration.documents import print_line
from tests.integration.hand_clock import HandClock
from tests.integration.running_airflow import RunningAirflow
from tests.integration.shared_airflow import LATENCIES
from tests.integration.waiting import wait_until

pytestmark = pytest.mark.integration

TIME_LIMIT = 240.0
"""Seconds for the many documents, on a loaded machine; it takes under half of it."""
ARRIVAL = 0.4
"""Seconds in which what a stopped process has sent to Airflow gets there; it takes a hundredth of a second."""
CANCELLED_WITHIN = 5.0
"""Seconds from a user's click to the end of all jobs at the service."""

COLOURS = ("amber", "black", "brown", "golden", "green", "orange", "purple", "silver")
TREES = ("maple", "willow", "cedar", "poplar", "alder", "hazel", "walnut", "cherry")
THINGS = ("ladder", "kettle", "lantern", "basket", "saddle", "hammer", "pillow", "candle")
TEXTS = [" ".join(words).capitalize() for words in itertools.product(COLOURS, TREES, THINGS)]
MANY = 500
FOLDERS = 5
AT_ONCE = 125
"""Jobs at the service, as ``dags/many_in_one_task.py`` says: a quarter of the documents."""


@dataclass
class Batch:
    """A folder of documents, the run that reads them, and the emulator that gets them."""

    airflow: RunningAirflow
    emulator: EmulatorServer
    folder: Path
    dag_id: str
    texts: dict[str, str] = field(default_factory=dict)
    run_id: str = ""
    started: float = 0.0

    def start(self, number: int, folders: int) -> None:
        """Print the documents, with equal names in several folders, and begin."""
        for at, text in enumerate(TEXTS[:number]):
            name = f"{at % folders}/{at // folders:03}"
            image = self.folder / "inbox" / f"{name}.png"
            image.parent.mkdir(parents=True, exist_ok=True)
            print_line(image, text)
            self.texts[f"{name}.txt"] = text
        conf = {"images": str(self.folder / "inbox"), "output": str(self.outbox)}
        self.started = time.monotonic()
        self.run_id = self.airflow.trigger(self.dag_id, conf=conf)

    @property
    def outbox(self) -> Path:
        return self.folder / "outbox"

    @property
    def now(self) -> float:
        return time.monotonic() - self.started

    @property
    def state(self) -> str | None:
        return self.airflow.task_instance(self.dag_id, self.run_id, "read").state

    @property
    def try_number(self) -> int:
        return self.airflow.task_instance(self.dag_id, self.run_id, "read").try_number

    @property
    def trigger_polls(self) -> int:
        return self.emulator.calls().count("GET", "Utilities/GetTaskStatus")

    def store(self) -> dict[str, dict[str, Any]]:
        """What the task state store knows of each document that is on its way."""
        values = self.airflow.state_store(self.dag_id, self.run_id, "read")
        values.pop("aspose_ocr_batch", None)
        return {document["image"]: document for slots in values.values() for document in slots.values()}

    def journal(self) -> dict[str, dict[str, Any]]:
        """What the journal knows of each document that is done."""
        pieces = sorted(self.outbox.glob(".aspose-ocr/*/journal-*.jsonl"))
        lines = [json.loads(line) for piece in pieces for line in piece.read_text().splitlines()]
        return {line["image"]: line for line in lines}

    def count(self, status: str) -> int:
        known = {**self.store(), **self.journal()}
        return sum(document["status"] == status for document in known.values())

    def results(self) -> dict[str, str]:
        return {str(path.relative_to(self.outbox)): path.read_text() for path in self.outbox.rglob("*.txt")}

    def manifest(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.outbox / "manifest.jsonl").read_text().splitlines()]

    def wait_until_deferred(self, polls: int) -> None:
        """A user's kill reaches a trigger only once the triggerer has started it."""
        wait_until(lambda: self.state == "deferred" and self.trigger_polls > polls, "it is deferred, and polled for")

    def assert_complete(self) -> None:
        number = len(self.texts)
        assert self.results() == self.texts
        lines = self.manifest()
        assert len(lines) == len({line["image"] for line in lines}) == number
        assert {line["status"] for line in lines} == {"Completed"}
        manifest = str(self.outbox / "manifest.jsonl")
        xcom = self.airflow.xcom(self.dag_id, self.run_id, "read")
        told = ("endpoint", "documents", "completed", "skipped", "failed", "manifest", "failures")
        assert [xcom[name] for name in told] == ["RecognizeImage", number, number, 0, 0, manifest, []]
        assert self.airflow.xcom(self.dag_id, self.run_id, "read", "manifest") == manifest

    # Kills

    def nothing_is_in_doubt(self) -> bool:
        """Whether no POST is out, and the store knows all jobs; that stays so while the process is stopped."""
        calls = self.emulator.calls()
        documents = self.store().values()
        done = self.journal().values()
        known = {document.get("ocr_task_id") for document in (*documents, *done)} - {None}
        return (
            all(document["status"] != "Submitting" for document in documents)
            and known == {job.id for job in self.emulator.jobs()}
            and calls.count("POST", "RecognizeImage") == calls.accepted
        )

    def kill_the_worker(self) -> bool:
        """Kill the process that works at the batch, if one does, and if that leaves nothing in doubt."""
        processes = self.airflow.running_task_processes(self.dag_id)
        if not processes or not self.nothing_is_in_doubt():
            return False
        try:
            self.airflow.kill_task_process(processes[0], signal.SIGSTOP)
            time.sleep(ARRIVAL)
            if self.nothing_is_in_doubt():
                time.sleep(ARRIVAL)
                if self.nothing_is_in_doubt():
                    self.airflow.kill_task_process(processes[0], signal.SIGKILL)
                    return True
            self.airflow.kill_task_process(processes[0], signal.SIGCONT)
        except ProcessLookupError:
            pass
        return False


@pytest.fixture
def many(
    airflow: RunningAirflow, emulators: dict[str, EmulatorServer], clocks: dict[str, HandClock], tmp_path: Path
) -> Batch:
    clocks["ocr_batch"].run()
    return Batch(airflow, emulators["ocr_batch"], tmp_path, "many_in_one_task")


@pytest.fixture
def few(airflow: RunningAirflow, emulators: dict[str, EmulatorServer], tmp_path: Path) -> Batch:
    emulators["ocr_held"].reset()
    return Batch(airflow, emulators["ocr_held"], tmp_path, "few_in_one_task")


def test_five_hundred_documents_with_worker_and_triggerer_killed(many: Batch, clocks: dict[str, HandClock]) -> None:
    """A batch reads each document once, though its worker and its triggerer are killed."""
    airflow, clock = many.airflow, clocks["ocr_batch"]
    worker_killed: float | None = None
    refrained = 0
    triggerer_killed: float | None = None
    restart: threading.Thread | None = None
    broken: list[BaseException] = []

    def restart_triggerer() -> None:
        try:
            airflow.restart_triggerer(signal.SIGKILL)
        except BaseException as error:  # noqa: BLE001 - raised again in the test's own thread
            broken.append(error)

    many.start(MANY, FOLDERS)
    while (state := airflow.run_state(many.dag_id, many.run_id)) not in FINISHED_RUN_STATES:
        assert many.now < TIME_LIMIT, (
            f"not ended after {TIME_LIMIT:g} s: {Counter(d['status'] for d in many.store().values())}"
        )
        if triggerer_killed is None and many.trigger_polls and many.state == "deferred":
            restart = threading.Thread(target=restart_triggerer, name="triggerer-restart")
            triggerer_killed = many.now
            restart.start()
            clock.run()
        # One that has just handed its deferral over is not missed: that kill ends no try, and is followed by another.
        if many.emulator.calls().accepted > AT_ONCE and many.try_number == 1:
            if many.kill_the_worker():
                worker_killed = many.now
                if triggerer_killed is None:
                    clock.stop()
            else:
                refrained += 1
        time.sleep(0.1)
    if restart is not None:
        restart.join()
    if broken:
        raise broken[0]
    took = many.now

    calls = many.emulator.calls()
    task = airflow.task_instance(many.dag_id, many.run_id, "read")
    logs = "\n".join(path.read_text(errors="replace") for path in airflow.log_folder.rglob("*.log*") if path.is_file())
    rows = (
        ("documents", MANY),
        ("jobs at once, seconds of a job", f"{AT_ONCE}, {LATENCIES['ocr_batch']:g}"),
        ("seconds", f"{took:.0f}"),
        ("tries", task.try_number),
        ("deferrals", len(set(re.findall("(.*) Deferring until some of", logs)))),
        ("accepted submissions", calls.accepted),
        ("calls per document but submissions", f"{(calls.total - calls.accepted) / MANY:.2f}"),
        ("of them by the trigger", f"{many.trigger_polls / MANY:.2f}"),
        ("triggerer killed at", f"{triggerer_killed:.0f} s" if triggerer_killed is not None else "never"),
        ("worker killed at", f"{worker_killed:.0f} s" if worker_killed is not None else "never"),
        ("looked for that moment in vain", refrained),
    )
    print("\n| what | |\n|---|---|\n" + "\n".join(f"| {name} | {value} |" for name, value in rows))

    assert state == "success"
    many.assert_complete()
    assert calls.accepted == MANY
    assert len(calls.accepted_by_image) == MANY
    assert set(calls.accepted_by_image.values()) == {1}
    assert not [job for job in many.emulator.jobs() if job.cancelled]
    assert worker_killed is not None
    assert triggerer_killed is not None
    assert task.try_number == 2
    assert "Batch of 500 documents" in logs
    assert not [text for text in many.texts.values() if text in logs]


def test_marking_a_deferred_batch_failed_cancels_all_its_jobs(few: Batch) -> None:
    few.start(6, 2)
    few.wait_until_deferred(polls=0)
    assert few.emulator.calls().accepted == 6

    few.airflow.set_task_state(few.dag_id, few.run_id, "read", "failed")

    took = wait_until(lambda: all(job.cancelled for job in few.emulator.jobs()), "all jobs are cancelled", 20)
    print(f"\n6 jobs cancelled {took:.1f} s after the user's click")
    assert took < CANCELLED_WITHIN
    assert few.airflow.wait_for_run(few.dag_id, few.run_id) == "failed"
    assert few.emulator.calls().accepted == 6


def test_a_users_clear_keeps_what_is_done(few: Batch, clocks: dict[str, HandClock]) -> None:
    clock = clocks["ocr_held"]
    few.start(10, 2)
    few.wait_until_deferred(polls=0)
    clock.turn(60)
    # Six are done, and the other four are submitted and waited for.
    wait_until(lambda: few.count("Completed") == 6 and few.count("Running") == 4, "six are done")
    few.wait_until_deferred(few.trigger_polls)
    done = few.results()
    written = {name: (few.outbox / name).stat().st_mtime_ns for name in done}
    assert len(done) == 6

    few.airflow.clear_task(few.dag_id, few.run_id, "read")

    wait_until(lambda: sum(job.cancelled for job in few.emulator.jobs()) == 4, "what runs is cancelled", 20)
    wait_until(lambda: few.emulator.calls().accepted == 14, "the four are submitted anew")
    few.wait_until_deferred(few.trigger_polls)
    clock.turn(60)
    assert few.airflow.wait_for_run(few.dag_id, few.run_id) == "success"
    few.assert_complete()
    assert sorted(few.emulator.calls().accepted_by_image.values()) == [1] * 6 + [2] * 4
    assert {name: (few.outbox / name).stat().st_mtime_ns for name in done} == written
