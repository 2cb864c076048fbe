"""Connections to emulators."""

from __future__ import annotations

from typing import Any

from airflow_provider_asposeocr.emulator import EmulatorServer
from tests.conftest import CLIENT_ID, CLIENT_SECRET


def connection_to(emulator: EmulatorServer, **extra: Any) -> dict[str, Any]:
    """An Airflow connection to an emulator, in its JSON form."""
    return {
        "conn_type": "aspose_ocr",
        "host": emulator.url,
        "login": CLIENT_ID,
        "password": CLIENT_SECRET,
        "extra": extra,
    }
