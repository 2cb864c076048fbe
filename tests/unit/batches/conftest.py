"""What the tests of the batches share: a service, a folder of images, and a context with a store that counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from airflow_provider_asposeocr.api.tokens import forget_tokens
from airflow_provider_asposeocr.emulator import EmulatorServer
from tests.unit.batches.batch_stubs import (
    WORDS,
    StrictStore,
    task_instance,
)
from tests.unit.raw_server import CLIENT_ID, CLIENT_SECRET
from tests.unit.task_stubs import MemoryStore


@pytest.fixture
def context(store: MemoryStore) -> dict[str, Any]:
    return {"ti": task_instance(), "task_state_store": store}


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """A folder of six one-line images in two folders of it, each different, with names that collide."""
    folder = tmp_path / "inbox"
    for year in ("2023", "2024"):
        (folder / year).mkdir(parents=True)
        for number in range(3):
            image = Image.new("L", (200, 40), "white")
            ImageDraw.Draw(image).text((10, 10), f"{WORDS[number]}{year}", fill="black", font_size=20)
            image.save(folder / year / f"{number}.png")
    return folder


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    return tmp_path / "outbox"


@pytest.fixture
def store() -> StrictStore:
    return StrictStore()


@pytest.fixture
def service(fast_emulator: EmulatorServer, define_connection: Callable[..., None]) -> EmulatorServer:
    """An emulator that finds the same line in every image, and the default connection to it."""
    fast_emulator.reset()
    forget_tokens()
    define_connection(host=fast_emulator.url, login=CLIENT_ID, password=CLIENT_SECRET)
    return fast_emulator
