"""
Batches below Airflow 3.3, where there is no task state store: what one has come to is known after its end, too.

Airflow may run a try again that has succeeded, as where its XCom could not be pushed, or wake it twice by one event.
"""

from __future__ import annotations

import errno
import json
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_asposeocr.emulator import EmulatorServer
from tests.unit.batches.batch_stubs import DEFERRED, batch, event_of_batch, task_instance
from tests.unit.storage.outputs import QUIET
from tests.unit.storage.storages import Moody
from tests.unit.task_stubs import Clock

pytestmark = QUIET

WORK_FOLDER = ".aspose-ocr"


def run(run_id: str = "run", map_index: int = -1) -> dict[str, Any]:
    return {"ti": task_instance(run_id=run_id, map_index=map_index)}


def cleared(context: dict[str, Any]) -> dict[str, Any]:
    context["ti"].max_tries += 1
    return context


def test_each_clear_with_resubmit_on_clear_bills_once_however_often_its_try_is_run(
    service: EmulatorServer, inbox: Path, outbox: Path
) -> None:
    context = run()
    batch(inbox / "2023", outbox, resubmit_on_clear=True).execute(context)
    for clear in range(3):
        assert service.calls().accepted == 3 * (clear + 1)
        for _ in range(2):
            assert batch(inbox / "2023", outbox, resubmit_on_clear=True).execute(context)["skipped"] == 3
        assert batch(inbox / "2023", outbox, resubmit_on_clear=True).execute(cleared(context))["completed"] == 3


def test_a_batch_that_is_woken_twice_by_its_last_event_bills_once(
    slow_emulator: EmulatorServer, clock: Clock, inbox: Path, outbox: Path
) -> None:
    operator = batch(inbox, outbox, resubmit_on_clear=True, **DEFERRED)
    context: Any = run()
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context)
    for _ in range(200):
        clock.now += 120
        event = event_of_batch(deferred.value.trigger.serialize()[1])
        try:
            assert operator.execute_complete(context, event)["completed"] == 6
            break
        except TaskDeferred as again:
            deferred.value.trigger = again.trigger
    assert operator.execute_complete(context, event)["skipped"] == 6
    assert slow_emulator.calls().accepted == 6


def test_a_clear_of_a_run_that_overwrites_bills_nothing_that_a_later_one_has_read(
    service: EmulatorServer, inbox: Path, outbox: Path
) -> None:
    """As with a store: what was read since the cleared run began is as new."""
    first = run("first")
    for context in (first, run("second")):
        assert batch(inbox / "2023", outbox, overwrite=True).execute(context)["completed"] == 3
    for _ in range(2):
        assert batch(inbox / "2023", outbox, overwrite=True).execute(cleared(first))["skipped"] == 3
    assert service.calls().accepted == 6
    assert batch(inbox / "2023", outbox, overwrite=True).execute(run("third"))["completed"] == 3


def test_what_is_known_of_ended_runs_stays_small(service: EmulatorServer, inbox: Path, outbox: Path) -> None:
    """Some small files hold what is known of all runs of a month, whichever of them ended last."""
    image = [str(inbox / "2023" / "0.png")]
    contexts = [run(f"run-{number}", number % 3) for number in range(20)]
    for context in contexts:
        batch(image, outbox, resubmit_on_clear=True).execute(cleared(context))
    assert len(list((outbox / WORK_FOLDER).iterdir())) <= 16
    accepted = service.calls().accepted
    for context in contexts[::6]:
        assert batch(image, outbox, resubmit_on_clear=True).execute(context)["skipped"] == 1
    assert service.calls().accepted == accepted


def test_what_is_known_of_a_run_is_forgotten_after_a_month(service: EmulatorServer, inbox: Path, outbox: Path) -> None:
    """Airflow's task state store does the same."""
    image = [str(inbox / "2023" / "0.png")]
    batch(image, outbox, overwrite=True).execute(run("old"))
    (piece,) = (outbox / WORK_FOLDER).glob("*.jsonl")
    entry = json.loads(piece.read_text())
    piece.write_text(json.dumps({**entry, "ended_at": entry["ended_at"] - 31 * 24 * 3600}))
    for number in range(20):
        batch(image, outbox, resubmit_on_clear=True).execute(run(f"run-{number}"))
    known = [
        json.loads(line) for path in (outbox / WORK_FOLDER).glob("*.jsonl") for line in path.read_text().splitlines()
    ]
    assert {each["run"] for each in known} == {f"dag/batch/run-{number}/-1" for number in range(20)}


def test_a_batch_that_neither_overwrites_nor_resubmits_leaves_nothing_but_results(
    service: EmulatorServer, inbox: Path, outbox: Path
) -> None:
    """Its manifest says all that is needed."""
    context = run()
    batch(inbox, outbox).execute(context)
    assert not (outbox / WORK_FOLDER).exists()
    assert batch(inbox, outbox).execute(cleared(context))["skipped"] == 6


def test_an_end_that_cannot_be_kept_fails_no_batch_and_bills_nothing_again(
    service: EmulatorServer, moody: Moody, monkeypatch: pytest.MonkeyPatch, inbox: Path
) -> None:
    """The work folder stays, and knows it as well."""
    pipe_file = Moody.pipe_file

    def full(storage: Moody, path: str, *args: Any, **kwargs: Any) -> Any:
        if PurePosixPath(path).parent.name == WORK_FOLDER:
            raise OSError(errno.ENOSPC, "No space left on device")
        return pipe_file(storage, path, *args, **kwargs)

    monkeypatch.setattr(Moody, "pipe_file", full)
    context = run()
    for counted in ("completed", "skipped"):
        operator = batch(inbox, Path(), output_path="moody://out", resubmit_on_clear=True)
        assert operator.execute(context)[counted] == 6
    assert service.calls().accepted == 6
