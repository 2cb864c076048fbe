"""Files of several pages: the pages of a PDF as images, and a DjVu file as a PDF."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airflow_provider_asposeocr.api.formats import DJVU_FORMATS, PDF_FORMATS, format_of
from airflow_provider_asposeocr.emulator.decoding import READ_PIXELS, Sheet
from airflow_provider_asposeocr.emulator.jobs import JobFailedError
from airflow_provider_asposeocr.emulator.tools import tool

MAX_PAGES = 500
"""A PDF of more pages is refused."""
_DPI = 200
_POINTS_PER_INCH = 72
_DJVU_SECONDS = 120
# PDFium must not be used by two threads at once.
_pdfium = threading.Lock()


def pdf_pages(data: bytes) -> Iterator[Sheet]:
    """
    Yield the pages of a PDF, drawn at 200 pixels per inch; one is in memory at a time.

    :param data: the file.
    :raises JobFailedError: where it is no PDF, is locked by a password, or has too many pages.
    """
    if format_of(data[:1024]) not in PDF_FORMATS:
        raise JobFailedError("The file is no PDF. RecognizePdf takes PDF files; RecognizeImage takes images.")
    pdfium = tool("pypdfium2", "pypdfium2", "PDF files")
    with _pdfium:
        try:
            document = pdfium.PdfDocument(data)
            count = len(document)
        except pdfium.PdfiumError as error:
            why = "it is locked by a password" if "password" in str(error).lower() else "it is broken"
            raise JobFailedError(f"The PDF cannot be opened: {why}.") from None
    try:
        if not 0 < count <= MAX_PAGES:
            raise JobFailedError(f"The PDF has {count} pages; the emulator reads 1 to {MAX_PAGES}.")
        for number in range(count):
            yield _pdf_page(pdfium, document, number)
    finally:
        with _pdfium:
            document.close()


def _pdf_page(pdfium: Any, document: Any, number: int) -> Sheet:
    with _pdfium:
        try:
            page = document[number]
            width, height = page.get_size()
            scale = min(_DPI / _POINTS_PER_INCH, (READ_PIXELS / max(1.0, width * height)) ** 0.5)
            image = page.render(scale=scale).to_pil().convert("RGB")
            page.close()
        except pdfium.PdfiumError:
            raise JobFailedError(f"Page {number + 1} of the PDF cannot be drawn.") from None
    return Sheet(image, image.size, dpi=scale * _POINTS_PER_INCH)


def pdf_from_djvu(data: bytes) -> bytes:
    """
    Return a DjVu file as a PDF.

    By ``djvu-rs`` where that is installed, else by Debian's djvulibre.

    :param data: the file.
    :raises JobFailedError: where it is no DjVu file, or neither tool is installed.
    """
    if format_of(data[:1024]) not in DJVU_FORMATS:
        raise JobFailedError("The file is no DjVu file.")
    try:
        djvu = tool("djvu_rs", "djvu-rs", "DjVu files (or Debian's package djvulibre-bin)")
    except JobFailedError:
        if shutil.which("ddjvu") is None:
            raise
        return _by_djvulibre(data)
    try:
        return bytes(djvu.Document.from_bytes(data).to_pdf())
    except djvu.Error as error:
        raise JobFailedError("The DjVu file cannot be read: it is broken.") from error


def _by_djvulibre(data: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.djvu"), Path(folder, "out.pdf")
        source.write_bytes(data)
        try:
            subprocess.run(  # noqa: S603 - no shell, and no name of the client's
                [str(shutil.which("ddjvu")), "-format=pdf", "-quality=85", str(source), str(target)],
                check=True,
                capture_output=True,
                timeout=_DJVU_SECONDS,
            )
        except (subprocess.SubprocessError, OSError):
            raise JobFailedError("The DjVu file cannot be read: it is broken.") from None
        return target.read_bytes()
