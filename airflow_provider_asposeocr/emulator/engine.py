"""
What finds and reads the text of an image: RapidOCR (PP-OCR models on ONNX Runtime, both inside the wheels: nothing is
downloaded), and a memory of what it read.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from PIL import Image

from airflow_provider_asposeocr.emulator.page import Corners, Fragment, Word

if TYPE_CHECKING:
    from rapidocr import RapidOCR


class TextReader(Protocol):
    """Finds and reads the text of an image. Must be safe to call from several threads at once."""

    def read(self, image: Image.Image) -> Sequence[Fragment]:
        """
        Return the fragments of text, placed in pixels of this image, in any order.

        :param image: in mode RGB.
        """
        ...


class RapidOcrReader:
    """Reads Latin scripts and Chinese with RapidOCR. The models load with the first image; one engine serves all."""

    # Measured: exact text at 0.05 s for one line and 2 to 3 s for an A4 page, the same text each time. One thread per
    # image: images are read side by side instead. Options given per call would stick, so all stand in the constructor.
    _OPTIONS: ClassVar[dict[str, Any]] = {
        "Global.log_level": "critical",
        "Global.use_cls": False,
        # The places of words cost nothing: they fall out of the reading.
        "Global.return_word_box": True,
        "Det.limit_type": "max",
        "Det.limit_side_len": 1280,
        "Rec.rec_batch_num": 1,
        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
    }

    def __init__(self) -> None:
        self._engine: RapidOCR | None = None
        self._loading = threading.Lock()

    def read(self, image: Image.Image) -> Sequence[Fragment]:
        """
        Return the fragments of text.

        :param image: in mode RGB.
        """
        blue_green_red = np.ascontiguousarray(np.asarray(image)[:, :, ::-1])
        found: Any = self._loaded()(blue_green_red)
        if found.boxes is None or found.txts is None:
            return []  # a blank image
        words = found.word_results if len(found.word_results or ()) == len(found.boxes) else [()] * len(found.boxes)
        return [
            Fragment(
                text.strip(),
                float(confidence),
                as_corners(corners),
                _joined(text, [Word(word, as_corners(place)) for word, _, place in line if place is not None]),
            )
            for corners, text, confidence, line in zip(found.boxes, found.txts, found.scores, words, strict=True)
        ]

    def _loaded(self) -> RapidOCR:
        with self._loading:
            if self._engine is None:
                # Takes a second: not before an image is there to be read.
                from rapidocr import RapidOCR  # noqa: PLC0415

                self._engine = RapidOCR(params=self._OPTIONS)
            return self._engine


def _joined(text: str, pieces: Sequence[Word]) -> tuple[Word, ...]:
    """The words of a text: the engine places some of them letter by letter. None, where the pieces do not fit."""
    words: list[Word] = []
    left = iter(pieces)
    for word in text.split():
        found, places = "", []
        while len(found) < len(word):
            piece = next(left, None)
            if piece is None:
                return ()
            found += piece.text.strip()
            places.append(piece.corners)
        if found != word:
            return ()
        first, last = places[0], places[-1]
        words.append(Word(word, (first[0], last[1], last[2], first[3])))
    return tuple(words)


class CachingReader:
    """
    Remembers what another reader read: reading is deterministic, and tests send the same images over and over.

    :param reader: reads what is not remembered.
    :param size: how many images are remembered; only their text and its places are kept, never their pixels.
    """

    def __init__(self, reader: TextReader, size: int = 256) -> None:
        self._reader = reader
        self._size = size
        self._known: OrderedDict[tuple[tuple[int, int], bytes], Sequence[Fragment]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, image: Image.Image) -> Sequence[Fragment]:
        """
        Return the fragments of text.

        :param image: in mode RGB.
        """
        key = image.size, hashlib.sha256(np.asarray(image).data).digest()
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        fragments = self._reader.read(image)
        with self._lock:
            self._known[key] = fragments
            while len(self._known) > self._size:
                self._known.popitem(last=False)
        return fragments


def as_corners(points: Any) -> Corners:
    """
    Four points as plain numbers.

    :param points: top left, top right, bottom right, bottom left.
    """
    top_left, top_right, bottom_right, bottom_left = ((float(x), float(y)) for x, y in points)
    return top_left, top_right, bottom_right, bottom_left
