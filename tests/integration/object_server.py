"""An S3-compatible server (moto) as a process of its own: many clients at once would starve a thread of ours."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.integration.process_sessions import kill_session
from tests.integration.running_airflow import free_port

START_TIMEOUT = 60.0
REGION = "us-east-1"
KEY_ID, KEY = "testing", "testing-secret"


class ObjectServerError(RuntimeError):
    """The server did not start; its log says why."""


class ObjectServer:
    """The server on 127.0.0.1 and a free port, from ``__enter__`` to ``__exit__``.

    :param log: the file for what it prints.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self.url = ""

    @property
    def pid(self) -> int:
        """The server, which leads a session of its own."""
        return self._server.pid

    @property
    def connection(self) -> dict[str, Any]:
        """An Airflow connection to it, in its JSON form."""
        extra = {"endpoint_url": self.url, "region_name": REGION}
        return {"conn_type": "aws", "login": KEY_ID, "password": KEY, "extra": extra}

    def bucket(self, name: str) -> Any:
        """A new bucket, as boto3 shows it."""
        import boto3

        keys = {"aws_access_key_id": KEY_ID, "aws_secret_access_key": KEY}
        service = boto3.resource("s3", endpoint_url=self.url, region_name=REGION, **keys)
        return service.create_bucket(Bucket=name)

    def __enter__(self) -> Self:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
                cwd=self._log.parent,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # a line per request
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def _wait_until_ready(self) -> None:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            with contextlib.suppress(OSError), opener.open(f"{self.url}/moto-api/", timeout=5):
                return
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise ObjectServerError(f"The S3-compatible server did not start, see {self._log}")
            time.sleep(0.05)

    def _end(self) -> None:
        kill_session(self._server.pid)
        self._server.wait()
