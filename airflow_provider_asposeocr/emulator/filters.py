"""
The filters of the service, on pixels, each with the map that leads from its outcome back to what went in.

In which order an endpoint applies them is said by its row in :mod:`~airflow_provider_asposeocr.emulator.work`.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from airflow_provider_asposeocr.emulator.bends import without_bend
from airflow_provider_asposeocr.emulator.geometry import Affine, identity, scaling, shift

MAX_SKEW_DEGREES = 15.0
"""Tilts up to this are corrected. Source: send-image-for-recognition, ``makeSkewCorrect``."""

Grey = npt.NDArray[np.uint8]
Step = tuple[Image.Image, Affine]

# Of 256 shades, between the darkest and the lightest hundredth of the pixels.
_ENOUGH_CONTRAST = 100
_PRINT_CONTRAST = 40  # likewise, between print and paper
_SKEW_SIDE = 900  # pixels of the longer side that a tilt is looked for on
_LEAST_SKEW = 0.25  # degrees: less is within the error of finding it, and straightening blurs
_SKEW_GAIN = 1.06  # a tilt must sharpen the rows at least so much to be believed
_UPSAMPLED_SIDE = 4000
_PAGE_CONTRAST = 40  # of 256 shades, between the page and the table
_PAGE_SHARE = 0.25  # of the image, that an outline must hold at least to be a page's


def with_full_contrast(image: Image.Image) -> Step:
    """
    Stretch a pale image to the full range; one that has contrast enough stays as it is, stretching would harm it.

    :param image: in mode RGB.
    """
    shades = np.percentile(grey(image)[::2, ::2], (1, 99))
    if shades[1] - shades[0] >= _ENOUGH_CONTRAST:
        return image, identity()
    return ImageOps.autocontrast(image, cutoff=1, preserve_tone=True), identity()


def binarized(image: Image.Image) -> Step:
    """
    Make it black and white, by what is paper around each place: a shadow is no ink.

    :param image: in mode RGB.
    """
    shades = grey(image)
    inverse = _is_inverse(shades)
    if inverse:
        shades = np.asarray(255 - shades, dtype=np.uint8)
    side = max(15, min(shades.shape) // 30) | 1
    paper = cv2.medianBlur(cv2.dilate(shades, np.ones((side, side), np.uint8)), min(255, 2 * side + 1))
    even = np.asarray(np.minimum(255.0, shades.astype(np.float32) * 255.0 / np.maximum(paper, 1)), dtype=np.uint8)
    if int(even.max()) - int(even.min()) < 40:
        black_and_white = np.full_like(even, 255)  # nothing is printed there
    else:
        _, black_and_white = cv2.threshold(even, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)  # type: ignore[assignment]
    if inverse:
        black_and_white = 255 - black_and_white
    return Image.fromarray(np.asarray(black_and_white, dtype=np.uint8)).convert("RGB"), identity()


def _is_inverse(shades: Grey) -> bool:
    """Whether the print is lighter than the paper around it, which is what there is most of."""
    around = cv2.medianBlur(shades, min(255, max(15, min(shades.shape) // 12) | 1)).astype(np.int16)
    difference = shades.astype(np.int16) - around
    return int((difference > _PRINT_CONTRAST).sum()) > int((difference < -_PRINT_CONTRAST).sum())


def upsampled(image: Image.Image) -> Step:
    """
    Twice the size, as far as the engine has use for it.

    :param image: in mode RGB.
    """
    factor = min(2.0, _UPSAMPLED_SIDE / max(image.size))
    if factor <= 1:
        return image, identity()
    larger = image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC)
    return larger, scaling(image.width / larger.width, image.height / larger.height)


def rotated(image: Image.Image, degrees: float) -> Step:
    """
    Turn clockwise, the canvas growing with it.

    :param image: in mode RGB.
    :param degrees: any.
    """
    # Pillow turns counterclockwise; a multiple of 90 degrees it does without resampling.
    turned = image.rotate(-degrees, expand=True, resample=Image.Resampling.BICUBIC, fillcolor=_edge_colour(image))
    angle = math.radians(degrees)
    back = np.array(
        [[math.cos(angle), math.sin(angle), 0.0], [-math.sin(angle), math.cos(angle), 0.0], [0.0, 0.0, 1.0]]
    )
    return turned, shift(image.width / 2, image.height / 2) @ back @ shift(-turned.width / 2, -turned.height / 2)


def straightened(image: Image.Image) -> Step:
    """
    Take the tilt of the lines out.

    :param image: in mode RGB.
    """
    tilt = pixel_skew(image)
    return rotated(image, -tilt) if tilt else (image, identity())


def pixel_skew(image: Image.Image) -> float:
    """
    The tilt of the lines of print in degrees, positive where they fall to the right; 0 where there is none to see.

    Rows of print alternate with white where the page is straight: the angle at which they do so most sharply is its
    tilt.

    :param image: in mode RGB.
    """
    factor = min(1.0, _SKEW_SIDE / max(image.size))
    small = grey(image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor)))))
    if min(small.shape) < 24:
        return 0.0
    ink = cv2.adaptiveThreshold(small, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, 25, 14)
    # Thick things (pictures, the edge of the table) are no print.
    ink = cv2.subtract(ink, cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((17, 17), np.uint8)))
    ys, xs = np.nonzero(ink)
    if len(ys) < 60:
        return 0.0
    middle = float(xs.mean())

    def sharpness(degrees: float) -> float:
        rows = np.bincount((ys - (xs - middle) * math.tan(math.radians(degrees)) + small.shape[1]).astype(np.int64))
        return float((np.diff(rows.astype(np.float64)) ** 2).sum())

    best = max(np.arange(-MAX_SKEW_DEGREES, MAX_SKEW_DEGREES + 0.1, 0.5), key=sharpness)
    best = float(max(np.arange(best - 0.5, best + 0.51, 0.1), key=sharpness))
    if abs(best) < _LEAST_SKEW or abs(best) > MAX_SKEW_DEGREES or sharpness(best) < _SKEW_GAIN * sharpness(0.0):
        return 0.0
    return best


def page_outline(image: Image.Image) -> npt.NDArray[np.float32] | None:
    """
    The four corners of the page on the table, top left first and clockwise; ``None`` where no outline is to be seen.

    :param image: in mode RGB.
    """
    factor = min(1.0, 700 / max(image.size))
    small = grey(image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor)))))
    height, width = small.shape
    # The print is closed over: what is left is the sheet and the table.
    flat = cv2.morphologyEx(cv2.GaussianBlur(small, (5, 5), 0), cv2.MORPH_CLOSE, np.ones((15, 15), np.uint8))
    level, bright = cv2.threshold(flat, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    dark = bright == 0
    if not level or not dark.any() or float(flat[~dark].mean()) - float(flat[dark].mean()) < _PAGE_CONTRAST:
        return None
    contours, _ = cv2.findContours(bright, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return None
    sheet = cv2.convexHull(max(contours, key=cv2.contourArea))
    for accuracy in (0.02, 0.04, 0.06):
        corners = cv2.approxPolyDP(sheet, accuracy * cv2.arcLength(sheet, True), True)
        if len(corners) == 4:
            break
    else:
        return None
    area = cv2.contourArea(corners) / (width * height)
    if not _PAGE_SHARE <= area <= 0.97 or cv2.contourArea(corners) < 0.9 * cv2.contourArea(sheet):
        return None
    points = corners.reshape(4, 2).astype(np.float32)
    sums, differences = points.sum(axis=1), points[:, 0] - points[:, 1]
    ordered = points[[sums.argmin(), differences.argmax(), sums.argmax(), differences.argmin()]]
    return ordered / np.float32(factor) if len({tuple(point) for point in ordered.tolist()}) == 4 else None


def flattening(corners: npt.NDArray[np.float32]) -> tuple[Affine, tuple[int, int]]:
    """
    The map that makes a page seen from the side a rectangle, and the rectangle's size.

    :param corners: of the page, top left first and clockwise.
    """
    top_left, top_right, bottom_right, bottom_left = corners
    width = max(math.dist(top_left, top_right), math.dist(bottom_left, bottom_right))
    height = max(math.dist(top_left, bottom_left), math.dist(top_right, bottom_right))
    size = max(2, round(width)), max(2, round(height))
    target = np.array([[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]], np.float32)
    return np.asarray(cv2.getPerspectiveTransform(corners, target), dtype=np.float64), size


def dewarped(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """
    Make a page seen from the side flat and its curved lines level, and say what was done.

    :param image: in mode RGB.
    """
    pixels = np.asarray(image, dtype=np.uint8)
    corners = page_outline(image)
    if corners is None:
        said = ["The emulator found no outline of a page: no perspective was taken out."]
    else:
        way, size = flattening(corners)
        flat = cv2.warpPerspective(pixels, way, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        pixels = np.asarray(flat, dtype=np.uint8)
        said = ["The emulator took the perspective out, by the four corners of the page."]
    pixels, depth = without_bend(pixels)
    said.append(
        f"The emulator made curved lines level: they were bent by {depth:.0f} pixels, by one curve for the whole page."
        if depth
        else "The emulator found no curved lines, or none that one curve makes level."
    )
    return Image.fromarray(pixels), said


def grey(image: Image.Image) -> Grey:
    """
    Its shades.

    :param image: in any mode.
    """
    return np.asarray(image.convert("L"), dtype=np.uint8)


def _edge_colour(image: Image.Image) -> tuple[int, int, int]:
    """What the corners that a turn lays bare are filled with: the colour of the image's edge, paper as a rule."""
    pixels = np.asarray(image)
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    red, green, blue = (int(shade) for shade in np.median(edge, axis=0))
    return red, green, blue
