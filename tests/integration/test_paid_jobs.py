"""
What was paid for is delivered, and not paid for again: after a clear, without the document, behind Airflow's own
time-out, beside a file in the way. On a really running Airflow, in every case counted by the emulator.

Each test has one run of one DAG, with one task or a mapped pair, and images of its own.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_asposeocr.emulator import EmulatorServer
from tests.integration.documents import print_line
from tests.integration.hand_clock import HandClock
from tests.integration.running_airflow import RunningAirflow
from tests.integration.single_document import TEXT, Document
from tests.integration.trigger_table import let_deferral_expire
from tests.integration.waiting import wait_until

pytestmark = pytest.mark.integration


# A user clears the task


@pytest.mark.parametrize("dag_id", ["writing", "writing_deferrable"])
def test_a_succeeded_task_that_is_cleared_succeeds_again_with_the_same_job(document: Document, dag_id: str) -> None:
    document.start(dag_id)
    document.assert_read(tries=1, submissions=1)
    files = document.files()
    assert [text.strip() for text in files.values()] == [TEXT]

    document.clear()

    document.assert_read(tries=2, submissions=1)
    assert document.calls("POST", "RecognizeImage") == 1
    assert f"RecognizeImage job {document.jobs[0].id} of an earlier try" in document.log(2)
    # The files of the first run are its own to replace.
    assert document.files() == files


def test_a_retry_after_a_clear_still_goes_on_with_the_same_job(document: Document) -> None:
    document.start("writing")
    document.assert_read(tries=1, submissions=1)
    document.emulator.add_faults([{"kind": "delay", "method": "GET", "path": "RecognizeImage", "seconds": 10}])
    polls = document.calls("GET", "RecognizeImage")
    document.clear()
    document.wait_for_poll_in_worker(polls + 1)

    document.kill_process()

    document.assert_read(tries=3, submissions=1)


def test_a_cleared_task_submits_anew_where_the_user_wants_that(document: Document) -> None:
    document.start("writing_anew_on_clear")
    document.assert_read(tries=1, submissions=1)
    files = document.files()

    document.clear()

    document.assert_read(tries=2, submissions=2)
    assert "resubmit_on_clear=True" in document.log(2)
    assert document.files() == files


def test_a_cleared_task_whose_document_changed_submits_the_new_one(document: Document) -> None:
    document.start("writing")
    document.assert_read(tries=1, submissions=1)

    print_line(document.image, "Something else")
    document.clear()

    assert document.wait_for_end() == "success"
    assert sorted(document.emulator.calls().accepted_by_image.values()) == [1, 1]
    # What stands there was written by this very task.
    assert [text.strip() for text in document.files().values()] == ["Something else"]


def test_clearing_a_deferred_task_whose_job_has_completed_costs_nothing(document: Document) -> None:
    """The job completed, and nobody has asked since: it is paid for, and not to be cancelled."""
    document.emulator.add_faults(
        [{"kind": "status", "status": 503, "retry_after": 3600, "path": "Utilities/GetTaskStatus"}]
    )
    document.start("deferrable")
    document.wait_for_poll_in_trigger()
    document.let_jobs_end()
    wait_until(lambda: document.jobs[0].status == "Completed", "the job completes")
    assert document.task.state == "deferred"

    document.clear()

    document.assert_read(tries=2, submissions=1)
    assert document.calls("DELETE", "RecognizeImage") == 0


# The document is gone


def test_a_retry_delivers_the_result_of_a_document_that_is_lost(document: Document) -> None:
    """A retry may run on another worker, whose disk has never had the image."""
    document.start("writing")
    document.wait_for_poll_in_worker()

    document.image.unlink()
    document.kill_process()

    document.assert_read(tries=2, submissions=1)
    assert f"RecognizeImage job {document.jobs[0].id} of an earlier try" in document.log(2)
    assert [text.strip() for text in document.files().values()] == [TEXT]


# The triggerer is down when Airflow's own time-out comes


def test_a_finished_job_is_delivered_where_the_triggerer_was_down_past_the_deferrals_timeout(
    document: Document,
) -> None:
    document.start("deferrable")
    document.wait_for_poll_in_trigger()
    document.airflow.kill_triggerer()
    document.let_jobs_end()
    wait_until(lambda: document.jobs[0].status == "Completed", "the job completes")

    let_deferral_expire(document.airflow, document.dag_id, document.run_id)

    document.assert_read(tries=1, submissions=1)
    assert document.calls("DELETE", "RecognizeImage") == 0


def test_a_job_that_never_ends_is_asked_once_more_before_it_is_cancelled(document: Document) -> None:
    document.airflow.kill_triggerer()
    document.start("deferrable_timeout")
    document.airflow.wait_for_task(document.dag_id, document.run_id, "read", {"deferred"})

    let_deferral_expire(document.airflow, document.dag_id, document.run_id)

    assert document.wait_for_end() == "failed"
    log = document.log()
    assert "AsposeOcrTimeoutError" in log
    assert [job.cancelled for job in document.jobs] == [True], log
    assert document.calls("GET", "RecognizeImage") + document.calls("GET", "Utilities/GetTaskStatus") >= 1


# Two documents have one name


def test_mapped_documents_of_one_name_are_both_delivered(
    airflow: RunningAirflow, emulators: dict[str, EmulatorServer], clocks: dict[str, HandClock], tmp_path: Path
) -> None:
    emulator, clock, output = emulators["ocr"], clocks["ocr"], tmp_path / "output"
    clock.stop()
    emulator.reset()
    images = [tmp_path / folder / "scan.png" for folder in ("a", "b")]
    texts = ["The first of two", "The second of two"]
    for image, text in zip(images, texts, strict=True):
        image.parent.mkdir()
        print_line(image, text)

    run_id = airflow.trigger("equal_names", conf={"images": [str(image) for image in images], "output": str(output)})
    # Each has looked into the folder, and found it empty, before one writes.
    wait_until(lambda: emulator.calls().accepted == len(images), "both are accepted")
    clock.run()

    assert airflow.wait_for_run("equal_names", run_id) == "success"
    xcoms = [airflow.xcom("equal_names", run_id, "read", map_index=at) for at in range(len(images))]
    assert [xcom["text"] for xcom in xcoms] == texts
    assert [Path(xcom["results"][0]["file"]).read_text().strip() for xcom in xcoms] == texts
    assert len(list(output.iterdir())) == len(images)
    assert emulator.calls().accepted == len(images)
