"""
Which files the service reads, told by their first bytes, before anything is submitted or billed.

How a format is told, and where the list of them is from, stands in :mod:`airflow_provider_asposeocr.api.formats`.
"""

from __future__ import annotations

import codecs
import io
from typing import BinaryIO

import imagesize
from msgspec.structs import replace

from airflow_provider_asposeocr.api.formats import IMAGE_FORMATS, PDF_FORMATS, TEXT_FORMATS, format_of
from airflow_provider_asposeocr.api.tiff import HEIGHT, WIDTH, exif_of, first_directory, has_further_pages
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError

HEAD_SIZE = 256 * 1024
"""How much of a file is looked at: a JPEG's size stands behind its metadata."""

_SHORTEST_HEAD = 26
"""Bytes up to the end of the size in a BMP, the last of all formats whose size stands at a fixed place."""
_ELSEWHERE = {"PDF": "RecognizePdf takes PDF.", "DjVu": "DjVu2PDF makes a PDF of it, which RecognizePdf takes."}


class ImageFacts(Value, frozen=True):
    """
    What the first bytes of a file tell.

    :param format: one of the formats above.
    :param width: in pixels, ``None`` where the header does not tell (a vector image).
    :param height: in pixels, likewise.
    :param is_turned: whether the file says that the image is to be seen turned by 90 or 270 degrees, which a reader may
        heed or not. Width and height are those of the pixels as they are stored.
    :param holds_more: whether more pages follow the first one, which the service does not read.
    """

    format: str
    width: int | None
    height: int | None
    is_turned: bool = False
    holds_more: bool = False


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
    if formats == TEXT_FORMATS:
        return _text_facts(head, image)
    found = format_of(head)
    if found not in formats:
        what = f"a {found} file" if found else "not an image: its first bytes are of no format the service reads"
        other = _ELSEWHERE.get(found)
        if found in IMAGE_FORMATS and formats == PDF_FORMATS:
            other = "RecognizeImage takes images."
        raise AsposeOcrInputError(
            f"{image} is {what}. Aspose.OCR Cloud takes {', '.join(formats)} here."
            f"{f' {other}' if other else ''} Nothing was sent.",
            image=image,
        )
    width, height = _size_of(head) if found in IMAGE_FORMATS and found != "SVG" else (None, None)
    exif = exif_of(head) if found == "JPEG" else None
    return ImageFacts(found, width, height, is_turned=exif is not None and exif.is_turned)


def with_directory(facts: ImageFacts, file: BinaryIO) -> ImageFacts:
    """
    Add what the directory of a TIFF tells, which may stand anywhere in the file.

    Source: "Supported file formats", docs.aspose.cloud/ocr/supported-file-formats/: single-page TIFF.

    :param facts: what the first bytes tell.
    :param file: the whole file, seekable.
    """
    directory = first_directory(file) if facts.format == "TIFF" else None
    if directory is None:
        return facts
    return replace(
        facts,
        width=directory.values.get(WIDTH) or facts.width,
        height=directory.values.get(HEIGHT) or facts.height,
        is_turned=directory.is_turned,
        holds_more=has_further_pages(file),
    )


def _text_facts(head: bytes, name: str) -> ImageFacts:
    try:
        # A character may be cut at the end of the head.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        raise AsposeOcrInputError(f"{name} is not UTF-8 text. Nothing was sent.", image=name) from None
    if not text.strip():
        raise AsposeOcrInputError(f"{name} is blank: there is nothing to speak. Nothing was sent.", image=name)
    return ImageFacts(TEXT_FORMATS[0], None, None)


def _size_of(head: bytes) -> tuple[int | None, int | None]:
    """Width and height by the header; unknown where it lies beyond the head or is broken: the service will tell."""
    if len(head) < _SHORTEST_HEAD:
        # The library takes a PNG that ends before its size for one of an older version, and reads the wrong bytes.
        return None, None
    try:
        width, height = imagesize.get(io.BytesIO(head))
    except Exception:  # noqa: BLE001 - a header this library cannot read is no reason to refuse what the service may read
        return None, None
    return (int(width), int(height)) if width > 0 and height > 0 else (None, None)
