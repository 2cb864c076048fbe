"""Documents from, and results to, an S3-compatible server: single operator and batch, over Airflow's own connection."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from moto.server import ThreadedMotoServer

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from airflow_provider_asposeocr.operators.aspose_ocr import AsposeOcrRecognizeImageOperator
from airflow_provider_asposeocr.operators.batch import AsposeOcrBatchOperator
from airflow_provider_asposeocr.storage.documents import storage_path
from airflow_provider_asposeocr.storage.writing import create_file

# The clients of S3 are not ours to mend.
pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
# With the connection in it, as ObjectStoragePath writes it: a later task opens it as it is.
OUTBOX = "s3://storage@scans/outbox"
QUICK: dict[str, Any] = {"poll_interval": 0.05, "poll_interval_max": 0.2}


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(
    s3_url: str, define_connection: Callable[..., None], scans: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """A bucket with the letters in it, and the Airflow connection ``storage`` to it."""
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing-secret"}
    define_connection(
        "storage",
        conn_type="aws",
        login=keys["aws_access_key_id"],
        password=keys["aws_secret_access_key"],
        extra={"endpoint_url": s3_url, "region_name": "us-east-1"},
    )
    bucket = boto3.resource("s3", endpoint_url=s3_url, region_name="us-east-1", **keys).create_bucket(Bucket="scans")
    for letter in (scans / "letters").iterdir():
        bucket.upload_file(str(letter), f"inbox/{letter.name}")
    yield bucket
    bucket.objects.all().delete()


@pytest.fixture
def context() -> dict[str, Any]:
    return {"ti": SimpleNamespace(max_tries=0, dag_id="dag", task_id="task", run_id="run", map_index=-1)}


def text_of(bucket: Any, key: str) -> str:
    content: bytes = bucket.Object(key).get()["Body"].read()
    return content.decode()


def expected(scans: Path, name: str) -> str:
    return (scans / "expected" / "letters" / f"{name}.txt").read_text().strip()


def test_one_document(connection: str, emulator: EmulatorServer, bucket: Any, context: Any, scans: Path) -> None:
    """A document on S3 is read, and its results are put beside each other on S3."""
    xcom = AsposeOcrRecognizeImageOperator(
        task_id="recognize",
        image="s3://scans/inbox/01-apples.jpg",
        output_path="s3://scans/outbox/",
        storage_conn_id="storage",
        settings={"result_type": "TextAndPdf"},
        **QUICK,
    ).execute(context)
    assert [entry["file"] for entry in xcom["results"]] == [
        f"{OUTBOX}/01-apples.txt",
        f"{OUTBOX}/01-apples.pdf",
    ]
    assert text_of(bucket, "outbox/01-apples.txt") == expected(scans, "01-apples")
    assert bucket.Object("outbox/01-apples.pdf").get()["Body"].read(5) == b"%PDF-"
    assert ObjectStoragePath(xcom["results"][0]["file"]).read_text() == xcom["text"]
    assert sorted(each.key for each in bucket.objects.filter(Prefix="outbox/")) == [
        "outbox/01-apples.pdf",
        "outbox/01-apples.txt",
    ]


def test_existing_result_is_not_replaced(connection: str, emulator: EmulatorServer, bucket: Any, context: Any) -> None:
    bucket.put_object(Key="outbox/01-apples.txt", Body=b"precious")
    with pytest.raises(AsposeOcrInputError, match="overwrite=True"):
        AsposeOcrRecognizeImageOperator(
            task_id="recognize",
            image="s3://scans/inbox/01-apples.jpg",
            output_path="s3://scans/outbox/",
            storage_conn_id="storage",
        ).execute(context)
    assert emulator.calls().total == 0
    assert text_of(bucket, "outbox/01-apples.txt") == "precious"


def test_missing_bucket(connection: str, emulator: EmulatorServer, bucket: Any, context: Any) -> None:
    """A bucket that is not there is found before anything is sent, and not made."""
    with pytest.raises(AsposeOcrInputError, match="Nothing was sent"):
        AsposeOcrRecognizeImageOperator(
            task_id="recognize",
            image="s3://scans/inbox/01-apples.jpg",
            output_path="s3://misspelt/outbox/",
            storage_conn_id="storage",
        ).execute(context)
    assert emulator.calls().total == 0
    assert [each["Name"] for each in bucket.meta.client.list_buckets()["Buckets"]] == ["scans"]


def test_file_that_appears_at_the_last_moment(bucket: Any) -> None:
    """Of files of one name that are written at the same time, one is there in the end, and the others are told."""
    path = storage_path("s3://scans/outbox/letter.txt", "storage")
    ready, outcomes = threading.Barrier(4), []

    def create(number: int) -> None:
        ready.wait()
        try:
            create_file(io.BytesIO(b"%d" % number), path)
            outcomes.append(b"%d" % number)
        except FileExistsError:
            outcomes.append(b"")

    threads = [threading.Thread(target=create, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes)[:3] == [b""] * 3
    assert text_of(bucket, "outbox/letter.txt").encode() == max(outcomes)


def test_missing_document(connection: str, emulator: EmulatorServer, bucket: Any, context: Any) -> None:
    """A document that is not in the bucket is refused without a call."""
    with pytest.raises(AsposeOcrInputError, match=r"There is no file s3://scans/inbox/none\.jpg"):
        AsposeOcrRecognizeImageOperator(
            task_id="recognize", image="s3://scans/inbox/none.jpg", storage_conn_id="storage"
        ).execute(context)
    assert emulator.calls().total == 0


@pytest.mark.parametrize("images", ["s3://scans/inbox", "s3://scans/inbox/*.jpg"])
def test_batch(connection: str, emulator: EmulatorServer, bucket: Any, context: Any, scans: Path, images: str) -> None:
    """A batch reads a folder or a glob of a bucket, and writes its manifest there."""
    xcom = AsposeOcrBatchOperator(
        task_id="batch", images=images, output_path="s3://scans/outbox", storage_conn_id="storage", **QUICK
    ).execute(context)
    assert (xcom["completed"], xcom["failed"], xcom["manifest"]) == (4, 0, f"{OUTBOX}/manifest.jsonl")
    for line in text_of(bucket, "outbox/manifest.jsonl").splitlines():
        document = json.loads(line)
        name = Path(document["image"]).stem
        assert document["files"] == [f"{OUTBOX}/{name}.txt"]
        assert text_of(bucket, f"outbox/{name}.txt") == expected(scans, name)
    assert emulator.calls().accepted == 4
