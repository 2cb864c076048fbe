"""Files for decoded results: in memory while small, on disk when large, gone with their result."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from typing import BinaryIO, cast

SPOOL_SIZE = 256 * 1024
"""Bytes of a decoded result that are kept in memory; a larger one goes to a temporary file."""


class ResultFile(io.RawIOBase):
    """
    Holds one decoded result, and goes with it: a caller who only wants the text has nothing to close.

    A large one waits in the system's folder for temporary files (``TMPDIR``). On the file system of the output it
    becomes the output by a new name, without a copy.
    """

    def __init__(self) -> None:
        super().__init__()
        self._file: BinaryIO = io.BytesIO()
        self._path: Path | None = None

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def writable(self) -> bool:
        """Whether it can be written: yes."""
        return True

    def seekable(self) -> bool:
        """Whether it can seek: yes."""
        return True

    def read(self, size: int = -1) -> bytes:
        """
        Read.

        :param size: bytes at most; all that is left by default.
        """
        return self._file.read(size)

    def write(self, content: bytes) -> int:  # type: ignore[override]
        """
        Write, to disk once it becomes large.

        :param content: what.
        """
        if isinstance(self._file, io.BytesIO) and self._file.tell() + len(content) > SPOOL_SIZE:
            self._go_to_disk(self._file)
        return self._file.write(content)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """
        Seek.

        :param offset: to where.
        :param whence: from where.
        """
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Where it is."""
        return self._file.tell()

    def _go_to_disk(self, held: io.BytesIO) -> None:
        number, name = tempfile.mkstemp(prefix="aspose-ocr-", suffix=".part")
        self._path = Path(name)
        self._file = cast("BinaryIO", os.fdopen(number, "w+b", buffering=0))
        self._file.write(held.getbuffer())

    @property
    def path(self) -> Path | None:
        """Where it lies on disk; ``None`` while it is in memory."""
        return self._path

    def move_to(self, path: str, *, replace: bool = True) -> bool:
        """
        Become the file at a path, if that takes no copy. Readable as before.

        :param path: on this machine.
        :param replace: whether it may take the place of another file.
        :returns: whether that was possible: the result lies on disk, on the file system of the path.
        :raises FileExistsError: there is a file that must not be replaced.
        """
        target = Path(path)
        if self._path is None or self._path.stat().st_dev != target.parent.stat().st_dev:
            return False
        umask = os.umask(0)
        os.umask(umask)
        self._path.chmod(0o666 & ~umask)
        if replace:
            self._path.replace(target)
        else:
            place_new(self._path, target)
        self._path = None
        return True

    def close(self) -> None:
        """Close it, and delete what was not moved."""
        if not self.closed:
            self._file.close()
            if self._path is not None:
                self._path.unlink(missing_ok=True)
        super().close()


def place_new(source: Path, target: Path) -> None:
    """
    Give a file another name on its file system, which no file has: of two that do so at once, one fails.

    :param source: its name.
    :param target: the other one.
    :raises FileExistsError: there is a file of that name.
    """
    try:
        target.hardlink_to(source)
    except FileExistsError:
        raise
    except OSError:
        # A file system without links: take the name first, by an empty file.
        target.touch(exist_ok=False)
        try:
            source.replace(target)
        except BaseException:
            target.unlink()
            raise
    else:
        source.unlink()


def result_file() -> BinaryIO:
    """Return an empty file for one decoded result."""
    return cast("BinaryIO", ResultFile())
