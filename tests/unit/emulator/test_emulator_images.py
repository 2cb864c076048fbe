"""Whatever bytes are sent as an image, the job ends with a reason."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image

from airflow_provider_asposeocr.emulator.engine import UnreadableImageError, decoded


def encoded(file_format: str) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((120, 90), 60).convert("RGB").save(file, file_format)
    return file.getvalue()


# Pillow warns of broken TIFF files besides refusing them.
@pytest.mark.filterwarnings("ignore:Truncated File Read:UserWarning", "ignore:Possibly corrupt EXIF data:UserWarning")
@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "TIFF", "GIF", "BMP"])
def test_broken_files_are_refused_or_decoded_in_part(file_format):
    whole = encoded(file_format)
    assert decoded(whole).size == (120, 90)
    refused = 0
    for length in range(0, len(whole), 97):
        try:
            assert decoded(whole[:length]).mode == "RGB"
        except UnreadableImageError:
            refused += 1
    assert refused > 0


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\x89PNG\r\n\x1a\n"])
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
