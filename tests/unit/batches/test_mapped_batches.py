"""Batches that work in one output folder at the same time: none takes from another what it remembers."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from fsspec.implementations.memory import MemoryFileSystem

try:
    from airflow.sdk.io import attach
except ImportError:  # Airflow 2.11
    from airflow.io.store import attach

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import AsposeOcrBatchError
from airflow_provider_asposeocr.operators.batch import AsposeOcrBatchOperator
from tests.unit.batches.batch_stubs import (
    DEFERRED,
    StrictStore,
    batch,
    deferred_by,
    task_instance,
    to_the_end,
)
from tests.unit.storage.outputs import QUIET
from tests.unit.storage.storages import Moody
from tests.unit.task_stubs import Clock

pytestmark = QUIET
ONE_BY_ONE: dict[str, Any] = {**DEFERRED, "max_concurrency": 1}


class Mapped:
    """One chunk's task instance, and the trigger that it waits for."""

    def __init__(self, images: Any, output: str, map_index: int) -> None:
        self.images, self.output = images, output
        self.context = {"ti": task_instance(map_index=map_index), "task_state_store": StrictStore()}

    def made(self) -> AsposeOcrBatchOperator:
        return batch(self.images, self.output, **ONE_BY_ONE)  # type: ignore[arg-type]

    def begin(self) -> None:
        self.trigger = deferred_by(self.made(), self.context)

    def finish(self, clock: Clock) -> Any:
        return to_the_end(self.made, self.context, self.trigger, clock)


@pytest.fixture(params=["local", "memory"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An output folder, on a disk or on a storage that has no folders."""
    attach("memory", fs=MemoryFileSystem())
    return str(tmp_path / "texts") if request.param == "local" else f"memory://{uuid.uuid4().hex}/texts"


def halves(inbox: Path, output: str) -> tuple[Mapped, Mapped]:
    return (
        Mapped({"folder": str(inbox), "until": "2023/2.png"}, output, 0),
        Mapped({"folder": str(inbox), "after": "2023/2.png"}, output, 1),
    )


@pytest.mark.parametrize("kept_in", ["store", "files"])
@pytest.mark.parametrize("ends_first", [0, 1])
def test_the_start_and_the_end_of_one_leave_the_others_their_list_and_journal(
    slow_emulator: EmulatorServer, clock: Clock, inbox: Path, output: str, ends_first: int, kept_in: str
) -> None:
    both = halves(inbox, output)
    for each in both:
        if kept_in == "files":
            # As below Airflow 3.3.
            del each.context["task_state_store"]
        each.begin()
    assert both[ends_first].finish(clock)["completed"] == 3
    assert both[1 - ends_first].finish(clock)["completed"] == 3
    assert slow_emulator.calls().accepted == 6
    assert not [path for path in ObjectStoragePath(output).rglob("*") if ".aspose-ocr" in path.path and path.is_file()]


def lose_the_work(output: str) -> None:
    work = ObjectStoragePath(output) / ".aspose-ocr"
    work.fs.rm(work.path, recursive=True)


def test_a_batch_whose_list_is_gone_is_no_success(
    slow_emulator: EmulatorServer, clock: Clock, inbox: Path, output: str
) -> None:
    """Who has deleted the hidden folder is told so, and the task is not green with documents unread."""
    first, _ = halves(inbox, output)
    first.begin()
    lose_the_work(output)
    with pytest.raises(AsposeOcrBatchError, match=r"list of 3 documents .* is gone"):
        first.finish(clock)


def test_a_retry_whose_list_is_gone_is_no_success(
    slow_emulator: EmulatorServer, clock: Clock, inbox: Path, output: str
) -> None:
    """Nor does it submit anything: what runs is remembered still."""
    first, _ = halves(inbox, output)
    first.begin()
    lose_the_work(output)
    with pytest.raises(AsposeOcrBatchError, match=r"list of 3 documents .* is gone"):
        first.made().execute(first.context)  # type: ignore[arg-type]
    assert slow_emulator.calls().accepted == 1


def test_one_may_begin_while_another_one_ends(
    connection: str, emulator: EmulatorServer, moody: Moody, monkeypatch: pytest.MonkeyPatch, inbox: Path
) -> None:
    """What was listed a moment ago may be gone."""
    ls = Moody.ls

    def with_another(self: Moody, path: str, detail: bool = True, **kwargs: Any) -> Any:
        found = ls(self, path, detail=detail, **kwargs)
        if not path.endswith(".aspose-ocr"):
            return found
        gone = f"{path}/0123456789abcdef"
        return [*found, {"name": gone, "type": "directory", "size": 0} if detail else gone]

    monkeypatch.setattr(Moody, "ls", with_another)
    with moody.path("out/.aspose-ocr/1111111111111111/list-000001.jsonl").open("wb") as file:
        file.write(b"{}\n")
    context = {"ti": task_instance(map_index=1), "task_state_store": StrictStore()}
    xcom = batch(inbox, Path(), output_path="moody://out").execute(context)  # type: ignore[arg-type]
    assert xcom["completed"] == 6
