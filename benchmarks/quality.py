# ruff: noqa: RUF001 - the letters are meant
"""
How well the emulator reads: ``python -m benchmarks.quality [--json FILE] [--compare FILE]``, which is ``make quality``.

Character error rates by case, on images that are made the same way each time: the samples, and what phones and
scanners do to pages. ``--json`` keeps the figures, ``--compare`` shows those of an earlier run beside them, and
``--url`` sends the same images to an emulator that runs already, such as that of another version.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import requests
from PIL import Image, ImageDraw, ImageFont

from airflow_provider_asposeocr.emulator import EmulatorServer

SCANS = Path(__file__).parent.parent / "example_dags" / "scans"
FONTS = Path("/usr/share/fonts/truetype")
PROSE = (
    "The lamp at the end of the pier had never gone out in thirty winters of storms. The keeper read the letter "
    "twice, folded it, and went down the stairs to fetch the book again. Nobody had asked him for it since the "
    "harbour was closed, and he had begun to think that the names in it were his alone to remember."
)
# Ten: the eight that any machine with Debian's fonts-dejavu can draw, and two of other scripts.
SENTENCES = {
    "English": "Invoice number 2024-117 was paid in full; ICI AIR MAIL, 31 January.",
    "German": "Der Bäcker öffnet früh und verkauft süße Brötchen an große Straßen.",
    "French": "Le garçon a été reçu à l'école où l'on étudie très tôt, même à Noël.",
    "Polish": "Zażółć gęślą jaźń i wróć do łóżka, źrebię śpi już w sąsiedztwie.",
    "Russian": "Съешь ещё этих мягких французских булок, да выпей же чаю.",
    "Greek": "Η γρήγορη αλεπού πηδάει πάνω από τον τεμπέλη σκύλο κάθε πρωί.",
    "Hebrew": "דג סקרן שט בים מאוכזב ולפתע מצא חברה",
    "Turkish": "Pijamalı hasta yağız şoföre çabucak güvendi, İstanbul'da ışık yandı.",
    "Japanese": "今日は天気がいいので、公園で本を読みました。",
    # No letter that is drawn before the one it follows: the layout that is the same everywhere does not turn them.
    "Hindi": "राम घर गया और उसने खाना खाया",
}
TYPEFACES = {
    "Japanese": Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"),
    "Hindi": Path("/usr/share/fonts/truetype/lohit-devanagari/Lohit-Devanagari.ttf"),
}
"""For scripts that DejaVu has not: Debian's packages fonts-noto-cjk and fonts-lohit-deva."""


@dataclass(frozen=True, slots=True)
class Case:
    """One image with its true text, and how it is sent."""

    name: str
    text: str
    image: bytes
    settings: dict[str, Any] = field(default_factory=dict)


def error_rate(read: str, true: str) -> float:
    """Edits per character that make one text of the other; runs of white space are one space."""
    first, second = " ".join(read.split()), " ".join(true.split())
    row = list(range(len(second) + 1))
    for at, letter in enumerate(first, start=1):
        before, row[0] = row[0], at
        for place, other in enumerate(second, start=1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (letter != other))
    return row[-1] / max(1, len(second))


def png(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The image as a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def typeface(size: int, name: str = "dejavu/DejaVuSerif.ttf") -> ImageFont.FreeTypeFont:
    """A font that Debian's fonts-dejavu brings."""
    # Not Raqm, which is not everywhere: the same image each time.
    return ImageFont.truetype(FONTS / name, size, layout_engine=ImageFont.Layout.BASIC)


def wrapped(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """The text in lines of at most so many pixels."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def column(text: str, size: int, width: int, gap: float = 1.45) -> Image.Image:
    """A text printed in one column."""
    font = typeface(size)
    lines = wrapped(text, font, width)
    sheet = Image.new("RGB", (width + 4 * size, round(len(lines) * gap * size) + 4 * size), "white")
    for at, line in enumerate(lines):
        ImageDraw.Draw(sheet).text((2 * size, 2 * size + round(at * gap * size)), line, fill="black", font=font)
    return sheet


def samples() -> Iterator[Case]:
    """The sample scans with their true texts."""
    for path in sorted(SCANS.rglob("*.jpg")):
        expected = SCANS / "expected" / path.relative_to(SCANS).with_suffix(".txt")
        yield Case(f"sample {path.stem}", expected.read_text(), path.read_bytes())


def two_columns() -> tuple[Image.Image, str]:
    """A page of two columns, and its text in reading order."""
    halves = PROSE[: len(PROSE) // 2], PROSE[len(PROSE) // 2 :]
    left, right = (column(half.strip(), 26, 460) for half in halves)
    sheet = Image.new("RGB", (left.width + right.width, max(left.height, right.height) + 60), "white")
    sheet.paste(left, (0, 30))
    sheet.paste(right, (left.width, 30))
    return sheet, f"{halves[0].strip()} {halves[1].strip()}"


def photo(sheet: Image.Image, lean: float) -> Image.Image:
    """The page as a phone sees it from the side, on a dark table."""
    width, height = sheet.size
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    shift = lean * width
    seen = corners + np.array(
        [[0.9 * shift + 60, 60], [60 - 0.5 * shift, 60 + 0.4 * shift], [60, 100], [60 + 0.1 * shift, 60]], np.float32
    )
    matrix = cv2.getPerspectiveTransform(corners, seen)
    size = width + 140, height + round(0.5 * shift) + 180
    return Image.fromarray(
        cv2.warpPerspective(np.asarray(sheet), matrix, size, flags=cv2.INTER_CUBIC, borderValue=(70, 60, 55))
    )


def in_shadow(sheet: Image.Image) -> Image.Image:
    """Half of the page lies in a shadow darker than the print of the other half."""
    light = np.ones((sheet.height, sheet.width, 1), np.float64)
    light[:, sheet.width // 2 :] = 0.28
    light = cv2.GaussianBlur(light, (0, 0), 25)[:, :, None]
    ink = 80 + np.asarray(sheet, np.float64) * (175 / 255)
    return Image.fromarray((ink * light).astype(np.uint8))


def cases() -> Iterator[Case]:
    """All cases, in the order of the table."""
    yield from samples()
    page = column(PROSE, 26, 800)
    for degrees in (3, 8, -12):
        tilted = page.rotate(degrees, expand=True, fillcolor="white", resample=Image.Resampling.BICUBIC)
        yield Case(f"skew {degrees} degrees", PROSE, png(tilted))
    columns, text = two_columns()
    tilted = columns.rotate(6, expand=True, fillcolor="white", resample=Image.Resampling.BICUBIC)
    yield Case("skew 6 degrees, two columns", text, png(tilted))
    for orientation, turn in ((3, 180), (6, 90), (8, 270)):
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = page.rotate(turn, expand=True)
        yield Case(f"turned by EXIF {orientation}", PROSE, png(stored, "JPEG", quality=92, exif=exif))
    yield Case("photo, one column", PROSE, png(photo(page, 0.12)))
    for lean in (0.08, 0.16):
        yield Case(f"photo, two columns, lean {lean}", text, png(photo(columns, lean)))
    yield Case("strip, many times as high as wide", " ".join([PROSE] * 9), strip())
    yield Case("strip, many times as wide as high", PROSE, png(line_strip()))
    for size in (6, 7, 9):
        small = column(PROSE, size, 300)
        yield Case(f"small print of {size} px", PROSE, png(small))
        yield Case(f"small print of {size} px, makeUpsampling", PROSE, png(small), {"makeUpsampling": True})
    yield Case("half in shadow", PROSE, png(in_shadow(page)))
    yield Case("half in shadow, makeBinarization", PROSE, png(in_shadow(page)), {"makeBinarization": True})
    glass = Image.new("RGBA", page.size, (255, 255, 255, 0))
    glass.putalpha(Image.eval(page.convert("L"), lambda shade: 255 - shade))
    yield Case("white print on transparent ground", PROSE, png(glass))
    yield Case("white print on black", PROSE, png(Image.eval(page, lambda shade: 255 - shade)))
    for language, sentence in SENTENCES.items():
        face = TYPEFACES.get(language, FONTS / "dejavu/DejaVuSans.ttf")
        if face.is_file():
            yield Case(f"language {language}", sentence, png(sheet_of(sentence, face)), {"language": language})
        else:
            print(f"language {language}: left out, {face} is not installed", file=sys.stderr)


def strip() -> bytes:
    """A till roll: narrow and very long."""
    return png(column(" ".join([PROSE] * 9), 24, 150))


def line_strip() -> Image.Image:
    """A banner of one line."""
    font = typeface(26)
    sheet = Image.new("RGB", (round(font.getlength(PROSE)) + 80, 70), "white")
    ImageDraw.Draw(sheet).text((40, 18), PROSE, fill="black", font=font)
    return sheet


def sheet_of(sentence: str, face: Path) -> Image.Image:
    """One sentence in one or two lines of a font that has all its letters."""
    font = ImageFont.truetype(face, 30, layout_engine=ImageFont.Layout.BASIC)
    lines = wrapped(sentence, font, 760)
    if unicodedata.bidirectional(sentence[0]) == "R":
        # Pillow draws from left to right, whatever the script.
        lines = [line[::-1] for line in lines]
    sheet = Image.new("RGB", (840, 60 + 50 * len(lines)), "white")
    for at, line in enumerate(lines):
        ImageDraw.Draw(sheet).text((30, 25 + 50 * at), line, fill="black", font=font)
    return sheet


def read(post: Callable[..., Any], get: Callable[..., Any], case: Case) -> tuple[str, str]:
    """The text that comes back, and how the job ended."""
    body = {"image": base64.b64encode(case.image).decode(), "settings": case.settings}
    accepted = post(json=body)
    if accepted.status_code != 200:
        return "", f"refused with {accepted.status_code}"
    while (answer := get(params={"id": accepted.text}).json())["taskStatus"] in ("Pending", "Processing"):
        time.sleep(0.05)
    if answer["taskStatus"] != "Completed":
        return "", answer["taskStatus"]
    notices = ((answer["error"] or {}).get("warnings")) or []
    text = "\n".join(base64.b64decode(entry["data"]).decode() for entry in answer["results"])
    return text, f"{len(notices)} warning{'s' * (len(notices) != 1)}" if notices else ""


def measured(root: str, only: str = "") -> dict[str, tuple[float, str]]:
    """The error rate of each case at the emulator that answers there, and what there is to say of it."""
    figures = {}
    with requests.Session() as session:
        form = {"grant_type": "client_credentials", "client_id": "any", "client_secret": "any"}
        token = session.post(f"{root}/connect/token", data=form, timeout=60).json()["access_token"]
        session.headers["Authorization"] = f"Bearer {token}"
        url = f"{root}/v5.0/ocr/RecognizeImage"
        for case in cases():
            if only in case.name:
                text, remark = read(lambda **it: session.post(url, **it), lambda **it: session.get(url, **it), case)
                figures[case.name] = error_rate(text, case.text), remark
                print(f"{100 * figures[case.name][0]:6.1f} %  {case.name}  {remark}", file=sys.stderr, flush=True)
    return figures


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description="How well the emulator reads.")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--compare", type=Path, help="figures of an earlier run, to stand beside these")
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--url", help="of an emulator that runs already; without it, one of this version is started")
    options = parser.parse_args()
    with nullcontext(options.url) if options.url else EmulatorServer() as emulator:
        figures = measured(options.url or emulator.url, options.only)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    before = json.loads(options.compare.read_text()) if options.compare else None
    print("| case | " + ("before | " if before is not None else "") + "character errors | remark |")
    print("|---|" + ("---:|" if before is not None else "") + "---:|---|")
    for name, (rate, remark) in figures.items():
        earlier = f" {100 * before[name][0]:.1f} % |" if before and name in before else " - |" * (before is not None)
        print(f"| {name} |{earlier} {100 * rate:.1f} % | {remark} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
