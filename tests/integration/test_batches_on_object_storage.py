"""A batch whose documents and results lie on an S3-compatible server: what a run, a clear, the next run ask of it."""

from __future__ import annotations

import io
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from PIL import Image
from pyarrow import parquet
from werkzeug.serving import WSGIRequestHandler, make_server

from airflow_provider_asposeocr.api.tokens import forget_tokens
from airflow_provider_asposeocr.emulator import EmulatorServer, Fragment
from airflow_provider_asposeocr.operators.batch import AsposeOcrBatchOperator
from tests.unit.task_stubs import MemoryStore

# The clients of S3 are not ours to mend.
pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
DOCUMENTS, CHANGED = 40, 10
FEW = 40
"""Requests that do not grow with the batch: lists, journal, manifest, table. What each folder of results is probed with
by each of sixteen threads at most, too."""


class Shades:
    """Reads the shade of grey of a document in no time."""

    def read(self, image: Image.Image) -> Sequence[Fragment]:
        shade = image.convert("L").getpixel((0, 0))
        return [Fragment(f"Shade {shade}", 0.9, ((5.0, 5.0), (95.0, 5.0), (95.0, 25.0), (5.0, 25.0)))]


def shaded(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (100, 30), shade).save(file, "PNG")
    return file.getvalue()


class Requests:
    """An S3-compatible server that counts the requests of its clients by what they do."""

    def __init__(self) -> None:
        self._served: Counter[str] = Counter()
        application = DomainDispatcherApplication(create_backend_app)

        def counting(environ: dict[str, Any], start_response: Any) -> Any:
            self._served[self._kind_of(environ)] += 1
            return application(environ, start_response)

        self._server = make_server("127.0.0.1", 0, counting, threaded=True, request_handler=_Quiet)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @staticmethod
    def _kind_of(environ: dict[str, Any]) -> str:
        if "HTTP_X_AMZ_COPY_SOURCE" in environ:
            return "COPY"
        is_list = environ["REQUEST_METHOD"] == "GET" and "list-type" in environ["QUERY_STRING"]
        return "LIST" if is_list else str(environ["REQUEST_METHOD"])

    def taken(self) -> Counter[str]:
        """Return what was asked since the last time."""
        served, self._served = self._served, Counter()
        return served

    def __enter__(self) -> Requests:
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        pass


@pytest.fixture
def requests() -> Iterator[Requests]:
    with Requests() as server:
        yield server


@pytest.fixture
def bucket(requests: Requests, define_connection: Callable[..., None]) -> Any:
    """A bucket, and the Airflow connection ``counted_storage`` to it."""
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing-secret"}
    define_connection(
        # Airflow keeps the file systems of a connection for as long as the process lives.
        "counted_storage",
        conn_type="aws",
        login=keys["aws_access_key_id"],
        password=keys["aws_secret_access_key"],
        extra={"endpoint_url": requests.url, "region_name": "us-east-1"},
    )
    service = boto3.resource("s3", endpoint_url=requests.url, region_name="us-east-1", **keys)
    bucket = service.create_bucket(Bucket="scans")
    for number in range(DOCUMENTS):
        bucket.put_object(Key=f"inbox/{number % 3}/{number:03}.png", Body=shaded(number))
    return bucket


@pytest.fixture
def service(define_connection: Callable[..., None]) -> Iterator[EmulatorServer]:
    forget_tokens()
    with EmulatorServer(latency=0, reader=Shades()) as server:
        define_connection(host=server.url, login="id", password="secret")
        yield server


def table(bucket: Any) -> dict[str, str]:
    """The texts of the table, by their documents."""
    content = bucket.Object("texts/results.parquet").get()["Body"].read()
    rows = parquet.read_table(io.BytesIO(content)).to_pylist()
    assert len(rows) == len({row["document"] for row in rows})
    return {row["document"].rpartition("/")[2]: row["text"] for row in rows}


def test_it_asks_for_a_put_a_document_and_a_clear_and_the_next_run_only_for_what_is_changed(
    bucket: Any, service: EmulatorServer, requests: Requests
) -> None:
    store = MemoryStore()

    def run(run_id: str, max_tries: int = 0) -> Any:
        requests.taken()
        ti = SimpleNamespace(max_tries=max_tries, dag_id="dag", task_id="batch", run_id=run_id, map_index=-1)
        return AsposeOcrBatchOperator(
            task_id="batch",
            images="s3://scans/inbox",
            output_path="s3://scans/texts",
            storage_conn_id="counted_storage",
            results="parquet",
            poll_interval=0.05,
            poll_interval_max=0.2,
        ).execute({"ti": ti, "task_state_store": store if run_id == "first" else MemoryStore()})

    def assert_few(asked: Counter[str], read: int) -> None:
        """A document that is read costs one PUT, and nothing is copied or deleted; the table reads each text once."""
        assert asked["PUT"] <= read + FEW
        assert asked["COPY"] == asked["DELETE"] == 0
        # What deletes at S3, many at once; the probes of the folders and the folder of the journal.
        assert asked["POST"] <= FEW
        # Of each document: its head, whether its results are there before and after the bill, the text for the table.
        assert asked["HEAD"] <= 3 * read + DOCUMENTS + FEW
        # S3's file system also looks for a folder of each name that is not there.
        assert asked["LIST"] <= 2 * read + FEW
        assert asked["GET"] <= 2 * read + DOCUMENTS + FEW

    wanted = {f"{number:03}.png": f"Shade {number}" for number in range(DOCUMENTS)}
    assert run("first")["completed"] == DOCUMENTS
    assert_few(requests.taken(), DOCUMENTS)
    assert table(bucket) == wanted

    # A clear of what has succeeded.
    xcom = run("first", max_tries=1)
    assert (xcom["completed"], xcom["skipped"], service.calls().accepted) == (0, DOCUMENTS, DOCUMENTS)
    assert_few(requests.taken(), 0)
    assert table(bucket) == wanted

    for number in range(CHANGED):
        bucket.put_object(Key=f"inbox/{number % 3}/{number:03}.png", Body=shaded(200 + number))
        wanted[f"{number:03}.png"] = f"Shade {200 + number}"
    xcom = run("second")
    assert (xcom["completed"], xcom["skipped"]) == (CHANGED, DOCUMENTS - CHANGED)
    assert_few(requests.taken(), CHANGED)
    assert table(bucket) == wanted
    assert service.calls().accepted == DOCUMENTS + CHANGED

    lines = [json.loads(line) for line in bucket.Object("texts/manifest.jsonl").get()["Body"].read().splitlines()]
    assert len(lines) == DOCUMENTS
    left = {each.key for each in bucket.objects.filter(Prefix="texts/")}
    names = {f"texts/{number % 3}/{number:03}.txt" for number in range(DOCUMENTS)}
    assert left == names | {"texts/manifest.jsonl", "texts/results.parquet"}
