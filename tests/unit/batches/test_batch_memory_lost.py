"""What a batch remembers is gone, damaged, or of another try: nothing that is paid for is billed again in silence."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from PIL import Image

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import AsposeOcrBatchError, AsposeOcrError, AsposeOcrInputError
from tests.unit.batches.batch_stubs import (
    DEFERRED,
    StrictStore,
    batch,
    deferred_by,
    event_of_batch,
    manifest,
    task_instance,
    ticking,
    to_the_end,
)
from tests.unit.storage.outputs import QUIET
from tests.unit.storage.storages import Moody
from tests.unit.task_stubs import Clock

pytestmark = QUIET

WORK_FOLDER = ".aspose-ocr"


def run(run_id: str = "run", **more: Any) -> dict[str, Any]:
    return {"ti": task_instance(run_id=run_id), **more}


def cleared(context: dict[str, Any]) -> dict[str, Any]:
    context["ti"].max_tries += 1
    return context


def test_a_wake_that_finds_nothing_of_its_batch_submits_nothing(
    slow_emulator: EmulatorServer, clock: Clock, inbox: Path, outbox: Path, tmp_path: Path
) -> None:
    """As where the volume is not mounted. It is no retry's affair either: put back, a clear goes on."""
    context: Any = run()
    trigger = deferred_by(batch(inbox, outbox, **DEFERRED), context)
    clock.now += 120
    event = event_of_batch(trigger.serialize()[1])
    shutil.move(outbox, tmp_path / "away")
    with pytest.raises(AsposeOcrBatchError, match=r"is gone.*no more were submitted") as raised:
        batch(inbox, outbox, **DEFERRED).execute_complete(context, event)
    assert isinstance(raised.value, AirflowFailException)
    assert not outbox.exists()
    shutil.move(tmp_path / "away", outbox)
    with ticking(clock):
        assert batch(inbox, outbox).execute(cleared(context))["completed"] == 6
    assert slow_emulator.calls().accepted == 6


@pytest.mark.parametrize("file", ["aspose_ocr_batch.json", "aspose_ocr_batch_0.json"])
def test_a_damaged_file_is_not_taken_for_one_that_says_nothing(
    slow_emulator: EmulatorServer, clock: Clock, inbox: Path, outbox: Path, file: str
) -> None:
    context: Any = run()
    deferred_by(batch(inbox, outbox, **DEFERRED), context)
    (damaged,) = (outbox / WORK_FOLDER).glob(f"*/{file}")
    damaged.write_bytes(b"")
    accepted = slow_emulator.calls().accepted
    for _ in range(2):
        with pytest.raises(
            AsposeOcrBatchError, match=rf"{file} is damaged.*Nothing was submitted.*Delete .* and a retry"
        ):
            batch(inbox, outbox, **DEFERRED).execute(context)
    assert slow_emulator.calls().accepted == accepted
    shutil.rmtree(damaged.parent)
    clock.now += 120
    deferred_by(batch(inbox, outbox, **DEFERRED), context)


def test_a_wake_goes_on_with_the_try_that_is_deferred_though_the_task_is_told_to_remember_nothing_since(
    slow_emulator: EmulatorServer, clock: Clock, inbox: Path, outbox: Path, store: StrictStore
) -> None:
    context: Any = run(task_state_store=store)
    trigger = deferred_by(batch(inbox, outbox, **DEFERRED), context)
    xcom = to_the_end(lambda: batch(inbox, outbox, durable=False, **DEFERRED), context, trigger, clock)
    assert xcom["completed"] == slow_emulator.calls().accepted == 6


def test_a_try_goes_on_with_the_list_of_the_last_one_whichever_of_them_had_a_store(
    slow_emulator: EmulatorServer, clock: Clock, inbox: Path, outbox: Path, store: StrictStore
) -> None:
    """A store that knows of a list that is gone would put each job to another document."""
    context: Any = run(task_state_store=store)
    deferred_by(batch(inbox / "2023", outbox, **DEFERRED), context)
    Image.new("L", (90, 30), "white").save(inbox / "2023" / "00.png")
    deferred_by(batch(inbox / "2023", outbox, durable=False, **DEFERRED), context)
    assert slow_emulator.calls().accepted == 3 + 4
    with ticking(clock):
        assert batch(inbox / "2023", outbox).execute(context)["completed"] == 4
    assert len(manifest(outbox)) == 4
    assert slow_emulator.calls().accepted == 3 + 4
    assert batch(inbox / "2023", outbox).execute(cleared(context))["skipped"] == 4


@pytest.mark.parametrize("has_store", [False, True])
def test_a_clear_that_could_not_begin_is_still_one(
    service: EmulatorServer, moody: Moody, monkeypatch: pytest.MonkeyPatch, inbox: Path, has_store: bool
) -> None:
    """What is known of the batch stays known until its list is frozen anew."""
    options: dict[str, Any] = {"output_path": "moody://out", "on_existing": "fail", "resubmit_on_clear": True}
    context: Any = run(**({"task_state_store": StrictStore()} if has_store else {}))
    spoilt = inbox / "2023" / "0.png"
    good = spoilt.read_bytes()
    spoilt.write_text("no image")
    with pytest.raises(AsposeOcrBatchError, match="1 of 3 documents failed"):
        batch(inbox / "2023", Path(), **options).execute(context)
    spoilt.write_bytes(good)
    with monkeypatch.context() as full:
        full.setattr(Moody, "open", _full(Moody.open))
        with pytest.raises(AsposeOcrError, match="No space left"):
            batch(inbox / "2023", Path(), **options).execute(cleared(context))
    assert batch(inbox / "2023", Path(), **options).execute(context)["completed"] == 3
    assert service.calls().accepted == 5
    assert batch(inbox / "2023", Path(), **options).execute(context)["skipped"] == 3


def _full(open_: Any) -> Any:
    def opened(storage: Moody, path: str, mode: str = "rb", *args: Any, **kwargs: Any) -> Any:
        if "w" in mode and "list-" in path:
            raise OSError(errno.ENOSPC, "No space left on device")
        return open_(storage, path, mode, *args, **kwargs)

    return opened


def test_an_end_that_could_not_be_kept_is_still_known_after_a_beginning_that_failed(
    service: EmulatorServer, moody: Moody, monkeypatch: pytest.MonkeyPatch, inbox: Path
) -> None:
    context: Any = run()
    options: dict[str, Any] = {"output_path": "moody://out", "resubmit_on_clear": True}
    pipe_file = Moody.pipe_file

    def full(storage: Moody, path: str, *args: Any, **kwargs: Any) -> Any:
        if "/ended-" in path:
            raise OSError(errno.ENOSPC, "No space left on device")
        return pipe_file(storage, path, *args, **kwargs)

    monkeypatch.setattr(Moody, "pipe_file", full)
    assert batch(inbox, Path(), **options).execute(context)["completed"] == 6
    with monkeypatch.context() as fuller:
        fuller.setattr(Moody, "open", _full(Moody.open))
        with pytest.raises(AsposeOcrError, match="No space left"):
            batch(inbox, Path(), **options).execute(context)
    assert batch(inbox, Path(), **options).execute(context)["skipped"] == 6
    assert service.calls().accepted == 6


def test_a_retry_after_an_upgrade_says_that_something_is_kept_where_it_cannot_look(
    slow_emulator: EmulatorServer,
    clock: Clock,
    moody: Moody,
    monkeypatch: pytest.MonkeyPatch,
    inbox: Path,
    store: StrictStore,
) -> None:
    context: Any = run()
    deferred_by(batch(inbox, Path(), output_path="moody://out", **DEFERRED), context)
    context["task_state_store"] = store
    context["ti"].try_number = 2

    def refused(*_: Any, **__: Any) -> Any:
        raise PermissionError("403 ExpiredToken")

    with monkeypatch.context() as broken:
        broken.setattr(Moody, "ls", refused)
        with pytest.raises(AsposeOcrBatchError, match="What is done and what runs is kept") as raised:
            batch(inbox, Path(), output_path="moody://out").execute(context)
    assert not isinstance(raised.value, AirflowFailException | AsposeOcrInputError)
    with ticking(clock):
        assert batch(inbox, Path(), output_path="moody://out").execute(context)["completed"] == 6
    assert slow_emulator.calls().accepted == 6
