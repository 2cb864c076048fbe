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
from tests.unit.batches.batch_stubs import StrictStore, batch, task_instance, ticking
from tests.unit.storage.outputs import QUIET
from tests.unit.storage.storages import Moody
from tests.unit.task_stubs import Clock

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


def test_what_several_have_made_one_at_once_stands_there_once_again(
    service: EmulatorServer, tmp_path: Path, outbox: Path
) -> None:
    """Mapped batches end side by side: each may keep the lines of all, and that does not grow from run to run."""
    for day in range(3):
        read(day_of(tmp_path, day), outbox, f"run-{day}")
    work = outbox / ".aspose-ocr"
    for copy in range(16):
        for piece in list(work.glob("before-*.jsonl"))[:2]:
            (work / f"before-{copy:010x}{piece.stem[-2:]}.jsonl").write_bytes(piece.read_bytes())
    read(day_of(tmp_path, 3), outbox, "run-3")
    (piece,) = work.glob("before-*.jsonl")
    images = [json.loads(line)["image"] for line in piece.read_text().splitlines()]
    assert sorted(images) == sorted(str(path) for day in range(3) for path in (tmp_path / f"day-{day:02}").iterdir())


@pytest.mark.parametrize(("days", "listing"), [(1, 1), (1, 2), (1, 3), (17, 3)])
def test_a_clear_knows_what_it_has_read_though_another_run_ends_meanwhile(
    service: EmulatorServer, moody: Moody, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, days: int, listing: int
) -> None:
    """Whichever of the folders it has just listed: what goes from one file was in another before."""

    def read_day(context: Any, folder: Path) -> dict[str, Any]:
        return batch(folder, Path(), output_path="moody://out").execute(context)

    contexts: list[Any] = []
    for day in range(days):
        contexts.append({"ti": task_instance(run_id=f"run-{day}"), "task_state_store": StrictStore()})
        read_day(contexts[-1], day_of(tmp_path, day))
    last, listed, ls = day_of(tmp_path, days), 0, Moody.ls

    def ls_while_another_ends(storage: Moody, path: str, *args: Any, **kwargs: Any) -> Any:
        nonlocal listed
        found = ls(storage, path, *args, **kwargs)
        listed += 1
        if listed == listing:
            read_day({"ti": task_instance(run_id="last"), "task_state_store": StrictStore()}, last)
        return found

    monkeypatch.setattr(Moody, "ls", ls_while_another_ends)
    contexts[-1]["ti"].max_tries += 1
    xcom = read_day(contexts[-1], tmp_path / f"day-{days - 1:02}")
    assert (xcom["skipped"], xcom["submissions"]) == (2, 0)
    assert service.calls().accepted == 2 * days + 2


def test_a_job_that_a_later_run_has_fetched_is_over_for_all_runs_after_it(
    slow_emulator: EmulatorServer, clock: Clock, inbox: Path, outbox: Path
) -> None:
    """The journal of the run that has submitted it says that it runs still, and the service forgets it in a day."""
    context: Any = {"ti": task_instance(run_id="first"), "task_state_store": StrictStore()}
    with pytest.raises(AsposeOcrBatchError, match="It goes on at the service"):
        batch(inbox, outbox, timeout=0.3, cancel_on_kill=False).execute(context)
    clock.now += 120
    with ticking(clock):
        assert read(inbox, outbox, "second")["completed"] == 6
    slow_emulator.reset()
    assert read(inbox, outbox, "third")["skipped"] == 6
    assert slow_emulator.calls().total == 0


@pytest.mark.parametrize("cleared", [False, True], ids=["retried", "cleared"])
@pytest.mark.parametrize("how", [{"resubmit_on_clear": True}, {"on_existing": "fail"}], ids=str)
def test_a_retry_of_a_batch_that_has_succeeded_bills_and_refuses_nothing(
    service: EmulatorServer, scans: Path, outbox: Path, how: dict[str, Any], cleared: bool
) -> None:
    """As where its XCom could not be pushed: it is no clear, and what is there was read by this very task instance."""
    context: Any = {"ti": task_instance(run_id="first"), "task_state_store": StrictStore()}
    assert batch(scans, outbox, **how).execute(context)["submissions"] == 6
    context["ti"].max_tries += cleared
    again = 6 if cleared and "resubmit_on_clear" in how else 0
    assert batch(scans, outbox, **how).execute(context)["submissions"] == again
    assert service.calls().accepted == 6 + again
