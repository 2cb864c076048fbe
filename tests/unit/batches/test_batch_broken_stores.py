"""A batch whose task state store fails, or says less than its journal: what is known is neither doubted nor billed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_asposeocr.emulator import EmulatorServer
from tests.unit.batches.batch_stubs import DEFERRED, StrictStore, batch, ticking
from tests.unit.task_stubs import Clock


def breaking_once(store: StrictStore, word: str, *, written: bool) -> None:
    """Let the first write that holds a word fail; ``written``: only its answer is lost."""
    original, failures = store.set, [RuntimeError("the API server is away")]

    def fails_once(key: str, value: Any, *, retention: Any = None) -> None:
        broken = word in json.dumps(value) and failures
        if not broken or written:
            original(key, value, retention=retention)
        if broken:
            raise failures.pop()

    store.set = fails_once  # type: ignore[method-assign]


@pytest.mark.parametrize("written", [False, True])
def test_a_store_that_fails_before_a_submission_leaves_its_document_in_no_doubt(
    connection: str,
    emulator: EmulatorServer,
    context: Any,
    inbox: Path,
    outbox: Path,
    store: StrictStore,
    written: bool,
) -> None:
    """Nothing was sent, so the retry submits it without asking the user."""
    breaking_once(store, "Submitting", written=written)
    with pytest.raises(RuntimeError, match="API server is away"):
        batch(inbox, outbox, max_concurrency=1).execute(context)
    assert emulator.calls().accepted == 0
    assert batch(inbox, outbox).execute(context)["completed"] == 6
    assert emulator.calls().accepted == 6


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_the_journal_says_is_done_is_not_asked_for_again(
    connection: str,
    emulator: EmulatorServer,
    context: Any,
    inbox: Path,
    outbox: Path,
    store: StrictStore,
    overwrite: bool,
) -> None:
    """A store that fails at the end says that the jobs still run; days later, the service knows them no more."""
    store.broken_for = r"^\{\}$"
    with pytest.raises(RuntimeError, match="API server is away"):
        batch(inbox, outbox, overwrite=overwrite).execute(context)
    assert {kept["status"] for kept in store.documents().values()} == {"Running"}
    store.broken_for = None
    emulator.reset()
    assert batch(inbox, outbox, overwrite=overwrite).execute(context)["completed"] == 6
    assert emulator.calls().accepted == emulator.calls().count("GET", "RecognizeImage") == 0
    assert store.documents() == {}


@pytest.mark.parametrize("at_once", [2, 16])
def test_a_store_that_stays_away_after_submissions_loses_no_job(
    slow_emulator: EmulatorServer,
    clock: Clock,
    context: Any,
    inbox: Path,
    outbox: Path,
    store: StrictStore,
    at_once: int,
) -> None:
    """What the store knows of is that they were being submitted; the journal has their ids."""
    store.broken_for = '"Running"'
    with pytest.raises(RuntimeError, match="API server is away"):
        batch(inbox, outbox, max_concurrency=at_once, **DEFERRED).execute(context)
    assert {kept["status"] for kept in store.documents().values()} == {"Submitting"}
    store.broken_for = None
    with ticking(clock):
        assert batch(inbox, outbox).execute(context)["completed"] == 6
    assert slow_emulator.calls().accepted == 6
