"""
What becomes of a document whose job ends badly, or whose service is not well: on a really running Airflow, in every
case counted by the emulator. Nothing is lost, and what is billed again is told.

Each test has one run of one DAG of ``dags/one_document.py``, with one task, and an image of its own.
"""

from __future__ import annotations

import pytest

from tests.integration.single_document import Document

pytestmark = pytest.mark.integration


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


def test_when_the_service_is_down_for_long_a_worker_gives_up_and_the_retry_goes_on(document: Document) -> None:
    # Six failures in a row end a try in a worker, wherever they fall; the rest meets the next one.
    document.emulator.add_faults([{"kind": "status", "status": 503, "method": "GET", "count": 9}])

    document.start("synchronous")

    document.assert_read(tries=2, submissions=1)
    log = document.log(1)
    assert "Polling gave up on RecognizeImage job" in log
    assert "The job is left in place at the service; a retry goes on with it and is not billed again" in log
    assert f"RecognizeImage job {document.jobs[0].id} of an earlier try" in document.log(2)
    assert document.calls("GET", "RecognizeImage") >= 6
    assert document.calls("DELETE", "RecognizeImage") == 0


def test_when_the_service_is_down_for_long_a_deferred_task_waits(document: Document) -> None:
    """Waiting is free in the triggerer: nothing ends there but by the task's own time-out."""
    document.emulator.add_faults(
        [{"kind": "status", "status": 503, "method": "GET", "path": "Utilities/GetTaskStatus", "count": 9}]
    )

    document.start("deferrable")

    document.assert_read(tries=1, submissions=1)
    assert document.calls("GET", "Utilities/GetTaskStatus") >= 10
    assert document.calls("DELETE", "RecognizeImage") == 0
