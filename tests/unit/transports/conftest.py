"""What the tests of the transports share."""

from __future__ import annotations

import pytest

from airflow_provider_asposeocr.emulator import EmulatorServer


@pytest.fixture(scope="session")
def shared_emulator(fast_emulator: EmulatorServer) -> EmulatorServer:
    """As of all tests, but it does not need to read."""
    return fast_emulator
