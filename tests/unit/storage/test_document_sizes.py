"""A document is sent whole or not at all, whatever its storage says of its size and whoever writes to it meanwhile."""

from __future__ import annotations

import io
from typing import ClassVar

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError, AsposeOcrStorageError
from airflow_provider_asposeocr.storage.documents import document
from tests.unit.either_hook import sha256
from tests.unit.hooks.faults import ENDPOINT
from tests.unit.raw_server import JOB, answer

# Airflow 2.11 with its universal_pathlib, whatever is done with an ObjectStoragePath.
pytestmark = pytest.mark.filterwarnings("ignore:in a future version of UPath:PendingDeprecationWarning")


class LyingFileSystem(MemoryFileSystem):
    """Holds files in memory, and says of their sizes, and does when they are read, what a test wants."""

    cachable = False
    store: ClassVar = {}
    pseudo_dirs: ClassVar = [""]

    def info(self, path, **kwargs):
        facts = super().info(path, **kwargs)
        return {**facts, "size": self.told(facts["size"])}

    def open(self, path, mode="rb", **kwargs):
        return self.opened(super().open(path, mode, **kwargs))


@pytest.fixture
def storage():
    """A storage that lies as a test wants it to."""
    try:
        from airflow.sdk.io import attach
    except ImportError:
        from airflow.io.store import attach
    # Attached once, by the id of an Airflow connection that nobody looks up.
    storage = attach("memory", conn_id="lying", fs=LyingFileSystem()).fs
    storage.store.clear()
    storage.told = storage.opened = lambda value: value
    return storage


@pytest.fixture
def scan(storage, png):
    """A document there, of several chunks."""
    storage.pipe_file("/bucket/scan.png", png + b"\0" * 100_000)
    return ObjectStoragePath("memory://bucket/scan.png", conn_id="lying")


@pytest.fixture(scope="session")
def shared_emulator(fast_emulator: EmulatorServer) -> EmulatorServer:
    """As of all tests, but it does not need to read."""
    return fast_emulator


LIES = {
    "nothing": lambda size: None,
    "zero": lambda size: 0,
    "below zero": lambda size: -1,
    "the compressed size": lambda size: size // 3,
    "the size of its blocks": lambda size: size + 512,
}


@pytest.mark.parametrize("is_read", [True, False])
@pytest.mark.parametrize("lie", LIES)
def test_a_wrong_size_costs_nothing_but_a_second_reading(sync_hook, emulator, storage, scan, lie, is_read):
    storage.told = LIES[lie]
    submission = sync_hook.prepare(ENDPOINT, scan)
    if is_read:
        _ = submission.document.sha256()
    sync_hook.send(submission)
    assert emulator.calls().accepted_by_image == {sha256(scan.read_bytes()): 1}


@pytest.mark.parametrize("is_read", [True, False])
@pytest.mark.parametrize("more", [b"1", b"2" * 100_000])
@pytest.mark.parametrize("lie", [None, "the compressed size"])
def test_a_document_that_grows_is_never_sent_in_part(sync_hook, emulator, storage, scan, png, more, is_read, lie):
    if lie:
        storage.told = LIES[lie]
    submission = sync_hook.prepare(ENDPOINT, scan)
    if is_read:
        _ = submission.document.sha256()
    storage.pipe_file("/bucket/scan.png", scan.read_bytes() + more)
    if lie and not is_read and len(more) < 3:
        # What nobody has counted nor can know has not changed.
        sync_hook.send(submission)
        assert emulator.calls().accepted_by_image == {sha256(scan.read_bytes()): 1}
        return
    with pytest.raises(AsposeOcrInputError, match=r"became longer .*Nothing was submitted or billed") as caught:
        sync_hook.send(submission)
    assert caught.value.image == str(scan)
    assert emulator.calls().accepted == 0


def test_a_document_that_grows_with_every_reading_is_refused(sync_hook, emulator, storage, scan):
    """Even where its storage goes on telling the same size."""
    content, readings = scan.read_bytes(), iter(range(1, 9))
    submission = sync_hook.prepare(ENDPOINT, scan)
    storage.opened = lambda file: io.BytesIO(content + b"\0" * next(readings))
    with pytest.raises(AsposeOcrInputError, match="became longer"):
        sync_hook.send(submission)
    assert emulator.calls().accepted == 0


def test_a_document_that_shrinks_after_its_digest_was_taken_is_refused(sync_hook, emulator, storage, scan, png):
    storage.told = LIES["zero"]
    submission = sync_hook.prepare(ENDPOINT, scan)
    _ = submission.document.sha256()
    storage.pipe_file("/bucket/scan.png", png)
    with pytest.raises(AsposeOcrInputError, match=r"became shorter .*Nothing was submitted or billed"):
        sync_hook.send(submission)
    assert emulator.calls().accepted == 0


def test_an_empty_document_whose_storage_knows_no_size_is_refused(sync_hook, emulator, storage):
    storage.pipe_file("/bucket/scan.png", b"")
    storage.told = LIES["nothing"]
    with pytest.raises(AsposeOcrInputError, match="is empty"):
        sync_hook.prepare(ENDPOINT, "memory://bucket/scan.png", storage_conn_id="lying")
    assert emulator.calls().total == 0


def test_a_size_is_known_once_the_content_was_read(storage, scan):
    storage.told = LIES["the compressed size"]
    source = document(scan)
    assert source.size < len(scan.read_bytes())
    source.sha256()
    assert source.size == len(scan.read_bytes())


def test_a_wrong_size_is_never_the_length_of_a_whole_request(sync_hook, raw_server, storage, scan):
    """What was begun with a wrong length is broken off: the server is never given a body that ends."""
    storage.told = LIES["the compressed size"]
    whole = []

    def script(received):
        body = received.body()
        whole.append(len(body) == int(received.headers["content-length"]))
        return answer(200, JOB) if whole[-1] else None

    raw_server(script)
    assert sync_hook.submit(ENDPOINT, scan) == JOB
    assert whole == [False, True]


@pytest.mark.parametrize(
    ("fault", "error", "posts"),
    [
        (OSError("the bucket is on strike"), AsposeOcrStorageError, 1),
        (RuntimeError("a client's own"), AsposeOcrStorageError, 1),
        (FileNotFoundError("gone"), AsposeOcrInputError, 1),
        (PermissionError("no more"), AsposeOcrInputError, 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_a_storage_that_fails_in_mid_upload_is_told_as_such(sync_hook, raw_server, storage, scan, fault, error, posts):
    class Breaking(io.RawIOBase):
        def __init__(self, file):
            self.file = file

        def read(self, size=-1):
            chunk = self.file.read(size)
            if self.file.tell() > 60_000:
                raise fault
            return chunk

    submission = sync_hook.prepare(ENDPOINT, scan)
    storage.opened = Breaking

    def script(received):
        received.body()

    server = raw_server(script)
    with pytest.raises(error, match=r"cannot be read.*Nothing was submitted") as caught:
        sync_hook.send(submission)
    assert caught.value.image == str(scan)
    assert "exchange" not in str(caught.value)
    assert len(server.requests) <= posts
