"""SVG files: how large a drawing says it is, and the drawing as pixels."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.parsers import expat

_PROGRAM = Path(__file__).with_name("svg_process.py")
_SECONDS = 60
_LENGTH = re.compile(r"\s*[+]?(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)\s*([a-z%]*)\s*")
_UNITS = {"": 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96.0}
_UNSAID = 1000.0
"""Pixels of the longer side of a drawing that does not say how large it is."""
_LINKS = ("href", "http://www.w3.org/1999/xlink href")


class FaultySvgError(ValueError):
    """The bytes are no SVG that is drawn. The message, which may be shown to the client, is the end of a sentence."""


def size_of(data: bytes) -> tuple[float, float]:
    """
    Return width and height of a drawing in pixels, as its root says them.

    :param data: the file.
    :raises FaultySvgError: where it is no XML, or shows a file of this machine.
    """
    parser = expat.ParserCreate(namespace_separator=" ")
    roots: list[dict[str, str]] = []

    def begun(name: str, attributes: dict[str, str]) -> None:
        if not roots:
            roots.append(attributes)
        if name.endswith(("image", "feImage")):
            link = next((attributes[key] for key in _LINKS if key in attributes), "")
            # The library would open it: a picture of the emulator's machine, not of the client's.
            if link and not link.lstrip().startswith(("data:", "#")):
                raise FaultySvgError("it shows another file, which is not there")

    parser.StartElementHandler = begun
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError) as error:
        if isinstance(error, FaultySvgError):
            raise
        raise FaultySvgError("the SVG cannot be drawn") from None
    return _size(roots[0])


def drawn(data: bytes, width: int, height: int) -> bytes:
    """
    Return the drawing as a PNG of at most so many pixels, in its own proportions.

    :param data: the file.
    :param width: that it must fit into.
    :param height: that it must fit into.
    :raises FaultySvgError: where it cannot be drawn, or not with the memory and in the time that it is given.
    """
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and no name of the client's
            [sys.executable, "-I", str(_PROGRAM)],
            input=f"{width} {height}\n".encode() + data,
            capture_output=True,
            check=True,
            timeout=_SECONDS,
        )
    except (subprocess.SubprocessError, OSError):
        raise FaultySvgError("the SVG cannot be drawn") from None
    return done.stdout


def _size(root: dict[str, str]) -> tuple[float, float]:
    width, height = _pixels(root.get("width", "")), _pixels(root.get("height", ""))
    sides = [float(side) for side in re.findall(r"[-+.\deE]+", root.get("viewBox", "")) if _LENGTH.fullmatch(side)]
    across, down = sides[-2:] if len(sides) >= 2 and min(sides[-2:]) > 0 else (0.0, 0.0)
    ratio = across / down if down else 1.0
    if width and height:
        return width, height
    if width or height:
        return (width, width / ratio) if width else (height * ratio, height)
    return (across, down) if down else (_UNSAID, _UNSAID)


def _pixels(length: str) -> float:
    """A length in pixels, of an unknown unit rather too much; 0 where there is none, or one of what is around it."""
    found = _LENGTH.fullmatch(length)
    return float(found[1]) * _UNITS.get(found[2], 96.0) if found and found[2] != "%" else 0.0
