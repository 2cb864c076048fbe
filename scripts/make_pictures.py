"""
Draws the pictures of the guides, ``docs/pictures/``, from what the emulator really makes of the sample scans.

Run by hand where the emulator or a sample has changed: ``.venv/bin/python scripts/make_pictures.py [FOLDER]``.
"""

from __future__ import annotations

import io
import json
import os
import sys
import textwrap
import wave
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pypdfium2
from PIL import Image, ImageDraw, ImageFont

from airflow_provider_asposeocr.api.typed_results import (
    blocks_from_json,
    fonts_from_text,
    invoice_from_json,
    rows_from_csv,
)
from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrHook

PROJECT = Path(__file__).resolve().parent.parent
SCANS = PROJECT / "example_dags" / "scans"
MOST_BYTES = 200_000
HALF = 440
"""Pixels of the width of one side: what goes in stands left, what comes out right."""
GROUND, INK, FRAME = (255, 255, 255), (40, 44, 52), (198, 40, 40)


class Service:
    """What the emulator makes of a document."""

    def __init__(self, emulator: EmulatorServer) -> None:
        connection = {"conn_type": "aspose_ocr", "host": emulator.url, "login": "any", "password": "any-secret"}
        os.environ["AIRFLOW_CONN_ASPOSE_OCR_DEFAULT"] = json.dumps(connection)
        self._hook = AsposeOcrHook()

    def results(self, endpoint: str, document: Any, **settings: Any) -> list[bytes]:
        """The results of one job, as bytes."""
        task = self._hook.wait(endpoint, self._hook.submit(endpoint, document, settings or None))
        return [result.read() for result in task.results]


def scan(name: str) -> Image.Image:
    """A sample."""
    return Image.open(SCANS / name).convert("RGB")


def fitted(image: Image.Image, width: int = HALF, height: int = 620) -> Image.Image:
    """The image at a size that fits."""
    factor = min(width / image.width, height / image.height)
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)


def boxed(image: Image.Image, boxes: Sequence[Sequence[float]], numbered: bool = False) -> Image.Image:
    """The image with frames drawn around places of it."""
    shown = image.copy()
    draw = ImageDraw.Draw(shown)
    for number, box in enumerate(boxes, start=1):
        draw.rectangle(tuple(box), outline=FRAME, width=3)
        if numbered:
            draw.text((box[0] + 6, box[1] + 2), str(number), fill=FRAME, font=ImageFont.load_default(34))
    return shown


def written(lines: Sequence[str], width: int = HALF, size: int = 15) -> Image.Image:
    """Text as a picture."""
    font = ImageFont.load_default(size)
    sheet = Image.new("RGB", (width, round(1.45 * size * len(lines)) + 2 * size), (246, 247, 249))
    for at, line in enumerate(lines):
        ImageDraw.Draw(sheet).text((size, size + round(1.45 * size * at)), line, fill=INK, font=font)
    return sheet


def grid(rows: Sequence[Sequence[str]], widths: Sequence[int]) -> Image.Image:
    """Rows as a table of plain cells."""
    font, height = ImageFont.load_default(15), 30
    sheet = Image.new("RGB", (sum(widths) + 1, height * len(rows) + 1), GROUND)
    draw = ImageDraw.Draw(sheet)
    for at, row in enumerate(rows):
        left = 0
        for width, cell in zip(widths, row, strict=True):
            draw.rectangle((left, at * height, left + width, (at + 1) * height), outline=(190, 194, 200))
            draw.text((left + 8, at * height + 6), cell, fill=INK, font=font)
            left += width
    return sheet


def beside(*parts: tuple[str, Image.Image]) -> Image.Image:
    """Pictures side by side, each below its title."""
    gap, head = 16, 30
    width = sum(part.width for _, part in parts) + gap * (len(parts) + 1)
    sheet = Image.new("RGB", (width, max(part.height for _, part in parts) + head + gap), GROUND)
    left = gap
    for title, part in parts:
        ImageDraw.Draw(sheet).text((left, 6), title, fill=INK, font=ImageFont.load_default(16))
        sheet.paste(part, (left, head))
        ImageDraw.Draw(sheet).rectangle((left - 1, head - 1, left + part.width, head + part.height), outline=(210,) * 3)
        left += part.width + gap
    return sheet


def image_of(data: bytes) -> Image.Image:
    """A result that is an image."""
    return Image.open(io.BytesIO(data)).convert("RGB")


def recognize_image(service: Service) -> Image.Image:
    """A page with the blocks that were found, and its text."""
    name = "huckleberry-finn-page-29.jpg"
    text, blocks = (service.results("RecognizeImage", SCANS / name, resultType=kind)[0] for kind in ("Text", "JSON"))
    # The font of the pictures has no long dash.
    plain = text.decode().replace("\u2014", " - ")
    lines = [line for whole in plain.splitlines() for line in textwrap.wrap(whole, 58) or [""]]
    found = boxed(scan(name), [block["rect"] for block in blocks_from_json(blocks.decode())])
    return beside(("in: the scan (frames: blocks of JSON)", fitted(found)), ("out: text", written(lines, size=14)))


def detect_regions(service: Service) -> Image.Image:
    """The regions of a page, and the text of each."""
    name = "two-columns.jpg"
    found = json.loads(service.results("DetectRegions", SCANS / name)[0])
    texts = service.results(
        "RecognizeRegions", SCANS / name, regions=[{"rect": rect, "order": at} for at, rect in enumerate(found)]
    )
    lines = []
    for number, text in enumerate(texts, start=1):
        first = " ".join(text.decode().split())
        lines += [f"{number}: {found[number - 1]}", *textwrap.wrap(textwrap.shorten(first, 150), 56), ""]
    shown = fitted(boxed(scan(name), found, numbered=True))
    return beside(("in: the scan (frames: regions)", shown), ("out: one text per region", written(lines, size=15)))


def searchable_pdf(service: Service) -> Image.Image:
    """The page of a searchable PDF, with the places of its invisible words."""
    name = "receipt.jpg"
    document = pypdfium2.PdfDocument(service.results("RecognizeImage", SCANS / name, resultType="Pdf")[0])
    page = document[0]
    text = page.get_textpage()
    scale = 1.4
    picture = page.render(scale=scale).to_pil().convert("RGB")
    boxes = []
    for at in range(text.count_rects()):
        left, bottom, right, top = text.get_rect(at)
        boxes.append([scale * left, picture.height - scale * top, scale * right, picture.height - scale * bottom])
    lines = text.get_text_range().splitlines()
    return beside(
        ("in: the scan", fitted(scan(name), 300)),
        ("out: the PDF (frames: its words)", fitted(boxed(picture, boxes), 300)),
        ("what a viewer copies of it", written(lines, 300)),
    )


def table(service: Service) -> Image.Image:
    """A table and its rows."""
    rows = rows_from_csv(
        service.results("RecognizeTable", SCANS / "stock-table.jpg", resultTypeTable="Csv")[0].decode()
    )
    return beside(
        ("in: the scan", fitted(scan("stock-table.jpg"))), ('out: XCom "rows"', grid(rows, (130, 90, 80, 80)))
    )


def invoice(service: Service) -> Image.Image:
    """An invoice and its fields."""
    fields = invoice_from_json(service.results("RecognizeAndParseInvoice", SCANS / "invoice.jpg")[0].decode())
    rows = [[name, "null" if value is None else str(value)] for name, value in sorted(fields.items())]
    return beside(("in: the scan", fitted(scan("invoice.jpg"))), ('out: XCom "invoice"', grid(rows, (150, 290))))


def label(service: Service) -> Image.Image:
    """A label, its text and its fonts."""
    text = service.results("RecognizeLabel", SCANS / "label.jpg")[0].decode()
    style, fonts = fonts_from_text(service.results("IdentifyFont", SCANS / "label.jpg")[0].decode())
    lines = [*text.splitlines(), "", f"style: {style}", *(f"font: {font}" for font in fonts)]
    return beside(("in: the photo", fitted(scan("label.jpg"))), ("out: text; style and fonts", written(lines, 320, 16)))


def image_operators(service: Service) -> Image.Image:
    """The photo of a page, flat, straight, black and white, step by step."""
    data = (SCANS / "page-photo.jpg").read_bytes()
    parts = [("in: the photo", image_of(data))]
    for endpoint in ("DewarpImage", "DeskewImage", "BinarizeImage", "UpscaleImage"):
        (data,) = service.results(endpoint, data)
        parts.append((endpoint, image_of(data)))
    return beside(*((f"{title}, {part.width} x {part.height}", fitted(part, 300)) for title, part in parts[:4]))


def upscaled(service: Service) -> Image.Image:
    """A piece of small print, before and after, at the same scale of pixels."""
    small = scan("letters/02-order.jpg").crop((20, 20, 240, 110))
    file = io.BytesIO()
    small.save(file, "PNG")
    (data,) = service.results("UpscaleImage", file.getvalue())
    return beside((f"in, {small.width} x {small.height}", small), ("out: UpscaleImage, twice the size", image_of(data)))


def speech(service: Service) -> Image.Image:
    """A text and the sound of it."""
    text = (SCANS / "expected" / "letters" / "01-apples.txt").read_text().strip()
    (data,) = service.results("ConvertTextToSpeech", text.encode())
    with wave.open(io.BytesIO(data)) as sound:
        samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16).astype(float) / 32768
        seconds = sound.getnframes() / sound.getframerate()
    sheet = Image.new("RGB", (HALF, 120), GROUND)
    draw = ImageDraw.Draw(sheet)
    for x, piece in enumerate(np.array_split(samples, HALF)):
        draw.line((x, 60 - 58 * piece.max(), x, 60 - 58 * piece.min()), fill=(21, 101, 192))
    return beside(("in: text", written(text.splitlines(), 360)), (f"out: a WAV file of {seconds:.1f} seconds", sheet))


PICTURES: dict[str, Callable[[Service], Image.Image]] = {
    "recognize-image": recognize_image,
    "detect-regions": detect_regions,
    "searchable-pdf": searchable_pdf,
    "table": table,
    "invoice": invoice,
    "label": label,
    "image-operators": image_operators,
    "upscale": upscaled,
    "speech": speech,
}


def main() -> int:
    """Draw them all."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "docs" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    with EmulatorServer() as emulator:
        service = Service(emulator)
        for name, draw in PICTURES.items():
            path = folder / f"{name}.png"
            picture = draw(service)
            for colours in (128, 64, 32, 16):
                picture.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
                if path.stat().st_size < MOST_BYTES:
                    break
            else:
                print(f"{path.name} is too large: {path.stat().st_size} bytes", file=sys.stderr)
                return 1
            print(f"{path.name}: {picture.width} x {picture.height}, {path.stat().st_size // 1000} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
