"""Chains of operators on a really running Airflow: the examples of the families of operators, and what they bring."""

from __future__ import annotations

import csv
import difflib
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from airflow_provider_asposeocr.emulator import EmulatorServer
from tests.conftest import SCANS
from tests.integration.airflow_api import FINISHED_RUN_STATES
from tests.integration.documents import expected_words
from tests.integration.running_airflow import RunningAirflow
from tests.integration.shared_airflow import EXAMPLE_FILES, put_in_order
from tests.integration.waiting import wait_until

pytestmark = pytest.mark.integration

DAG_IDS = [name.removesuffix(".py") for name in EXAMPLE_FILES]
STOCK = [
    ["Article", "Aisle", "Count", "Price"],
    ["Black tea", "North", "120", "6.85"],
    ["Rye bread", "West", "36", "4.20"],
    ["Plum jam", "North", "48", "3.90"],
    ["Goat cheese", "East", "15", "5.40"],
    ["Brown eggs", "East", "200", "0.36"],
]


@pytest.fixture(scope="module")
def runs(airflow_of_all: RunningAirflow, emulators: dict[str, EmulatorServer]) -> dict[str, str]:
    """A run of each example, all ended as success."""
    put_in_order(airflow_of_all)
    emulators["aspose_ocr_default"].reset()
    runs = {dag_id: airflow_of_all.trigger(dag_id) for dag_id in DAG_IDS}

    def ended() -> bool:
        return all(airflow_of_all.run_state(*run) in FINISHED_RUN_STATES for run in runs.items())

    wait_until(ended, "all runs have ended", timeout=180)
    assert {dag_id: airflow_of_all.run_state(dag_id, run) for dag_id, run in runs.items()} == dict.fromkeys(
        DAG_IDS, "success"
    )
    return runs


@pytest.fixture
def xcom(airflow_of_all: RunningAirflow, runs: dict[str, str]) -> Any:
    def read(dag_id: str, task_id: str) -> Any:
        return airflow_of_all.xcom(dag_id, runs[dag_id], task_id)

    return read


def local(uri: str) -> Path:
    return Path(uri.removeprefix("file://"))


def test_a_scan_becomes_a_searchable_pdf_and_that_its_text(xcom: Any) -> None:
    """Deskew, binarize, searchable PDF, text of that PDF: each file is the next task's document."""
    pypdf = pytest.importorskip("pypdf")
    read = xcom("example_scan_to_text", "read")
    expected = expected_words("huckleberry-finn-page-29")
    assert difflib.SequenceMatcher(None, read["text"].split(), expected, autojunk=False).ratio() > 0.95
    assert read["endpoint"] == "RecognizePdf"

    straight, black, searchable = (
        local(xcom("example_scan_to_text", task_id)["file"]) for task_id in ("deskew", "binarize", "searchable")
    )
    assert [file.suffix for file in (straight, black, searchable)] == [".png", ".png", ".pdf"]
    (page,) = pypdf.PdfReader(searchable).pages
    layer = page.extract_text().split()
    assert difflib.SequenceMatcher(None, layer, expected, autojunk=False).ratio() > 0.9


def test_the_black_and_white_image_has_two_shades_only(xcom: Any) -> None:
    from PIL import Image

    with Image.open(local(xcom("example_scan_to_text", "binarize")["file"])) as image:
        assert {shade for _, shade in image.convert("L").getcolors() or ()} == {0, 255}


def test_the_fields_of_an_invoice_are_a_row_in_postgresql(xcom: Any, database: str) -> None:
    """What is printed on the invoice stands in the columns of the row, in the types of the database."""
    engine = create_engine(database)
    with engine.connect() as connection:
        (row,) = connection.execute(text("SELECT * FROM invoices")).mappings().all()
    engine.dispose()
    assert dict(row) == {
        "job": xcom("example_invoice_to_database", "invoice")["ocr_task_id"],
        "supplier_name": "Harbour Supplies Ltd",
        "receiver_name": "The Copper Kettle",
        "issue_date": date(2024, 3, 14),
        "due_date": date(2024, 4, 13),
        "currency": "EUR",
        "net_amount": Decimal("700.00"),
        "vat": Decimal("20.00"),
        "total_amount": Decimal("840.00"),
        "account": "DE89 3704 0044 0532 0130 00",
    }


def test_the_csv_of_a_table_is_the_drawn_table(xcom: Any) -> None:
    """The file, the rows of the XCom, and the workbook hold what is drawn, cell by cell."""
    openpyxl = pytest.importorskip("openpyxl")
    result = xcom("example_table_to_csv", "table")
    assert result["rows"] == STOCK
    files = {entry["type"]: local(entry["file"]) for entry in result["results"]}
    with files["Csv"].open(newline="") as file:
        assert list(csv.reader(file)) == [["0", "1", "2", "3"], *STOCK]
    sheet = openpyxl.load_workbook(files["Excel"]).active
    assert [[cell.value for cell in row] for row in sheet.rows] == STOCK
    assert [" ".join(row) for row in STOCK] == (SCANS / "expected" / "stock-table.txt").read_text().splitlines()


def test_each_document_is_billed_once(runs: dict[str, str], emulators: dict[str, EmulatorServer]) -> None:
    """Four jobs of the chain, one of the invoice, one of the table: nothing is submitted twice."""
    calls = emulators["aspose_ocr_default"].calls()
    assert calls.accepted == 6
    assert set(calls.accepted_by_image.values()) == {1}
