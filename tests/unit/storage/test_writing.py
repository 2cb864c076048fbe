"""Writing files on any storage: whole or not at all, and in no other's place."""

from __future__ import annotations

import io
import os
import tempfile
import threading
import uuid

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_asposeocr.storage.result_files import SPOOL_SIZE, ResultFile
from airflow_provider_asposeocr.storage.writing import create_file, ensure_writable, write_file
from tests.unit.storage.outputs import QUIET, Breaks, listing

pytestmark = QUIET

SMALL, LARGE = b"as read now", b"as read now" * SPOOL_SIZE


def spooled(content):
    """The decoded result of a job, as the hook brings it: a large one lies on disk."""
    file = ResultFile()
    file.write(content)
    file.seek(0)
    return file


def unnamed(content):
    """As the manifest and the table of a batch are written: a file without a name."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the test closes it
    file.write(content)
    return file


class TestWriting:
    def test_writes_the_whole_from_the_start(self, storage):
        """The whole content is written from its start, and nothing stays beside it."""
        whole = bytes(range(256)) * 5000
        source = io.BytesIO(whole)
        source.seek(100)
        path = ObjectStoragePath(f"{storage}/deep/down/file.bin")
        write_file(source, path)
        assert path.read_bytes() == whole
        assert listing(path.parent) == ["file.bin"]

    def test_replaces(self, storage):
        """A file is replaced as a whole."""
        path = ObjectStoragePath(f"{storage}/file.txt")
        write_file(io.BytesIO(b"first, and longer"), path)
        write_file(io.BytesIO(b"second"), path)
        assert path.read_bytes() == b"second"
        assert listing(storage) == ["file.txt"]

    def test_empty(self, storage):
        """Empty content is an empty file."""
        path = ObjectStoragePath(f"{storage}/file.txt")
        write_file(io.BytesIO(), path)
        assert path.read_bytes() == b""

    def test_leaves_nothing_behind_where_it_breaks(self, storage):
        """Where writing breaks, nothing is left behind."""
        path = ObjectStoragePath(f"{storage}/file.txt")
        with pytest.raises(OSError, match="the disk is gone"):
            write_file(Breaks(b"0123456789"), path)
        assert listing(storage) == []

    def test_keeps_the_old_file_where_it_breaks(self, storage):
        """Where writing breaks, the old file is kept."""
        path = ObjectStoragePath(f"{storage}/file.txt")
        write_file(io.BytesIO(b"old"), path)
        with pytest.raises(OSError, match="the disk is gone"):
            write_file(Breaks(b"0123456789"), path)
        assert (path.read_bytes(), listing(storage)) == (b"old", ["file.txt"])


class TestObjectStorages:
    @pytest.mark.parametrize("content", [SMALL, LARGE, LARGE * 4], ids=["small", "large", "larger"])
    @pytest.mark.parametrize("kind", [io.BytesIO, spooled, unnamed])
    def test_one_put(self, monkeypatch, kind, content):
        """Where a storage shows a file once it is whole, it is put at its place at once, also in another's."""
        path = ObjectStoragePath(f"memory://{uuid.uuid4().hex}/results/file.txt")
        calls = []
        for name in ("pipe_file", "put_file", "cp_file", "rm_file", "mv"):
            monkeypatch.setattr(MemoryFileSystem, name, noting(calls, name, getattr(MemoryFileSystem, name)))
        for _ in range(2):
            with kind(content) as source:
                source.seek(3)
                write_file(source, path)
        assert len(calls) == 2
        assert set(calls) <= {"pipe_file", "put_file"}
        assert (path.read_bytes(), listing(path.parent)) == (content, ["file.txt"])

    def test_storage_that_puts_no_file_in_anothers_place(self, monkeypatch, storage):
        """Where a storage refuses to, the file is written beside it and moved."""
        path = ObjectStoragePath(f"{storage}/file.txt")
        write_file(io.BytesIO(b"old"), path)
        monkeypatch.setattr(MemoryFileSystem, "pipe_file", refuses_to_replace)
        write_file(io.BytesIO(b"new"), path)
        assert (path.read_bytes(), listing(storage)) == (b"new", ["file.txt"])


class TestCreating:
    @pytest.mark.parametrize("content", [SMALL, LARGE], ids=["in memory", "on disk"])
    @pytest.mark.parametrize("kind", [io.BytesIO, spooled])
    def test_new_file(self, storage, kind, content):
        """A new file is written whole, and nothing stays beside it."""
        path = ObjectStoragePath(f"{storage}/deep/file.txt")
        with kind(content) as source:
            create_file(source, path)
        assert (path.read_bytes(), listing(path.parent)) == (content, ["file.txt"])

    @pytest.mark.parametrize("content", [SMALL, LARGE], ids=["in memory", "on disk"])
    @pytest.mark.parametrize("kind", [io.BytesIO, spooled])
    def test_other_file(self, storage, kind, content):
        """A file that is there is kept as it is, and nothing stays beside it."""
        path = ObjectStoragePath(f"{storage}/file.txt")
        write_file(io.BytesIO(b"of another job"), path)
        with kind(content) as source, pytest.raises(FileExistsError):
            create_file(source, path)
        assert (path.read_bytes(), listing(storage)) == (b"of another job", ["file.txt"])

    @pytest.mark.parametrize("content", [SMALL, LARGE], ids=["in memory", "on disk"])
    def test_two_at_once(self, tmp_path, content):
        """Of tasks that create one file at the same time, one does, and the others are told."""
        path = ObjectStoragePath(f"file://{tmp_path}/file.txt")
        ready, outcomes = threading.Barrier(8), []

        def create(number):
            with spooled(content + bytes([number])) as source:
                ready.wait()
                try:
                    create_file(source, path)
                    outcomes.append(number)
                except FileExistsError:
                    outcomes.append(None)

        threads = [threading.Thread(target=create, args=[number]) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (winner,) = [number for number in outcomes if number is not None]
        assert len(outcomes) == 8
        assert (path.read_bytes(), listing(tmp_path)) == (content + bytes([winner]), ["file.txt"])

    def test_file_system_without_links(self, tmp_path, monkeypatch):
        """Where the file system has no links, the name is taken first: nothing is replaced there either."""
        monkeypatch.setattr(os, "link", refuses_links)
        path = ObjectStoragePath(f"file://{tmp_path}/file.txt")
        create_file(io.BytesIO(SMALL), path)
        with pytest.raises(FileExistsError):
            create_file(io.BytesIO(b"of another job"), path)
        assert (path.read_bytes(), listing(tmp_path)) == (SMALL, ["file.txt"])

    def test_breaks(self, storage):
        """Where writing breaks, nothing is left behind."""
        path = ObjectStoragePath(f"{storage}/file.txt")
        with pytest.raises(OSError, match="the disk is gone"):
            create_file(Breaks(b"0123456789"), path)
        assert listing(storage) == []

    @pytest.mark.parametrize("write", [write_file, create_file])
    def test_longest_name(self, tmp_path, write):
        """A name may be as long as the file system lets it be."""
        path = ObjectStoragePath(f"file://{tmp_path}/{'n' * 251}.txt")
        write(io.BytesIO(SMALL), path)
        assert (path.read_bytes(), listing(tmp_path)) == (SMALL, [path.name])

    def test_storage_that_cannot_create(self, moody):
        """On a storage that cannot create exclusively, it is looked for a file once the new one is written."""
        path = moody.path("out/file.txt")
        moody.after_open.append(lambda: moody.put("out/file.txt", b"of another job"))
        with pytest.raises(FileExistsError):
            create_file(io.BytesIO(SMALL), path)
        assert moody.files() == {"out/file.txt": b"of another job"}


class TestEnsuringToWrite:
    def test_folder_is_made(self, storage):
        """A folder that is not there is made, and left empty."""
        ensure_writable(ObjectStoragePath(f"{storage}/new"))
        assert listing(f"{storage}/new") == []

    def test_folder_below_a_file(self, tmp_path):
        """A folder that cannot be made is an error."""
        (tmp_path / "file").write_text("of another")
        with pytest.raises(OSError, match="file"):
            ensure_writable(ObjectStoragePath(f"file://{tmp_path}/file/new"))

    def test_storage_that_takes_nothing(self, moody):
        """A storage that takes no file is an error, and once it does, none."""
        moody.fails["open"] = PermissionError("AccessDenied")
        folder = moody.path(uuid.uuid4().hex)
        with pytest.raises(PermissionError):
            ensure_writable(folder)
        del moody.fails["open"]
        ensure_writable(folder)
        assert moody.files() == {}


def noting(calls, name, call):
    def noted(*arguments, **named):
        calls.append(name)
        return call(*arguments, **named)

    return noted


def refuses_to_replace(*_, **__):
    raise FileExistsError("BlobAlreadyExists")


def refuses_links(*_, **__):
    raise PermissionError("this file system has no links")
