"""What `make bench` compares: the ways of doing one batch, at the same number of jobs at once."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.batches import OURS, SDK, WAYS
from tests.unit.raw_server import RawServer, Received, answer

JOB_SECONDS = 0.3
AT_ONCE = 2


class Jobs:
    """The service's side: when each job ends, and how many there were at once."""

    def __init__(self) -> None:
        self._running: dict[str, float] = {}
        self._lock = threading.Lock()
        self.submitted = 0
        self.most = 0

    def script(self, received: Received) -> bytes:
        received.body()
        with self._lock:
            if received.method == "POST":
                job = str(uuid.uuid4())
                self._running[job] = time.monotonic() + JOB_SECONDS
                self.submitted += 1
                self.most = max(self.most, len(self._running))
                return answer(200, job, content_type="text/plain")
            job = received.target.partition("id=")[2]
            ended = time.monotonic() >= self._running.get(job, 0.0)
            if ended:
                self._running.pop(job, None)
        state = {"taskStatus": "Completed" if ended else "Processing", "responseStatusCode": "Ok", "error": None}
        results = [{"type": "Text", "data": "b25lIHdvcmQ="}] if ended else None
        return answer(200, {"id": job, **state, "results": results}, content_type="application/json")


@pytest.mark.parametrize("way", [OURS, SDK])
def test_all_ways_have_as_many_jobs_at_once(raw_server: Callable[..., RawServer], tmp_path: Path, way: str) -> None:
    """A comparison of more places with fewer would say nothing of either."""
    if way == SDK:
        pytest.importorskip("aspose_ocr_cloud")
    documents = [str(tmp_path / f"{number}.png") for number in range(2 * AT_ONCE)]
    for document in documents:
        Image.new("L", (20, 20), "white").save(document)
    jobs = Jobs()
    WAYS[way](raw_server(jobs.script).url, documents, tmp_path / "results", AT_ONCE)
    assert (jobs.submitted, jobs.most) == (len(documents), AT_ONCE)
