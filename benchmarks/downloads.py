"""Memory and CPU of a result on its way into a file: ours, what a user would do today, and the floor."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pybase64

from benchmarks import vendor
from benchmarks.measuring import MB, cost_of, in_fresh_process
from benchmarks.report import Topic
from benchmarks.servers import LocalService, result_id
from benchmarks.uploads import LARGE, cost_topic

MAX_CPU_OVER_FLOOR = 1.6
SMALL_RESULT = 400_000
"""Bytes, for the warm-up: more than what stays in memory."""

OURS, FLOOR, SDK = "ours: AsposeOcrHook.get_task, results.deliver", "floor: receive, pybase64, write", "vendor's SDK"
_BUFFER = 256 * 1024


def with_sdk(url: str, folder: Path) -> Callable[[str], object]:
    """The vendor's SDK, and the decoding that it leaves to its user."""
    return lambda job: vendor.write_results(url, job, str(folder / "result.pdf"))


def with_pydantic(url: str, folder: Path) -> Callable[[str], object]:
    """A pydantic model whose bytes come as Base64."""
    import requests
    from pydantic import BaseModel, ConfigDict

    class Result(BaseModel):
        model_config = ConfigDict(val_json_bytes="base64")
        type: str
        data: bytes

    class Answer(BaseModel):
        results: list[Result]

    session = requests.Session()

    def fetch(job: str) -> None:
        answer = session.get(f"{url}/v5.0/ocr/RecognizeImage", params={"id": job}, timeout=600)
        for result in Answer.model_validate_json(answer.content).results:
            (folder / "result.pdf").write_bytes(result.data)

    return fetch


def with_hook(_url: str, folder: Path) -> Callable[[str], object]:
    """Our hook, and the delivery that our operators make."""
    from airflow_provider_asposeocr.api.checks import endpoint_named
    from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrHook
    from airflow_provider_asposeocr.storage.outputs import output_files
    from airflow_provider_asposeocr.storage.results import deliver

    hook, endpoint = AsposeOcrHook(), endpoint_named("RecognizeImage")

    def fetch(job: str) -> None:
        files = output_files(f"{folder}/", "result.png", job, None, overwrite=True)
        deliver(hook.get_task(endpoint, job), endpoint, settings=None, files=files)

    return fetch


def floor(url: str, folder: Path) -> Callable[[str], object]:
    """Receive, decode, write: nothing else. Knows where the Base64 is."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port or 80))
    buffer = memoryview(bytearray(_BUFFER))

    def fetch(job: str) -> None:
        connection.sendall(b"GET /v5.0/ocr/RecognizeImage?id=%s HTTP/1.1\r\nHost: here\r\n\r\n" % job.encode())
        received = b""
        while b'"data":"' not in received:
            received += connection.recv(1024)
        left = (int(job[-12:], 16) + 2) // 3 * 4
        rest = received.partition(b'"data":"')[2][:left]
        with (folder / "result.pdf").open("wb", buffering=0) as file:
            left -= len(rest)
            while left:
                start = len(rest)
                buffer[:start] = rest
                count = connection.recv_into(buffer[start:], min(left, _BUFFER - start))
                left -= count
                whole = (start + count) & ~3
                file.write(pybase64.b64decode(buffer[:whole], validate=True))
                rest = bytes(buffer[whole : start + count])
            file.write(pybase64.b64decode(rest))
        end = b""
        while not end.endswith(b"}]}"):
            end += connection.recv(1024)

    return fetch


WAYS: dict[str, Callable[[str, Path], Callable[[str], object]]] = {
    SDK: with_sdk,
    "requests and pydantic bytes": with_pydantic,
    OURS: with_hook,
    FLOOR: floor,
}


def measure(url: str, way: str, size: int, runs: int) -> dict[str, float]:
    """
    Measure one way, in this process.

    :param url: of the service.
    :param way: a name of :data:`WAYS`.
    :param size: of the result, in bytes.
    :param runs: how often.
    """
    with tempfile.TemporaryDirectory(prefix="aspose-ocr-bench-") as folder:
        fetch = WAYS[way](url, Path(folder))
        cost = cost_of(lambda: fetch(result_id(size)), lambda: fetch(result_id(SMALL_RESULT)), runs)
        assert (Path(folder) / "result.pdf").stat().st_size == size
        return cost


def run(quick: bool) -> Topic:
    """
    Measure all ways and sizes.

    :param quick: leave out the largest size.
    """
    sizes = (1, 20) if quick else (1, 20, LARGE)
    with LocalService() as service:
        costs = {
            way: [
                in_fresh_process(
                    measure,
                    service_url=service.url,
                    url=service.url,
                    way=way,
                    size=size * MB,
                    runs=3 if quick else 5,
                )
                for size in sizes
            ]
            for way in WAYS
        }
    topic = cost_topic(
        "Results into a file", "result into a file", sizes, costs, (OURS, FLOOR, SDK), MAX_CPU_OVER_FLOOR
    )
    topic.notes.append(
        "Ours decodes into a temporary file as the answer arrives, and delivers only a whole, checked answer: on the "
        "same file system by a new name, else by a copy. The floor writes once, under the final name."
    )
    return topic
