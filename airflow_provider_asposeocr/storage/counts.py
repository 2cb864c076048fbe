"""How much a completed job has brought: counts that may stand where its text must not."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from msgspec.structs import asdict

from airflow_provider_asposeocr.api.endpoints import Endpoint, ResultShape
from airflow_provider_asposeocr.api.formats import IMAGE_FORMATS
from airflow_provider_asposeocr.api.results import OcrTask
from airflow_provider_asposeocr.api.values import Value

_BLOCK = 256 * 1024
_PAGE = re.compile(rb"class=['\"]ocr_page['\"]")
_READ_AS_TEXT = frozenset({ResultShape.ENTRIES, ResultShape.PER_REGION, ResultShape.TABLE})
"""Where a result of type ``Text`` is what stands on the page; elsewhere it is JSON."""


class Counts(Value, frozen=True):
    """
    How much there is. ``None`` stands for what the result does not tell.

    :param pages: of the document: an image is one, of a PDF an hOCR result tells.
    :param regions: that were found, or read.
    :param characters: of recognized text, line breaks among them.
    """

    pages: int | None = None
    regions: int | None = None
    characters: int | None = None

    def known(self) -> dict[str, int]:
        """Return those that are known."""
        return {name: count for name, count in asdict(self).items() if count is not None}


def counts_of(task: OcrTask, endpoint: Endpoint, xcom: Mapping[str, Any]) -> Counts:
    """
    Count what a completed job has brought.

    :param task: the job, with its results.
    :param endpoint: where it was submitted.
    :param xcom: of the job: its regions are read already.
    """
    regions = xcom.get("regions")
    texts = task.of_type("Text") if endpoint.result_shape in _READ_AS_TEXT else []
    hocr = task.of_type("Hocr")
    return Counts(
        pages=(sum(_pages(each.content) for each in hocr) if hocr else None)
        or (1 if endpoint.formats == IMAGE_FORMATS else None),
        regions=len(regions) if isinstance(regions, list) else None,
        characters=sum(_characters(each.content) for each in texts) if texts else None,
    )


def _blocks(content: BinaryIO) -> Iterator[bytes]:
    """Read a result in pieces: it may be larger than the memory."""
    content.seek(0)
    while block := content.read(_BLOCK):
        yield block


def _characters(content: BinaryIO) -> int:
    decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
    return sum(len(decoder.decode(block)) for block in _blocks(content)) + len(decoder.decode(b"", final=True))


def _pages(content: BinaryIO) -> int:
    found, rest = 0, b""
    for block in _blocks(content):
        seen = rest + block
        ends = [match.end() for match in _PAGE.finditer(seen)]
        found += len(ends)
        # One that is cut by the end of a block is found with the next.
        rest = seen[max(ends[-1] if ends else 0, len(seen) - 32) :]
    return found
