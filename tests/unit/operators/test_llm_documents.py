"""as_documents: the text of a job as documents for language models, once in the XCom."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from airflow_provider_asposeocr.operators import aspose_ocr
from tests.unit.operators.recognizing import QUICK, recognize
from tests.unit.storage.outputs import QUIET

pytestmark = QUIET

CARD_FIELDS = [[388, 212, 960, 254], [0, 0, 60, 60], [388, 434, 960, 476]]


def run(name: str, context: Any, **arguments: Any) -> dict[str, Any]:
    operator = getattr(aspose_ocr, f"AsposeOcr{name}Operator")
    xcom: dict[str, Any] = operator(task_id=name, durable=False, as_documents=True, **QUICK, **arguments).execute(
        context
    )
    assert json.loads(json.dumps(xcom)) == xcom
    return xcom


def test_a_page_is_one_document(connection: str, context: Any, letter: str, letter_text: str) -> None:
    """It says where it is from; the text stands nowhere else."""
    xcom = recognize(letter, as_documents=True, settings={"language": "en"}).execute(context)
    (document,) = xcom["documents"]
    assert document == {
        "text": letter_text,
        "metadata": {
            "source": letter,
            "endpoint": "RecognizeImage",
            "ocr_task_id": xcom["ocr_task_id"],
            "language": "English",
        },
    }
    assert json.dumps(xcom).count("Odette") == letter_text.count("Odette")
    assert (xcom["text"], xcom["results"]) == (None, [{"type": "Text"}])


def test_each_region_is_a_document(connection: str, context: Any, scans: Path) -> None:
    """In reading order, with its place; one in which nothing is written is none."""
    xcom = run("RecognizeRegions", context, image=str(scans / "id-card-form.jpg"), regions=CARD_FIELDS)
    assert [document["text"] for document in xcom["documents"]] == ["ORRELWICK", "LOWER FENNICK"]
    assert [document["metadata"]["rect"] for document in xcom["documents"]] == [CARD_FIELDS[0], CARD_FIELDS[2]]
    assert [document["metadata"]["order"] for document in xcom["documents"]] == [0, 2]
    assert [region["text"] for region in xcom["regions"]] == [None, None, None]
    assert json.dumps(xcom).count("ORRELWICK") == 1


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("RecognizePdf", "huckleberry-finn-page-29.pdf"),
        ("RecognizeReceipt", "receipt.jpg"),
        ("RecognizeLabel", "receipt.jpg"),
        ("RecognizeTable", "receipt.jpg"),
    ],
)
def test_every_operator_of_texts_has_them(connection: str, context: Any, scans: Path, name: str, image: str) -> None:
    (document,) = run(name, context, image=str(scans / image))["documents"]
    assert len(document["text"]) > 100
    assert document["metadata"]["language"] == "English"


def test_with_files(connection: str, context: Any, letter: str, letter_text: str, tmp_path: Path) -> None:
    """The metadata names the file of the text; other results are as ever."""
    xcom = recognize(
        letter, as_documents=True, output_path=f"{tmp_path}/", settings={"resultType": "TextAndPdf"}
    ).execute(context)
    assert xcom["documents"][0]["metadata"]["file"] == xcom["file"] == str(tmp_path / "01-apples.txt")
    assert [Path(file).suffix for file in xcom["files"]] == [".txt", ".pdf"]


def test_a_long_text_stands_in_its_file(connection: str, context: Any, letter: str, tmp_path: Path) -> None:
    """Longer than max_xcom_bytes, it is None and not empty, and the metadata names the file."""
    xcom = recognize(letter, as_documents=True, output_path=f"{tmp_path}/", max_xcom_bytes=10).execute(context)
    (document,) = xcom["documents"]
    assert document["text"] is None
    assert "Odette" in Path(document["metadata"]["file"]).read_text()
    assert "max_xcom_bytes" in xcom["warnings"][-1]


def test_without_text_nothing_is_sent(
    connection: str, emulator: EmulatorServer, context: Any, letter: str, tmp_path: Path
) -> None:
    with pytest.raises(AsposeOcrInputError, match=r"as_documents=True needs a result of type Text.*Nothing was sent"):
        recognize(letter, as_documents=True, output_path=f"{tmp_path}/", settings={"resultType": "Pdf"}).execute(
            context
        )
    assert emulator.calls().total == 0


def test_without_waiting_it_is_refused_when_the_dag_is_parsed(letter: str) -> None:
    with pytest.raises(AsposeOcrInputError, match="wait_for_completion"):
        recognize(letter, as_documents=True, wait_for_completion=False)


def test_a_clear_brings_the_same_again(
    connection: str, emulator: EmulatorServer, context: Any, letter: str, logged: Callable[[], str]
) -> None:
    first = recognize(letter, as_documents=True).execute(context)
    again = recognize(letter, as_documents=True).execute(context)
    # What it cost is that of each try.
    assert {**again, "cost": None} == {**first, "cost": None}
    assert emulator.calls().accepted == 1
    assert "Odette" not in logged()
