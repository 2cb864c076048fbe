"""Names with wildcards in them, folders where a file belongs, and storages that cannot say what is there."""

from __future__ import annotations

import io
import uuid

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_asposeocr.storage.writing import create_file, ensure_writable, write_file
from tests.unit.storage.outputs import JOB, QUIET, content, files_in, give, listing, task

pytestmark = QUIET


@pytest.fixture(params=["file", "memory", "moody"])
def place(request, tmp_path, moody):
    """A place on some storage."""
    return f"file://{tmp_path}" if request.param == "file" else f"{request.param}://{uuid.uuid4().hex}"


@pytest.mark.parametrize("name", ["scans [2024]", "a*b", "{x}"])
def test_wildcards_in_a_name_are_letters_of_it(place, name):
    """Else the result is copied to where nobody looks, or not at all."""
    path = ObjectStoragePath(f"{place}/{name}/{name}.txt")
    ensure_writable(path.parent)
    create_file(io.BytesIO(b"first"), path)
    with pytest.raises(FileExistsError):
        create_file(io.BytesIO(b"of another"), path)
    assert path.read_bytes() == b"first"
    write_file(io.BytesIO(b"second"), path)
    assert path.read_bytes() == b"second"
    assert listing(path.parent) == [f"{name}.txt"]


def test_a_folder_of_the_files_name_is_not_written_into(place):
    """A result that was put into it under a temporary name would be told as delivered, and found by nobody."""
    path = ObjectStoragePath(f"{place}/scan.txt")
    (path / "inside.txt").parent.mkdir(parents=True)
    (path / "inside.txt").write_bytes(b"a file")
    with pytest.raises(OSError, match=r"scan\.txt"):
        write_file(io.BytesIO(b"paid for"), path)
    assert listing(path) == ["inside.txt"]
    assert listing(path.parent) == ["scan.txt"]


def test_beside_a_folder_of_its_name_a_result_is_delivered(place):
    """As beside a file that appeared meanwhile."""
    folder = ObjectStoragePath(f"{place}/page 1.txt")
    folder.mkdir(parents=True)
    (folder / "inside.txt").write_bytes(b"a file")
    xcom = give(task(("Text", "paid for")), files_in(place))
    assert xcom["file"].endswith(f"page 1.{JOB[:8]}.txt")
    assert content(xcom["file"]) == b"paid for"
    assert listing(folder) == ["inside.txt"]


def test_a_storage_that_cannot_say_whether_a_file_is_there_loses_none(moody):
    """Its silence is no leave to replace what another has written."""
    moody.put("out/scan.txt", b"of another")
    moody.fails["info"] = ConnectionError("gone for a moment")
    with pytest.raises(ConnectionError):
        create_file(io.BytesIO(b"paid for"), moody.path("out/scan.txt"))
    assert moody.files()["out/scan.txt"] == b"of another"
