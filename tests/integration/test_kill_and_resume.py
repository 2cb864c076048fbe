"""
What becomes of a document when something is killed, restarted, cleared, marked, timed out or broken: on a really
running Airflow, in every case counted by the emulator. Nothing is lost, nothing is billed twice.

Each test has one run of one DAG of ``dags/one_document.py``, with one task, and an image of its own.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from airflow_provider_asposeocr.emulator import EmulatorServer, JobSummary, TextReader
from tests.integration.conftest import connection_to
from tests.integration.documents import print_line
from tests.integration.running_airflow import RunningAirflow, TaskInstance, TaskProcess
from tests.integration.waiting import wait_until

pytestmark = pytest.mark.integration

DAG_FILE = Path(__file__).parent / "dags" / "one_document.py"
LATENCY = 4.0
TEXT = "Invoice 2024-117 was paid"
CANCELLED_WITHIN = 5.0
"""Seconds from a user's click to the job's end at the service."""


@pytest.fixture(scope="module")
def emulators(reader: TextReader) -> Iterator[dict[str, EmulatorServer]]:
    with (
        EmulatorServer(latency=LATENCY, reader=reader) as quick,
        EmulatorServer(latency=3600, reader=reader) as endless,
    ):
        yield {"ocr": quick, "ocr_endless": endless}


@pytest.fixture(scope="module")
def airflow(emulators: dict[str, EmulatorServer]) -> Iterator[RunningAirflow]:
    connections = {conn_id: connection_to(emulator) for conn_id, emulator in emulators.items()}
    with RunningAirflow(dags={DAG_FILE.name: DAG_FILE.read_text()}, connections=connections) as running:
        yield running


@dataclass
class Document:
    """A document, the run that reads it, and the emulator that gets it."""

    airflow: RunningAirflow
    emulators: dict[str, EmulatorServer]
    image: Path
    dag_id: str = ""
    run_id: str = ""

    def start(self, dag_id: str) -> None:
        self.dag_id = dag_id
        self.run_id = self.airflow.trigger(dag_id, conf={"image": str(self.image)})

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

    def wait_for_end(self) -> str:
        return self.airflow.wait_for_run(self.dag_id, self.run_id)

    def log(self, try_number: int = 1) -> str:
        return self.airflow.task_log(self.dag_id, self.run_id, "read", try_number)

    def wait_until_nobody_follows(self) -> None:
        """Until there is no trigger any more; polls come every second."""

        def nobody_asks() -> bool:
            polls = self.calls("GET", "Utilities/GetTaskStatus")
            time.sleep(3)
            return self.calls("GET", "Utilities/GetTaskStatus") == polls

        wait_until(nobody_asks, "nobody polls")

    def assert_read(self, *, tries: int, submissions: int) -> None:
        assert self.wait_for_end() == "success"
        assert self.airflow.xcom(self.dag_id, self.run_id, "read", "text") == TEXT
        assert (self.task.try_number, self.submissions) == (tries, submissions)


@pytest.fixture
def document(airflow: RunningAirflow, emulators: dict[str, EmulatorServer], tmp_path: Path) -> Document:
    for emulator in emulators.values():
        emulator.reset()
    image = tmp_path / "document.png"
    print_line(image, TEXT)
    return Document(airflow, emulators, image)


# The user ends it


@pytest.mark.parametrize("state", ["failed", "success", "skipped"])
def test_marking_a_deferred_task_cancels_its_job(document: Document, state: str) -> None:
    document.start("deferrable_endless")
    document.wait_for_poll_in_trigger()

    document.mark(state)

    document.wait_for_cancellation()
    document.wait_for_end()
    assert document.submissions == 1


def test_failing_the_run_of_a_deferred_task_cancels_its_job(document: Document) -> None:
    document.start("deferrable_endless")
    document.wait_for_poll_in_trigger()

    document.airflow.set_run_state(document.dag_id, document.run_id, "failed")

    document.wait_for_cancellation()
    assert document.submissions == 1


def test_after_a_kill_while_the_triggerer_is_down_the_job_can_be_found(document: Document) -> None:
    """Airflow may tell nobody, not even the next triggerer, which depends on who cleans up first."""
    document.start("deferrable_endless")
    document.wait_for_poll_in_trigger()
    document.airflow.kill_triggerer()

    document.mark("failed")
    document.airflow.start_triggerer()

    assert document.wait_for_end() == "failed"
    document.wait_until_nobody_follows()
    assert len(document.jobs) == 1
    assert document.jobs[0].id in document.log()


def test_without_cancel_on_kill_the_job_is_left_in_place(document: Document) -> None:
    document.start("deferrable_endless_kept")
    document.wait_for_poll_in_trigger()

    document.mark("failed")

    assert document.wait_for_end() == "failed"
    document.wait_until_nobody_follows()
    assert [job.cancelled for job in document.jobs] == [False]
    assert document.calls("DELETE", "RecognizeImage") == 0


@pytest.mark.parametrize(("state", "end"), [("failed", "failed"), ("success", "success"), ("skipped", "success")])
def test_marking_a_synchronous_task_cancels_its_job(document: Document, state: str, end: str) -> None:
    document.start("synchronous_endless")
    document.wait_for_poll_in_worker()

    document.mark(state)

    document.wait_for_cancellation()
    assert document.wait_for_end() == end
    assert (document.task.try_number, document.submissions) == (1, 1)


def test_clearing_a_deferred_task_cancels_its_job_and_submits_anew(document: Document) -> None:
    document.start("deferrable")
    document.wait_for_poll_in_trigger()

    document.clear()

    document.wait_for_cancellation()
    document.assert_read(tries=2, submissions=2)
    assert "the task was cleared by a user since" in document.log(2)
    assert [job.cancelled for job in document.jobs] == [True, False]


def test_clearing_a_synchronous_task_cancels_its_job_and_submits_anew(document: Document) -> None:
    document.start("synchronous")
    document.wait_for_poll_in_worker()

    document.clear()

    document.wait_for_cancellation()
    document.assert_read(tries=2, submissions=2)
    assert [job.cancelled for job in document.jobs] == [True, False]


# Time-outs


@pytest.mark.parametrize("mode", ["synchronous", "deferrable"])
def test_a_timeout_cancels_the_job_and_says_so(document: Document, mode: str) -> None:
    document.start(f"{mode}_timeout")

    assert document.wait_for_end() == "failed"
    assert [job.cancelled for job in document.jobs] == [True]
    log = document.log()
    assert "AsposeOcrTimeoutError" in log
    assert "did not end in time" in log
    assert "It was cancelled (cancel_on_kill=True)" in log


def test_execution_timeout_cancels_the_job_and_the_retry_submits_anew(document: Document) -> None:
    document.start("synchronous_execution_timeout")

    assert document.wait_for_end() == "failed"
    assert [job.cancelled for job in document.jobs] == [True, True]
    assert document.submissions == 2
    # The record is gone.
    assert "An earlier try" not in document.log(2)


# Restarts and kills of processes


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM])
def test_a_restart_of_the_triggerer_costs_nothing(document: Document, sig: signal.Signals) -> None:
    document.start("deferrable")
    document.wait_for_poll_in_trigger()

    document.airflow.restart_triggerer(sig)

    document.assert_read(tries=1, submissions=1)
    assert document.calls("DELETE", "RecognizeImage") == 0


def test_after_a_kill_while_waiting_the_retry_goes_on_with_the_same_job(document: Document) -> None:
    document.start("synchronous")
    document.wait_for_poll_in_worker()

    document.kill_process()

    document.assert_read(tries=2, submissions=1)
    assert f"Going on with RecognizeImage job {document.jobs[0].id} of an earlier try" in document.log(2)
    assert document.calls("POST", "RecognizeImage") == 1


def test_a_shutdown_of_the_worker_cancels_nothing_and_the_retry_goes_on(document: Document) -> None:
    document.start("synchronous")
    document.wait_for_poll_in_worker()

    document.shut_worker_down()

    document.assert_read(tries=2, submissions=1)
    assert document.calls("DELETE", "RecognizeImage") == 0
    assert "no user ended the task: its job is not cancelled, and a retry goes on with it" in document.log(1)
    assert "AsposeOcrInterruptedError" in document.log(1)
    assert "Going on with" in document.log(2)


def test_a_reset_of_orphaned_tasks_cancels_nothing(document: Document) -> None:
    """A scheduler is lost, its workers are not: the next one starts their tasks anew, and they are told to end."""
    document.start("synchronous_endless")
    document.wait_for_poll_in_worker()
    orphan = document.process()

    with document.airflow.only_scheduler_restarted():
        wait_until(lambda: not psutil.pid_exists(orphan.pid), "the orphan is told to end")
        wait_until(lambda: document.task.try_number == 2, "the task starts anew")
        wait_until(lambda: "Going on with" in document.log(2), "it goes on with the job", 20)
        assert document.calls("DELETE", "RecognizeImage") == 0
        document.mark("failed")
        document.wait_for_cancellation()

    assert document.submissions == 1
    assert "no user ended the task: its job is not cancelled" in document.log(1)


def test_after_a_kill_while_fetching_the_retry_fetches_again(document: Document) -> None:
    document.start("deferrable")
    document.wait_for_poll_in_trigger()
    # The trigger polls elsewhere: this is the fetch, in the worker.
    document.emulator.add_faults([{"kind": "delay", "method": "GET", "path": "RecognizeImage", "seconds": 10}])
    document.wait_for_poll_in_worker()

    document.kill_process()

    document.assert_read(tries=2, submissions=1)
    assert "Going on with" in document.log(2)


def test_a_loss_of_the_scheduler_with_all_workers_costs_nothing(document: Document) -> None:
    document.start("synchronous")
    document.wait_for_poll_in_worker()

    document.airflow.restart_scheduler(signal.SIGKILL)

    assert document.wait_for_end() == "success"
    assert document.submissions == 1


def test_without_durable_a_retry_submits_again(document: Document) -> None:
    document.start("not_durable")
    document.wait_for_poll_in_worker()

    document.kill_process()

    document.assert_read(tries=2, submissions=2)


def test_a_changed_document_is_submitted_anew(document: Document) -> None:
    document.start("synchronous")
    document.wait_for_poll_in_worker()

    print_line(document.image, "Something else")
    document.kill_process()

    assert document.wait_for_end() == "success"
    assert document.airflow.xcom(document.dag_id, document.run_id, "read", "text") == "Something else"
    assert sorted(document.emulator.calls().accepted_by_image.values()) == [1, 1]
    assert "submitting anew: the document or its settings changed since" in document.log(2)


# Jobs that end badly


def test_with_our_retry_policy_a_job_that_ends_as_error_is_not_billed_again(document: Document) -> None:
    document.emulator.add_faults([{"kind": "error", "method": "POST", "path": "Recognize*", "messages": ["Too dark."]}])

    document.start("with_retry_policy")

    assert document.wait_for_end() == "failed"
    assert (document.task.try_number, document.submissions) == (1, 1)
    assert "the same document would end, and be billed, the same way again" in document.log(1)


def test_with_our_retry_policy_what_can_get_better_is_retried(document: Document) -> None:
    document.emulator.add_faults([{"kind": "status", "status": 502, "method": "GET", "path": "Recognize*", "count": 6}])

    document.start("with_retry_policy")

    document.assert_read(tries=2, submissions=1)
    assert "AsposeOcrServiceError: this can get better" in document.log(1)


def test_a_job_that_ends_as_error_is_submitted_anew_by_the_retry(document: Document) -> None:
    document.emulator.add_faults([{"kind": "error", "method": "POST", "path": "Recognize*", "messages": ["Too dark."]}])

    document.start("deferrable")

    document.assert_read(tries=2, submissions=2)
    assert "ended as Error: Too dark." in document.log(1)
    assert "A retry submits the document again, which is billed again" in document.log(1)


@pytest.mark.parametrize(("kind", "state"), [("error", "Error"), ("not_exist", "NotExist")])
def test_a_job_that_ended_badly_while_nobody_followed_it_is_submitted_anew(
    document: Document, kind: str, state: str
) -> None:
    document.emulator.add_faults([{"kind": "delay", "method": "GET", "path": "RecognizeImage", "seconds": 10}])
    document.start("synchronous")
    document.wait_for_poll_in_worker()
    # The next poll, which is the retry's, finds the job so.
    document.emulator.add_faults([{"kind": kind, "method": "GET", "path": "RecognizeImage"}])

    document.kill_process()

    document.assert_read(tries=2, submissions=2)
    assert f"which is now {state}" in document.log(2)
    assert "submitting anew, which is billed again" in document.log(2)


def test_a_result_that_expired_is_submitted_anew_by_the_retry(document: Document) -> None:
    document.start("deferrable")
    document.wait_for_poll_in_trigger()

    document.emulator.add_faults([{"kind": "not_exist", "method": "GET", "path": "Utilities/GetTaskStatus"}])

    document.assert_read(tries=2, submissions=2)
    assert "The service does not know RecognizeImage job" in document.log(1)


# The service is not well


@pytest.mark.parametrize(
    ("mode", "endpoint"), [("synchronous", "RecognizeImage"), ("deferrable", "Utilities/GetTaskStatus")]
)
def test_when_the_service_is_down_for_long_polling_gives_up_and_the_retry_goes_on(
    document: Document, mode: str, endpoint: str
) -> None:
    # Six failures in a row end a try, wherever they fall; the rest meets the next one.
    document.emulator.add_faults([{"kind": "status", "status": 503, "method": "GET", "count": 9}])

    document.start(mode)

    document.assert_read(tries=2, submissions=1)
    log = document.log(1)
    assert "Polling gave up on RecognizeImage job" in log
    assert "The job is left in place at the service; a retry goes on with it and is not billed again" in log
    assert "Going on with" in document.log(2)
    assert document.calls("GET", endpoint) >= 6
    assert document.calls("DELETE", "RecognizeImage") == 0


# The one gap that no client can close


def start_and_cut_off_between_acceptance_and_store(document: Document, dag_id: str) -> None:
    """Kill the task when the service has accepted the document, and the task has not yet seen the answer."""
    document.emulators["ocr"].add_faults([{"kind": "delay", "method": "POST", "path": "RecognizeImage", "seconds": 4}])
    document.start(dag_id)
    wait_until(lambda: document.calls("POST", "RecognizeImage") == 1, "the document arrives")
    process = document.process()
    # The answer comes to a process that does nothing any more.
    document.airflow.kill_task_process(process, signal.SIGSTOP)
    assert document.submissions == 0
    wait_until(lambda: document.submissions == 1, "the document is accepted")
    document.airflow.kill_task_process(process, signal.SIGKILL)


def test_a_kill_between_acceptance_and_store_is_told_and_not_billed_twice(document: Document) -> None:
    start_and_cut_off_between_acceptance_and_store(document, "synchronous")

    assert document.wait_for_end() == "failed"
    # Two tries of three: a third one could not help.
    assert (document.task.try_number, document.submissions) == (2, 1)
    assert document.calls("POST", "RecognizeImage") == 1
    log = document.log(2)
    assert "AsposeOcrAmbiguousSubmissionError" in log
    assert "An earlier try was cut off while it submitted the document" in log
    assert "the service may have accepted and billed it" in log

    document.clear()

    document.assert_read(tries=3, submissions=2)


def test_a_kill_between_acceptance_and_store_with_resubmit_on_ambiguity(document: Document) -> None:
    start_and_cut_off_between_acceptance_and_store(document, "resubmitting")

    document.assert_read(tries=2, submissions=2)
    assert "the document may have been billed. Submitting again (resubmit_on_ambiguity=True)" in document.log(2)


def test_a_post_whose_answer_is_lost_is_not_repeated(document: Document) -> None:
    document.emulator.add_faults([{"kind": "reset_after", "method": "POST", "path": "RecognizeImage"}])

    document.start("synchronous")

    assert document.wait_for_end() == "failed"
    assert (document.task.try_number, document.submissions) == (1, 1)
    assert document.calls("POST", "RecognizeImage") == 1
    assert "AsposeOcrAmbiguousSubmissionError" in document.log(1)


def test_a_post_whose_answer_is_lost_is_repeated_with_resubmit_on_ambiguity(document: Document) -> None:
    document.emulator.add_faults([{"kind": "reset_after", "method": "POST", "path": "RecognizeImage"}])

    document.start("resubmitting")

    document.assert_read(tries=1, submissions=2)


def test_a_post_that_was_refused_is_repeated_at_once(document: Document) -> None:
    refusals = [{"status": 503}, {"status": 429, "retry_after": 1}]
    document.emulator.add_faults(
        [{"kind": "status", "method": "POST", "path": "RecognizeImage", **r} for r in refusals]
    )

    document.start("synchronous")

    document.assert_read(tries=1, submissions=1)
    assert document.calls("POST", "RecognizeImage") == 3


def test_a_kill_while_the_token_is_fetched_is_not_ambiguous(document: Document) -> None:
    document.emulator.add_faults([{"kind": "delay", "method": "POST", "path": "connect/token", "seconds": 5}])
    document.start("synchronous")
    wait_until(lambda: document.emulator.calls().token_calls == 1, "the task asks for a token")

    document.kill_process()

    document.assert_read(tries=2, submissions=1)


def test_a_kill_after_the_submission_was_refused_is_not_ambiguous(document: Document) -> None:
    refusal = {"kind": "status", "status": 503, "method": "POST", "path": "RecognizeImage", "retry_after": 30}
    document.emulator.add_faults([refusal])
    document.start("synchronous")
    wait_until(lambda: document.calls("POST", "RecognizeImage") == 1, "the document arrives, and is refused")
    time.sleep(1)

    document.kill_process()

    document.assert_read(tries=2, submissions=1)
