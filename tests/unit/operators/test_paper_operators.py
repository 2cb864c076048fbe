"""The operators for kinds of paper, PDFs, images and sound against the emulator: their XComs and their files."""

from __future__ import annotations

import io
import json
import wave
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from airflow_provider_asposeocr.operators import aspose_ocr
from airflow_provider_asposeocr.operators.aspose_ocr import AsposeOcrOperator
from tests.unit.operators.recognizing import QUICK, recognize

NAMES = [
    *("RecognizePdf", "RecognizeTable", "RecognizeReceipt", "RecognizeLabel", "RecognizeInvoice", "IdentifyFont"),
    *("BinarizeImage", "DeskewImage", "DewarpImage", "UpscaleImage", "DjVuToPdf", "TextToSpeech"),
]


def run(name: str, context: Any, **arguments: Any) -> dict[str, Any]:
    operator = getattr(aspose_ocr, f"AsposeOcr{name}Operator")
    xcom: dict[str, Any] = operator(task_id=name, durable=False, **QUICK, **arguments).execute(context)
    assert json.loads(json.dumps(xcom)) == xcom
    return xcom


def printed(path: Path, *lines: tuple[int, int, str], size: tuple[int, int] = (700, 200)) -> str:
    sheet = Image.new("RGB", size, "white")
    for x, y, text in lines:
        ImageDraw.Draw(sheet).text((x, y), text, fill="black", font=ImageFont.load_default(28))
    sheet.save(path)
    return str(path)


def file_of(xcom: dict[str, Any]) -> Path:
    (entry,) = xcom["results"]
    return Path(entry["file"].removeprefix("file://"))


@pytest.mark.parametrize("name", NAMES)
def test_all_operators_can_be_imported_from_one_place(name: str) -> None:
    """A DAG file imports every operator from the same module, by one pattern of name."""
    operator = getattr(aspose_ocr, f"AsposeOcr{name}Operator")
    assert issubclass(operator, AsposeOcrOperator)
    assert operator.__doc__


def test_there_is_no_other_operator() -> None:
    with pytest.raises(AttributeError, match="AsposeOcrDreamOperator"):
        _ = aspose_ocr.AsposeOcrDreamOperator


@pytest.mark.usefixtures("connection")
def test_the_rows_of_a_table(context: Any, tmp_path: Path) -> None:
    """A table's CSV comes as rows too."""
    image = printed(tmp_path / "table.png", (30, 30, "Tea"), (400, 30, "6.85"), (30, 90, "Bread"), (400, 90, "4.20"))
    xcom = run("RecognizeTable", context, image=image, settings={"resultTypeTable": "Csv"})
    assert xcom["rows"] == [["Tea", "6.85"], ["Bread", "4.20"]]
    assert "rows" not in run("RecognizeTable", context, image=image)


@pytest.mark.usefixtures("connection")
def test_the_fields_of_an_invoice(context: Any, tmp_path: Path) -> None:
    """An invoice's fields are typed: what is missing is nothing, amounts are numbers."""
    image = printed(tmp_path / "invoice.png", (30, 30, "Harbour Supplies"), (30, 90, "Total EUR 1,200.00"))
    invoice = run("RecognizeInvoice", context, image=image)["invoice"]
    assert (invoice["supplier_name"], invoice["total_amount"], invoice["currency"]) == (
        "Harbour Supplies",
        1200.0,
        "EUR",
    )
    assert (invoice["vat"], invoice["issue_date"]) == (None, None)


@pytest.mark.usefixtures("connection")
def test_style_and_fonts(context: Any, tmp_path: Path) -> None:
    """IdentifyFont brings a style and the names of fonts."""
    image = printed(tmp_path / "page.png", (30, 30, "Words in some typeface"))
    xcom = run("IdentifyFont", context, image=image)
    assert xcom["style"]
    assert xcom["fonts"]
    assert all(isinstance(font, str) for font in xcom["fonts"])


@pytest.mark.usefixtures("connection")
def test_receipt_and_label(context: Any, tmp_path: Path) -> None:
    """Receipts and labels bring their text."""
    image = printed(tmp_path / "label.png", (30, 30, "Net weight 250 g"))
    assert run("RecognizeReceipt", context, image=image)["text"] == "Net weight 250 g"
    assert run("RecognizeLabel", context, image=image)["text"] == "Net weight 250 g"


@pytest.mark.usefixtures("connection")
def test_blocks_of_json(context: Any, tmp_path: Path) -> None:
    """A JSON result comes as blocks with their places."""
    image = printed(tmp_path / "page.png", (30, 30, "One block"))
    (block,) = run("RecognizeReceipt", context, image=image, settings={"resultType": "JSON"})["blocks"]
    assert block["text"] == "One block"
    assert len(block["rect"]) == 4


@pytest.mark.usefixtures("connection")
def test_scan_to_straight_to_black_and_white_to_searchable_pdf_to_text(context: Any, tmp_path: Path) -> None:
    """The file of one task is the image of the next."""
    image = printed(tmp_path / "scan.png", (30, 60, "The lamp at the end of the pier"))
    tilted = tmp_path / "tilted.png"
    Image.open(image).rotate(4, expand=True, fillcolor="white", resample=Image.Resampling.BICUBIC).save(tilted)
    straight = file_of(run("DeskewImage", context, image=str(tilted), output_path=f"{tmp_path}/straight/"))
    black = file_of(run("BinarizeImage", context, image=str(straight), output_path=f"{tmp_path}/black/"))
    pdf = {"resultType": "Pdf"}
    searchable = file_of(
        recognize(str(black), settings=pdf, output_path=f"{tmp_path}/pdf/", durable=False).execute(context)
    )
    assert searchable.name == "tilted.pdf"
    assert run("RecognizePdf", context, image=str(searchable))["text"] == "The lamp at the end of the pier"


@pytest.mark.usefixtures("connection")
def test_upscale_dewarp_and_djvu(context: Any, tmp_path: Path, scans: Path) -> None:
    """Larger, flat, and a PDF of a DjVu file: each is a file."""
    image = printed(tmp_path / "small.png", (10, 10, "tiny"), size=(120, 60))
    with Image.open(file_of(run("UpscaleImage", context, image=image, output_path=f"{tmp_path}/large/"))) as larger:
        assert larger.size == (240, 120)
    dewarped = run("DewarpImage", context, image=image, output_path=f"{tmp_path}/flat/")
    assert "no outline" in dewarped["warnings"][0]
    djvu = scans / "page.djvu"
    pdf = file_of(run("DjVuToPdf", context, image=str(djvu), output_path=f"{tmp_path}/pdf/"))
    assert pdf.read_bytes().startswith(b"%PDF-")


@pytest.mark.usefixtures("connection")
def test_a_text_becomes_a_sound_file(context: Any, tmp_path: Path) -> None:
    """Speech is written to a file, which is named after its text in a folder."""
    xcom = run("TextToSpeech", context, text="Hello again.", output_path=f"{tmp_path}/")
    with wave.open(io.BytesIO(file_of(xcom).read_bytes())) as sound:
        assert sound.getnframes() > 1000
    assert file_of(xcom).name.startswith("speech-")
    named = run("TextToSpeech", context, text="Hello again.", output_path=f"{tmp_path}/hello.wav")
    assert file_of(named).name == "hello.wav"


def test_the_trial_speaks_without_credentials(
    emulator: EmulatorServer, define_connection: Any, context: Any, tmp_path: Path
) -> None:
    define_connection(host=emulator.url, extra=json.dumps({"trial": True}))
    xcom = run("TextToSpeech", context, text="Hello.", trial=True, output_path=f"{tmp_path}/")
    assert xcom["endpoint"] == "ConvertTextToSpeechTrial"
    assert emulator.calls().token_calls == 0


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("RecognizePdf", {"image": "scan.png"}, "RecognizeImage takes images"),
        ("DjVuToPdf", {"image": "scan.png", "output_path": "out/"}, "takes DjVu here"),
        ("BinarizeImage", {"image": "scan.png"}, "set output_path"),
        ("BinarizeImage", {"image": "scan.png", "output_path": "out/", "settings": {"rotate": 9}}, "takes no settings"),
        ("TextToSpeech", {"text": " ", "output_path": "out/"}, "nothing to speak"),
        ("TextToSpeech", {"text": 5, "output_path": "out/"}, "must be a string"),
        ("TextToSpeech", {"text": "Hello"}, "set output_path"),
        ("RecognizeLabel", {"image": "scan.png", "settings": {"language": "de"}}, "English"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_sent(
    connection: str, emulator: EmulatorServer, context: Any, tmp_path: Path, name: str, arguments: Any, says: str
) -> None:
    """Nothing is sent, or billed, of what the endpoint cannot take."""
    printed(tmp_path / "scan.png", (10, 10, "a"))
    paths = {key: f"{tmp_path}/{arguments[key]}" for key in ("image", "output_path") if key in arguments}
    with pytest.raises(AsposeOcrInputError, match=says):
        run(name, context, **{**arguments, **paths})
    assert emulator.calls().accepted == 0
