"""What the tests on a running Airflow share: one reader of images, emulators, and Airflow itself."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_asposeocr.emulator import EmulatorServer, TextReader
from tests.integration.documents import print_line
from tests.integration.hand_clock import HandClock
from tests.integration.postgres import TemporaryPostgres
from tests.integration.process_sessions import is_alive
from tests.integration.running_airflow import RunningAirflow
from tests.integration.shared_airflow import HELD, put_in_order, run_emulators, shared_airflow
from tests.integration.single_document import TEXT, Document


@pytest.fixture(scope="session")
def reader() -> TextReader:
    """Reads each image once, for all emulators: loading its models takes a second or two."""
    from airflow_provider_asposeocr.emulator.engine import CachingReader, RapidOcrReader

    return CachingReader(RapidOcrReader())


@pytest.fixture(scope="session")
def clocks() -> dict[str, HandClock]:
    """The clocks of those emulators whose jobs end when a test says so."""
    return {conn_id: HandClock(rate) for conn_id, rate in HELD.items()}


@pytest.fixture(scope="session")
def emulators(reader: TextReader, clocks: dict[str, HandClock]) -> Iterator[dict[str, EmulatorServer]]:
    """The emulators to which the shared Airflow has connections, by their ids."""
    with run_emulators(reader, clocks) as emulators:
        yield emulators


@pytest.fixture(scope="session")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the DAGs of ``all_operators.py`` write."""
    return tmp_path_factory.mktemp("output")


@pytest.fixture(scope="session")
def database() -> Iterator[str]:
    """The address of a PostgreSQL database into which DAGs write; Airflow has another."""
    with TemporaryPostgres() as postgres:
        yield postgres.url


@pytest.fixture(scope="session")
def airflow_of_all(emulators: dict[str, EmulatorServer], output: Path, database: str) -> Iterator[RunningAirflow]:
    """The shared Airflow in whatever state it is; in the end nothing of it is left."""
    started = time.monotonic()
    with shared_airflow(emulators, output, database) as running:
        print(f"Airflow was up after {time.monotonic() - started:.1f} s")
        yield running
        running.start_missing()
        sessions = [process.pid for process in running.processes()]
        started = time.monotonic()
    print(f"Airflow was gone after {time.monotonic() - started:.1f} s")
    assert len(sessions) == 5
    assert not any(is_alive(pid) for pid in sessions)
    assert not running.home.exists() or os.environ.get("KEEP_AIRFLOW_HOME")


@pytest.fixture
def airflow(airflow_of_all: RunningAirflow) -> RunningAirflow:
    """The shared Airflow, healthy and with nothing to do."""
    put_in_order(airflow_of_all)
    return airflow_of_all


@pytest.fixture
def document(
    airflow: RunningAirflow, emulators: dict[str, EmulatorServer], clocks: dict[str, HandClock], tmp_path: Path
) -> Document:
    """A document of the test's own, at emulators that know no other; its job runs until the test waits for its end."""
    clocks["ocr"].stop()
    for conn_id in ("ocr", "ocr_endless"):
        emulators[conn_id].reset()
    image = tmp_path / "document.png"
    print_line(image, TEXT)
    return Document(airflow, emulators, clocks["ocr"], image, tmp_path / "output")
