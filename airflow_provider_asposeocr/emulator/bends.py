"""
Curved lines: the photo of a page that did not lie flat, such as of an open book.

One curve is looked for that all long lines have in common, and taken out of the whole page by moving each column of
pixels up or down. A page that is bent in two ways, or crumpled, is left as it is.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from numpy.polynomial import legendre

Pixels = npt.NDArray[np.uint8]

_LONG = 0.5  # of the page's width, that a line must have at least to tell the curve
_LEAST_LINES = 3
_DEGREE = 4  # of the curve: 0 is the line's height, 1 its tilt, which DeskewImage takes out
_BINS = 48
_LEAST_BEND = 4.0  # pixels: less is within the error of finding it, and moving pixels blurs
_MOST_BEND = 0.25  # of the page's height: more is no curve of lines
_GAIN = 1.15  # rows must be sharper by this factor for the curve to be believed


def without_bend(pixels: Pixels) -> tuple[Pixels, float]:
    """
    Return the page with its lines level, and how many pixels the curve went up and down; 0 where there is none.

    :param pixels: height x width x 3.
    """
    height, width = pixels.shape[:2]
    ink = _ink(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8))
    curves = [curve for curve in _curves(ink) if curve is not None]
    if len(curves) < _LEAST_LINES:
        return pixels, 0.0
    common = np.median(np.array(curves), axis=0)
    common[:2] = 0.0
    bend = np.asarray(legendre.legval(np.linspace(-1.0, 1.0, width), common), dtype=np.float64)
    depth = float(bend.max() - bend.min())
    if not _LEAST_BEND <= depth <= _MOST_BEND * height:
        return pixels, 0.0
    if _sharpness(_moved(ink, bend)) < _GAIN * _sharpness(ink):
        return pixels, 0.0
    return _moved(pixels, bend), depth


def _ink(shades: Pixels) -> Pixels:
    found = cv2.adaptiveThreshold(shades, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, 31, 14)
    return np.asarray(found, dtype=np.uint8)


def _curves(ink: Pixels) -> list[npt.NDArray[np.float64] | None]:
    """The curve of each long line, from the middles of its ink."""
    height, width = ink.shape
    joined = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((1, max(9, width // 28)), np.uint8))
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    return [
        _curve(np.nonzero(labels == line), width)
        for line in range(1, count)
        if boxes[line][cv2.CC_STAT_WIDTH] >= _LONG * width and boxes[line][cv2.CC_STAT_HEIGHT] <= _MOST_BEND * height
    ]


def _curve(places: tuple[npt.NDArray[np.int64], ...], width: int) -> npt.NDArray[np.float64] | None:
    ys, xs = places
    bins = xs * _BINS // width
    sizes = np.bincount(bins, minlength=_BINS)
    filled = sizes > 0
    if int(filled.sum()) < 2 * _DEGREE:
        return None
    middles = np.bincount(bins, weights=ys, minlength=_BINS)[filled] / sizes[filled]
    at = (np.arange(_BINS)[filled] + 0.5) * 2 / _BINS - 1
    return np.asarray(legendre.legfit(at, middles, _DEGREE), dtype=np.float64)


def _moved(pixels: Pixels, bend: npt.NDArray[np.float64]) -> Pixels:
    height, width = pixels.shape[:2]
    xs, ys = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    moved = cv2.remap(pixels, xs, ys + bend.astype(np.float32), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.uint8)


def _sharpness(ink: Pixels) -> float:
    return float((np.diff(ink.mean(axis=1)) ** 2).sum())
