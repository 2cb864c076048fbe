"""What the tests of the hooks share."""

from __future__ import annotations

import pytest

from airflow_provider_asposeocr.emulator import EmulatorServer
from tests.unit.hooks.faults import ENDPOINT


@pytest.fixture
def job(sync_hook, png):
    """A job that has ended."""
    job = sync_hook.submit(ENDPOINT, png)
    sync_hook.wait(ENDPOINT, job)
    return job


@pytest.fixture(scope="session")
def shared_emulator(fast_emulator: EmulatorServer) -> EmulatorServer:
    """As of all tests, but it does not need to read."""
    return fast_emulator
