"""
The kinds of files that the service takes, told by their first bytes.

The emulator shares this, and Airflow is not loaded with it; what is said to a user stands in
:mod:`airflow_provider_asposeocr.api.images`. Source: "Supported file formats",
docs.aspose.cloud/ocr/supported-file-formats/: BMP, JPEG, PNG, single-page TIFF, GIF, SVG; PDF and DjVu where an
endpoint is made for them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

IMAGE_FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "GIF", "SVG")
PDF_FORMATS = ("PDF",)
DJVU_FORMATS = ("DjVu",)
TEXT_FORMATS = ("text",)
"""What is spoken: any UTF-8 text that is not blank."""

FILE_SUFFIXES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "BMP": (".bmp",),
        "JPEG": (".jpg", ".jpeg"),
        "PNG": (".png",),
        "TIFF": (".tif", ".tiff"),
        "GIF": (".gif",),
        "SVG": (".svg",),
        "PDF": (".pdf",),
        "DjVu": (".djvu", ".djv"),
        "text": (".txt",),
    }
)
"""How the names of files end, by format: what of a folder is a document for an endpoint, before one is opened."""

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


def format_of(head: bytes) -> str:
    """
    Return the name of a file's format, or nothing where it is none that is known.

    :param head: its first bytes.
    """
    for name, signature in _SIGNATURES:
        if head.startswith(signature) and (name != "BMP" or int.from_bytes(head[14:18], "little") in _BMP_HEADER_SIZES):
            return name
    return "SVG" if _SVG.match(head[:4096]) else ""
