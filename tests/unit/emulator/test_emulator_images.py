"""Whatever bytes are sent as an image, the job ends with a reason."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from airflow_provider_asposeocr.emulator.decoding import UnreadableImageError, decoded


def encoded(file_format: str) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((120, 90), 60).convert("RGB").save(file, file_format)
    return file.getvalue()


# Pillow warns of broken TIFF files besides refusing them.
@pytest.mark.filterwarnings("ignore:Truncated File Read:UserWarning", "ignore:Possibly corrupt EXIF data:UserWarning")
@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "TIFF", "GIF", "BMP"])
def test_broken_files_are_refused_or_decoded_in_part(file_format):
    whole = encoded(file_format)
    assert decoded(whole).image.size == (120, 90)
    refused = 0
    for length in range(0, len(whole), 97):
        try:
            assert decoded(whole[:length]).image.mode == "RGB"
        except UnreadableImageError:
            refused += 1
    assert refused > 0


@pytest.mark.parametrize(
    "data", [b"", b"%PDF-1.7", b"<svg xmlns='http://www.w3.org/2000/svg'><broken", b"\x89PNG\r\n\x1a\n"]
)
def test_what_is_no_image_is_refused(data):
    with pytest.raises(UnreadableImageError, match="cannot be decoded"):
        decoded(data)


@pytest.mark.parametrize("side", [9_200, 12_000, 60_000])
def test_images_too_large_are_refused_before_they_are_unpacked(side):
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    with pytest.raises(UnreadableImageError):
        decoded(data)


def png_with(kind: bytes, content: bytes) -> bytes:
    """A good PNG with one more chunk behind its header."""
    whole = encoded("PNG")
    chunk = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    return whole[:33] + chunk + whole[33:]


def tiff_with(tag: int, kind: int, value: int) -> bytes:
    """A good TIFF of which one tag has another type and value."""
    whole = bytearray(encoded("TIFF"))
    start = struct.unpack_from("<I", whole, 4)[0]
    for at in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", whole, start)[0], 12):
        if struct.unpack_from("<H", whole, at)[0] == tag:
            struct.pack_into("<HHII", whole, at, tag, kind, 1, value)
    return bytes(whole)


@pytest.mark.parametrize(
    "data",
    [
        png_with(b"zTXt", b"note\0\0" + zlib.compress(b"a" * 3_000_000)),  # unpacked, a word of 3 MB
        tiff_with(256, 2, 0x41),  # its width is a letter
        tiff_with(258, 5, 0),  # its bits per pixel are a fraction
    ],
)
def test_what_a_decoder_stumbles_over_is_said_to_be_a_broken_file(data):
    """Whatever Pillow raises of a file: it is the file's fault, and no failure of the emulator."""
    with pytest.raises(UnreadableImageError, match="cannot be decoded"):
        decoded(data)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_image_of_numbers_that_are_none_is_decoded_without_a_warning(value):
    """Scientific TIFF files have such pixels: they are as dark as the darkest."""
    shades = np.array([[value, 0.0], [0.5, 1.0]], dtype=np.float32)
    file = io.BytesIO()
    Image.fromarray(shades).save(file, "TIFF")
    image = decoded(file.getvalue()).image
    assert [image.getpixel(at)[0] for at in ((0, 1), (1, 1))] == [127, 255]
