"""
Draws one SVG and ends: a file to be run, which nothing imports.

Drawn in the process of the emulator, a drawing nested deep enough would end it (the library's stack overflows), and
one without a size, or one that refers to itself, would take all its memory or time. On standard input: width and height
that the picture must fit into, on a line, then the SVG. On standard output: a PNG.
"""

from __future__ import annotations

import sys

import resvg_py

if sys.platform != "win32":
    import resource

_MEMORY = 2 * 1024**3
_DPI = 96.0


def main() -> None:
    """Draw what comes in."""
    if sys.platform != "win32":
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    width, height = map(int, sys.stdin.buffer.readline().split())
    drawing = sys.stdin.buffer.read().decode("utf-8-sig")
    # Without the resolution, a length in inches or millimetres is nothing.
    drawn = resvg_py.svg_to_bytes(svg_string=drawing, background="white", width=width, height=height, dpi=_DPI)
    sys.stdout.buffer.write(bytes(drawn))


if __name__ == "__main__":
    main()
