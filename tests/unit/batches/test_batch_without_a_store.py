"""
Batches below Airflow 3.3, where there is no task state store: what one has come to is known after its end, too.

Airflow may run a try again that has succeeded, as where its XCom could not be pushed, or wake it twice by one event.
"""

from __future__ import annotations

import errno
import json
import time
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import AsposeOcrBatchError, AsposeOcrInputError
from tests.unit.batches.batch_stubs import (
    DEFERRED,
    StrictStore,
    batch,
    deferred_by,
    task_instance,
    to_the_last_event,
)
from tests.unit.storage.outputs import QUIET
from tests.unit.storage.storages import Moody
from tests.unit.task_stubs import Clock

pytestmark = QUIET

WORK_FOLDER = ".aspose-ocr"


def run(run_id: str = "run", map_index: int = -1, **more: Any) -> dict[str, Any]:
    return {"ti": task_instance(run_id=run_id, map_index=map_index), **more}


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
    trigger = deferred_by(operator, context)
    xcom, event = to_the_last_event(lambda: operator, context, trigger, clock)
    assert xcom["completed"] == 6
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


@pytest.mark.parametrize("ahead", [5.0, 3600.0])
def test_a_clock_that_was_ahead_makes_no_end_the_last_one(
    service: EmulatorServer, inbox: Path, outbox: Path, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    context, now = run(), time.time
    monkeypatch.setattr(time, "time", lambda: now() + ahead)
    batch(inbox / "2023", outbox, resubmit_on_clear=True).execute(context)
    monkeypatch.setattr(time, "time", now)
    assert batch(inbox / "2023", outbox, resubmit_on_clear=True).execute(cleared(context))["completed"] == 3
    assert batch(inbox / "2023", outbox, resubmit_on_clear=True).execute(context)["skipped"] == 3
    assert service.calls().accepted == 6


@pytest.mark.parametrize(
    "garbage", [{"since": "soon"}, {"since": [1]}, {"ended_at": "x"}, {"ends": None}, {"ends": float("inf")}]
)
def test_a_line_that_says_nothing_of_use_is_passed_over(
    service: EmulatorServer, inbox: Path, outbox: Path, garbage: dict[str, Any]
) -> None:
    image = [str(inbox / "2023" / "0.png")]
    context = run()
    batch(image, outbox, overwrite=True).execute(context)
    (piece,) = (outbox / WORK_FOLDER).glob("*.jsonl")
    line = json.dumps({**json.loads(piece.read_text()), **garbage})
    piece.write_text(f"\0{{garbage\n[]\n3\nnull\n{line}\n")
    for _ in range(2):
        assert batch(image, outbox, overwrite=True).execute(context)["skipped"] == 1
    assert service.calls().accepted == 1


@pytest.mark.parametrize(
    "broken", [PermissionError("no rights to list"), NotADirectoryError("a file"), ImportError("x")]
)
def test_an_output_folder_that_cannot_be_listed_is_found_before_anything_is_sent(
    service: EmulatorServer, moody: Moody, monkeypatch: pytest.MonkeyPatch, inbox: Path, broken: Exception
) -> None:
    """A retry would find the same."""

    def refused(*_: Any, **__: Any) -> Any:
        raise broken

    monkeypatch.setattr(Moody, "ls", refused)
    with pytest.raises(AsposeOcrInputError, match=r"out cannot be looked into: .*Nothing was sent"):
        batch(inbox, Path(), output_path="moody://out").execute(run())
    assert service.calls().total == 0


def test_a_batch_that_is_told_to_remember_nothing_bills_once_when_woken_twice(
    slow_emulator: EmulatorServer, clock: Clock, inbox: Path, outbox: Path
) -> None:
    """A wake goes on with the try that is deferred: `durable=False` is about the tries before."""
    context: Any = run()
    operator = batch(inbox, outbox, overwrite=True, durable=False, **DEFERRED)
    trigger = deferred_by(operator, context)
    xcom, event = to_the_last_event(lambda: operator, context, trigger, clock)
    assert xcom["completed"] == 6
    assert operator.execute_complete(context, event)["skipped"] == 6
    assert slow_emulator.calls().accepted == 6
    assert batch(inbox, outbox, overwrite=True, durable=False, **DEFERRED).durable is False


class TestUpgradeOfAirflow:
    """Airflow becomes 3.3 between two tries: there is a store now, which knows nothing."""

    def test_a_batch_in_the_middle_goes_on(
        self, slow_emulator: EmulatorServer, clock: Clock, inbox: Path, outbox: Path, store: StrictStore
    ) -> None:
        """What it has paid for is fetched, and not billed again."""
        context = run()
        deferred_by(batch(inbox, outbox, **DEFERRED), context)
        context["task_state_store"] = store
        clock.now += 120
        assert batch(inbox, outbox).execute(context)["completed"] == 6
        assert slow_emulator.calls().accepted == 6
        assert not (outbox / WORK_FOLDER).exists()
        assert batch(inbox, outbox).execute(context)["skipped"] == 6

    @pytest.mark.parametrize("call", ["ls", "open"])
    def test_a_batch_whose_files_cannot_be_read_for_a_moment_says_that_something_is_kept(
        self,
        slow_emulator: EmulatorServer,
        clock: Clock,
        moody: Moody,
        monkeypatch: pytest.MonkeyPatch,
        inbox: Path,
        store: StrictStore,
        call: str,
    ) -> None:
        """Its jobs are paid for: a retry fetches them."""
        context = run()
        deferred_by(batch(inbox, Path(), output_path="moody://out", **DEFERRED), context)
        context["task_state_store"] = store

        def refused(*_: Any, **__: Any) -> Any:
            raise PermissionError("403")

        with monkeypatch.context() as broken:
            broken.setattr(Moody, call, refused)
            with pytest.raises(AsposeOcrBatchError, match="What is done and what runs is kept") as raised:
                batch(inbox, Path(), output_path="moody://out", **DEFERRED).execute_complete(context, {})
        assert not isinstance(raised.value, AirflowFailException)
        clock.now += 120
        assert batch(inbox, Path(), output_path="moody://out").execute(context)["completed"] == 6
        assert slow_emulator.calls().accepted == 6

    def test_a_batch_that_has_ended_is_known(
        self, service: EmulatorServer, inbox: Path, outbox: Path, store: StrictStore
    ) -> None:
        first = run("first")
        for context in (first, run("second")):
            batch(inbox / "2023", outbox, overwrite=True).execute(context)
        first["task_state_store"] = store
        assert batch(inbox / "2023", outbox, overwrite=True).execute(cleared(first))["skipped"] == 3
        assert service.calls().accepted == 6


@pytest.mark.parametrize("has_store", [False, True])
def test_a_clear_may_replace_what_the_run_itself_has_read_though_nothing_else_may_be(
    service: EmulatorServer, inbox: Path, outbox: Path, store: StrictStore, has_store: bool
) -> None:
    """`on_existing="fail"` is about the results of others."""
    image = [str(inbox / "2023" / "0.png")]
    options: dict[str, Any] = {"on_existing": "fail", "resubmit_on_clear": True}
    context = run("first", **({"task_state_store": store} if has_store else {}))
    assert batch(image, outbox, **options).execute(context)["completed"] == 1
    for accepted in (2, 3):
        assert batch(image, outbox, **options).execute(cleared(context))["completed"] == 1
        assert batch(image, outbox, **options).execute(context)["skipped"] == 1
        assert service.calls().accepted == accepted
    with pytest.raises(AsposeOcrInputError, match="Results are there already"):
        batch(image, outbox, **options).execute(run("second"))


@pytest.mark.parametrize("has_store", [False, True])
@pytest.mark.parametrize("options", [{"durable": False}, {}], ids=["told to remember nothing", "forgotten"])
def test_what_is_no_clear_as_far_as_is_known_replaces_nothing(
    service: EmulatorServer, inbox: Path, outbox: Path, has_store: bool, options: dict[str, Any]
) -> None:
    """A retry where nothing is remembered is refused by `on_existing="fail"`, before anything is billed."""
    image = [str(inbox / "2023" / "0.png")]
    options = {"on_existing": "fail", "resubmit_on_clear": True, **options}
    for refused in (False, True):
        context = run(**({"task_state_store": StrictStore()} if has_store else {}))
        if not refused:
            batch(image, outbox, **options).execute(context)
            for piece in (outbox / WORK_FOLDER).glob("ended-*"):
                piece.unlink()
        else:
            with pytest.raises(AsposeOcrInputError, match="Results are there already"):
                batch(image, outbox, **options).execute(context)
    assert service.calls().accepted == 1


def test_a_clear_replaces_no_file_that_the_run_has_not_written(
    service: EmulatorServer, inbox: Path, outbox: Path, store: StrictStore
) -> None:
    """Found before anything is billed, though the document is the run's own."""
    image = [str(inbox / "2023" / "0.png")]
    options: dict[str, Any] = {"on_existing": "fail", "resubmit_on_clear": True}
    context = run(task_state_store=store)
    batch(image, outbox, **options).execute(context)
    (outbox / "0.json").write_text("somebody else's")
    with pytest.raises(AsposeOcrInputError, match=r"Results are there already.*0\.json"):
        batch(image, outbox, settings={"resultType": "JSON"}, **options).execute(cleared(context))
    assert service.calls().accepted == 1


def test_fewer_retries_in_the_dag_file_make_no_older_end_the_last_one(
    service: EmulatorServer, inbox: Path, outbox: Path
) -> None:
    """A clear sets the limit of tries anew, by the retries that the DAG has then: it may be lower than before."""
    context = run()
    context["ti"].max_tries = 5
    for completed in (3, 6):
        assert batch(inbox / "2023", outbox, resubmit_on_clear=True).execute(context)["completed"] == 3
        for _ in range(2):
            assert batch(inbox / "2023", outbox, resubmit_on_clear=True).execute(context)["skipped"] == 3
        assert service.calls().accepted == completed
        context["ti"].max_tries = 1


def test_an_end_written_by_a_clock_that_was_behind_is_still_the_last_one_when_the_pieces_become_one(
    service: EmulatorServer, inbox: Path, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = [str(inbox / "2023" / "0.png")]
    context, now = run(), time.time
    batch(image, outbox, resubmit_on_clear=True).execute(context)
    monkeypatch.setattr(time, "time", lambda: now() - 31 * 24 * 3600)
    batch(image, outbox, resubmit_on_clear=True).execute(cleared(context))
    monkeypatch.setattr(time, "time", now)
    for number in range(17):
        batch(image, outbox, resubmit_on_clear=True).execute(run(f"other-{number}"))
    accepted = service.calls().accepted
    assert batch(image, outbox, resubmit_on_clear=True).execute(context)["skipped"] == 1
    assert service.calls().accepted == accepted


@pytest.mark.parametrize("has_store", [False, True])
def test_a_clear_of_a_run_that_overwrites_bills_nothing_that_a_clock_ahead_has_read(
    service: EmulatorServer, inbox: Path, outbox: Path, monkeypatch: pytest.MonkeyPatch, has_store: bool
) -> None:
    """What was read since the cleared run began is as new, whatever the other machine's clock said."""
    first, second = (run(name, **({"task_state_store": StrictStore()} if has_store else {})) for name in ("1", "2"))
    now = time.time
    batch(inbox / "2023", outbox, overwrite=True).execute(first)
    monkeypatch.setattr(time, "time", lambda: now() + 3 * 24 * 3600)
    batch(inbox / "2023", outbox, overwrite=True).execute(second)
    monkeypatch.setattr(time, "time", now)
    assert batch(inbox / "2023", outbox, overwrite=True).execute(cleared(first))["skipped"] == 3
    assert service.calls().accepted == 6


def test_a_clear_with_other_settings_may_replace_what_the_run_itself_has_read(
    service: EmulatorServer, inbox: Path, outbox: Path, store: StrictStore
) -> None:
    image = [str(inbox / "2023" / "0.png")]
    context = run(task_state_store=store)
    batch(image, outbox, on_existing="fail").execute(context)
    french: dict[str, Any] = {"on_existing": "fail", "settings": {"language": "French"}}
    assert batch(image, outbox, **french).execute(cleared(context))["completed"] == 1
    with pytest.raises(AsposeOcrInputError, match="Results are there already"):
        batch(image, outbox, **french).execute(run("another", task_state_store=StrictStore()))
