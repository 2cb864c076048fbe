"""
From the bytes of a file to the image that is read, as a viewer would show it.

A photo is turned as its EXIF tag says, transparency is laid on paper of the shade that lets its print be read, an SVG
is drawn. Only the formats that the service documents are decoded: Pillow knows many more, and some run other programs.
"""

from __future__ import annotations

import io
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import ClassVar

import msgspec
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from airflow_provider_asposeocr.api.formats import IMAGE_FORMATS, format_of
from airflow_provider_asposeocr.api.tiff import has_further_pages
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.emulator import svg
from airflow_provider_asposeocr.emulator.geometry import Affine, identity, scaling
from airflow_provider_asposeocr.emulator.tools import tool

MAX_PIXELS = 80_000_000
"""Larger images are refused: A4 at 600 dpi has 35 million."""
READ_PIXELS = 16_000_000
"""Larger ones are made smaller before they are worked on: the engine would do so too, but a page of 79 million pixels
costs a gigabyte on the way."""
_HEAD = 256 * 1024
_EXIF_ORIENTATION = 0x0112
_USUAL_DPI = range(60, 1201)
_SVG_ZOOM = 2
"""An SVG is drawn in twice its size: 96 pixels an inch are too few for small print."""
_one_at_a_time = threading.Lock()
"""Of images that are larger than what is worked on, one is decoded at a time: two would take a gigabyte."""


class UnreadableImageError(ValueError):
    """The bytes are no image that can be decoded, or the image is too large. The message may be shown to the client."""


class Sheet(Value, frozen=True):
    """
    A decoded image.

    :param image: upright, in mode RGB.
    :param size: of the image as sent, in pixels.
    :param to_sent: from pixels of ``image`` to those of the image as sent.
    :param dpi: pixels per inch, where the file says so and means it.
    :param bilevel: whether it has two shades only.
    :param warnings: what a user should know of it.
    """

    UNSAID: ClassVar[tuple[str, ...]] = ("image",)

    image: Image.Image
    size: tuple[int, int]
    to_sent: Affine = msgspec.field(default_factory=identity)
    dpi: float | None = None
    bilevel: bool = False
    warnings: tuple[str, ...] = ()


def decoded(data: bytes) -> Sheet:
    """
    Decode an image file.

    :param data: the file's bytes: BMP, JPEG, PNG, TIFF, GIF, SVG; of several pages or frames the first.
    :raises UnreadableImageError: if that is impossible, or the image too large.
    """
    found = format_of(data[:_HEAD])
    if found not in IMAGE_FORMATS:
        what = f"it is a {found} file" if found else "it is none of the formats"
        raise UnreadableImageError(f"The image cannot be decoded: {what}. Taken are {', '.join(IMAGE_FORMATS)}.")
    with _readable_errors():
        if found == "SVG":
            return _drawn(data)
        with Image.open(io.BytesIO(data), formats=[found]) as image:
            _check_size(image.width, image.height)
            warnings = []
            if found == "TIFF" and getattr(image, "n_frames", 1) > 1 and has_further_pages(io.BytesIO(data)):
                warnings.append(f"The TIFF has {image.n_frames} pages; only the first was read.")  # type: ignore[attr-defined]
            return _sheet(image, warnings)


@contextmanager
def _readable_errors() -> Iterator[None]:
    try:
        yield
    except UnidentifiedImageError:
        raise UnreadableImageError("The image cannot be decoded: its format is not what its first bytes say.") from None
    except UnreadableImageError:
        raise
    # Pillow's decoders report broken files by any of these.
    except (OSError, SyntaxError, EOFError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableImageError(f"The image cannot be decoded: {error}.") from error
    # And stumble over them so.
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, struct.error) as error:
        raise UnreadableImageError("The image cannot be decoded: the file is broken.") from error


def _check_size(width: float, height: float) -> None:
    if width * height > MAX_PIXELS:
        raise UnreadableImageError(
            f"The image has {width:.0f} x {height:.0f} pixels; the emulator reads at most {MAX_PIXELS}."
        )


def _drawn(data: bytes) -> Sheet:
    tool("resvg_py", "resvg-py", "SVG images")
    try:
        width, height = svg.size_of(data)
        _check_size(_SVG_ZOOM * width, _SVG_ZOOM * height)
        # What it is drawn into, not what it is enlarged by: what a drawing says of its size need not be so.
        png = svg.drawn(data, max(1, round(_SVG_ZOOM * width)), max(1, round(_SVG_ZOOM * height)))
    except svg.FaultySvgError as error:
        raise UnreadableImageError(f"The image cannot be decoded: {error}.") from None
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        size = max(1, round(image.width / _SVG_ZOOM)), max(1, round(image.height / _SVG_ZOOM))
        return Sheet(image.convert("RGB"), size, scaling(1 / _SVG_ZOOM, 1 / _SVG_ZOOM))


def _sheet(image: Image.Image, warnings: list[str]) -> Sheet:
    size, bilevel, dpi = image.size, image.mode == "1", _dpi(image)
    orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    if image.format == "JPEG" and image.width * image.height > READ_PIXELS:
        # libjpeg makes it smaller while it decodes.
        factor = (READ_PIXELS / (image.width * image.height)) ** 0.5
        image.draft(None, (max(1, round(image.width * factor)), max(1, round(image.height * factor))))
    with _one_at_a_time if size[0] * size[1] > READ_PIXELS else nullcontext():
        paper = _reduced(_as_rgb(_reduced(image)))
    if paper.size != size:
        warnings.append(f"The image was read at {paper.width} x {paper.height} pixels.")
    to_sent = scaling(size[0] / paper.width, size[1] / paper.height)
    if orientation in _UPRIGHT:
        upright = ImageOps.exif_transpose(_tagged(paper, orientation))
        to_sent = to_sent @ _UPRIGHT[orientation](*paper.size)
        paper = upright
    return Sheet(paper, size, to_sent, dpi, bilevel, tuple(warnings))


def _tagged(image: Image.Image, orientation: int) -> Image.Image:
    """The image with no other tag than its orientation."""
    tags = Image.Exif()
    tags[_EXIF_ORIENTATION] = orientation
    image.info["exif"] = tags.tobytes()
    image.info.pop("xmp", None)
    return image


def _reduced(image: Image.Image) -> Image.Image:
    """The image, of no more pixels than are worked on; before it is made RGB, which takes three times the memory."""
    if image.width * image.height <= READ_PIXELS:
        return image
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode.startswith("P"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    factor = (READ_PIXELS / (image.width * image.height)) ** 0.5
    # Not `thumbnail`: that would round to the same height and width as it thinks fit.
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    # Of 16 and 32 bits per pixel, once they are scaled to 8.
    return image if image.mode.startswith(("I", "F")) else image.resize(size, Image.Resampling.BOX)


def _matrix(*rows: tuple[float, float, float]) -> Affine:
    return np.array([*rows, (0.0, 0.0, 1.0)])


_UPRIGHT: dict[int, Callable[[float, float], Affine]] = {
    2: lambda width, _: _matrix((-1, 0, width), (0, 1, 0)),
    3: lambda width, height: _matrix((-1, 0, width), (0, -1, height)),
    4: lambda _, height: _matrix((1, 0, 0), (0, -1, height)),
    5: lambda _, __: _matrix((0, 1, 0), (1, 0, 0)),
    6: lambda _, height: _matrix((0, 1, 0), (-1, 0, height)),
    7: lambda width, height: _matrix((0, -1, width), (-1, 0, height)),
    8: lambda width, _: _matrix((0, -1, width), (1, 0, 0)),
}
"""By EXIF orientation, and the size as stored: from pixels of the upright image to those of the stored one."""


def _dpi(image: Image.Image) -> float | None:
    try:
        across = float(image.info.get("dpi", (0, 0))[0])
    except (TypeError, ValueError, ZeroDivisionError, IndexError):
        return None
    # 72 is what programs write that know nothing of it.
    return across if round(across) in _USUAL_DPI and round(across) != 72 else None


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        # 16 and 32 bits per pixel: Pillow would cut values off at 255 instead of scaling them.
        values = np.asarray(image, dtype=np.float32)
        measured = values[np.isfinite(values)]
        low, high = (float(measured.min()), float(measured.max())) if measured.size else (0.0, 0.0)
        values = np.nan_to_num(values, nan=low, posinf=low, neginf=low)
        return Image.fromarray(((values - low) * (255.0 / ((high - low) or 1.0))).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, _paper_under(layered)), layered).convert("RGB")
    return image.convert("RGB")


def _paper_under(layered: Image.Image) -> str:
    """Transparent means paper: white, but for print that could not be seen on it."""
    shades = np.asarray(layered.convert("L"), dtype=np.float32)
    opaque = np.asarray(layered.getchannel("A"), dtype=np.float32)
    ink = float(opaque.sum())
    covered = ink / (255.0 * opaque.size)
    # A picture that fills its ground brings its own paper.
    return "black" if ink and covered < 0.5 and float((shades * opaque).sum()) / ink > 190 else "white"
