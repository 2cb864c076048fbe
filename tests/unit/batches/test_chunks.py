"""A folder cut into chunks: each document is in one of them, however the folder is named, and on any storage."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from fsspec.implementations.memory import MemoryFileSystem

try:
    from airflow.sdk.io import attach
except ImportError:  # Airflow 2.11
    from airflow.io.store import attach

from airflow_provider_asposeocr.batches.chunks import chunks
from airflow_provider_asposeocr.batches.listing import listed
from airflow_provider_asposeocr.storage.documents import storage_path

NAMES = [f"{folder}/{number:02}.png" for folder in ("z", "a", "m") for number in range(4)]


@pytest.fixture
def bucket() -> str:
    """The name of a bucket whose folder ``in`` holds documents, reached over the connection ``conn`` or without one."""
    name = uuid.uuid4().hex
    for conn_id in ("conn", None):
        attach("memory", conn_id=conn_id, fs=MemoryFileSystem())
    fill(name, NAMES)
    return name


def fill(bucket: str, names: Sequence[str]) -> None:
    for each in names:
        with ObjectStoragePath(f"memory://{bucket}/in/{each}").open("wb") as file:
            file.write(b"x")


def names_by_chunk(parts: list[dict[str, Any]], conn_id: str | None = None) -> list[list[str]]:
    """The documents of each chunk, after the chunks went through an XCom, by their names below the folder."""
    parts = json.loads(json.dumps(parts))
    return [
        [image.rpartition("/in/")[2] for image in listed(part, conn_id, storage_path("/out")).images] for part in parts
    ]


@pytest.mark.parametrize(
    ("folder", "conn_id"),
    [("memory://{}/in", "conn"), ("memory://conn@{}/in", None), ("memory://{}/in/", "conn"), ("memory://{}/in", None)],
)
def test_a_connection_does_not_shift_the_chunks(bucket: str, folder: str, conn_id: str | None) -> None:
    """Chunks of a storage with a connection are as large as was asked for, and share no document."""
    found = names_by_chunk(chunks(folder.format(bucket), 5, storage_conn_id=conn_id), conn_id)
    assert found == [sorted(NAMES)[:5], sorted(NAMES)[5:10], sorted(NAMES)[10:]]


def test_no_document_is_in_two_chunks(bucket: str) -> None:
    """What is in two would be billed twice."""
    days = ["2023/131.png", "2024/001.png", "2025/015.png"]
    fill(f"{bucket}/days", days)
    assert names_by_chunk(chunks(f"memory://{bucket}/days/in", 1, storage_conn_id="conn"), "conn") == [
        [day] for day in days
    ]


def test_an_object_storage_path_keeps_its_connection(bucket: str) -> None:
    found = names_by_chunk(chunks(ObjectStoragePath(f"memory://conn@{bucket}/in"), 6))
    assert found == [sorted(NAMES)[:6], sorted(NAMES)[6:]]


@pytest.mark.parametrize("spelling", ["{}/in", "{}/in/", "{}/./in", "{}/in/../in", "file://{}/in"])
def test_a_folder_may_be_spelt_in_any_way(tmp_path: Path, spelling: str) -> None:
    for each in NAMES:
        (tmp_path / "in" / each).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / each).write_bytes(b"x")
    found = names_by_chunk(chunks(spelling.format(tmp_path), 5))
    assert found == [sorted(NAMES)[:5], sorted(NAMES)[5:10], sorted(NAMES)[10:]]


def test_one_pattern_may_be_a_text(bucket: str) -> None:
    """As with the operator: a text is one pattern, and not as many as it has letters."""
    parts = chunks(f"memory://{bucket}/in", 2, include="a/*", exclude="*00.png")
    assert [(part["after"], part["until"]) for part in parts] == [(None, "a/02.png"), ("a/02.png", None)]
