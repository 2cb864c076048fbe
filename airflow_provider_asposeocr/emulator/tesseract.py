"""
Reads what RapidOCR does not know: Cyrillic, Greek, Hebrew, Hindi and others, with Tesseract.

The library is inside the wheel of ``tesserocr``; the languages are Debian's packages ``tesseract-ocr-rus`` and so on.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from airflow_provider_asposeocr.emulator.jobs import JobFailedError
from airflow_provider_asposeocr.emulator.languages import TESSERACT_LANGUAGES
from airflow_provider_asposeocr.emulator.page import Box, Fragment, Word
from airflow_provider_asposeocr.emulator.tools import tool

_WORD_LEVEL = "5"
_DATA_PLACES = ("/usr/share/tesseract-ocr", "/usr/share/tessdata", "/usr/local/share/tessdata")


class TesseractReader:
    """
    Finds and reads the text of an image.

    :param language: by the service's name.
    :raises JobFailedError: where the language's data is not installed, naming the package.
    """

    def __init__(self, language: str) -> None:
        self._code = TESSERACT_LANGUAGES[language]
        self._data = _data_for(self._code)
        if self._data is None:
            raise JobFailedError(
                f"The emulator reads {language} where Tesseract's data for it is installed: Debian's package "
                f"tesseract-ocr-{self._code}. Aspose.OCR Cloud itself may read it."
            )
        self._tesserocr = tool("tesserocr", "tesserocr", f"text in {language}")

    def read(self, image: Image.Image) -> Sequence[Fragment]:
        """
        Return the fragments of text: whole lines.

        :param image: in mode RGB.
        """
        # One for each image: an instance must not be used by two threads, and is made in a tenth of a second.
        with self._tesserocr.PyTessBaseAPI(path=str(self._data), lang=self._code) as engine:
            engine.SetImage(image)
            engine.Recognize()
            # Not by the iterator: of Hebrew and Arabic it gives the letters from left to right.
            return _lines(engine.GetTSVText(0))


def _lines(table: str) -> list[Fragment]:
    """The lines of Tesseract's table: level, page, block, paragraph, line, word, box, certainty, text."""
    lines: dict[tuple[str, ...], list[tuple[Word, float]]] = {}
    for row in table.splitlines():
        level, *place, left, top, width, height, certain, text = row.split("\t", 11)
        if level == _WORD_LEVEL and text.strip():
            x, y = float(left), float(top)
            box = Box(x, y, x + float(width), y + float(height))
            lines.setdefault(tuple(place[:-1]), []).append((Word(text.strip(), box.corners), float(certain) / 100))
    return [
        Fragment(
            " ".join(word.text for word, _ in line),
            sum(certain for _, certain in line) / len(line),
            Box.around(point for word, _ in line for point in word.corners).corners,
            tuple(word for word, _ in line),
        )
        for line in lines.values()
    ]


def _data_for(code: str) -> Path | None:
    own = os.environ.get("TESSDATA_PREFIX")
    for place in (*((own,) if own else ()), *_DATA_PLACES):
        found = sorted(Path(place).rglob(f"{code}.traineddata"))
        if found:
            return found[-1].parent
    return None
