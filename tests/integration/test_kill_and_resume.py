"""
What becomes of a document when a process is killed or restarted: on a really running Airflow, in every case counted by
the emulator. Nothing is lost, nothing is billed twice.

Each test has one run of one DAG of ``dags/one_document.py``, with one task, and an image of its own.
"""

from __future__ import annotations

import signal

import psutil
import pytest

from tests.integration.documents import print_line
from tests.integration.single_document import Document
from tests.integration.waiting import wait_until

pytestmark = pytest.mark.integration


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
    assert f"RecognizeImage job {document.jobs[0].id} of an earlier try" in document.log(2)
    assert document.calls("POST", "RecognizeImage") == 1


def test_a_shutdown_of_the_worker_cancels_nothing_and_the_retry_goes_on(document: Document) -> None:
    document.start("synchronous")
    document.wait_for_poll_in_worker()

    document.shut_worker_down()

    document.assert_read(tries=2, submissions=1)
    assert document.calls("DELETE", "RecognizeImage") == 0
    assert "no user ended the task: its job is not cancelled, and a retry goes on with it" in document.log(1)
    assert "AsposeOcrInterruptedError" in document.log(1)
    assert f"RecognizeImage job {document.jobs[0].id} of an earlier try" in document.log(2)


def test_a_reset_of_orphaned_tasks_cancels_nothing(document: Document) -> None:
    """A scheduler is lost, its workers are not: the next one starts their tasks anew, and they are told to end."""
    document.start("synchronous_endless")
    document.wait_for_poll_in_worker()
    orphan = document.process()

    with document.airflow.only_scheduler_restarted():
        wait_until(lambda: not psutil.pid_exists(orphan.pid), "the orphan is told to end")
        wait_until(lambda: document.task.try_number == 2, "the task starts anew")
        wait_until(lambda: "Going on with" in document.log(2), "it goes on with the job")
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
    document.let_jobs_end()
    document.wait_for_poll_in_worker()

    document.kill_process()

    document.assert_read(tries=2, submissions=1)
    assert f"RecognizeImage job {document.jobs[0].id} of an earlier try" in document.log(2)


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
    assert "submitting anew: the document" in document.log(2)
