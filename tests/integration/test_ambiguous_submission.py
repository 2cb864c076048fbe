"""
Whether the service has accepted a document is unknown where the answer is lost: the one gap that no client can close,
and what comes close to it. On a really running Airflow, in every case counted by the emulator.

Each test has one run of one DAG of ``dags/one_document.py``, with one task, and an image of its own.
"""

from __future__ import annotations

import signal
import time

import pytest

from tests.integration.single_document import Document
from tests.integration.waiting import wait_until

pytestmark = pytest.mark.integration


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
    """The retry submits again, and says that the document may have been billed."""
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
