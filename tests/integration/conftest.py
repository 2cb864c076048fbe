"""What the tests on a running Airflow share: one reader of images, and connections to emulators."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_asposeocr.emulator import EmulatorServer, TextReader
from tests.conftest import CLIENT_ID, CLIENT_SECRET


@pytest.fixture(scope="session")
def reader() -> TextReader:
    """Reads each image once, for all emulators: loading its models takes a second or two."""
    from airflow_provider_asposeocr.emulator.engine import CachingReader, RapidOcrReader

    return CachingReader(RapidOcrReader())


def connection_to(emulator: EmulatorServer, **extra: Any) -> dict[str, Any]:
    """An Airflow connection to an emulator, in its JSON form."""
    return {
        "conn_type": "aspose_ocr",
        "host": emulator.url,
        "login": CLIENT_ID,
        "password": CLIENT_SECRET,
        "extra": extra,
    }
