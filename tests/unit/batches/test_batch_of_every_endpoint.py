"""A batch takes every endpoint: it lists the files that the endpoint takes, and writes what it brings."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.unit.batches.batch_stubs import batch, manifest

DOCUMENTS = ("letters/04-thanks.jpg", "huckleberry-finn-page-29.pdf", "page.djvu")
BRINGS = {
    "RecognizePdf": ("huckleberry-finn-page-29.pdf", {}, {".txt"}),
    "RecognizeTable": ("04-thanks.jpg", {"resultTypeTable": "CsvAndExcel"}, {".csv", ".xlsx"}),
    "RecognizeReceipt": ("04-thanks.jpg", {"resultType": "TextAndHocr"}, {".txt", ".hocr"}),
    "RecognizeLabel": ("04-thanks.jpg", {}, {".txt"}),
    "RecognizeAndParseInvoice": ("04-thanks.jpg", {}, {".txt"}),
    "IdentifyFont": ("04-thanks.jpg", {}, {".txt"}),
    "DetectRegions": ("04-thanks.jpg", {}, {".json"}),
    "BinarizeImage": ("04-thanks.jpg", {}, {".png"}),
    "DeskewImage": ("04-thanks.jpg", {}, {".png"}),
    "DewarpImage": ("04-thanks.jpg", {}, {".png"}),
    "UpscaleImage": ("04-thanks.jpg", {}, {".png"}),
    "DjVu2PDF": ("page.djvu", {}, {".pdf"}),
    "ConvertTextToSpeech": ("words.txt", {}, {".wav"}),
}


@pytest.fixture
def mixed(tmp_path: Path, scans: Path) -> Path:
    """A folder with one document of each kind."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    for name in DOCUMENTS:
        shutil.copy(scans / name, folder)
    (folder / "words.txt").write_text("Hello again.")
    return folder


@pytest.mark.parametrize("endpoint", BRINGS)
@pytest.mark.usefixtures("connection")
def test_of_a_mixed_folder_the_endpoints_own_files_are_done(
    context: Any, mixed: Path, outbox: Path, endpoint: str
) -> None:
    """Whatever the endpoint does not take is not listed, and each result is a file with its extension."""
    name, settings, extensions = BRINGS[endpoint]
    xcom = batch(mixed, outbox, endpoint=endpoint, settings=settings).execute(context)
    assert (xcom["endpoint"], xcom["completed"], xcom["failed"]) == (endpoint, 1, 0)
    ((image, line),) = manifest(outbox).items()
    assert Path(image).name == name
    assert {Path(file).suffix for file in line["files"]} == extensions
    assert all(Path(file).stat().st_size for file in line["files"])
