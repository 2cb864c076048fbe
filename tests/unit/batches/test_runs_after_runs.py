"""Which of the files that earlier runs have left in a folder says what has become of a document."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from airflow_provider_asposeocr.batches.chunks import chunks
from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import AsposeOcrBatchError
from tests.unit.batches.batch_stubs import StrictStore, batch, task_instance
from tests.unit.storage.outputs import QUIET

pytestmark = QUIET


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A folder of six images."""
    (tmp_path / "scans").mkdir()
    for number in range(6):
        draw(tmp_path / "scans" / f"{number}.png", number)
    return tmp_path / "scans"


def draw(path: Path, shade: int) -> None:
    Image.new("L", (40, 20), shade).save(path)
    os.utime(path, (1, shade))


def read(images: Any, outbox: Path, run: str, map_index: int = -1) -> dict[str, Any]:
    """Read documents in a run of its own."""
    context: Any = {"ti": task_instance(run_id=run, map_index=map_index), "task_state_store": StrictStore()}
    return batch(images, outbox).execute(context)


def read_in_chunks(scans: Path, outbox: Path, run: str, size: int) -> int:
    """Read a folder in chunks, and return how many documents were submitted."""
    each = enumerate(chunks(scans, size))
    return sum(read(chunk, outbox, run, map_index)["submissions"] for map_index, chunk in each)


def test_a_run_that_failed_for_good_is_over_once_another_has_read_its_documents(
    service: EmulatorServer, scans: Path, outbox: Path
) -> None:
    """The journal that the first run has left says that a document failed: the second has read it since."""
    fault = {"kind": "error", "messages": ["bad"], "method": "POST", "path": "RecognizeImage", "count": 2}
    service.add_faults([fault])
    with pytest.raises(AsposeOcrBatchError):
        read(scans, outbox, "first")
    assert read(scans, outbox, "second")["completed"] == 2
    for run in ("third", "fourth"):
        assert read(scans, outbox, run)["skipped"] == 6
    assert service.calls().accepted == 8


def test_a_document_that_is_mended_before_a_retry_is_not_read_again_by_the_next_run(
    service: EmulatorServer, scans: Path, outbox: Path
) -> None:
    """What counts is the document that was sent, and not the one that was listed."""
    (scans / "0.png").write_text("no image")
    context: Any = {"ti": task_instance(run_id="first"), "task_state_store": StrictStore()}
    with pytest.raises(AsposeOcrBatchError, match="1 of 6 documents failed"):
        batch(scans, outbox).execute(context)
    draw(scans / "0.png", 200)
    assert batch(scans, outbox).execute(context)["completed"] == service.calls().accepted == 6
    assert read(scans, outbox, "second")["skipped"] == 6


def test_a_task_that_becomes_a_mapped_one_reads_a_change_once(
    service: EmulatorServer, scans: Path, outbox: Path
) -> None:
    """The manifest from before stays, and says what the document was then."""
    read(scans, outbox, "first")
    draw(scans / "0.png", 200)
    assert [read_in_chunks(scans, outbox, run, size=3) for run in ("second", "third")] == [1, 0]


def test_fewer_chunks_than_before_read_a_change_once(service: EmulatorServer, scans: Path, outbox: Path) -> None:
    """The manifest of a chunk that is not there any more stays, and says what its documents were then."""
    assert read_in_chunks(scans, outbox, "first", size=2) == 6
    draw(scans / "5.png", 200)
    assert [read_in_chunks(scans, outbox, run, size=3) for run in ("second", "third")] == [1, 0]


def test_a_change_is_read_once_though_the_clock_was_ahead_before(
    service: EmulatorServer, scans: Path, outbox: Path
) -> None:
    """What was read by then is not newer than all that is read since."""
    read_in_chunks(scans, outbox, "first", size=2)
    for left in outbox.glob("manifest-*.jsonl"):
        entries = [json.loads(line) for line in left.read_text().splitlines()]
        ahead = [{**entry, "submitted_at": entry["submitted_at"] + 7 * 24 * 3600} for entry in entries]
        left.write_text("".join(f"{json.dumps(entry)}\n" for entry in ahead))
    draw(scans / "5.png", 200)
    assert [read_in_chunks(scans, outbox, run, size=3) for run in ("second", "third")] == [1, 0]


def test_a_document_under_another_spelling_is_the_same(service: EmulatorServer, scans: Path, outbox: Path) -> None:
    """As where a list becomes a folder: what was read is not read again, and its results are the task's own."""
    spellings = [f"file://{scans}/0.png", f"{scans}/./1.png", f"{scans}//2.png"]
    read(spellings, outbox, "first")
    draw(scans / "2.png", 200)
    xcom = read(scans, outbox, "second")
    assert (xcom["skipped"], xcom["completed"], service.calls().accepted) == (2, 4, 7)


def day_of(tmp_path: Path, day: int) -> Path:
    """A day's folder of two images."""
    folder = tmp_path / f"day-{day:02}"
    folder.mkdir()
    for number in range(2):
        draw(folder / f"{day:02}-{number}.png", 2 * day + number)
    return folder


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("days", [2, 20])
def test_a_clear_of_an_earlier_day_bills_nothing_again(
    service: EmulatorServer, tmp_path: Path, outbox: Path, overwrite: bool, days: int
) -> None:
    """Each run has a list of its own, and all write into one folder: a clear of any finds what it has read."""
    contexts: list[Any] = []
    for day in range(days):
        contexts.append({"ti": task_instance(run_id=f"run-{day}"), "task_state_store": StrictStore()})
        batch(day_of(tmp_path, day), outbox, overwrite=overwrite).execute(contexts[-1])
    for day in (0, 0, days - 1):
        contexts[day]["ti"].max_tries += 1
        xcom = batch(tmp_path / f"day-{day:02}", outbox, overwrite=overwrite).execute(contexts[day])
        assert (xcom["skipped"], xcom["submissions"]) == (2, 0)
    assert service.calls().accepted == 2 * days
    assert len(list((outbox / ".aspose-ocr").iterdir())) <= 16
