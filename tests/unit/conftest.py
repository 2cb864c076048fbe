"""What the unit tests share: hooks on an emulator, a raw server, and a task context without a database."""

from __future__ import annotations

import io
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fsspec import register_implementation
from PIL import Image

from airflow_provider_asposeocr.api.tokens import forget_tokens
from airflow_provider_asposeocr.connection import ServiceConnection
from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrHook
from tests.certificates import Authority
from tests.unit.connections import SECRET
from tests.unit.either_hook import AnyHook, OneLineReader
from tests.unit.raw_server import CLIENT_ID, CLIENT_SECRET, RawServer, Script
from tests.unit.storage.storages import Moody
from tests.unit.task_stubs import Clock, MemoryStore


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
def slow_emulator(
    define_connection: Callable[..., None], clock: Clock, shared_emulator: EmulatorServer
) -> Iterator[EmulatorServer]:
    """An emulator whose jobs take a minute of a clock that stands still, and the default connection to it."""
    forget_tokens()
    # One reader for all: its models are 40 MB, and take a second to load.
    with EmulatorServer(latency=60, clock=clock, reader=shared_emulator.reader) as server:
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


@pytest.fixture(scope="session")
def fast_emulator() -> Iterator[EmulatorServer]:
    """As ``shared_emulator``, but it does not need to read: it finds the same line in every image."""
    with EmulatorServer(latency=0, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, reader=OneLineReader()) as server:
        yield server


@pytest.fixture(scope="session")
def png() -> bytes:
    """An image of 100 x 60 pixels."""
    file = io.BytesIO()
    Image.new("RGB", (100, 60), "white").save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="session")
def big_png(png: bytes) -> bytes:
    """The same, with so much behind it that no socket's buffer takes it whole."""
    return png + b"\0" * 24 * 1024 * 1024


@pytest.fixture(params=["requests", "aiohttp"])
def flavour(request: pytest.FixtureRequest) -> str:
    """Which hook."""
    return request.param


@pytest.fixture
def new_hook(flavour: str) -> Callable[..., AnyHook]:
    """Makes a hook of either kind."""
    return lambda *args, **kwargs: AnyHook(flavour, *args, **kwargs)


@pytest.fixture
def hook(connection: str, new_hook: Callable[..., AnyHook]) -> AnyHook:
    """Either hook, on the emulator."""
    return new_hook(connection)


@pytest.fixture
def sync_hook(connection: str) -> AnyHook:
    """The hook over requests, on the emulator: for submissions, which both hooks make in the same way."""
    return AnyHook("requests", connection)


@pytest.fixture
def raw_server(define_connection: Callable[..., None]) -> Iterator[Callable[..., RawServer]]:
    """Starts a raw server, and defines the connection to it."""
    forget_tokens()
    servers: list[RawServer] = []

    def start(script: Script, tls: ssl.SSLContext | None = None, *, tokens: bool = True, **fields: Any) -> RawServer:
        servers.append(RawServer(script, tls, tokens))
        define_connection(**{"host": servers[-1].url, "login": CLIENT_ID, "password": CLIENT_SECRET, **fields})
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate that nobody knows."""
    return Authority.found(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def read(define_connection: Callable[..., None]) -> Callable[..., ServiceConnection]:
    """Defines a connection and returns what the hook makes of it."""

    def connection_of(**fields: Any) -> ServiceConnection:
        define_connection(**{"login": "an-id", "password": SECRET, **fields})
        return AsposeOcrHook().connection

    return connection_of


@pytest.fixture
def moody() -> Moody:
    """A storage that fails as it is told to, empty."""
    try:
        from airflow.sdk.io import attach
    except ImportError:
        from airflow.io.store import attach
    register_implementation("moody", Moody, clobber=True)
    # Airflow keeps the first one that it is given.
    storage: Moody = attach("moody", fs=Moody()).fs
    storage.reset()
    return storage
