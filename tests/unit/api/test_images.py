"""Files are told by their first bytes, whatever they are called, before anything is sent."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from airflow_provider_asposeocr.api.formats import IMAGE_FORMATS
from airflow_provider_asposeocr.api.images import HEAD_SIZE, image_facts, with_directory
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="4" height="3"/>'


def picture(kind, size=(31, 17), **options):
    file = io.BytesIO()
    Image.new("RGB", size, "white").save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("size", [(31, 17), (1, 1), (1000, 3)])
def test_raster_formats_and_their_size(kind, size):
    """Raster formats are told by their first bytes, with their size."""
    facts = image_facts(picture(kind, size), "scan.dat")
    assert (facts.format, facts.width, facts.height) == (kind, *size)


def test_big_endian_tiff():
    """A TIFF in big-endian order is read too."""
    ifd = (
        b"\x00\x02"
        + b"\x01\x00\x00\x03\x00\x00\x00\x01\x00\x1f\x00\x00"
        + b"\x01\x01\x00\x03\x00\x00\x00\x01\x00\x11\x00\x00"
    )
    facts = image_facts(b"MM\x00*\x00\x00\x00\x08" + ifd + bytes(4), "scan.tif")
    assert (facts.format, facts.width, facts.height) == ("TIFF", 31, 17)


@pytest.mark.parametrize(
    "head",
    [
        SVG,
        b"\xef\xbb\xbf" + SVG,
        b"\n  " + SVG,
        b'<?xml version="1.0" encoding="UTF-8"?>\n' + SVG,
        b'<?xml version="1.0"?>\n<!-- one --><!-- <svg> two -->\n' + SVG,
        b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/svg11.dtd">\n' + SVG,
        b'<!DOCTYPE svg [\n<!ENTITY ns_svg "http://www.w3.org/2000/svg">\n]>\n' + SVG,
        b"<!-- a -->" * 300 + SVG,
    ],
)
def test_svg(head):
    """An SVG is known behind whatever may stand before its root."""
    facts = image_facts(head, "drawing.svg")
    assert (facts.format, facts.width, facts.height) == ("SVG", None, None)


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"Dear Sir or Madam,", "not an image"),
        (b"BMW and other makers of cars, a list\n", "not an image"),
        (b"<html><body><svg></svg></body></html>", "not an image"),
        (b"<!-- a -->" * 400 + b"<html>", "not an image"),
        (b"<svgx/>", "not an image"),
        (b"\x89PN", "not an image"),
        (bytes(100), "not an image"),
        (b"%PDF-1.7\n", "a PDF file"),
        (b"AT&TFORM\x00\x00", "a DjVu file"),
        (b"PK\x03\x04", "a ZIP or an Office document file"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "a WebP file"),
    ],
)
def test_refused_whatever_its_name(head, what):
    """What is no image is refused whatever its name, and named as what it is."""
    with pytest.raises(AsposeOcrInputError, match=what) as refused:
        image_facts(head, "folder/scan.png")
    assert refused.value.image == "folder/scan.png"
    assert all(kind in str(refused.value) for kind in IMAGE_FORMATS)
    assert "Nothing was sent" in str(refused.value)


def test_empty_file():
    """An empty file is refused as empty."""
    with pytest.raises(AsposeOcrInputError, match=r"scan\.png is empty"):
        image_facts(b"", "scan.png")


def test_other_formats_where_an_endpoint_takes_them():
    """An endpoint takes its own formats, and refuses the others."""
    facts = image_facts(b"%PDF-1.7\n", "scan.pdf", formats=("PDF",))
    assert (facts.format, facts.width, facts.height) == ("PDF", None, None)
    with pytest.raises(AsposeOcrInputError, match=r"a PNG file\. Aspose.OCR Cloud takes PDF here"):
        image_facts(picture("PNG"), "scan.png", formats=("PDF",))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF"])
def test_a_header_cut_short_is_no_reason_to_refuse(kind):
    """The size may be unknown then; the service will tell."""
    whole = picture(kind)
    for end in range(26 if kind == "BMP" else 8, len(whole)):
        facts = image_facts(whole[:end], "scan")
        assert facts.format == kind
        assert (facts.width, facts.height) in ((31, 17), (None, None))


def test_size_of_a_jpeg_behind_long_metadata():
    """The size of a JPEG is found behind long metadata."""
    facts = image_facts(picture("JPEG", exif=b"Exif\x00\x00" + bytes(60_000))[:HEAD_SIZE], "photo.jpg")
    assert (facts.width, facts.height) == (31, 17)


@pytest.mark.parametrize("orientation", range(9))
@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_turned_image(kind, orientation):
    """An image that is to be seen on its side is told; its size is that of the pixels as they are stored."""
    tags = Image.Exif()
    tags[0x112] = orientation
    whole = picture(kind, exif=tags) if kind == "JPEG" else picture(kind, tiffinfo={0x112: orientation})
    facts = with_directory(image_facts(whole, "photo"), io.BytesIO(whole))
    assert (facts.width, facts.height, facts.is_turned) == (31, 17, orientation >= 5)


@pytest.mark.parametrize("pages", [1, 2, 5])
def test_pages_of_a_tiff(pages):
    """A TIFF that holds more than one image is told, also where its directory stands beyond the first bytes."""
    more = [Image.new("RGB", (31, 17))] * (pages - 1)
    whole = picture("TIFF", save_all=True, append_images=more)
    for head in (whole, whole[:8]):
        facts = with_directory(image_facts(head, "scan.tif"), io.BytesIO(whole))
        assert (facts.width, facts.height, facts.holds_more) == (31, 17, pages > 1)


@given(st.binary(max_size=64))
def test_directories_that_cannot_be_read(junk):
    """Of a directory that is cut or broken nothing is known, and that is no reason to refuse the file."""
    for head in (b"II*\0", b"MM\0*", b"\xff\xd8\xff\xe1", b"\xff\xd8\xff\xe1\x00\x30Exif\0\0II*\0"):
        facts = with_directory(image_facts(head + junk, "scan"), io.BytesIO(head + junk))
        assert facts.format in ("TIFF", "JPEG")
