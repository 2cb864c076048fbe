"""A storage that fails as it is told to, with the errors of a vendor's client: none of them is an ``OSError``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import ObjectStoragePath
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem


class ClientError(Exception):
    """As botocore raises it."""


class Moody(MemoryFileSystem):
    """
    A storage in memory; ``fails`` names the calls that fail, and how.

    It is none of those that can create exclusively.
    """

    protocol = "moody"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    cachable = False

    # Of the class, as Airflow and its paths may make several.
    fails: ClassVar[dict[str, BaseException]] = {}
    after_open: ClassVar[list[Callable[[], object]]] = []

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        stripped: str = super()._strip_protocol(path.removeprefix("moody:"))
        return stripped

    def reset(self) -> None:
        """Be empty, and well."""
        self.store.clear()
        self.pseudo_dirs[:] = [""]
        self.fails.clear()
        self.after_open.clear()

    def path(self, name: str) -> ObjectStoragePath:
        """A path in it."""
        return ObjectStoragePath(f"moody://{name}")

    def put(self, name: str, content: bytes) -> None:
        """Let a file appear, whatever fails."""
        self.store[f"/{name}"] = MemoryFile(self, f"/{name}", content)

    def files(self) -> dict[str, bytes]:
        """All files that are there."""
        return {name.strip("/"): file.getvalue() for name, file in self.store.items()}

    def _perhaps_fail(self, call: str) -> None:
        if call in self.fails:
            raise self.fails[call]

    def info(self, path: str, **kwargs: Any) -> Any:
        self._perhaps_fail("info")
        return super().info(path, **kwargs)

    def exists(self, path: str, **kwargs: Any) -> bool:
        self._perhaps_fail("exists")
        # As fsspec has it for all storages that do not know better: whatever fails, there is no file.
        return False if "info" in self.fails else super().exists(path, **kwargs)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        self._perhaps_fail("mkdir")
        super().makedirs(path, exist_ok=exist_ok)

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        self._perhaps_fail("mkdir")
        super().mkdir(path, create_parents=create_parents, **kwargs)

    def mv(self, path1: str, path2: str, **kwargs: Any) -> None:
        self._perhaps_fail("mv")
        super().mv(path1, path2, **kwargs)

    def open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        self._perhaps_fail("open")
        file = super().open(path, mode, **kwargs)
        while self.after_open:
            self.after_open.pop()()
        if "read" in self.fails:
            return Unreadable(file, self.fails["read"])
        return file


class Unreadable:
    """An open file that fails at the first read."""

    def __init__(self, file: Any, error: BaseException) -> None:
        self._file = file
        self._error = error

    def __enter__(self) -> Unreadable:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, size: int = -1) -> bytes:
        raise self._error
