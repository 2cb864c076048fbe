"""An emulator with a fast reader, a clock that tests turn forward, and a client that speaks plain HTTP."""

from __future__ import annotations

import base64
import io
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from PIL import Image, ImageDraw, ImageFont

from airflow_provider_asposeocr.emulator import EmulatorServer, Fragment


class WordsReader:
    """Finds the same words in every image, one line each; waits for ``go`` before it does."""

    def __init__(self) -> None:
        self.lines = ["alpha beta", "gamma delta"]
        self.go = threading.Event()
        self.go.set()

    def read(self, image: Image.Image) -> Sequence[Fragment]:
        assert self.go.wait(10)
        return [
            Fragment(
                line, 0.9, ((5.0, 30.0 * at + 5), (95.0, 30.0 * at + 5), (95.0, 30.0 * at + 25), (5.0, 30.0 * at + 25))
            )
            for at, line in enumerate(self.lines)
        ]


class Clock:
    """Stands still until it is turned forward."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Client:
    """Speaks the protocol, as curl would."""

    url: str
    session: requests.Session = field(default_factory=requests.Session)

    def call(self, method: str, path: str, **arguments: Any) -> requests.Response:
        return self.session.request(method, self.url + path, timeout=20, **arguments)

    def token(self, client_id: str = "id", client_secret: str = "secret") -> requests.Response:
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        return self.call("POST", "/connect/token", data=form)

    def authorize(self) -> Client:
        self.session.headers["Authorization"] = f"Bearer {self.token().json()['access_token']}"
        return self

    def post(self, endpoint: str, image: bytes, settings: dict[str, Any] | None = None) -> requests.Response:
        body: dict[str, Any] = {"image": base64.b64encode(image).decode()}
        if settings is not None:
            body["settings"] = settings
        return self.call("POST", f"/v5.0/ocr/{endpoint}", json=body, headers={"Accept": "text/plain"})

    def submit(self, endpoint: str, image: bytes, settings: dict[str, Any] | None = None) -> str:
        response = self.post(endpoint, image, settings)
        assert response.status_code == 200, response.text
        return response.text

    def get(self, endpoint: str, job_id: str) -> requests.Response:
        return self.call("GET", f"/v5.0/ocr/{endpoint}", params={"id": job_id})

    def answer(self, endpoint: str, job_id: str) -> dict[str, Any]:
        """The answer once the job is over. Fast readers are done within a few of these calls; a busy machine is not."""
        for calls in range(10_000):
            answer: dict[str, Any] = self.get(endpoint, job_id).json()
            if answer["taskStatus"] not in ("Pending", "Processing"):
                return answer
            time.sleep(0 if calls < 100 else 0.01)
        raise AssertionError("the job does not end")

    def results(self, endpoint: str, image: bytes, settings: dict[str, Any] | None = None) -> list[tuple[str, bytes]]:
        answer = self.answer(endpoint, self.submit(endpoint, image, settings))
        assert answer["taskStatus"] == "Completed", answer
        return [(entry["type"], base64.b64decode(entry["data"])) for entry in answer["results"]]

    def text(self, endpoint: str, image: bytes, settings: dict[str, Any] | None = None) -> str:
        return "\n".join(data.decode() for _, data in self.results(endpoint, image, settings))


def png(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


@pytest.fixture(scope="session")
def image() -> bytes:
    """Any image."""
    return png(Image.new("RGB", (100, 60), "white"))


@pytest.fixture(scope="session")
def sheet() -> Callable[..., bytes]:
    """Prints texts at places: ``sheet(size, (x, y, text, height of the font), ...)``."""

    def printed(size: tuple[int, int], *texts: tuple[int, int, str, int]) -> bytes:
        paper = Image.new("RGB", size, "white")
        for x, y, text, height in texts:
            ImageDraw.Draw(paper).text((x, y), text, fill="black", font=ImageFont.load_default(height))
        return png(paper)

    return printed


@pytest.fixture
def reader() -> WordsReader:
    return WordsReader()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def emulator(reader: WordsReader, clock: Clock) -> Iterator[EmulatorServer]:
    with EmulatorServer(reader=reader, clock=clock, latency=6, retention=100, token_lifetime=50) as server:
        # Whatever a test does, no reader is left waiting.
        yield server
        reader.go.set()


@pytest.fixture
def client(emulator: EmulatorServer) -> Iterator[Client]:
    client = Client(emulator.url)
    with client.session:
        yield client.authorize()


@pytest.fixture(scope="session")
def reading() -> Iterator[Client]:
    """A client of an emulator that really reads."""
    with EmulatorServer() as server:
        client = Client(server.url)
        with client.session:
            yield client.authorize()
