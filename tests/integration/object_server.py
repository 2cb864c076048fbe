"""An S3-compatible server (moto) as a process of its own: many clients at once would starve a thread of ours."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from tests.integration.running_airflow import free_port
from tests.integration.temporary_server import TemporaryServer

REGION = "us-east-1"
KEY_ID, KEY = "testing", "testing-secret"


class ObjectServerError(RuntimeError):
    """The server did not start; its log says why."""


class ObjectServer(TemporaryServer):
    """The server on 127.0.0.1 and a free port, from ``__enter__`` to ``__exit__``.

    :param log: the file for what it prints.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self.url = ""

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

    def _start(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        # A line per request is no news.
        self._spawn(command, self._log, stdout=subprocess.DEVNULL, cwd=self._log.parent)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

        def answers() -> bool:
            with contextlib.suppress(OSError), opener.open(f"{self.url}/moto-api/", timeout=5):
                return True
            return False

        self._wait_until(answers, lambda: ObjectServerError(f"The S3-compatible server did not start, see {self._log}"))
