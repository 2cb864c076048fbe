"""The provider's metrics, as the backend of Airflow's stats hears them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import AsposeOcrError, AsposeOcrInputError, AsposeOcrTaskError
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrHook
from airflow_provider_asposeocr.operators.batch import AsposeOcrBatchOperator
from airflow_provider_asposeocr.sensors.aspose_ocr import AsposeOcrTaskSensor
from tests.unit.operators.recognizing import QUICK, polls, recognize
from tests.unit.recorded_stats import BrokenStats, RecordedStats, backend
from tests.unit.storage.outputs import QUIET
from tests.unit.task_stubs import Clock, event_of

pytestmark = QUIET

SUBMISSIONS = ("aspose_ocr.submissions", "RecognizeImage")
CALLS = ("aspose_ocr.calls", "RecognizeImage")


@pytest.fixture
def stats() -> Iterator[RecordedStats]:
    recorded = RecordedStats()
    with backend(recorded):
        yield recorded


def test_a_document(stats: RecordedStats, connection: str, emulator: EmulatorServer, context: Any, letter: str) -> None:
    """A document is one submission and as many calls as the service has seen, a token's not among them."""
    xcom = recognize(letter).execute(context)
    asked = 1 + polls(emulator)
    assert stats.ours() == {SUBMISSIONS: 1, CALLS: asked}
    assert xcom["cost"] == {
        "submissions": 1,
        "calls": asked,
        "seconds": pytest.approx(stats.timers["aspose_ocr.job_seconds"][0], abs=0.001),
    }


@pytest.mark.parametrize("same", [False, True])
def test_a_deferred_document(
    stats: RecordedStats, slow_emulator: EmulatorServer, clock: Clock, context: Any, letter: str, same: bool
) -> None:
    """What was spent before the deferral, and in the triggerer, is in the cost of the task that goes on after it."""
    operator = recognize(letter, deferrable=True, defer_after=0)
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context)
    clock.now += 120
    # The same instance goes on in `dag.test()`, a new one in a new process.
    resumed = operator if same else recognize(letter)
    xcom = resumed.execute_complete(context, event_of(deferred.value.trigger))
    calls = slow_emulator.calls()
    asked = calls.count("POST", "RecognizeImage") + polls(slow_emulator) + calls.count("GET", "Utilities/GetTaskStatus")
    assert stats.ours() == {SUBMISSIONS: 1, CALLS: asked}
    assert (xcom["cost"]["submissions"], xcom["cost"]["calls"]) == (1, asked)
    assert stats.timers == {"aspose_ocr.job_seconds": [pytest.approx(xcom["cost"]["seconds"], abs=0.001)]}


def test_a_jobs_time_is_told_by_who_submitted_it(
    stats: RecordedStats, connection: str, emulator: EmulatorServer, context: Any, letter: str
) -> None:
    """A sensor does not know when its job was submitted."""
    submitted = recognize(letter, wait_for_completion=False).execute(context)
    xcom = AsposeOcrTaskSensor(task_id="sense", ocr_task_id=submitted, deferrable=False, **QUICK).execute(context)
    assert stats.timers == {}
    assert xcom["cost"] == {"submissions": 0, "calls": polls(emulator)}


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_failed_job(
    stats: RecordedStats, connection: str, emulator: EmulatorServer, context: Any, letter: str, deferrable: bool
) -> None:
    """A job that ends as Error is one failure, whoever has seen it end."""
    emulator.add_faults([{"kind": "error", "messages": ["Too dark"], "method": "POST"}])
    operator = recognize(letter, deferrable=deferrable, defer_after=0)
    if deferrable:
        with pytest.raises(TaskDeferred) as deferred:
            operator.execute(context)
        with pytest.raises(AsposeOcrTaskError):
            recognize(letter).execute_complete(context, event_of(deferred.value.trigger))
    else:
        with pytest.raises(AsposeOcrTaskError):
            operator.execute(context)
    assert stats.counters[("aspose_ocr.failures", "RecognizeImage", "AsposeOcrTaskError")] == 1
    assert sum(count for (name, *_), count in stats.ours().items() if name == "aspose_ocr.failures") == 1


def test_a_refused_document(
    stats: RecordedStats, connection: str, emulator: EmulatorServer, context: Any, tmp_path: Path
) -> None:
    """A document that is refused before it is sent is a failure that has cost nothing."""
    with pytest.raises(AsposeOcrInputError):
        recognize(f"{tmp_path}/missing.png").execute(context)
    assert stats.ours() == {("aspose_ocr.failures", "RecognizeImage", "AsposeOcrInputError"): 1}


def test_a_hook(stats: RecordedStats, connection: str, emulator: EmulatorServer, letter: str, tmp_path: Path) -> None:
    """A hook counts without a task: calls, submissions, what it could not submit, and jobs that ended badly."""
    hook = AsposeOcrHook()
    emulator.add_faults([{"kind": "error", "messages": ["Too dark"], "method": "POST"}])
    ocr_task_id = hook.submit("RecognizeImage", letter)
    with pytest.raises(AsposeOcrTaskError):
        hook.wait("RecognizeImage", ocr_task_id)
    with pytest.raises(AsposeOcrError):
        hook.submit("DetectRegions", f"{tmp_path}/missing.png")
    assert stats.ours() == {
        SUBMISSIONS: 1,
        CALLS: 1 + polls(emulator),
        ("aspose_ocr.failures", "RecognizeImage", "AsposeOcrTaskError"): 1,
        ("aspose_ocr.failures", "DetectRegions", "AsposeOcrInputError"): 1,
    }


def test_a_batch(
    stats: RecordedStats, connection: str, emulator: EmulatorServer, context: Any, scans: Path, tmp_path: Path
) -> None:
    """A batch counts as its documents would by themselves; how far it is, gauges tell."""
    (tmp_path / "broken.png").write_text("This is no image.")
    images = [*sorted(str(path) for path in (scans / "letters").glob("*.jpg"))[:2], f"{tmp_path}/broken.png"]
    context["ti"].__dict__.update(dag_id="d", task_id="t", run_id="r", map_index=-1)
    batch = AsposeOcrBatchOperator(task_id="t", images=images, output_path=f"{tmp_path}/out", on_error="skip", **QUICK)
    assert batch.execute(context)["completed"] == 2
    assert stats.ours() == {
        SUBMISSIONS: 2,
        CALLS: 2 + polls(emulator),
        ("aspose_ocr.failures", "RecognizeImage", "AsposeOcrInputError"): 1,
    }
    assert len(stats.timers["aspose_ocr.job_seconds"]) == 2
    assert stats.gauges["aspose_ocr.batch.completed"] == 2


def test_broken_metrics(connection: str, emulator: EmulatorServer, context: Any, letter: str) -> None:
    """No task fails for its metrics."""
    with backend(BrokenStats()):
        assert recognize(letter).execute(context)["text"]
