"""Documents of any size, and the ways to send them that belong to nobody: what a user would write in a task."""

from __future__ import annotations

import random
import struct
import zlib
from pathlib import Path

_BLOCK = 1000 * 1000


def write_document(path: Path, size: int, seed: int = 0) -> Path:
    """
    Write a file that begins as a PNG image does, and return its path.

    :param path: where.
    :param size: in bytes.
    :param seed: documents of different seeds differ.
    """
    header = b"IHDR" + struct.pack(">IIBBBBB", 1000, 1400, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    block = random.Random(seed).randbytes(min(size, _BLOCK))
    with path.open("wb") as file:
        file.write(start[:size])
        left = size - len(start)
        while left > 0:
            file.write(block[:left])
            left -= len(block)
    return path
