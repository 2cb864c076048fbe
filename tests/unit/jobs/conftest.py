"""What the tests of operators, sensor and trigger share: a task context without a database, and a slow emulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_asposeocr.api.tokens import forget_tokens
from airflow_provider_asposeocr.emulator import EmulatorServer
from tests.unit.jobs.task_stubs import Clock, MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def context(store: MemoryStore) -> dict[str, Any]:
    """The task context of a first try on Airflow 3.3+."""
    return {"ti": SimpleNamespace(max_tries=2), "task_state_store": store}


@pytest.fixture
def letter(scans: Path) -> str:
    """A scan of three lines, read in a few hundredths of a second."""
    return str(scans / "letters" / "01-apples.jpg")


@pytest.fixture
def letter_text(scans: Path) -> str:
    return (scans / "expected" / "letters" / "01-apples.txt").read_text().strip()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slow_emulator(define_connection: Callable[..., None], clock: Clock) -> Iterator[EmulatorServer]:
    """An emulator whose jobs take a minute of a clock that stands still, and the default connection to it."""
    forget_tokens()
    with EmulatorServer(latency=60, clock=clock) as server:
        define_connection(host=server.url, login="id", password="secret")
        yield server


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Returns what was logged: Airflow 3 writes task logs by structlog, Airflow 2 by the standard library."""
    caplog.set_level("DEBUG")

    def read() -> str:
        captured = capsys.readouterr()
        return captured.out + captured.err + caplog.text

    return read
