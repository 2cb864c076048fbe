"""
The emulator in a process of its own, with one answer for all documents: what is measured is not the reading.

``python -m benchmarks.fixed_emulator`` runs it until its standard input ends.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from PIL import Image

from airflow_provider_asposeocr.emulator import CallReport, EmulatorServer, Fragment
from benchmarks.measuring import ROOT

TEXT = "One line for all."
_CORNERS = ((2.0, 2.0), (62.0, 2.0), (62.0, 14.0), (2.0, 14.0))


class OneLineReader:
    """Finds the same line in every image."""

    def read(self, image: Image.Image) -> Sequence[Fragment]:
        """
        Return the line.

        :param image: is not looked at.
        """
        return [Fragment(TEXT, 0.99, _CORNERS)]


class FixedEmulator:
    """
    The emulator, inside ``with``.

    :param latency: seconds a job takes.
    """

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.url = ""

    def __enter__(self) -> FixedEmulator:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.fixed_emulator", f"--latency={self._latency}"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().decode().strip()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._process:
            self._process.kill()

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    def calls(self) -> CallReport:
        """What it was asked so far."""
        return CallReport.model_validate_json(self._ask("GET", "calls"))

    def set_faults(self, *rules: dict[str, Any]) -> None:
        """
        Let calls go wrong, in no other way than these.

        :param rules: as ``POST /emulator/faults`` takes them.
        """
        self._ask("DELETE", "faults")
        self._ask("POST", "faults", json.dumps(rules).encode())

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/emulator/{path}", body, headers, method=method)
        with self._opener.open(request, timeout=60) as answer:
            return bytes(answer.read())


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.0)
    with EmulatorServer(latency=parser.parse_args().latency, reader=OneLineReader()) as emulator:
        print(emulator.url, flush=True)
        sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
