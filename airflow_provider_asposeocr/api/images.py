"""
Which files the service reads, told by their first bytes, before anything is submitted or billed.

Source of the formats: vendor's documentation, "Supported file formats": BMP, JPEG, PNG, single-page TIFF, GIF, SVG.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

import imagesize

from airflow_provider_asposeocr.exceptions import AsposeOcrInputError

HEAD_SIZE = 256 * 1024
"""How much of a file is looked at: a JPEG's size stands behind its metadata."""

_SIGNATURES: tuple[tuple[str, bytes], ...] = (
    ("PNG", b"\x89PNG\r\n\x1a\n"),
    ("JPEG", b"\xff\xd8\xff"),
    ("GIF", b"GIF87a"),
    ("GIF", b"GIF89a"),
    ("BMP", b"BM"),
    ("TIFF", b"II*\x00"),
    ("TIFF", b"MM\x00*"),
    ("PDF", b"%PDF-"),
    ("DjVu", b"AT&TFORM"),
    ("ZIP or an Office document", b"PK\x03\x04"),
    ("WebP", b"RIFF"),
)
# Atomic groups: else a file of many comments is matched in exponentially many ways.
_SVG = re.compile(
    rb"\A(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?"
    rb"(?>(?:<!--.*?-->|<!DOCTYPE[^>\[]*(?:\[[^\]]*\]\s*)?>)\s*)*<svg[\s>]",
    re.DOTALL,
)
_BMP_HEADER_SIZES = (12, 16, 40, 52, 56, 64, 108, 124)
"""Bytes of the headers of all versions. "BM" alone also begins a text about cars."""
IMAGE_FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "GIF", "SVG")


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """
    What the first bytes of a file tell.

    :param format: one of :data:`IMAGE_FORMATS`.
    :param width: in pixels, ``None`` where the header does not tell (a vector image).
    :param height: in pixels, likewise.
    """

    format: str
    width: int | None
    height: int | None


def image_facts(head: bytes, image: str, formats: tuple[str, ...] = IMAGE_FORMATS) -> ImageFacts:
    """
    Return what a file is, or refuse it.

    :param head: its first bytes, up to :data:`HEAD_SIZE`.
    :param image: its path or URI, for the message.
    :param formats: the formats the endpoint takes.
    :raises AsposeOcrInputError: for an empty file and for any other format, whatever the file's name says.
    """
    if not head:
        raise AsposeOcrInputError(f"{image} is empty: there is nothing to recognize. Nothing was sent.", image=image)
    found = _format_of(head)
    if found not in formats:
        what = f"a {found} file" if found else "not an image: its first bytes are of no format the service reads"
        raise AsposeOcrInputError(
            f"{image} is {what}. Aspose.OCR Cloud takes {', '.join(formats)} here. Nothing was sent.", image=image
        )
    width, height = _size_of(head) if found in IMAGE_FORMATS and found != "SVG" else (None, None)
    return ImageFacts(found, width, height)


def _format_of(head: bytes) -> str:
    for name, signature in _SIGNATURES:
        if head.startswith(signature) and (name != "BMP" or int.from_bytes(head[14:18], "little") in _BMP_HEADER_SIZES):
            return name
    return "SVG" if _SVG.match(head[:4096]) else ""


def _size_of(head: bytes) -> tuple[int | None, int | None]:
    """Width and height by the header; unknown where it lies beyond the head or is broken: the service will tell."""
    try:
        width, height = imagesize.get(io.BytesIO(head))
    except Exception:  # noqa: BLE001 - a header this library cannot read is no reason to refuse what the service may read
        return None, None
    return (int(width), int(height)) if width > 0 and height > 0 else (None, None)
