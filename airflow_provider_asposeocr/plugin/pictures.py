"""
The picture of a document, as a browser shows it: as it is where that is small, else drawn smaller.

However large a document is, its picture is small, and no more than two are drawn at once. Nothing is turned: the boxes
are those of the pixels as they were sent.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from airflow_provider_asposeocr.api.images import ImageFacts
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from airflow_provider_asposeocr.extras import module_of_extra
from airflow_provider_asposeocr.plugin.refusals import NotShownError
from airflow_provider_asposeocr.storage.documents import Document
from airflow_provider_asposeocr.storage.previews import thumbnail

SHOWN_BY_BROWSERS = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "SVG": "image/svg+xml",
}
BLOCK = 64 * 1024
_LARGEST_AS_IT_IS = 3 * 1024 * 1024
"""Bytes of a file that is sent as it is."""
_LONGEST_EDGE = 2000
"""Pixels of a picture that was drawn."""
_MOST_PIXELS = 100_000_000
"""Of an image that is drawn at all."""
_MOST_TIFF_PAGES = 1000
"""Of a TIFF: each is looked for from the first one on, past all that were found."""
_LARGEST_PDF = 128 * 1024 * 1024
_drawing = threading.BoundedSemaphore(2)
_pdfium = threading.Lock()
"""PDFium is not made for several threads."""
_admitted = threading.BoundedSemaphore(8)
"""Those that draw, and those that wait for it: the threads are the server's, which has others to answer."""


class Picture(Value, frozen=True):
    """
    A picture for a browser.

    :param media_type: of its content.
    :param content: in blocks.
    """

    UNSAID: ClassVar[tuple[str, ...]] = ("content",)

    media_type: str
    content: Iterator[bytes]


def picture_of(found: Document, facts: ImageFacts, page: int) -> Picture:
    """
    Return the picture of one page of a document.

    :param found: the document.
    :param facts: what its first bytes tell.
    :param page: which page of a PDF or TIFF, from 1.
    :raises NotShownError: where it cannot be drawn here, with what is missing.
    """
    media_type = SHOWN_BY_BROWSERS.get(facts.format)
    longest = max(facts.width or 0, facts.height or 0)
    if media_type and (facts.format == "SVG" or (found.size <= _LARGEST_AS_IT_IS and longest <= _LONGEST_EDGE)):
        return Picture(media_type, _blocks(found))
    if facts.format == "DjVu":
        raise NotShownError("A DjVu file cannot be drawn here.", status=415)
    try:
        drawn = _pdf_page(found, page) if facts.format == "PDF" else _smaller(found, facts, page)
    except _PillowMissingError as missing:
        if media_type:
            return Picture(media_type, _blocks(found))
        raise NotShownError(
            f"A {facts.format} is drawn with Pillow, which the API server does not have: "
            "pip install 'airflow-provider-asposeocr[preview]' there.",
            status=415,
        ) from missing
    return Picture("image/jpeg", iter([drawn]))


class _PillowMissingError(Exception):
    """The extra is not installed."""


def _blocks(found: Document) -> Iterator[bytes]:
    with found.open() as file:
        while block := file.read(BLOCK):
            yield block


def _pillow() -> Any:
    try:
        return module_of_extra("PIL.Image", "preview", "The picture of a document")
    except AsposeOcrInputError as error:
        raise _PillowMissingError from error


def _smaller(found: Document, facts: ImageFacts, page: int) -> bytes:
    pillow = _pillow()
    if (facts.width or 0) * (facts.height or 0) > _MOST_PIXELS:
        raise NotShownError(f"The image of {facts.width} x {facts.height} pixels is too large to be drawn here.")
    with _one_of_few(), found.open() as file, pillow.open(file) as image:
        if facts.format == "TIFF":
            _turn_to(image, page)
        if image.width * image.height > _MOST_PIXELS:
            raise NotShownError(f"The image of {image.width} x {image.height} pixels is too large to be drawn here.")
        # A JPEG is decoded at an eighth, a quarter or half of its size.
        image.draft("RGB" if image.mode not in ("L", "1") else "L", (_LONGEST_EDGE, _LONGEST_EDGE))
        return _jpeg(image, pillow)


def _turn_to(image: Any, page: int) -> None:
    if page > _MOST_TIFF_PAGES:
        raise NotShownError(f"Of a TIFF the first {_MOST_TIFF_PAGES:,} pages are drawn.")
    try:
        image.seek(page - 1)
    except EOFError:
        raise NotShownError(f"The TIFF has no page {page}.") from None


def _pdf_page(found: Document, page: int) -> bytes:
    pillow = _pillow()
    try:
        pdfium = module_of_extra("pypdfium2", "preview", "The picture of a PDF")
    except AsposeOcrInputError as error:
        raise NotShownError(
            "A PDF is drawn with pypdfium2, which the API server does not have: pip install "
            "'airflow-provider-asposeocr[preview]' there. Without it, download the document from its storage.",
            status=415,
        ) from error
    if found.size > _LARGEST_PDF:
        raise NotShownError("The PDF is too large to be drawn here.")
    with _one_of_few(), _pdfium, found.open() as file:
        pdf = pdfium.PdfDocument(file.read(_LARGEST_PDF))
        try:
            if not 1 <= page <= len(pdf):
                raise NotShownError(f"The PDF ends with page {len(pdf)}.")
            sheet = pdf[page - 1]
            return _jpeg(sheet.render(scale=_LONGEST_EDGE / max(sheet.get_size())).to_pil(), pillow)
        finally:
            pdf.close()


def _jpeg(image: Any, pillow: Any) -> bytes:
    image = thumbnail(image, _LONGEST_EDGE, resample=pillow.Resampling.BOX, reducing_gap=2.0)
    if image.mode in ("RGBA", "LA", "PA", "P"):
        # What is transparent lies on white paper.
        image = image.convert("RGBA")
        paper = pillow.new("RGB", image.size, "white")
        paper.paste(image, mask=image.getchannel("A"))
        image = paper
    file = io.BytesIO()
    (image if image.mode in ("L", "RGB") else image.convert("RGB")).save(file, "JPEG", quality=85)
    return file.getvalue()


@contextmanager
def _one_of_few() -> Iterator[None]:
    """Draw, in turn."""
    if not _admitted.acquire(blocking=False):
        raise NotShownError("Many documents are being drawn at the moment: load the page again.", status=503)
    try:
        with _drawing, _said():
            yield
    finally:
        _admitted.release()


@contextmanager
def _said() -> Iterator[None]:
    """Say in a sentence what a drawing library raises."""
    try:
        yield
    except (NotShownError, _PillowMissingError):
        raise
    except Exception as error:
        if isinstance(error.__cause__, NotShownError):
            # What is raised while a document is open comes out as an error of its storage.
            raise error.__cause__ from None
        raise NotShownError(f"The document cannot be drawn ({type(error).__name__}).", status=415) from error
