"""
The service, reduced to what costs nothing: a raw HTTP server in a process of its own.

- It takes documents of any size without looking at them, and answers an id.
- Its jobs are completed some seconds after they were submitted; or, those that were not, after so many polls.
- ``result_id(size)`` is the id of a completed job whose result of that many bytes is sent as fast as it is taken.
- ``statistics()`` tells what was asked of it.

``python -m benchmarks.servers`` runs it until its standard input ends.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import math
import random
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import cast

from benchmarks.measuring import ROOT

DURATIONS = ("equal", "humps", "lognormal")
"""How long jobs take: all ``job_seconds``; four of five 1/4.8 of that and one 20/4.8; or with that as their median."""
RESULT_ID_START = "00000000-0000-4000-8000-"
_BLOCK = base64.b64encode(random.Random(4).randbytes(192 * 1024))
_BUFFER = 256 * 1024
_SMALL_RESULT = b'[{"type":"Text","data":"b25lIHdvcmQ="}]'


def result_id(size: int) -> str:
    """
    Return the id of a completed job.

    :param size: of its one result, in bytes.
    """
    return f"{RESULT_ID_START}{size:012x}"


@dataclass(slots=True)
class Statistics:
    """
    What the service was asked.

    :param connections: opened by clients.
    :param tokens: fetched.
    :param submissions: documents taken.
    :param status_calls: questions for a state alone.
    :param result_calls: questions for a state with results.
    :param noticed_after: seconds from the latest submission to the first answer that told of its end.
    """

    connections: int = 0
    tokens: int = 0
    submissions: int = 0
    status_calls: int = 0
    result_calls: int = 0
    noticed_after: float = 0.0

    @property
    def polls(self) -> int:
        """All questions after jobs."""
        return self.status_calls + self.result_calls


class LocalService:
    """
    The server in a process of its own, inside ``with``.

    :param job_seconds: how long a submitted job takes.
    :param polls_per_job: with which poll a job that was not submitted is completed.
    :param latency: seconds by which an answer is late.
    :param durations: one of :data:`DURATIONS`.
    """

    def __init__(
        self, *, job_seconds: float = 0.0, polls_per_job: int = 1, latency: float = 0.0, durations: str = "equal"
    ) -> None:
        self._arguments = [f"--job-seconds={job_seconds}", f"--polls-per-job={polls_per_job}", f"--latency={latency}"]
        self._arguments.append(f"--durations={durations}")
        self.url = ""

    def __enter__(self) -> LocalService:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.servers", *self._arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def statistics(self) -> Statistics:
        """Return what the service was asked so far."""
        return statistics_of(self.url)


def statistics_of(url: str) -> Statistics:
    """
    Return what a service was asked so far.

    :param url: where it is.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{url}/statistics", timeout=10) as answer:
        return Statistics(**json.load(answer))


def job_durations(name: str, job_seconds: float) -> Iterator[float]:
    """
    Yield how long the jobs of a service take, in the order of their submissions, the same each time.

    :param name: one of :data:`DURATIONS`.
    :param job_seconds: see there.
    """
    # With this seed the first one, a warm-up, is short in any case.
    dice = random.Random(10)
    while True:
        if name == "humps":
            yield job_seconds / 4.8 * (1.0 if dice.random() < 0.8 else 20.0)
        elif name == "lognormal":
            yield job_seconds * math.exp(dice.gauss(0, 0.8))
        else:
            yield job_seconds


class _Queue:
    """The jobs."""

    def __init__(self, job_seconds: float, polls_per_job: int, latency: float, durations: str) -> None:
        self.latency = latency
        self.statistics = Statistics()
        self._job_seconds = job_seconds
        self._durations = job_durations(durations, job_seconds)
        self._polls_per_job = polls_per_job
        self._ends: dict[str, float] = {}
        self._polls: dict[str, int] = {}
        self._unnoticed: str | None = None

    def submit(self) -> str:
        self.statistics.submissions += 1
        job = str(uuid.uuid4())
        took = next(self._durations)
        self._ends[job] = time.monotonic() + took
        self._unnoticed = job
        return job

    def is_completed(self, job: str) -> bool:
        if job.startswith(RESULT_ID_START):
            return True
        end = self._ends.get(job)
        if end is not None:
            now = time.monotonic()
            if now >= end and job == self._unnoticed:
                self._unnoticed = None
                self.statistics.noticed_after = now - end + self._job_seconds
            return now >= end
        self._polls[job] = polls = self._polls.get(job, 0) + 1
        return polls >= self._polls_per_job


class _Exchange(asyncio.BufferedProtocol):
    """One connection: reads a request at a time, drops its body, answers."""

    def __init__(self, queue: _Queue) -> None:
        self._queue = queue
        self._buffer = bytearray(64 * 1024)
        self._head = b""
        self._body_left = 0
        self._target = ""
        self._method = ""
        self._counted = False
        self._to_send = 0
        self._suffix = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=4 * _BUFFER)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._body_left:
            self._body_left -= nbytes
        else:
            self._head += self._buffer[:nbytes]
            head, end, early = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            self._head = b""
            self._read_head(head.decode("latin-1"))
            self._body_left -= len(early)
        if self._body_left == 0:
            if self._queue.latency:
                asyncio.get_running_loop().call_later(self._queue.latency, self._answer)
            else:
                self._answer()
        elif len(self._buffer) < _BUFFER:
            # A long body.
            self._buffer = bytearray(_BUFFER)

    def _read_head(self, head: str) -> None:
        first, *lines = head.split("\r\n")
        self._method, self._target, _ = first.split(" ", 2)
        headers = {name.lower(): value for name, _, value in (line.partition(":") for line in lines)}
        self._body_left = int(headers.get("content-length", 0))
        if not self._counted and self._target != "/statistics":
            self._counted = True
            self._queue.statistics.connections += 1

    def _answer(self) -> None:
        statistics = self._queue.statistics
        path, _, query = self._target.partition("?")
        if self._target == "/statistics":
            self._send(json.dumps(asdict(statistics)).encode())
        elif path.endswith("/connect/token"):
            statistics.tokens += 1
            self._send(b'{"access_token":"token-of-the-bench","expires_in":3600,"token_type":"Bearer"}')
        elif self._method == "POST":
            self._send(self._queue.submit().encode(), b"text/plain")
        elif self._method == "DELETE":
            self._send(b"")
        else:
            self._answer_poll(path, query.partition("id=")[2])

    def _answer_poll(self, path: str, job: str) -> None:
        statistics = self._queue.statistics
        is_status = path.lower().endswith("/gettaskstatus")
        if is_status:
            statistics.status_calls += 1
        else:
            statistics.result_calls += 1
        completed = self._queue.is_completed(job)
        start = b'{"id":"%s","taskStatus":"%s","responseStatusCode":"%s","error":null,"results":' % (
            job.encode(),
            b"Completed" if completed else b"Processing",
            b"Ok" if completed else b"NotReady",
        )
        if completed and not is_status and job.startswith(RESULT_ID_START):
            self._stream(start, int(job.removeprefix(RESULT_ID_START), 16))
        else:
            self._send(start + (_SMALL_RESULT if completed and not is_status else b"null") + b"}")

    def _send(self, body: bytes, content_type: bytes = b"application/json") -> None:
        if not self._transport.is_closing():
            self._transport.write(_head(len(body), content_type) + body)

    def _stream(self, start: bytes, size: int) -> None:
        """Send Base64 of a length that decodes to ``size`` bytes."""
        start += b'[{"type":"Pdf","data":"'
        whole, rest = divmod(size, 3)
        self._suffix = base64.b64encode(bytes(rest)) + b'"}]}'
        self._to_send = whole * 4
        self._transport.write(_head(len(start) + self._to_send + len(self._suffix), b"application/json") + start)
        self._paused = False
        self._send_more()

    def _send_more(self) -> None:
        while self._to_send and not self._paused:
            block = _BLOCK if self._to_send >= len(_BLOCK) else _BLOCK[: self._to_send]
            self._to_send -= len(block)
            self._transport.write(block)
        if not self._to_send and self._suffix:
            suffix, self._suffix = self._suffix, b""
            self._transport.write(suffix)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._send_more()


def _head(length: int, content_type: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (content_type, length)


async def _serve(queue: _Queue) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Exchange(queue), "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.read)


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job-seconds", type=float, default=0.0)
    parser.add_argument("--polls-per-job", type=int, default=1)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--durations", choices=sorted(DURATIONS), default="equal")
    arguments = parser.parse_args()
    queue = _Queue(arguments.job_seconds, arguments.polls_per_job, arguments.latency, arguments.durations)
    asyncio.run(_serve(queue))


if __name__ == "__main__":
    main()
