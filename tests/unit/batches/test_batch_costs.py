"""What a deferred batch lists, reads and writes of its own: it does not grow with the batch, however often it wakes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from airflow_provider_asposeocr.api.tokens import forget_tokens
from airflow_provider_asposeocr.emulator import EmulatorServer
from tests.unit.batches.batch_stubs import DEFERRED, StrictStore, batch, deferred_by, task_instance, to_the_end
from tests.unit.either_hook import OneLineReader
from tests.unit.storage.outputs import QUIET
from tests.unit.storage.storages import Moody
from tests.unit.task_stubs import Clock

pytestmark = QUIET
FEW, MANY, AT_ONCE = 16, 64, 8
ITS_OWN = (".jsonl", ".json")


class Counted:
    """An open file whose bytes are counted."""

    def __init__(self, file: Any, counts: Counter[str]) -> None:
        self._file = file
        self._counts = counts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Counted:
        self._file.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._file.__exit__(*error)

    def read(self, size: int = -1) -> bytes:
        content: bytes = self._file.read(size)
        self._counts["read"] += len(content)
        return content

    def write(self, content: bytes) -> int:
        self._counts["written"] += len(content)
        written: int = self._file.write(content)
        return written


class CountingStore(StrictStore):
    """Counts the bytes that go each way."""

    def __init__(self, counts: Counter[str]) -> None:
        super().__init__()
        self._counts = counts

    def get(self, key: str, default: Any = None) -> Any:
        found = super().get(key, default)
        self._counts["read"] += len(json.dumps(found))
        return found

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        self._counts["written"] += len(json.dumps(value))
        super().set(key, value, retention=retention)


@pytest.fixture
def service(define_connection: Callable[..., None], clock: Clock) -> Iterator[EmulatorServer]:
    """An emulator that does not need to read, whose jobs take a minute of a clock that stands still."""
    forget_tokens()
    with EmulatorServer(latency=60, clock=clock, reader=OneLineReader()) as server:
        define_connection(host=server.url, login="id", password="secret")
        yield server


@pytest.fixture
def counts(moody: Moody, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What was listed of the input, and read and written of what is neither a document nor a result."""
    counts: Counter[str] = Counter()
    open_file, ls = Moody.open, Moody.ls

    def opened(storage: Moody, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        counts["written"] += len(kwargs.get("data") or b"")
        file = open_file(storage, path, mode, **kwargs)
        return Counted(file, counts) if path.endswith(ITS_OWN) else file

    def listed(storage: Moody, path: str, detail: bool = True, **kwargs: Any) -> Any:
        counts["listed"] += path.strip("/").endswith("/in")
        return ls(storage, path, detail=detail, **kwargs)

    monkeypatch.setattr(Moody, "open", opened)
    monkeypatch.setattr(Moody, "ls", listed)
    return counts


@pytest.fixture
def costs(
    service: EmulatorServer, clock: Clock, moody: Moody, counts: Counter[str], tmp_path: Path
) -> Callable[[int], Counter[str]]:
    """Returns what a batch of so many documents costs that is deferred whenever there is nothing to do."""
    Image.new("L", (20, 20), "white").save(tmp_path / "one.png")
    image = (tmp_path / "one.png").read_bytes()

    def costs_of(documents: int) -> Counter[str]:
        for number in range(documents):
            moody.put(f"{documents}/in/{number:03}.png", image + bytes(number))
        counts.clear()
        context = {"ti": task_instance(run_id=str(documents)), "task_state_store": CountingStore(counts)}

        def made() -> Any:
            output = f"moody://{documents}/out"
            return batch(f"moody://{documents}/in", Path(), output_path=output, max_concurrency=AT_ONCE, **DEFERRED)

        xcom = to_the_end(made, context, deferred_by(made(), context), clock)
        assert xcom["completed"] == documents
        return counts.copy()

    return costs_of


def test_it_lists_once_and_its_bytes_grow_as_its_documents(costs: Callable[[int], Counter[str]]) -> None:
    few, many = costs(FEW), costs(MANY)
    assert many["listed"] == few["listed"]
    for way in ("read", "written"):
        # A wake reads a block of the list, and of a short list all that follows: what grew with the batch would be 4.
        assert many[way] / MANY <= 2 * few[way] / FEW
