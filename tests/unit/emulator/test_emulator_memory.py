"""A PDF of many pages is not in memory as pixels all at once."""

from __future__ import annotations

import io
import weakref

import pytest
from PIL import Image

from airflow_provider_asposeocr.emulator import EmulatorServer, Fragment
from tests.unit.emulator.conftest import Client


class Watching:
    """Reads nothing, and counts how many of the images that it was shown are still there."""

    def __init__(self) -> None:
        self.shown: list[weakref.ref[Image.Image]] = []
        self.most = 0

    def read(self, image: Image.Image) -> list[Fragment]:
        self.shown.append(weakref.ref(image))
        self.most = max(self.most, sum(one() is not None for one in self.shown))
        return []


@pytest.mark.parametrize("kind", ["Text", "Hocr", "JSON"])
def test_pages_are_let_go_of_where_no_result_shows_them(kind):
    """Five hundred pages as pixels are six gigabytes; their text is nothing."""
    pypdf = pytest.importorskip("pypdf")
    file, document = io.BytesIO(), pypdf.PdfWriter()
    for _ in range(6):
        document.add_blank_page(200, 280)
    document.write(file)
    reader = Watching()
    with EmulatorServer(reader=reader) as server:
        client = Client(server.url)
        with client.session:
            client.authorize().results("RecognizePdf", file.getvalue(), {"resultType": kind})
    assert len(reader.shown) == 6
    assert reader.most <= 2
