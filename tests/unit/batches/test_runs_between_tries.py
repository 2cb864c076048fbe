"""Runs that read documents of a batch between two tries of it: it reads none of them again, and forgets none."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import AsposeOcrBatchError, AsposeOcrBatchPausedError
from tests.unit.batches.batch_stubs import StrictStore, batch, manifest, task_instance
from tests.unit.storage.outputs import QUIET

pytestmark = QUIET

Run = Callable[..., dict[str, Any]]


@pytest.fixture(params=["with a store", "without"])
def run(request: pytest.FixtureRequest) -> Run:
    """Begin a run: its context."""

    def begin(run_id: str) -> dict[str, Any]:
        context: dict[str, Any] = {"ti": task_instance(run_id=run_id)}
        if request.param == "with a store":
            context["task_state_store"] = StrictStore()
        return context

    return begin


@pytest.fixture
def scans(tmp_path: Path) -> list[str]:
    """Three images."""
    (tmp_path / "scans").mkdir()
    return [draw(tmp_path / "scans" / f"{number}.png", number) for number in range(3)]


def draw(path: Path, shade: int) -> str:
    Image.new("L", (40 + shade, 20), shade).save(path)
    return str(path)


def spoil(path: str) -> None:
    Path(path).write_text("no image")


def cleared(context: dict[str, Any]) -> dict[str, Any]:
    context["ti"].max_tries += 1
    return context


def test_a_paused_batch_takes_over_what_another_run_has_read_meanwhile(
    service: EmulatorServer, scans: list[str], outbox: Path, run: Run
) -> None:
    first, second = run("first"), run("second")
    service.add_faults(
        [{"kind": "status", "status": 429, "retry_after": 3600, "method": "POST", "path": "RecognizeImage", "after": 1}]
    )
    with pytest.raises(AsposeOcrBatchPausedError):
        batch(scans, outbox, max_concurrency=1).execute(first)
    service.clear_faults()
    assert batch(scans, outbox).execute(second)["completed"] == 2
    ids = {image: line["ocr_task_id"] for image, line in manifest(outbox).items()}
    again = batch(scans, outbox).execute(first)
    assert (again["completed"], again["skipped"], again["submissions"]) == (1, 2, 1)
    assert {image: line["ocr_task_id"] for image, line in manifest(outbox).items()} == ids
    for context in (run("third"), cleared(second), cleared(first)):
        assert batch(scans, outbox).execute(context)["skipped"] == 3
    assert service.calls().accepted == 3


def test_a_failed_batch_is_mended_by_a_clear_after_another_run_has_read_what_it_could_not(
    service: EmulatorServer, scans: list[str], outbox: Path, run: Run
) -> None:
    first, second = run("first"), run("second")
    spoil(scans[2])
    with pytest.raises(AsposeOcrBatchError, match="1 of 3 documents failed"):
        batch(scans, outbox).execute(first)
    draw(Path(scans[2]), 2)
    assert batch(scans, outbox).execute(second)["completed"] == 1
    assert batch(scans, outbox).execute(cleared(first))["skipped"] == 1
    for context in (run("third"), cleared(second)):
        assert batch(scans, outbox).execute(context)["skipped"] == 3
    assert service.calls().accepted == 3


def test_the_manifest_tells_whose_text_a_file_holds_though_an_older_try_ends_later(
    service: EmulatorServer, scans: list[str], outbox: Path, run: Run
) -> None:
    first = run("first")
    spoil(scans[2])
    with pytest.raises(AsposeOcrBatchError):
        batch([scans[0], scans[2]], outbox).execute(first)
    draw(Path(scans[0]), 9)
    assert batch(scans[:2], outbox).execute(run("second"))["completed"] == 2
    newer = manifest(outbox)[scans[0]]["ocr_task_id"]
    draw(Path(scans[2]), 2)
    mended = batch([scans[0], scans[2]], outbox).execute(cleared(first))
    assert (mended["completed"], mended["skipped"]) == (1, 1)
    assert manifest(outbox)[scans[0]]["ocr_task_id"] == newer
    assert batch(scans, outbox).execute(run("third"))["skipped"] == 3
    assert service.calls().accepted == 4


def test_a_document_that_has_changed_since_another_run_read_it_is_read_by_the_next_try(
    service: EmulatorServer, scans: list[str], outbox: Path, run: Run
) -> None:
    """What the other run has written is the task's own, and is replaced."""
    first = run("first")
    spoil(scans[2])
    with pytest.raises(AsposeOcrBatchError):
        batch(scans, outbox).execute(first)
    draw(Path(scans[2]), 2)
    batch(scans, outbox).execute(run("second"))
    draw(Path(scans[2]), 5)
    assert batch(scans, outbox).execute(first)["completed"] == 3
    assert batch(scans, outbox).execute(run("third"))["skipped"] == 3
    assert service.calls().accepted == 4


def test_a_later_try_that_fails_forgets_nothing_that_another_run_has_read(
    service: EmulatorServer, scans: list[str], outbox: Path, run: Run
) -> None:
    first = run("first")
    spoil(scans[2])
    with pytest.raises(AsposeOcrBatchError):
        batch(scans, outbox).execute(first)
    draw(Path(scans[2]), 2)
    assert batch(scans, outbox).execute(run("second"))["completed"] == 1
    read = Path(scans[2]).read_bytes()
    stamps = Path(scans[2]).stat()
    spoil(scans[2])
    with pytest.raises(AsposeOcrBatchError):
        batch(scans, outbox).execute(first)
    Path(scans[2]).write_bytes(read)
    os.utime(scans[2], ns=(stamps.st_atime_ns, stamps.st_mtime_ns))
    assert batch(scans, outbox).execute(run("third"))["skipped"] == 3
    assert service.calls().accepted == 3


def test_a_document_in_doubt_is_in_none_once_another_run_has_read_it(
    service: EmulatorServer, scans: list[str], outbox: Path, run: Run
) -> None:
    first = run("first")
    service.add_faults([{"kind": "reset_after", "method": "POST", "path": "RecognizeImage"}])
    with pytest.raises(AsposeOcrBatchError):
        batch(scans[:1], outbox).execute(first)
    assert batch(scans[:1], outbox).execute(run("second"))["completed"] == 1
    assert batch(scans[:1], outbox).execute(first)["skipped"] == 1
    assert service.calls().accepted == 2


def test_a_job_that_another_run_has_left_running_is_fetched_by_a_later_try_of_an_earlier_one(
    service: EmulatorServer, scans: list[str], outbox: Path, run: Run
) -> None:
    first = run("first")
    spoil(scans[2])
    with pytest.raises(AsposeOcrBatchError):
        batch(scans, outbox).execute(first)
    draw(Path(scans[2]), 2)
    service.add_faults([{"kind": "status", "status": 500, "method": "GET", "path": "RecognizeImage", "count": 50}])
    with pytest.raises(AsposeOcrBatchError):
        batch(scans, outbox).execute(run("second"))
    service.clear_faults()
    accepted = service.calls().accepted
    assert batch(scans, outbox).execute(first)["completed"] == 3
    assert service.calls().accepted == accepted == 3
