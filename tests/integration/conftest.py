"""What the tests on a running Airflow share: one reader of images, and a record of all tokens ever issued."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_asposeocr.emulator import EmulatorServer, TextReader
from airflow_provider_asposeocr.emulator.tokens import TokenDesk
from tests.conftest import CLIENT_ID, CLIENT_SECRET


@pytest.fixture(scope="session")
def reader() -> TextReader:
    """Reads each image once, for all emulators: loading its models takes a second or two."""
    from airflow_provider_asposeocr.emulator.engine import CachingReader, RapidOcrReader

    return CachingReader(RapidOcrReader())


@pytest.fixture(scope="session")
def issued_tokens() -> Iterator[list[str]]:
    """Every token that an emulator in this process gives out, from the moment this fixture is used."""
    tokens: list[str] = []
    issue = TokenDesk.issue

    def recording(desk: TokenDesk) -> str:
        tokens.append(issue(desk))
        return tokens[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TokenDesk, "issue", recording)
        yield tokens


def connection_to(emulator: EmulatorServer, **extra: Any) -> dict[str, Any]:
    """An Airflow connection to an emulator, in its JSON form."""
    return {
        "conn_type": "aspose_ocr",
        "host": emulator.url,
        "login": CLIENT_ID,
        "password": CLIENT_SECRET,
        "extra": extra,
    }
