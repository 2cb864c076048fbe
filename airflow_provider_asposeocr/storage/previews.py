"""
Pictures of what was read: the page, scaled down, with a numbered box around each region or block.

Everything here comes after the bill: what a picture needs is asked for before it, and what breaks while it is drawn
costs the picture alone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, BinaryIO

from msgspec.structs import replace

from airflow_provider_asposeocr.api.endpoints import Endpoint, ResultShape
from airflow_provider_asposeocr.api.formats import PDF_FORMATS
from airflow_provider_asposeocr.api.hocr import pages_from_hocr
from airflow_provider_asposeocr.api.results import OcrTask
from airflow_provider_asposeocr.api.settings import Settings
from airflow_provider_asposeocr.api.typed_results import blocks_from_json
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from airflow_provider_asposeocr.extras import module_of_extra
from airflow_provider_asposeocr.storage.documents import Document
from airflow_provider_asposeocr.storage.failures import NOTHING_SENT
from airflow_provider_asposeocr.storage.outputs import OutputFiles
from airflow_provider_asposeocr.storage.result_files import result_file
from airflow_provider_asposeocr.storage.results import put
from airflow_provider_asposeocr.storage.writing import write_file

log = logging.getLogger(__name__)

EXTENSION = ".preview.png"
LONGEST_EDGE = 1600
"""Pixels of a picture's longer edge, at most."""
MOST_PIXELS = 50_000_000
"""Of an image that is decoded whole to be scaled down: about 150 MB. JPEG is scaled down as it is decoded."""
LARGEST_MARKUP = 64 * 1024 * 1024
"""Bytes of hOCR or JSON that are read for their places, at most."""
_COLOURS = ("#d62728", "#1f77b4", "#2ca02c", "#9467bd", "#e0670b", "#8c564b")

Rectangle = Sequence[float]


def preview_files(files: OutputFiles) -> OutputFiles:
    """
    Return where the picture goes: beside the results, ``<name>.preview.png``.

    :param files: where the results go.
    """
    return replace(files, single_name=None)


def require_places(endpoint: Endpoint, settings: Settings, image: str) -> None:
    """
    Refuse, before anything is billed, a picture that cannot be drawn.

    :param endpoint: where to.
    :param settings: of the submission.
    :param image: the document, for the message.
    :raises AsposeOcrInputError: Pillow is not installed, or the results that are asked for tell no places.
    """
    module_of_extra("PIL.Image", "preview", "preview=True")
    if endpoint.result_shape is not ResultShape.ENTRIES:
        return
    telling = ("Hocr",) if endpoint.formats == PDF_FORMATS else ("Hocr", "JSON")
    if not {part.lower() for part in settings.result_parts} & {kind.lower() for kind in telling}:
        raise AsposeOcrInputError(
            f"preview=True on {endpoint.name} needs a result that tells where the text stands: ask for "
            f"{' or '.join(telling)}, such as settings={{'resultType': 'TextAndHocr'}}. {NOTHING_SENT}",
            image=image,
            endpoint=endpoint.name,
        )


def write_preview(
    document: Document, task: OcrTask, endpoint: Endpoint, xcom: dict[str, Any], files: OutputFiles
) -> str:
    """
    Draw the picture of a delivered job and write it beside its results; return its URI.

    :param document: what was read; of a PDF its first page is drawn.
    :param task: the job, with its results.
    :param endpoint: where it was submitted.
    :param xcom: of the job.
    :param files: where the results went.
    :raises Exception: of a storage or of Pillow, whatever cannot be read, drawn or written.
    """
    rectangles, frame = _places(task, endpoint, xcom)
    with document.open() as file:
        sheet, size = _first_page(file) if endpoint.formats == PDF_FORMATS else _image(file)
    picture = result_file()
    _drawn(sheet, rectangles, frame or (0, 0, *size)).save(picture, "PNG")
    (path,) = preview_files(files).named([EXTENSION])
    if not put(picture, path, preview_files(files)):
        (path,) = preview_files(files).beside(task.id).named([EXTENSION])
        write_file(picture, path)
    log.info("The picture of job %s is in %s", task.id, path)
    return str(path)


def _places(task: OcrTask, endpoint: Endpoint, xcom: dict[str, Any]) -> tuple[list[Rectangle], Rectangle | None]:
    """The boxes, in reading order, and the sheet that they are on, where the result tells it: else the image is it."""
    if endpoint.result_shape is ResultShape.RECTANGLES:
        return list(xcom["regions"]), None
    if endpoint.result_shape is ResultShape.PER_REGION:
        return [region["rect"] for region in xcom["regions"]], None
    for kind in ("Hocr", "JSON"):
        for result in task.of_type(kind):
            if result.size > LARGEST_MARKUP:
                raise ValueError(f"its {kind} is too large to be read for a picture, {result.size} bytes")
            if kind == "JSON":
                return [block["rect"] for block in blocks_from_json(result.text) if block["rect"]], None
            first = pages_from_hocr(result.text)[0]
            return [block.rect for block in first.blocks if block.rect], first.rect
    raise ValueError("no result came that tells where the text stands")


def _image(file: BinaryIO) -> tuple[Any, tuple[int, int]]:
    """An image, scaled down, and how large it is itself."""
    image = module_of_extra("PIL.Image", "preview", "preview=True").open(file)
    width, height = image.size
    if width * height > MOST_PIXELS and image.format != "JPEG":
        raise ValueError(f"the image is too large to be drawn, {width} x {height} pixels")
    image = thumbnail(image, LONGEST_EDGE)
    # A small one is not read by that, and the file is about to be closed.
    image.load()
    return image, (width, height)


def thumbnail(image: Any, longest_edge: int, **how: Any) -> Any:
    """
    Return an image scaled down, of a kind that can be drawn: gray of 16 bits as gray of 8, where it would be all white.

    :param image: of Pillow.
    :param longest_edge: in pixels, at most.
    :param how: Pillow scales it.
    """
    if image.mode in ("I;16B", "I;16L", "I;16N"):
        # Pillow makes no such image smaller.
        image = image.convert("I")
    image.thumbnail((longest_edge, longest_edge), **how)
    return image.point(lambda shade: shade / 256).convert("L") if image.mode.startswith("I") else image


def _first_page(file: BinaryIO) -> tuple[Any, tuple[float, float]]:
    try:
        pdfium = module_of_extra("pypdfium2", "preview", "a picture of a PDF")
    except AsposeOcrInputError:
        raise ValueError("the package pypdfium2, which draws PDFs, is not installed: pip install pypdfium2") from None
    with pdfium.PdfDocument(file, autoclose=False) as pdf:
        page = pdf[0]
        sheet = page.render(scale=LONGEST_EDGE / max(page.get_size())).to_pil()
        # In points; the places are told on a sheet of their own.
        return sheet, page.get_size()


def _drawn(sheet: Any, rectangles: Sequence[Rectangle], frame: Rectangle) -> Any:
    drawing = module_of_extra("PIL.ImageDraw", "preview", "preview=True")
    font_size = max(12, max(sheet.size) // 60)
    font = module_of_extra("PIL.ImageFont", "preview", "preview=True").load_default(font_size)
    picture = _opaque(sheet)
    pen = drawing.Draw(picture)
    left, top, right, bottom = frame
    x_scale, y_scale = picture.width / max(right - left, 1), picture.height / max(bottom - top, 1)
    for number, rectangle in enumerate(rectangles, 1):
        x1, y1, x2, y2 = rectangle
        # What reaches beyond the sheet is drawn at its edge.
        x1, x2 = (min(max((x - left) * x_scale, 0), picture.width - 1) for x in (x1, x2))
        y1, y2 = (min(max((y - top) * y_scale, 0), picture.height - 1) for y in (y1, y2))
        colour = _COLOURS[(number - 1) % len(_COLOURS)]
        pen.rectangle((min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), outline=colour, width=font_size // 6)
        # Above its box, or inside of it where there is no room.
        at = (min(x1, x2), min(y1, y2) - font_size * 1.3 if min(y1, y2) > font_size * 1.3 else min(y1, y2))
        pen.rectangle(pen.textbbox(at, str(number), font=font), fill=colour, outline=colour, width=2)
        pen.text(at, str(number), fill="white", font=font)
    return picture


def _opaque(sheet: Any) -> Any:
    """A sheet in colours, white where it is transparent."""
    if "A" not in sheet.getbands() and "transparency" not in sheet.info:
        return sheet.convert("RGB")
    layer = sheet.convert("RGBA")
    paper = module_of_extra("PIL.Image", "preview", "preview=True").new("RGB", layer.size, "white")
    paper.paste(layer, mask=layer)
    return paper
