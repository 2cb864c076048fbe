"""What the log of a task tells: sentences for people, constant names and fields for machines, no word of a document."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.events import Event, told, warned
from tests.unit.operators.recognizing import recognize
from tests.unit.storage.outputs import QUIET
from tests.unit.task_stubs import Clock, event_of

pytestmark = QUIET


def test_a_standard_log(caplog: pytest.LogCaptureFixture) -> None:
    """In a log of the standard library name and fields end the line, and the line is its caller's."""
    caplog.set_level("INFO")
    told(logging.getLogger("a"), Event.JOB_COMPLETED, "Job %s is done.", 7, ocr_task_id=7, document="a b", seconds=None)
    (record,) = caplog.records
    assert record.getMessage() == 'Job 7 is done. [aspose_ocr.job.completed ocr_task_id=7 document="a b"]'
    assert record.filename == "test_events.py"


def test_a_structured_log() -> None:
    """In a structured log, as Airflow 3's, they stand beside the sentence."""
    structlog = pytest.importorskip("structlog")
    with structlog.testing.capture_logs() as lines:
        warned(
            structlog.get_logger(), Event.POLL_FAILED, "Poll failed: %s", "50 % of it", ocr_task_id="x", endpoint=None
        )
    assert lines == [
        {
            "event": "Poll failed: 50 % of it",
            "event_name": "aspose_ocr.poll.failed",
            "ocr_task_id": "x",
            "log_level": "warning",
        }
    ]


def test_names_do_not_change() -> None:
    """Alerts depend on the names: one that is gone or changed is a breaking change."""
    assert {each.value for each in Event} >= {
        "aspose_ocr.job.submitted",
        "aspose_ocr.job.resumed",
        "aspose_ocr.job.replaced",
        "aspose_ocr.job.completed",
        "aspose_ocr.job.not_cancelled",
        "aspose_ocr.poll.failed",
        "aspose_ocr.result.written",
        "aspose_ocr.document.failed",
    }


def test_the_log_of_a_deferred_task(
    slow_emulator: EmulatorServer,
    clock: Clock,
    context: Any,
    letter: str,
    letter_text: str,
    tmp_path: Path,
    logged: Callable[[], str],
) -> None:
    """A task's log has the events of its job in their order, each with the job's id; no text, and no secret."""
    with pytest.raises(TaskDeferred) as deferred:
        recognize(letter, deferrable=True, defer_after=0, output_path=f"{tmp_path}/").execute(context)
    clock.now += 120
    recognize(letter, output_path=f"{tmp_path}/").execute_complete(context, event_of(deferred.value.trigger))
    log = logged()
    names = [Event.JOB_SUBMITTED, Event.JOB_DEFERRED, Event.JOB_COMPLETED]
    places = [log.index(name.value) for name in names]
    assert places == sorted(places)
    assert Event.RESULT_WRITTEN.value in log
    job = slow_emulator.jobs()[0].id
    for line in log.splitlines():
        if "aspose_ocr.job." in line:
            assert job in line
    assert not any(word in log for word in ("Odette", *letter_text.splitlines()))
    assert not any(token in log for token in slow_emulator.tokens())
