"""Documents for the tests on a running Airflow, and the comparison of what was read with what stands there."""

from __future__ import annotations

import hashlib
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from tests.conftest import SCANS


def print_line(path: Path, text: str) -> str:
    """Print one line of text into an image, which is read in 0.05 s, and return its SHA-256."""
    font = ImageFont.load_default(30)
    paper = Image.new("RGB", (int(font.getlength(text)) + 40, 64), "white")
    ImageDraw.Draw(paper).text((20, 14), text, fill="black", font=font)
    paper.save(path, "PNG")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def expected_words(scan: str) -> list[str]:
    """The words that stand on a sample scan, such as ``letters/01-apples``, in reading order."""
    return (SCANS / "expected" / f"{scan}.txt").read_text().split()
