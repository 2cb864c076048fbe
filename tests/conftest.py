"""What all tests share: a throw-away Airflow home, the emulator, and a connection to it."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Before the first import of Airflow, which reads its configuration then.
if not os.environ.get("AIRFLOW_HOME"):
    os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="aspose-ocr-tests-")
    atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
# Airflow 2.11 warns at import where this is off, as it is by default.
os.environ["AIRFLOW__METRICS__TIMER_UNIT_CONSISTENCY"] = "True"
for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
    os.environ.pop(name, None)

from airflow_provider_asposeocr.emulator import EmulatorServer  # noqa: E402

# The gate draws the same examples each time, at whatever speed: what it finds must not depend on luck or on speed.
# `make fuzz` looks for new ones.
settings.register_profile("gate", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fuzz", settings.get_profile("gate"), derandomize=False, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))

CLIENT_ID = "test-client"
CLIENT_SECRET = "correct horse battery staple"
SCANS = Path(__file__).parent.parent / "example_dags" / "scans"


@pytest.fixture
def scans() -> Path:
    """The sample scans."""
    return SCANS


@pytest.fixture(scope="session")
def shared_emulator() -> Iterator[EmulatorServer]:
    """One emulator for the whole session, with no latency."""
    with EmulatorServer(latency=0, client_id=CLIENT_ID, client_secret=CLIENT_SECRET) as server:
        yield server


@pytest.fixture
def emulator(shared_emulator: EmulatorServer) -> Iterator[EmulatorServer]:
    """The emulator without jobs, calls or faults, and a process without tokens."""
    from airflow_provider_asposeocr.api.tokens import forget_tokens

    shared_emulator.reset()
    forget_tokens()
    yield shared_emulator
    shared_emulator.reset()


@pytest.fixture
def define_connection(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Defines an Airflow connection by its environment variable."""

    def define(conn_id: str = "aspose_ocr_default", **fields: Any) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps({"conn_type": "aspose_ocr", **fields}))

    return define


@pytest.fixture
def connection(emulator: EmulatorServer, define_connection: Callable[..., None]) -> str:
    """The id of a connection to the emulator."""
    define_connection(host=emulator.url, login=CLIENT_ID, password=CLIENT_SECRET)
    return "aspose_ocr_default"
