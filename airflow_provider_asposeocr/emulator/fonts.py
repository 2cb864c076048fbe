"""
Fonts: which of those installed the words of a page look like.

Each of a few words is drawn in each font, as large as it stands on the page, and compared. Only what is installed can
be found: of a page in another font, the nearest ones.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.emulator.filters import grey
from airflow_provider_asposeocr.emulator.jobs import JobFailedError
from airflow_provider_asposeocr.emulator.page import Box, Page, Word

_PLACES = ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "C:/Windows/Fonts")
_HEIGHT = 40
_DRAWN = 80
_WORDS = 6
_NAMED = 3
_MAX_FONTS = 300

Shape = npt.NDArray[np.float32]


class Face(Value, frozen=True):
    """
    A font file.

    :param path: where it is.
    :param family: its name, in lower case as the service writes it.
    :param style: such as ``regular`` or ``bold italic``.
    """

    path: str
    family: str
    style: str


def identified(page: Page) -> tuple[str, list[str]]:
    """
    Return the style of the words of a page, and the fonts that look most like them.

    :param page: what was read.
    :raises JobFailedError: where nothing was read, or no font is installed.
    """
    faces = _installed()
    if not faces:
        raise JobFailedError(
            "The emulator compares with the fonts that are installed, and there are none: install some, such as "
            "Debian's package fonts-dejavu."
        )
    samples = [(word.text, shape) for word in _chosen(page) if (shape := _cut_out(page.image, word)) is not None]
    if not samples:
        raise JobFailedError("No words were found whose font could be told.")
    scored = sorted(
        ((sum(_likeness(text, shape, face.path) for text, shape in samples), face) for face in faces),
        key=lambda entry: -entry[0],
    )
    names = list(dict.fromkeys(face.family for _, face in scored))
    return scored[0][1].style, names[:_NAMED]


@functools.cache
def _installed() -> tuple[Face, ...]:
    found: dict[tuple[str, str], Face] = {}
    for place in (*_PLACES, os.path.expanduser("~/.fonts")):  # noqa: PTH111 - a Path would do the same
        for path in sorted(Path(place).rglob("*.[to]tf"))[:_MAX_FONTS]:
            try:
                family, style = ImageFont.truetype(str(path), 12).getname()
            except (OSError, ValueError):
                continue
            if family:
                named = (style or "regular").lower().replace("book", "regular").replace("oblique", "italic")
                face = Face(str(path), family.lower(), named)
                found.setdefault((face.family, face.style), face)
    return tuple(found.values())


def _chosen(page: Page) -> list[Word]:
    words = [
        (fragment.confidence * min(len(word.text), 10), word)
        for block in page.image_blocks
        for line in block.lines
        for fragment in line.fragments
        for word in fragment.placed_words()
        if len(word.text) > 2 and any(letter.isalpha() for letter in word.text)
    ]
    return [word for _, word in sorted(words, key=lambda entry: -entry[0])[:_WORDS]]


def _cut_out(image: Image.Image, word: Word) -> Shape | None:
    box = Box.around(word.corners)
    part = image.crop((round(box.left) - 2, round(box.top), round(box.right) + 2, round(box.bottom)))
    shades = grey(part)
    if min(shades.shape) < 6:
        return None
    if float(np.median(shades)) < 128:
        shades = np.asarray(255 - shades, dtype=np.uint8)
    return _normal(shades)


def _normal(shades: npt.NDArray[np.uint8]) -> Shape | None:
    """The ink alone, at a fixed height."""
    ink = shades < 128 if shades.min() < 100 else shades < (int(shades.min()) + int(shades.max())) // 2
    rows, columns = np.nonzero(ink.any(axis=1))[0], np.nonzero(ink.any(axis=0))[0]
    if len(rows) < 4 or len(columns) < 4:
        return None
    cut = 255 - shades[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)
    width = max(4, round(cut.shape[1] * _HEIGHT / cut.shape[0]))
    return np.asarray(cv2.resize(cut, (width, _HEIGHT), interpolation=cv2.INTER_AREA), dtype=np.float32)


@functools.lru_cache(maxsize=2048)
def _drawn(text: str, path: str) -> Shape | None:
    font = ImageFont.truetype(path, _DRAWN)
    left, top, right, bottom = font.getbbox(text)
    if right - left < 4 or bottom - top < 4:
        return None
    paper = Image.new("L", (round(right - left) + 8, round(bottom - top) + 8), 255)
    ImageDraw.Draw(paper).text((4 - left, 4 - top), text, fill=0, font=font)
    return _normal(np.asarray(paper))


def _likeness(text: str, shape: Shape, path: str) -> float:
    drawn = _drawn(text, path)
    if drawn is None:
        return 0.0
    wider, narrower = max(shape.shape[1], drawn.shape[1]), min(shape.shape[1], drawn.shape[1])
    same = np.asarray(cv2.resize(drawn, (shape.shape[1], _HEIGHT), interpolation=cv2.INTER_AREA), dtype=np.float32)
    first, second = shape - shape.mean(), same - same.mean()
    size = float(np.linalg.norm(first) * np.linalg.norm(second)) or 1.0
    # How thick the strokes are tells bold from regular, which the correlation alone does not.
    ink = min(shape.mean(), same.mean()) / max(float(max(shape.mean(), same.mean())), 1.0)
    correlation = float((first * second).sum()) / size
    return float(correlation * (narrower / wider) * math.sqrt(float(ink)))


def as_service_text(style: str, fonts: Sequence[str]) -> bytes:
    """
    The result as the service writes it: in single quotes.

    Source: "Fetching font identification result", docs.aspose.cloud/ocr/fetch-font-identification-result/.

    :param style: of the text.
    :param fonts: names.
    """
    return str({"style": style, "font": list(fonts)}).encode()
