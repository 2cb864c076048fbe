"""Maps between the pixels of an image before and after a filter: 3 x 3 matrices, perspective included."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from airflow_provider_asposeocr.emulator.page import Box, Point

Affine = npt.NDArray[np.float64]


def identity() -> Affine:
    """The map that changes nothing."""
    return np.eye(3)


def shift(x: float, y: float) -> Affine:
    """
    A move.

    :param x: to the right.
    :param y: down.
    """
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def scaling(x: float, y: float) -> Affine:
    """
    A change of size.

    :param x: factor from left to right.
    :param y: factor from top to bottom.
    """
    return np.diag([x, y, 1.0])


def inverse(way: Affine) -> Affine:
    """
    The way back.

    :param way: a map.
    """
    return np.asarray(np.linalg.inv(way), dtype=np.float64)


def mapped(way: Affine, points: Iterable[Point]) -> list[Point]:
    """
    Where a map leads points to.

    :param way: the map.
    :param points: in pixels of where it begins.
    """
    reached = (way @ np.array([x, y, 1.0]) for x, y in points)
    return [(float(x / w), float(y / w)) for x, y, w in reached]


def mapped_box(way: Affine, box: Box) -> Box:
    """
    The upright box around what a map makes of a box.

    :param way: the map.
    :param box: in pixels of where it begins.
    """
    return Box.around(mapped(way, box.corners))
