"""SVG: read as drawn, and no drawing ends the emulator or shows what is not in it."""

from __future__ import annotations

import base64
import json

import pytest
from PIL import Image

from airflow_provider_asposeocr.emulator.decoding import UnreadableImageError, decoded
from tests.unit.emulator.conftest import png

pytest.importorskip("resvg_py")

SPACE = b'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


def drawing(attributes: bytes, inside: bytes = b"") -> bytes:
    return b"<svg " + SPACE + b" " + attributes + b">" + inside + b"</svg>"


@pytest.mark.parametrize(
    "data",
    [
        drawing(b"", b'<rect x="60000" y="60000" width="9" height="9"/>'),
        drawing(b"", b'<rect x="1e30" y="5" width="9" height="9"/>'),
        drawing(b'style="width:60000px;height:60000px"'),
    ],
)
def test_a_drawing_is_never_larger_than_it_may_be(data):
    """Where the root does not say how large it is, its contents do not, either."""
    assert max(decoded(data).image.size) <= 2000


@pytest.mark.parametrize(
    "before",
    [
        b'<!-- <svg width="9" height="9"> -->',
        b"<!DOCTYPE svg [<!ENTITY a \"<svg width='9' height='9'/>\">]>",
    ],
)
def test_the_size_is_that_of_the_root_and_not_of_what_looks_like_it(before):
    """A comment or an entity in front does not hide how large a drawing is."""
    with pytest.raises(UnreadableImageError, match="at most"):
        decoded(before + drawing(b'data-note=">" width="60000" height="60000"'))


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        (b'width="300" height="200"', (300, 200)),
        (b'width="&#51;00" height="200px"', (300, 200)),
        (b'width="300" viewBox="0 0 30 20"', (300, 200)),
        (b'height="200" viewBox="0,0,30,20"', (300, 200)),
        (b'viewBox="-5 -5 300 200"', (300, 200)),
        (b'width="100%" height="100%" viewBox="0 0 300 200"', (300, 200)),
        (b'width="3in" height="144pt"', (288, 192)),
    ],
)
def test_a_drawing_is_as_large_as_its_root_says(attributes, size):
    """Places in results are in these pixels; it is drawn in twice the size, as print is small."""
    sheet = decoded(drawing(attributes))
    assert sheet.size == size
    assert sheet.image.size == (2 * size[0], 2 * size[1])


def test_a_drawing_nested_too_deeply_ends_its_job_and_not_the_emulator():
    """The library that draws overflows its stack: it does so in a process of its own."""
    with pytest.raises(UnreadableImageError, match="cannot be drawn"):
        decoded(drawing(b'width="90" height="90"', b"<g>" * 5000 + b"</g>" * 5000))


@pytest.mark.parametrize("attribute", [b"href", b"xlink:href"])
def test_a_drawing_does_not_show_files_of_the_machine(tmp_path, attribute):
    """Who sends an SVG gets no picture back that lies beside the emulator."""
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(Image.new("RGB", (9, 9), "red")))
    for link in (str(secret), secret.as_uri(), secret.name):
        shown = b"<image " + attribute + b'="' + link.encode() + b'" width="90" height="90"/>'
        with pytest.raises(UnreadableImageError, match="shows another file"):
            decoded(drawing(b'width="90" height="90"', shown))


def test_a_picture_inside_of_a_drawing_is_shown(reading, sheet):
    """A scan that a program has wrapped in an SVG is read."""
    scan = base64.b64encode(sheet((300, 60), (10, 12, "Wrapped scan", 30)))
    wrapped = drawing(
        b'width="300" height="60"', b'<image xlink:href="data:image/png;base64,' + scan + b'" width="300" height="60"/>'
    )
    assert reading.text("RecognizeImage", wrapped) == "Wrapped scan"
    ((left, _, right, _),) = json.loads(reading.results("DetectRegions", wrapped)[0][1])
    assert 0 <= left < right <= 300
