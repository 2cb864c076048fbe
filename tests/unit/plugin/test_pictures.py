"""The picture of a document: small, in the pixels it was sent in, and nothing that a browser would run."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from PIL import Image

from airflow_provider_asposeocr.api.images import ImageFacts
from airflow_provider_asposeocr.plugin.pictures import picture_of
from airflow_provider_asposeocr.plugin.refusals import NotShownError
from airflow_provider_asposeocr.storage.documents import Document
from tests.unit.plugin.served_page import QUERY


def picture(viewer: Any, leave: Any, document: Path, **query: Any) -> Any:
    xcom = {"endpoint": "RecognizeImage", "results": [], "files": []}
    return viewer.get(f"{leave(xcom=xcom, fields={'image': str(document)})}/picture", params={**QUERY, **query})


def drawn(path: Path, size: tuple[int, int], mode: str = "RGB", **options: Any) -> Path:
    Image.new(mode, size).save(path, **options)
    return path


@pytest.mark.parametrize("extension", ["png", "jpg", "gif", "bmp"])
def test_a_small_image_is_sent_as_it_is(viewer, leave, tmp_path, extension):
    document = drawn(tmp_path / f"scan.{extension}", (40, 30))
    answer = picture(viewer, leave, document)
    assert answer.content == document.read_bytes()
    assert answer.headers["Content-Type"] == f"image/{extension.replace('jpg', 'jpeg')}"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I;16B", "F"])
def test_a_tiff_of_any_colors_is_drawn(viewer, leave, tmp_path, mode):
    answer = picture(viewer, leave, drawn(tmp_path / "scan.tif", (40, 30), mode))
    assert answer.status_code == 200
    assert Image.open(io.BytesIO(answer.content)).size == (40, 30)


def test_each_page_of_a_tiff_has_its_picture(viewer, leave, tmp_path):
    """The boxes of the second page lie on the second page."""
    first, *others = (Image.new("RGB", (40, 30), color) for color in ("red", "lime", "blue"))
    first.save(tmp_path / "scan.tif", save_all=True, append_images=others)
    page = leave(xcom={"endpoint": "RecognizeImage", "results": []}, fields={"image": str(tmp_path / "scan.tif")})
    answers = [viewer.get(f"{page}/picture", params={**QUERY, "page": number}) for number in (1, 2, 3, 4)]
    colors = [Image.open(io.BytesIO(answer.content)).getpixel((9, 9)) for answer in answers[:3]]
    assert [max(range(3), key=color.__getitem__) for color in colors] == [0, 1, 2]
    assert answers[3].status_code == 404
    assert "has no page 4" in answers[3].text


def test_a_page_far_behind_is_not_looked_for_in_a_tiff(viewer, leave, tmp_path):
    """Each page is looked for past all others: a small file of a hundred thousand held up the server for a minute."""
    answer = picture(viewer, leave, drawn(tmp_path / "scan.tif", (40, 30)), page=99_999)
    assert answer.status_code == 404
    assert "the first 1,000 pages" in answer.text


@pytest.mark.parametrize("extension", ["jpg", "png", "tif"])
def test_a_large_image_is_drawn_smaller(viewer, leave, tmp_path, extension):
    answer = picture(viewer, leave, drawn(tmp_path / f"scan.{extension}", (6000, 3000), "L"))
    image = Image.open(io.BytesIO(answer.content))
    assert image.format == "JPEG"
    assert image.size == (2000, 1000)


def test_a_photo_is_not_turned(viewer, leave, tmp_path):
    """The boxes are those of the pixels as they were sent."""
    exif = Image.Exif()
    exif[0x0112] = 6
    answer = picture(viewer, leave, drawn(tmp_path / "photo.jpg", (3000, 1500), exif=exif))
    image = Image.open(io.BytesIO(answer.content))
    assert image.size == (2000, 1000)
    assert not image.getexif()


def test_an_image_of_too_many_pixels_is_not_drawn(viewer, leave, tmp_path):
    answer = picture(viewer, leave, drawn(tmp_path / "bomb.png", (12_000, 9_000), "1"))
    assert answer.status_code == 404
    assert "too large to be drawn" in answer.text


def test_an_svg_is_shown_but_not_opened_by_itself(viewer, leave, tmp_path):
    document = tmp_path / "drawing.svg"
    document.write_text('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')
    answer = picture(viewer, leave, document)
    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_a_pdf_is_drawn_page_by_page(viewer, leave, scans):
    document = scans / "huckleberry-finn-page-29.pdf"
    answer = picture(viewer, leave, document)
    assert max(Image.open(io.BytesIO(answer.content)).size) == 2000
    page = leave("second", xcom={"endpoint": "RecognizePdf", "results": []}, fields={"image": str(document)})
    assert "ends with page 1" in viewer.get(f"{page}/picture", params={**QUERY, "page": 2}).text


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\nbroken", b"II*\0broken", b"%PDF-1.7 broken", b"AT&TFORM"])
def test_a_broken_document_is_a_sentence(viewer, leave, tmp_path, content):
    document = tmp_path / "scan"
    document.write_bytes(content + b"\0" * 4_000_000)
    answer = picture(viewer, leave, document)
    assert answer.status_code in (404, 415)
    assert "drawn" in answer.text


def test_without_pillow_what_a_browser_shows_is_sent_and_the_rest_names_the_extra(viewer, leave, tmp_path, monkeypatch):
    large = drawn(tmp_path / "scan.png", (3000, 10))
    tiff = drawn(tmp_path / "scan.tif", (40, 30))
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    assert picture(viewer, leave, large).content == large.read_bytes()
    xcom = {"endpoint": "RecognizeImage", "results": [], "files": []}
    page = leave("second", xcom=xcom, fields={"image": str(tiff)})
    answer = viewer.get(f"{page}/picture", params=QUERY)
    assert answer.status_code == 415
    assert "airflow-provider-asposeocr[preview]" in answer.text


def test_a_crowd_of_large_documents_does_not_take_all_threads_of_the_server():
    """Two are drawn, some wait, the rest is told to come again: Airflow's own answers come from the same threads."""
    go_on, opened = threading.Event(), threading.Semaphore(0)

    @contextmanager
    def slow() -> Iterator[BinaryIO]:
        opened.release()
        go_on.wait(30)
        file = io.BytesIO()
        Image.new("L", (40, 30)).save(file, "TIFF")
        file.seek(0)
        yield file

    scan = Document("scan.tif", 1, slow)
    outcomes: list[Any] = []

    def draw() -> None:
        try:
            outcomes.append(picture_of(scan, ImageFacts("TIFF", 40, 30), 1).media_type)
        except NotShownError as refusal:
            outcomes.append(refusal.status)

    crowd = [threading.Thread(target=draw) for _ in range(20)]
    for each in crowd:
        each.start()
    opened.acquire()
    opened.acquire()
    while not outcomes:
        crowd[-1].join(0.01)
    go_on.set()
    for each in crowd:
        each.join()
    assert outcomes.count("image/jpeg") + outcomes.count(503) == 20
    assert outcomes.count("image/jpeg") >= 2
    assert outcomes.count(503) >= 1
