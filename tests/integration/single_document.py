"""One document in one run of one task of a DAG of ``dags/one_document.py``, counted by the emulator that gets it."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from airflow_provider_asposeocr.emulator import EmulatorServer, JobSummary
from tests.integration.airflow_api import TaskInstance
from tests.integration.hand_clock import HandClock
from tests.integration.running_airflow import RunningAirflow, TaskProcess
from tests.integration.waiting import wait_until

TEXT = "Invoice 2024-117 was paid"
CANCELLED_WITHIN = 5.0
"""Seconds from a user's click to the job's end at the service."""


@dataclass
class Document:
    """A document, the run that reads it, and the emulator that gets it."""

    airflow: RunningAirflow
    emulators: dict[str, EmulatorServer]
    clock: HandClock
    image: Path
    output: Path
    dag_id: str = ""
    run_id: str = ""

    def start(self, dag_id: str) -> None:
        self.dag_id = dag_id
        self.run_id = self.airflow.trigger(dag_id, conf={"image": str(self.image), "output": str(self.output)})

    @property
    def emulator(self) -> EmulatorServer:
        return self.emulators["ocr_endless" if "endless" in self.dag_id or "timeout" in self.dag_id else "ocr"]

    @property
    def task(self) -> TaskInstance:
        return self.airflow.task_instance(self.dag_id, self.run_id, "read")

    @property
    def submissions(self) -> int:
        return self.emulator.calls().accepted

    @property
    def jobs(self) -> list[JobSummary]:
        return self.emulator.jobs()

    def calls(self, method: str, endpoint: str) -> int:
        return self.emulator.calls().count(method, endpoint)

    def wait_for_poll_in_worker(self, number: int = 1) -> None:
        wait_until(lambda: self.calls("GET", "RecognizeImage") >= number, "the worker polls")

    def wait_for_poll_in_trigger(self) -> None:
        """A user's kill reaches a trigger only once the triggerer has started it."""
        wait_until(lambda: self.calls("GET", "Utilities/GetTaskStatus") >= 1, "the trigger polls")

    def process(self) -> TaskProcess:
        found: list[TaskProcess] = []

        def running() -> bool:
            found[:] = self.airflow.running_task_processes(self.dag_id)
            return bool(found)

        wait_until(running, "the task has a process")
        return found[0]

    def kill_process(self) -> None:
        self.airflow.kill_task_process(self.process())

    def shut_worker_down(self) -> None:
        """The parent of a task's process supervises it; to end a worker or a pod is to send SIGTERM to it."""
        os.kill(psutil.Process(self.process().pid).ppid(), signal.SIGTERM)

    def mark(self, state: str) -> None:
        self.airflow.set_task_state(self.dag_id, self.run_id, "read", state)

    def clear(self) -> None:
        self.airflow.clear_task(self.dag_id, self.run_id, "read")

    def wait_for_cancellation(self, number: int = 0) -> None:
        took = wait_until(lambda: self.jobs[number].cancelled, "the job is cancelled", 20)
        print(f"cancelled {took:.1f} s after the user's click")
        assert took < CANCELLED_WITHIN

    def let_jobs_end(self) -> None:
        """Let those end which now run, and all later ones soon after they have begun; those that are endless do not."""
        self.clock.run()

    def wait_for_end(self) -> str:
        self.let_jobs_end()
        return self.airflow.wait_for_run(self.dag_id, self.run_id)

    def log(self, try_number: int = 1) -> str:
        return self.airflow.task_log(self.dag_id, self.run_id, "read", try_number)

    def files(self) -> dict[str, str]:
        """The files that were written for it, and what stands in them."""
        return {path.name: path.read_text() for path in self.output.iterdir()}

    def wait_until_nobody_follows(self) -> None:
        """Until there is no trigger any more; polls come more than twice a second."""

        def nobody_asks() -> bool:
            polls = self.calls("GET", "Utilities/GetTaskStatus")
            time.sleep(3)
            return self.calls("GET", "Utilities/GetTaskStatus") == polls

        wait_until(nobody_asks, "nobody polls")

    def assert_read(self, *, tries: int, submissions: int) -> None:
        assert self.wait_for_end() == "success"
        assert self.airflow.xcom(self.dag_id, self.run_id, "read", "text") == TEXT
        assert (self.task.try_number, self.submissions) == (tries, submissions)
