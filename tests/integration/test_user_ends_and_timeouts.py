"""
What becomes of a document when a user marks or clears its task, or the time is up: on a really running Airflow.

Each test has one run of one DAG of ``dags/one_document.py``, with one task, and an image of its own.
"""

from __future__ import annotations

import pytest

from tests.integration.single_document import TEXT, Document
from tests.integration.waiting import wait_until

pytestmark = pytest.mark.integration


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
    assert "submitting anew" in document.log(2)
    assert [job.cancelled for job in document.jobs] == [True, False]


def test_a_cleared_task_does_not_go_on_with_a_job_that_is_being_cancelled(document: Document) -> None:
    """The cancellation comes when the new try has found the job still running."""
    document.emulator.add_faults([{"kind": "delay", "method": "DELETE", "seconds": 4}])
    document.start("deferrable")
    document.wait_for_poll_in_trigger()

    document.clear()

    wait_until(lambda: document.jobs[0].cancelled, "the job is cancelled", 30)
    assert document.wait_for_end() == "success"
    assert document.airflow.xcom(document.dag_id, document.run_id, "read", "text") == TEXT
    assert [job.cancelled for job in document.jobs] == [True, False]
    assert document.submissions == 2


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
