"""
The eyes of the emulator: from the bytes of an image file to a :class:`~.page.Page` of text in reading order.

Decoding and the geometry-keeping filters are Pillow's and OpenCV's, finding and reading lines is RapidOCR's (PP-OCR
models on ONNX Runtime, both inside the wheels: nothing is downloaded), the reading order is
:mod:`~airflow_provider_asposeocr.emulator.layout`'s.

Every place in a result is in pixels of the image as sent. Filters that change the geometry (rotation, upsampling, the
margin around a cropped region) are tracked in one affine map, and what the engine finds is mapped back through it. Skew
is corrected in the geometry alone: the engine straightens each line by itself, so the tilt only has to be taken out of
the boxes before rows and columns are looked for; the pixels, and so the Pdf and ImagePNG results, keep it. EXIF
orientation is not applied: pixels are meant as they are stored, as in the caller's own regions.
"""

from __future__ import annotations

import hashlib
import io
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from airflow_provider_asposeocr.emulator.layout import blocks_in_reading_order
from airflow_provider_asposeocr.emulator.page import Box, Corners, Fragment, Page, TextBlock, TextLine

if TYPE_CHECKING:
    from rapidocr import RapidOCR

MAX_PIXELS = 80_000_000
"""Larger images are refused: A4 at 600 dpi has 35 million."""

# The engine itself scales anything larger down to this, so upsampling beyond it would be in vain.
_ENGINE_SIDE = 2000
# Text that touches the edge of an image is not found; a cropped region gets this much of its own edge around it.
_CROP_MARGIN = 12
# Of 256 shades, between the darkest and the lightest hundredth of the pixels.
_ENOUGH_CONTRAST = 100

Affine = npt.NDArray[np.float64]


class UnreadableImageError(ValueError):
    """The bytes are no image that can be decoded, or the image is too large. The message may be shown to the client."""


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
        return [
            Fragment(text.strip(), float(confidence), _as_corners(corners))
            for corners, text, confidence in zip(found.boxes, found.txts, found.scores, strict=True)
        ]

    def _loaded(self) -> RapidOCR:
        with self._loading:
            if self._engine is None:
                # Takes a second: not before an image is there to be read.
                from rapidocr import RapidOCR  # noqa: PLC0415

                self._engine = RapidOCR(params=self._OPTIONS)
            return self._engine


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
        key = image.size, hashlib.sha256(image.tobytes()).digest()
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


@dataclass(frozen=True, slots=True)
class Preparation:
    """
    What is done to an image before it is read.

    :param rotate: degrees, clockwise.
    :param contrast: stretch the contrast.
    :param binarize: make it black and white, at Otsu's threshold.
    :param upsample: twice the size, for small fonts.
    :param correct_skew: take the tilt of the page out.
    :param find_columns: look for columns, and group lines to blocks.
    """

    rotate: int = 0
    contrast: bool = True
    binarize: bool = False
    upsample: bool = False
    correct_skew: bool = True
    find_columns: bool = True


def decoded(data: bytes) -> Image.Image:
    """
    Decode an image file.

    :param data: the file's bytes: BMP, JPEG, PNG, TIFF, GIF; of several pages or frames the first.
    :raises UnreadableImageError: if that is impossible, or the image too large.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UnreadableImageError(
                    f"The image has {image.width} x {image.height} pixels; the emulator reads at most {MAX_PIXELS}."
                )
            return _as_rgb(image)
    except UnidentifiedImageError:
        raise UnreadableImageError(
            "The image cannot be decoded: it is no BMP, JPEG, PNG, TIFF or GIF file (the emulator reads no SVG)."
        ) from None
    # Pillow's decoders report broken files by any of these.
    except (OSError, SyntaxError, EOFError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableImageError(f"The image cannot be decoded: {error}.") from error


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        # 16 and 32 bits per pixel: Pillow would cut values off at 255 instead of scaling them.
        values = np.asarray(image, dtype=np.float64)
        span = float(values.max() - values.min()) or 1.0
        return Image.fromarray(((values - values.min()) * (255.0 / span)).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        # Transparent means paper; without this it would turn black.
        layered = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), layered).convert("RGB")
    return image.convert("RGB")


class PageReader:
    """
    Reads image files.

    :param reader: finds and reads the text.
    """

    def __init__(self, reader: TextReader) -> None:
        self._reader = reader

    def read_page(self, image: Image.Image, preparation: Preparation) -> Page:
        """
        Read a whole image.

        :param image: as decoded.
        :param preparation: what to do before.
        """
        return self._read(image, Box(0, 0, image.width, image.height), np.eye(3), preparation)

    def read_region(self, image: Image.Image, area: Box, preparation: Preparation) -> Page | None:
        """
        Read a part of an image, as if it was cut out.

        :param image: as decoded.
        :param area: the part, in pixels; what of it lies outside of the image is left out.
        :param preparation: what to do before.
        :return: ``None`` if all of it lies outside.
        """
        left, top = max(0, int(area.left)), max(0, int(area.top))
        right, bottom = min(image.width, int(area.right)), min(image.height, int(area.bottom))
        if right <= left or bottom <= top:
            return None
        crop = np.asarray(image.crop((left, top, right, bottom)))
        padded = np.pad(crop, ((_CROP_MARGIN, _CROP_MARGIN), (_CROP_MARGIN, _CROP_MARGIN), (0, 0)), mode="edge")
        origin = _shift(left - _CROP_MARGIN, top - _CROP_MARGIN)
        return self._read(Image.fromarray(padded), Box(left, top, right, bottom), origin, preparation)

    def _read(self, image: Image.Image, area: Box, to_sent: Affine, preparation: Preparation) -> Page:
        prepared, to_input = _prepared(image, preparation)
        blocks = blocks_in_reading_order(
            self._reader.read(prepared),
            correct_skew=preparation.correct_skew,
            find_columns=preparation.find_columns,
        )
        return Page(
            blocks=tuple(_mapped(block, to_sent @ to_input, area) for block in blocks),
            area=area,
            image=prepared,
            image_blocks=tuple(blocks),
        )


def _prepared(image: Image.Image, preparation: Preparation) -> tuple[Image.Image, Affine]:
    """Apply the filters in the service's order; the map leads from pixels of the outcome to those of the input."""
    to_input: Affine = np.eye(3)
    if preparation.rotate % 360:
        image, step = _rotated(image, preparation.rotate % 360)
        to_input = to_input @ step
    if preparation.contrast:
        image = _with_full_contrast(image)
    if preparation.binarize:
        image = _binarized(image)
    if preparation.upsample:
        factor = min(2.0, _ENGINE_SIDE / max(image.size))
        if factor > 1:
            larger = image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)
            to_input = to_input @ np.diag([image.width / larger.width, image.height / larger.height, 1.0])
            image = larger
    return image, to_input


def _rotated(image: Image.Image, degrees: int) -> tuple[Image.Image, Affine]:
    """Turn clockwise, the canvas growing with it."""
    # Pillow turns counterclockwise; a multiple of 90 degrees it does without resampling.
    turned = image.rotate(-degrees, expand=True, resample=Image.Resampling.BICUBIC, fillcolor="white")
    angle = np.deg2rad(degrees)
    back = np.array([[np.cos(angle), np.sin(angle), 0.0], [-np.sin(angle), np.cos(angle), 0.0], [0.0, 0.0, 1.0]])
    to_input = _shift(image.width / 2, image.height / 2) @ back @ _shift(-turned.width / 2, -turned.height / 2)
    return turned, to_input


def _with_full_contrast(image: Image.Image) -> Image.Image:
    """Stretch a pale image to the full range; one that has contrast enough stays as it is, stretching would harm it."""
    shades = np.percentile(np.asarray(image.convert("L")), (1, 99))
    if shades[1] - shades[0] >= _ENOUGH_CONTRAST:
        return image
    return ImageOps.autocontrast(image, cutoff=1, preserve_tone=True)


def _binarized(image: Image.Image) -> Image.Image:
    grey = np.asarray(image.convert("L"))
    _, black_and_white = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return Image.fromarray(np.asarray(black_and_white, dtype=np.uint8)).convert("RGB")


def _shift(x: float, y: float) -> Affine:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def _mapped(block: TextBlock, to_sent: Affine, area: Box) -> TextBlock:
    def fragment(found: Fragment) -> Fragment:
        points = [to_sent @ np.array([x, y, 1.0]) for x, y in found.corners]
        # The margin around a crop may carry a corner out of the region.
        kept = [(min(max(x, area.left), area.right), min(max(y, area.top), area.bottom)) for x, y, _ in points]
        return replace(found, corners=_as_corners(kept))

    return TextBlock(tuple(TextLine(tuple(map(fragment, line.fragments))) for line in block.lines))


def _as_corners(points: Any) -> Corners:
    top_left, top_right, bottom_right, bottom_left = ((float(x), float(y)) for x, y in points)
    return top_left, top_right, bottom_right, bottom_left
