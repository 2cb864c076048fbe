"""
What the directories of a TIFF tell of its images. EXIF, in which a camera says how it was held, has the same form.

Source: TIFF, Revision 6.0: a file begins with the place of its first directory, each directory ends with that of the
next one. Anything else than that is no reason to refuse a file: then nothing is known.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import BinaryIO, Literal

from airflow_provider_asposeocr.api.values import Value

SUBFILE, WIDTH, HEIGHT, ORIENTATION = 0xFE, 0x100, 0x101, 0x112
_NO_PAGE = 0b101
"""Bits of the type of a further image that is a smaller version of another one, or a mask."""
_DIRECTORIES_LOOKED_AT = 8
_TURNED = (5, 6, 7, 8)
"""Orientations of an image that stands on its side: left and right edge of what is seen are not those of the pixels."""
_SHORT, _LONG = 3, 4
_ENTRY = 12
_METADATA = tuple(bytes([marker]) for marker in range(0xE0, 0xF0))


class Directory(Value, frozen=True):
    """
    One directory of a TIFF: what is known of one image.

    :param values: of the tags that have one whole number.
    :param next: the place of the next directory in the file; 0 behind the last one.
    """

    values: Mapping[int, int]
    next: int

    @property
    def is_turned(self) -> bool:
        """Whether the image is to be seen turned by 90 or 270 degrees."""
        return self.values.get(ORIENTATION) in _TURNED


def first_directory(file: BinaryIO) -> Directory | None:
    """
    Return the first directory of a TIFF; ``None`` where there is none to be read.

    :param file: seekable; it may be cut short.
    """
    file.seek(0)
    head = file.read(8)
    order = _order(head)
    return _directory(file, int.from_bytes(head[4:], order), order) if order and len(head) == 8 else None


def has_further_pages(file: BinaryIO) -> bool:
    """
    Whether a TIFF holds more than one page. A smaller version of a page, or a mask, is none.

    :param file: seekable; what cannot be read of it counts as a page.
    """
    file.seek(0)
    order, found = _order(file.read(8)), first_directory(file)
    for _ in range(_DIRECTORIES_LOOKED_AT):
        if order is None or found is None or not found.next:
            return False
        found = _directory(file, found.next, order)
        if found is None or not found.values.get(SUBFILE, 0) & _NO_PAGE:
            return True
    return True


def _order(head: bytes) -> Literal["little", "big"] | None:
    return "little" if head.startswith(b"II*\0") else "big" if head.startswith(b"MM\0*") else None


def _directory(file: BinaryIO, place: int, order: Literal["little", "big"]) -> Directory | None:
    file.seek(place)
    count = int.from_bytes(file.read(2), order)
    table = file.read(_ENTRY * count + 4)
    if not count or len(table) < _ENTRY * count + 4:
        return None
    values = {}
    for at in range(0, _ENTRY * count, _ENTRY):
        tag, kind = int.from_bytes(table[at : at + 2], order), int.from_bytes(table[at + 2 : at + 4], order)
        if kind in (_SHORT, _LONG) and int.from_bytes(table[at + 4 : at + 8], order) == 1:
            values[tag] = int.from_bytes(table[at + 8 : at + (10 if kind == _SHORT else 12)], order)
    return Directory(values, next=int.from_bytes(table[-4:], order))


def exif_of(head: bytes) -> Directory | None:
    """
    Return the EXIF directory of a JPEG; ``None`` where there is none to be read.

    :param head: the first bytes of the JPEG.
    """
    at = 2
    # Segments of metadata: a marker, and a length that counts itself. Those of the image itself come behind.
    while head[at : at + 1] == b"\xff" and head[at + 1 : at + 2] in _METADATA:
        length = int.from_bytes(head[at + 2 : at + 4], "big")
        if head[at + 4 : at + 10] == b"Exif\0\0":
            return first_directory(io.BytesIO(head[at + 10 : at + 2 + length]))
        at += 2 + length
    return None
