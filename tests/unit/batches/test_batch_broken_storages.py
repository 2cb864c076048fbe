"""A batch whose output folder takes nothing: little is paid for, nothing paid is lost, and the error is one of ours."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import AsposeOcrBatchError, AsposeOcrInputError, AsposeOcrStorageError
from tests.unit.batches.batch_stubs import batch, deferred_by, event_of_batch, woken
from tests.unit.storage.outputs import QUIET
from tests.unit.storage.storages import ClientError, Moody
from tests.unit.task_stubs import Clock

pytestmark = QUIET
FULL = OSError(errno.ENOSPC, "No space left on device")
KEPT = "What is done and what runs is kept"


@pytest.fixture(params=["store", "files"])
def either_context(request: pytest.FixtureRequest, context: dict[str, Any]) -> dict[str, Any]:
    """A context with a task state store, or without one, as below Airflow 3.3."""
    if request.param == "files":
        del context["task_state_store"]
    return context


@pytest.fixture
def breaking(moody: Moody, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], bool]], None]:
    """Lets the storage take nothing any more, and not be listed, for as long as something is so."""

    def install(is_broken: Callable[[], bool]) -> None:
        open_file, ls = Moody.open, Moody.ls

        def opened(storage: Moody, path: str, mode: str = "rb", **kwargs: Any) -> Any:
            if "r" not in mode and is_broken():
                raise FULL
            return open_file(storage, path, mode, **kwargs)

        def listed(storage: Moody, path: str, detail: bool = True, **kwargs: Any) -> Any:
            if is_broken():
                raise ClientError("SlowDown")
            return ls(storage, path, detail=detail, **kwargs)

        monkeypatch.setattr(Moody, "open", opened)
        monkeypatch.setattr(Moody, "ls", listed)

    return install


def to(folder: str, inbox: Path, **kwargs: Any) -> Any:
    return batch(inbox, Path(), output_path=folder, **kwargs)


def test_a_folder_that_cannot_be_is_found_before_anything_is_billed(
    connection: str, emulator: EmulatorServer, either_context: Any, inbox: Path, outbox: Path
) -> None:
    """A file in the way of the output folder is there in a retry, too."""
    outbox.write_text("a file where a folder has to be")
    with pytest.raises(AsposeOcrInputError, match="Nothing was sent"):
        batch(inbox, outbox / "texts").execute(either_context)
    assert emulator.calls().total == 0


def test_a_storage_that_is_full_is_found_before_anything_is_billed(
    connection: str, emulator: EmulatorServer, context: Any, inbox: Path, moody: Moody
) -> None:
    """It may have room in a retry."""
    moody.fails["open"] = FULL
    with pytest.raises(AsposeOcrStorageError, match=r"No space left on device.*Nothing was sent"):
        to("moody://out", inbox).execute(context)
    assert emulator.calls().total == 0
    moody.fails.clear()
    assert to("moody://out", inbox).execute(context)["completed"] == 6


def test_results_that_are_not_taken_are_fetched_by_the_retry(
    connection: str, emulator: EmulatorServer, context: Any, inbox: Path, moody: Moody
) -> None:
    """After a few of them no more documents are paid for, and nothing is read twice."""
    moody.fails["mv"] = ClientError("SlowDown")
    with pytest.raises(AsposeOcrBatchError, match=rf"SlowDown.*{KEPT}") as raised:
        to("moody://out", inbox, max_concurrency=1).execute(context)
    assert not isinstance(raised.value, AirflowFailException)
    assert emulator.calls().accepted < 6
    moody.fails.clear()
    assert to("moody://out", inbox).execute(context)["completed"] == 6
    assert emulator.calls().accepted == 6


def test_a_storage_that_breaks_in_the_middle_is_told_as_ours(
    connection: str,
    emulator: EmulatorServer,
    either_context: Any,
    inbox: Path,
    breaking: Callable[[Callable[[], bool]], None],
) -> None:
    """Neither results nor what is remembered of them can be written: a retry may find it mended."""
    breaking(lambda: emulator.calls().accepted >= 2)
    with pytest.raises(AsposeOcrBatchError, match=KEPT) as raised:
        to("moody://out", inbox, max_concurrency=1).execute(either_context)
    assert not isinstance(raised.value, AirflowFailException)


def test_what_the_store_knows_is_fetched_once_the_storage_is_mended(
    connection: str,
    emulator: EmulatorServer,
    context: Any,
    inbox: Path,
    breaking: Callable[[Callable[[], bool]], None],
) -> None:
    """Whatever a journal that could not be written does not say."""
    broken = [True]
    breaking(lambda: emulator.calls().accepted >= 2 and broken[0])
    for _ in range(2):
        # The second try cannot even look at what the first has left.
        with pytest.raises(AsposeOcrBatchError, match=KEPT):
            to("moody://out", inbox, max_concurrency=1).execute(context)
    broken[0] = False
    assert to("moody://out", inbox).execute(context)["completed"] == 6
    assert emulator.calls().accepted == 6


def test_a_wake_that_finds_the_storage_broken_is_no_end(
    slow_emulator: EmulatorServer,
    clock: Clock,
    context: Any,
    inbox: Path,
    breaking: Callable[[Callable[[], bool]], None],
) -> None:
    """Jobs of a deferred batch that are paid for are fetched by the retry."""
    broken = [False]
    breaking(lambda: broken[0])
    kwargs: dict[str, Any] = {"deferrable": True, "defer_after": 0.1}
    trigger = deferred_by(to("moody://out", inbox, **kwargs), context)
    broken[0] = True
    clock.now += 120
    with pytest.raises(AsposeOcrBatchError, match=KEPT):
        woken(to("moody://out", inbox), context, event_of_batch(trigger.serialize()[1]))
    broken[0] = False
    assert to("moody://out", inbox).execute(context)["completed"] == 6
    assert slow_emulator.calls().accepted == 6
