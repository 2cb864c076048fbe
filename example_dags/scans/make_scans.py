# SPDX-License-Identifier: Apache-2.0
"""Print the sample documents beside this file, and scan them.

A document is set in real fonts on a clean sheet, at twice its final size; then it is made to look like what a scanner
delivers: paper with clouds and fibres, ink of uneven density, the reverse of the page shining through, a slight tilt,
uneven light, sensor noise and JPEG artefacts. Each text that goes onto a sheet is also kept, in reading order, and
written to ``expected/``: the picture and its true text cannot drift apart.

Usage::

    python make_scans.py [--font-dir FOLDER] [--out FOLDER]

Needs Pillow, numpy and the fonts Liberation Serif, Sans and Mono (Debian: fonts-liberation). They are asked of
fontconfig (``fc-match``), or taken from ``--font-dir``. The random numbers are seeded: the same versions of Pillow,
numpy and the fonts give the same bytes.
"""

from __future__ import annotations

import argparse
import subprocess
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SEED = 1884
SUPERSAMPLE = 2  # sheets are drawn this many times larger than the scan

Layer = npt.NDArray[np.float32]  # height x width, or height x width x 3; 0 is black, 1 is white
Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont

BLACK: Colour = (28, 26, 24)
WHITE: Colour = (255, 255, 255)


# --- Fonts ------------------------------------------------------------------------------------------------------------


class Fonts:
    """Finds fonts by family and style, in a folder or by asking fontconfig."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._files: dict[tuple[str, str], Path] = {}

    def get(self, family: str, style: str, size: int) -> Font:
        """The font at ``size`` pixels of the final scan."""
        key = (family, style)
        if key not in self._files:
            self._files[key] = self._in_folder(family, style) if self._folder else self._by_fontconfig(family, style)
        return ImageFont.truetype(str(self._files[key]), size * SUPERSAMPLE)

    def _in_folder(self, family: str, style: str) -> Path:
        assert self._folder is not None
        name = f"{family.replace(' ', '')}-{style}.ttf"
        found = sorted(self._folder.rglob(name))
        if not found:
            raise SystemExit(f"no {name} under {self._folder}")
        return found[0]

    @staticmethod
    def _by_fontconfig(family: str, style: str) -> Path:
        command = ["fc-match", "--format=%{family}\n%{file}", f"{family}:style={style}"]
        families, file = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n")
        if family not in families.split(","):  # fc-match always answers, if need be with another font
            raise SystemExit(f"the font {family} is not installed (Debian: apt-get install fonts-liberation)")
        return Path(file)


# --- Printing ---------------------------------------------------------------------------------------------------------


@dataclass
class Sheet:
    """A clean print: what is drawn on it, and the true text in reading order. Positions are pixels of the scan."""

    width: int
    height: int
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.image = Image.new("RGB", (self.width * SUPERSAMPLE, self.height * SUPERSAMPLE), WHITE)
        self.draw = ImageDraw.Draw(self.image)

    def text(self, x: float, y: float, text: str, font: Font, colour: Colour = BLACK, anchor: str = "ls") -> None:
        """One line of text on the baseline ``y``, which is kept as one line of the true text."""
        self.lines.append(text)
        self._print(x, y, text, font, colour, anchor)

    def row(self, left: float, right: float, y: float, cells: tuple[str, str], font: Font) -> None:
        """Two texts on one baseline, flush left and flush right: one line of the true text."""
        self.lines.append(" ".join(cells))
        self._print(left, y, cells[0], font, BLACK, "ls")
        self._print(right, y, cells[1], font, BLACK, "rs")

    def cells(self, lefts: Sequence[float], y: float, cells: Sequence[str], font: Font) -> None:
        """Texts on one baseline, each at a place of its own: one line of the true text."""
        self.lines.append(" ".join(cells))
        for left, cell in zip(lefts, cells, strict=True):
            self._print(left, y, cell, font, BLACK, "ls")

    def justified(self, left: float, right: float, y: float, words: list[str], font: Font) -> None:
        """One line whose spaces are widened until it reaches from ``left`` to ``right``."""
        self.lines.append(" ".join(words))
        free = (right - left) - sum(width_of(word, font) for word in words)
        space = free / max(len(words) - 1, 1)
        x = left
        for word in words:
            self._print(x, y, word, font, BLACK, "ls")
            x += width_of(word, font) + space

    def rule(self, left: float, right: float, y: float, thickness: float = 1.5, colour: Colour = BLACK) -> None:
        self.box((left, y, right, y + thickness), fill=colour)

    def box(
        self,
        corners: tuple[float, float, float, float],
        fill: Colour | None = None,
        outline: Colour | None = None,
        radius: float = 0,
    ) -> None:
        scaled = [corner * SUPERSAMPLE for corner in corners]
        self.draw.rounded_rectangle(scaled, radius * SUPERSAMPLE, fill=fill, outline=outline, width=2 * SUPERSAMPLE)

    def ellipse(self, corners: tuple[float, float, float, float], fill: Colour) -> None:
        self.draw.ellipse([corner * SUPERSAMPLE for corner in corners], fill=fill)

    def _print(self, x: float, y: float, text: str, font: Font, colour: Colour, anchor: str) -> None:
        self.draw.text((x * SUPERSAMPLE, y * SUPERSAMPLE), text, fill=colour, font=font, anchor=anchor)


def width_of(text: str, font: Font) -> float:
    """The width of ``text`` in pixels of the final scan."""
    return font.getlength(text) / SUPERSAMPLE


def break_lines(text: str, font: Font, width: float, indent: float) -> list[list[str]]:
    """The words of one paragraph, line by line; the first line is ``indent`` shorter."""
    lines: list[list[str]] = [[]]
    for word in text.split():
        room = width - (indent if len(lines) == 1 else 0)
        if lines[-1] and width_of(" ".join([*lines[-1], word]), font) > room:
            lines.append([])
        lines[-1].append(word)
    return lines


# --- Scanning ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Look:
    """How a sheet looks once scanned. Strengths are parts of full brightness."""

    paper: Colour
    tilt: float = 0.0  # degrees, anticlockwise
    clouds: float = 0.03  # stains of the paper
    fibres: float = 0.012  # its grain
    fade: float = 0.25  # how much of the ink is missing where it is thinnest
    reverse: float = 0.0  # how much of the reverse shines through
    shade: float = 0.12  # how much darker the darkest corner is
    gutter: float = 0.0  # shadow of the book's fold along the left edge
    blur: float = 0.5  # pixels
    noise: float = 0.012  # of the sensor
    quality: int = 72  # of the JPEG
    backing: Colour | None = None  # of the scanner's lid; None if the paper fills the picture
    inset: int = 0  # pixels of backing around the sheet
    corner: int = 0  # pixels, the radius of the sheet's corners
    seen_from_the_side: float = 0.0  # a photo: how much narrower the far edge is


def scan(sheet: Sheet, look: Look, rng: np.random.Generator) -> Image.Image:
    """The sheet as a scanner with an old lamp sees it."""
    margin = 2 * look.inset
    size = (sheet.width + margin, sheet.height + margin)

    ink = 1 - layer(tilted(sheet.image, size, look.tilt, WHITE))
    ink *= 1 - look.fade * clouds(size, 60, rng)[..., np.newaxis]
    page = level(look.paper) * (1 - ink)
    page *= 1 - look.clouds * clouds(size, 250, rng)[..., np.newaxis]
    page += look.fibres * fibres(size, rng)[..., np.newaxis]
    if look.reverse:
        page *= 1 - look.reverse * reverse_of(ink)[..., np.newaxis]
    if look.backing:
        page = on_lid(page, sheet, size, look)

    page *= light(size, look, rng)[..., np.newaxis]
    page = layer(picture(page).filter(ImageFilter.GaussianBlur(look.blur)))
    page += look.noise * rng.standard_normal(page.shape, dtype=np.float32)
    return picture(page)


def photographed(scanned: Image.Image, lean: float) -> Image.Image:
    """The whole picture as a phone sees it that is not held above it: the far edge is narrower."""
    width, height = scanned.size
    seen = [(lean * width, 0.3 * lean * height), (width * (1 - 0.4 * lean), 0), (width, height), (0, 0.94 * height)]
    flat = [(0, 0), (width, 0), (width, height), (0, height)]
    rows, goal = [], []
    for (x, y), (u, v) in zip(seen, flat, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        goal += [u, v]
    way = np.linalg.solve(np.array(rows, dtype=np.float64), np.array(goal, dtype=np.float64)).tolist()
    table = scanned.getpixel((2, 2))
    return scanned.transform(scanned.size, Image.Transform.PERSPECTIVE, way, Image.Resampling.BICUBIC, fillcolor=table)


def layer(image: Image.Image) -> Layer:
    return np.asarray(image, dtype=np.float32) / np.float32(255)


def picture(page: Layer) -> Image.Image:
    return Image.fromarray((np.clip(page, 0, 1) * 255).astype(np.uint8))


def level(colour: Colour) -> Layer:
    return np.array(colour, dtype=np.float32) / np.float32(255)


def tilted(image: Image.Image, size: tuple[int, int], degrees: float, outside: Colour | int) -> Image.Image:
    """The drawing in the middle of a picture of ``size``, turned, at the size of the scan."""
    large = Image.new(image.mode, (size[0] * SUPERSAMPLE, size[1] * SUPERSAMPLE), outside)
    large.paste(image, ((large.width - image.width) // 2, (large.height - image.height) // 2))
    turned = large.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=outside)
    return turned.resize(size, Image.Resampling.LANCZOS)


def clouds(size: tuple[int, int], grain: int, rng: np.random.Generator) -> Layer:
    """Smooth random patches from 0 to 1, about ``grain`` pixels wide."""
    total = np.zeros((size[1], size[0]), dtype=np.float32)
    for octave, weight in enumerate((1.0, 0.5, 0.25)):
        cells = (size[1] * 2**octave // grain + 2, size[0] * 2**octave // grain + 2)
        patches = Image.fromarray(rng.random(cells, dtype=np.float32))
        total += weight * np.asarray(patches.resize(size, Image.Resampling.BICUBIC), dtype=np.float32)
    low, high = float(total.min()), float(total.max())
    return ((total - low) / (high - low)).astype(np.float32)


def fibres(size: tuple[int, int], rng: np.random.Generator) -> Layer:
    """The grain of paper: noise, smoothed along the sheet's length, of standard deviation 1."""
    grain = rng.standard_normal((size[1], size[0]), dtype=np.float32)
    for shift, axis in ((1, 0), (2, 0), (1, 1)):
        grain = grain + np.roll(grain, shift, axis)
    return grain / np.float32(grain.std())


def reverse_of(ink: Layer) -> Layer:
    """What is printed on the other side: for want of one, our own page mirrored, moved and blurred."""
    mirrored = np.roll(ink.mean(axis=2)[:, ::-1], 17, axis=0)
    return layer(picture(mirrored.astype(np.float32)).filter(ImageFilter.GaussianBlur(1.6)))


def on_lid(page: Layer, sheet: Sheet, size: tuple[int, int], look: Look) -> Layer:
    """The sheet before the scanner's lid, with the shadow of its edge."""
    assert look.backing is not None
    outline = Image.new("L", sheet.image.size, 0)
    last = (outline.width - 1, outline.height - 1)
    ImageDraw.Draw(outline).rounded_rectangle((0, 0, *last), look.corner * SUPERSAMPLE, fill=255)
    mask = tilted(outline, size, look.tilt, 0)
    cover = layer(mask)[..., np.newaxis]
    shadow = np.roll(layer(mask.filter(ImageFilter.GaussianBlur(6))), (5, 4), axis=(0, 1))[..., np.newaxis]
    lid = level(look.backing) * (1 - 0.45 * shadow)
    return (page * cover + lid * (1 - cover)).astype(np.float32)


def light(size: tuple[int, int], look: Look, rng: np.random.Generator) -> Layer:
    """Brightness of the lamp: it falls off towards one corner, and into the fold of a book."""
    across = np.linspace(-1, 1, size[0], dtype=np.float32)
    down = np.linspace(-1, 1, size[1], dtype=np.float32)[:, np.newaxis]
    centre_x, centre_y = rng.uniform(-0.5, 0.5, 2)
    distance = (across - centre_x) ** 2 + (down - centre_y) ** 2
    lamp = 1 - look.shade * distance / distance.max()
    fold = look.gutter * np.exp(-(across + 1) * size[0] / 90)
    shaded: Layer = (lamp * (1 - fold)).astype(np.float32)
    return shaded


# --- The documents ----------------------------------------------------------------------------------------------------

TALE = """
The lamp at the end of the long stone pier had never once gone out in thirty winters, and the keeper meant to leave it
so. Each evening she climbed the ninety steps with a can of oil in one hand and a loaf of bread in the other, for the
gulls at the top expected their supper as surely as the ships expected the light.

One night in November the wind came round to the north and brought snow with it. The keeper trimmed the wick, wiped the
glass and sat down to write in her book. She had filled eleven volumes with the weather, the ships and the small doings
of the harbour, and nobody had ever asked to read a single page.

Shortly after midnight a bell rang below. She took a lantern, went down the steps and found a boy on the doorstep with
a parcel under his coat. He said that the printer in the town had sent him, and that the parcel was not to get wet.
Inside lay a bundle of white paper and a letter.

The printer wrote that he had heard of the eleven volumes. He wished to set them in type, he said, because the new
captains knew the coast only from their charts, and a chart does not tell how the water sounds before a storm. Would
she lend him the first volume until the spring?

The keeper read the letter twice. Then she cut the loaf in three, one piece for the boy, one for herself and one for
the gulls, and went to fetch the book from its shelf beside the lamp.

The boy carried it home under his coat at first light. By April the volume was back, and beside it lay a thin grey
book that smelled of ink. On its first page stood the words she had written about the ice in the harbour, thirty
years before, and below them her own name.

She set the grey book on the shelf, at the end of the row, and climbed the steps to light the lamp. That night she
wrote only one line: wind from the south, all ships safely home.
"""


def two_columns(fonts: Fonts) -> Sheet:
    """A page of a reader: a heading across both columns, then two columns of justified text."""
    sheet = Sheet(1140, 1240)
    left, right, gap, top, leading, indent = 95, 1065, 62, 262, 36, 26
    middle = (left + right) / 2
    sheet.text(middle, 128, "The Keeper of the Northern Light", fonts.get("Liberation Serif", "Bold", 56), anchor="ms")
    sheet.text(middle, 182, "A tale for long evenings", fonts.get("Liberation Serif", "Italic", 30), anchor="ms")
    sheet.rule(left, right, 208, 3)

    body = fonts.get("Liberation Serif", "Regular", 26)
    width = (right - left - gap) / 2
    lines: list[tuple[list[str], bool, bool]] = []  # words, first of its paragraph, last of its paragraph
    for paragraph in TALE.strip().split("\n\n"):
        broken = break_lines(paragraph, body, width, indent)
        lines += [(words, n == 0, n == len(broken) - 1) for n, words in enumerate(broken)]
    per_column = (len(lines) + 1) // 2
    for n, (words, first, last) in enumerate(lines):
        column, row = divmod(n, per_column)
        start = left + column * (width + gap)
        begin, y = start + (indent if first else 0), top + row * leading
        if last:
            sheet.text(begin, y, " ".join(words), body)
        else:
            sheet.justified(begin, start + width, y, words, body)
    sheet.rule(left + 380, right - 380, 1170, 2)
    return sheet


def id_card_form(fonts: Fonts) -> Sheet:
    """An identity card of a town that does not exist, for a person who does not exist."""
    sheet = Sheet(980, 630)
    blue, red, pale, grey = (30, 58, 112), (176, 32, 38), (214, 226, 240), (120, 134, 154)
    sheet.box((0, 0, 980, 118), fill=pale)
    sheet.text(44, 54, "TOWN OF BRINDLEMERE", fonts.get("Liberation Sans", "Bold", 36), blue)
    sheet.text(44, 98, "Resident identity card", fonts.get("Liberation Sans", "Regular", 28), blue)
    sheet.rule(0, 980, 118, 3, blue)

    sheet.box((44, 150, 314, 500), fill=pale, outline=grey, radius=6)  # the photograph: only a figure
    sheet.ellipse((119, 205, 239, 345), fill=grey)
    sheet.box((84, 370, 274, 498), fill=grey, radius=60)
    sheet.box((84, 440, 274, 498), fill=grey)

    label, value = fonts.get("Liberation Sans", "Regular", 20), fonts.get("Liberation Sans", "Bold", 31)
    fields = (
        ("Surname", "ORRELWICK"),
        ("Given names", "TAMSIN IVY"),
        ("Date of birth", "14 MARCH 1987"),
        ("Place of birth", "LOWER FENNICK"),
        ("Card number", "BX 204 771 396"),
    )
    for n, (name, content) in enumerate(fields):
        y = 168 + n * 74
        sheet.text(362, y, name, label, blue)
        sheet.text(362, y + 35, content, value)
        sheet.rule(362, 936, y + 45, 1, grey)
    sheet.box((44, 536, 936, 600), outline=red, radius=8)
    notice = fonts.get("Liberation Sans", "Bold", 32)
    sheet.text(490, 580, "SPECIMEN - NOT A VALID DOCUMENT", notice, red, anchor="ms")
    return sheet


def receipt(fonts: Fonts) -> Sheet:
    """The till roll of a shop that does not exist."""
    sheet = Sheet(500, 950)
    left, right, middle = 42, 458, 250
    bold, plain = fonts.get("Liberation Mono", "Bold", 34), fonts.get("Liberation Mono", "Regular", 23)
    sheet.text(middle, 80, "THE COPPER KETTLE", bold, anchor="ms")
    sheet.text(middle, 122, "Tea, bread and groceries", plain, anchor="ms")
    sheet.text(middle, 156, "7 Mossgate Lane, Fennick", plain, anchor="ms")
    sheet.row(left, right, 216, ("12 May 2024", "16:42"), plain)
    sheet.row(left, right, 250, ("Receipt", "No 003918"), plain)
    sheet.rule(left, right, 272, 2)

    items = (
        ("Black tea 250 g", 685),
        ("Rye bread", 420),
        ("Salted butter", 315),
        ("Plum jam", 390),
        ("Oat biscuits", 275),
        ("Goat cheese", 540),
        ("Brown eggs x 10", 360),
        ("Paper bag", 20),
    )
    y = 318
    for name, pence in items:
        sheet.row(left, right, y, (name, money(pence)), plain)
        y += 40
    total = sum(pence for _, pence in items)
    sheet.rule(left, right, y - 14, 2)
    large = fonts.get("Liberation Mono", "Bold", 31)
    sheet.row(left, right, y + 34, ("TOTAL", money(total)), large)
    sheet.row(left, right, y + 84, ("Cash", money(4000)), plain)
    sheet.row(left, right, y + 120, ("Change", money(4000 - total)), plain)
    sheet.rule(left, right, y + 142, 2)
    sheet.text(middle, y + 194, "Thank you for your visit", plain, anchor="ms")
    sheet.text(middle, y + 230, "Open daily from 8 to 18", plain, anchor="ms")
    return sheet


def money(pence: int) -> str:
    return f"{pence // 100}.{pence % 100:02}"


def letter(*lines: str, family: str, style: str = "Regular", size: int = 28) -> Callable[[Fonts], Sheet]:
    """A strip cut from a letter, of one to three lines."""

    def strip(fonts: Fonts) -> Sheet:
        leading = round(size * 1.5)
        sheet = Sheet(600, max(120, 56 + leading * len(lines)))
        first = (sheet.height - leading * (len(lines) - 1)) / 2 + size * 0.35
        for n, line in enumerate(lines):
            sheet.text(30, first + n * leading, line, fonts.get(family, style, size))
        return sheet

    return strip


DOCUMENTS: dict[str, tuple[Callable[[Fonts], Sheet], Look]] = {
    "two-columns.jpg": (
        two_columns,
        Look((240, 231, 211), tilt=0.7, clouds=0.06, reverse=0.06, gutter=0.35, shade=0.14, quality=68),
    ),
    "id-card-form.jpg": (
        id_card_form,
        Look((247, 248, 245), tilt=-1.3, fibres=0.006, fade=0.15, backing=(196, 194, 188), inset=40, corner=28),
    ),
    "receipt.jpg": (
        receipt,
        Look((243, 242, 238), tilt=1.1, clouds=0.05, fade=0.45, shade=0.2, backing=(120, 112, 104), inset=34),
    ),
    "letters/01-apples.jpg": (
        letter(
            "Dear Odette, the apples came on Monday,",
            "every one of them whole and sweet.",
            "Your friend, Barnaby",
            family="Liberation Serif",
            size=30,
        ),
        Look((242, 234, 216), tilt=0.5, clouds=0.06, shade=0.15),
    ),
    "letters/02-order.jpg": (
        letter("Order 4471 was sent on 3 May.", "Please confirm its arrival.", family="Liberation Mono"),
        Look((236, 235, 228), tilt=-0.6, fade=0.4, shade=0.18),
    ),
    "letters/03-notice.jpg": (
        letter(
            "NOTICE: the reading room is closed",
            "from 12 to 19 August for repairs.",
            family="Liberation Sans",
            style="Bold",
        ),
        Look((232, 238, 228), tilt=0.9, clouds=0.05, shade=0.12),
    ),
    "letters/04-thanks.jpg": (
        letter(
            "Thank you for the warm welcome.",
            family="Liberation Serif",
            style="Italic",
            size=36,
        ),
        Look((245, 238, 222), tilt=-0.4, reverse=0.05, shade=0.16),
    ),
}


def main(documents: dict[str, tuple[Callable[[Fonts], Sheet], Look]]) -> None:
    parser = argparse.ArgumentParser(description="Print sample documents, and scan them.")
    parser.add_argument("--font-dir", type=Path, help="take the fonts from here (default: ask fc-match)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="default: beside this script")
    options = parser.parse_args()

    fonts = Fonts(options.font_dir)
    for name, (document, look) in documents.items():
        sheet = document(fonts)
        rng = np.random.default_rng([SEED, zlib.crc32(name.encode())])  # no document depends on those before it
        image = options.out / name
        image.parent.mkdir(parents=True, exist_ok=True)
        scanned = scan(sheet, look, rng)
        if look.seen_from_the_side:
            scanned = photographed(scanned, look.seen_from_the_side)
        scanned.save(image, quality=look.quality, optimize=True, dpi=(150, 150))
        truth = (options.out / "expected" / name).with_suffix(".txt")
        truth.parent.mkdir(parents=True, exist_ok=True)
        truth.write_text("\n".join(sheet.lines) + "\n", encoding="ascii")
        print(f"{name}: {image.stat().st_size / 1024:.0f} KB, {len(sheet.lines)} lines")


if __name__ == "__main__":
    main(DOCUMENTS)
