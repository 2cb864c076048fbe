"""Memory and CPU of submitting a document: ours, what a user would do today, and the floor."""

from __future__ import annotations

import base64
import json
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pybase64

from benchmarks import vendor
from benchmarks.documents import write_document
from benchmarks.measuring import MB, cost_of, in_fresh_process
from benchmarks.report import Goal, Table, Topic, number
from benchmarks.servers import LocalService

CHUNK = 48 * 1024
MAX_PEAK_MIB = 2.0
MAX_CPU_OVER_FLOOR = 1.3
LARGE = 200
"""MB. The size that the goals for CPU are about."""
_SETTINGS = {"language": "English", "resultType": "Text"}

OURS, FLOOR = "ours: AsposeOcrHook.submit", "floor: read, pybase64, send"
SDK, HTTP_OPERATOR = "vendor's SDK", "HttpOperator, payload in `data`"


def with_sdk(url: str) -> Callable[[str], object]:
    """The vendor's SDK."""
    return lambda document: vendor.submit(url, document)


def with_requests(url: str) -> Callable[[str], object]:
    """``requests.post(json=)``."""
    import requests

    session = requests.Session()

    def upload(document: str) -> object:
        image = base64.b64encode(Path(document).read_bytes()).decode()
        return session.post(f"{url}/v5.0/ocr/RecognizeImage", json={"image": image, "settings": _SETTINGS}, timeout=600)

    return upload


def with_http_operator(url: str) -> Callable[[str], object]:
    """The fields of an ``HttpOperator``, rendered by Airflow, and then what its hook does: ``requests``."""
    import requests
    from airflow.providers.http.operators.http import HttpOperator

    session = requests.Session()

    def upload(document: str) -> object:
        image = base64.b64encode(Path(document).read_bytes()).decode()
        operator = HttpOperator(
            task_id="submit",
            endpoint="v5.0/ocr/RecognizeImage",
            data=json.dumps({"image": image, "settings": _SETTINGS}),
            headers={"Content-Type": "application/json"},
        )
        operator.render_template_fields({})
        return session.post(
            f"{url}/{operator.endpoint}", data=operator.data.encode(), headers=operator.headers, timeout=600
        )

    return upload


def with_hook(_url: str) -> Callable[[str], object]:
    """Our hook."""
    from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrHook

    hook = AsposeOcrHook()
    return lambda document: hook.submit("RecognizeImage", document, _SETTINGS)


def with_digest(_url: str) -> Callable[[str], object]:
    """Our operator's way: the document is read once more for a digest, by which a retry knows it again."""
    from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrHook

    hook = AsposeOcrHook()

    def upload(document: str) -> object:
        submission = hook.prepare("RecognizeImage", document, _SETTINGS)
        return submission.document.sha256(), hook.send(submission)

    return upload


class _Socket:
    """A connection that stays open, with the least that HTTP needs."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port or 80))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.send = self._socket.sendall

    def begin(self, length: int) -> None:
        self.send(b"POST /v5.0/ocr/RecognizeImage HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n" % length)

    def end(self) -> None:
        assert self._socket.recv(4096).startswith(b"HTTP/1.1 200")


def floor(url: str) -> Callable[[str], object]:
    """Read, encode, send: nothing else."""
    connection = _Socket(url)

    def upload(document: str) -> None:
        prefix, suffix = b'{"image":"', b'","settings":' + json.dumps(_SETTINGS).encode() + b"}"
        connection.begin(len(prefix) + (Path(document).stat().st_size + 2) // 3 * 4 + len(suffix))
        connection.send(prefix)
        with Path(document).open("rb") as file:
            while chunk := file.read(CHUNK):
                connection.send(pybase64.b64encode(chunk))
        connection.send(suffix)
        connection.end()

    return upload


def base64_alone(_url: str) -> Callable[[str], object]:
    """Encode the same chunk again and again."""
    chunk = bytes(CHUNK)

    def encode(document: str) -> None:
        for _ in range(-(-Path(document).stat().st_size // CHUNK)):
            pybase64.b64encode(chunk)

    return encode


def sending_alone(url: str) -> Callable[[str], object]:
    """Send the same chunk again and again, as many bytes as the Base64 has."""
    connection = _Socket(url)
    chunk = bytes(CHUNK // 3 * 4)

    def send(document: str) -> None:
        count = -(-Path(document).stat().st_size // CHUNK)
        connection.begin(count * len(chunk))
        for _ in range(count):
            connection.send(chunk)
        connection.end()

    return send


WAYS: dict[str, Callable[[str], Callable[[str], object]]] = {
    SDK: with_sdk,
    "requests.post(json=)": with_requests,
    HTTP_OPERATOR: with_http_operator,
    OURS: with_hook,
    "ours, with the operator's digest": with_digest,
    FLOOR: floor,
    "pybase64 alone": base64_alone,
    "sending over loopback alone": sending_alone,
}


def measure(url: str, way: str, document: str, small_document: str, runs: int) -> dict[str, float]:
    """
    Measure one way, in this process.

    :param url: of the service.
    :param way: a name of :data:`WAYS`.
    :param document: its path.
    :param small_document: for the warm-up.
    :param runs: how often.
    """
    upload = WAYS[way](url)
    return cost_of(lambda: upload(document), lambda: upload(small_document), runs)


def run(quick: bool) -> Topic:
    """
    Measure all ways and sizes.

    :param quick: leave out the largest size.
    """
    sizes = (1, 20) if quick else (1, 20, LARGE)
    costs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory(prefix="aspose-ocr-bench-") as folder, LocalService() as service:
        small = str(write_document(Path(folder) / "small.png", 100_000))
        for size in sizes:
            document = write_document(Path(folder) / f"{size}.png", size * MB)
            for way, so_far in costs.items():
                cost = in_fresh_process(
                    measure,
                    service_url=service.url,
                    url=service.url,
                    way=way,
                    document=str(document),
                    small_document=small,
                    runs=3 if quick or way == HTTP_OPERATOR else 5,
                )
                so_far.append(cost)
            document.unlink()
    return cost_topic("Uploads", "upload", sizes, costs, (OURS, FLOOR, SDK), MAX_CPU_OVER_FLOOR)


def cost_topic(
    title: str,
    what: str,
    sizes: tuple[int, ...],
    costs: dict[str, list[dict[str, float]]],
    ours_floor_peer: tuple[str, str, str],
    cpu_goal: float,
) -> Topic:
    """
    Compare costs with their goals.

    :param title: of the topic.
    :param what: was done.
    :param sizes: in MB.
    :param costs: by way, one per size.
    :param ours_floor_peer: the names of three ways.
    :param cpu_goal: how many times the floor's CPU ours may cost at the largest size.
    """
    ours, floor_way, peer = (costs[way] for way in ours_floor_peer)
    peak = max(cost["peak_mib"] for cost in ours)
    ratio = ours[-1]["cpu_s"] / floor_way[-1]["cpu_s"]
    peer_ratio = peer[-1]["cpu_s"] / floor_way[-1]["cpu_s"]
    largest = f"{sizes[-1]} MB {what}"
    goals = [
        Goal(
            f"peak memory of any {what}",
            f"<= {MAX_PEAK_MIB:g} MiB",
            f"{number(peak)} MiB",
            f"SDK {number(peer[-1]['peak_mib'])} MiB at {sizes[-1]} MB",
            peak <= MAX_PEAK_MIB,
        ),
        Goal(
            f"CPU of a {largest}",
            f"<= {cpu_goal:g} x the floor ({number(floor_way[-1]['cpu_s'])} s)",
            f"{ratio:.2f} x",
            f"SDK {number(peer_ratio)} x",
            # Small files are dearer by what each call costs: the goal is not about them.
            ratio <= cpu_goal if sizes[-1] == LARGE else None,
        ),
    ]
    table = Table(
        f"{title}: peak MiB over the warm process / CPU s",
        ("way", *(f"{size} MB" for size in sizes)),
        [
            (way, *(f"{number(cost['peak_mib'])} / {number(cost['cpu_s'])}" for cost in by_size))
            for way, by_size in costs.items()
        ],
    )
    return Topic(title, goals, [table])
