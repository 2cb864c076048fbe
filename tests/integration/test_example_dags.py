"""The example DAGs do what they say: each runs by ``dag.test()``, all in one process, against the emulator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from airflow_provider_asposeocr.emulator import EmulatorServer, TextReader
from tests.conftest import SCANS
from tests.integration.connections import connection_to

pytestmark = pytest.mark.integration

EXAMPLES = SCANS.parent
DAG_IDS = sorted(path.stem for path in EXAMPLES.glob("example_*.py"))


def truth(name: str) -> str:
    return (SCANS / "expected" / f"{name}.txt").read_text().strip()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("examples")


@pytest.fixture(scope="module")
def outcomes(folder: Path, reader: TextReader) -> dict[str, dict[str, Any]]:
    """The state and the XComs of a run of each example."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    with EmulatorServer(reader=reader) as emulator:
        environment = {
            **inherited,
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(EXAMPLES),
            "AIRFLOW_CONN_ASPOSE_OCR_DEFAULT": json.dumps(connection_to(emulator)),
            "ASPOSE_OCR_OUT": str(folder / "out"),
            "ASPOSE_OCR_TEXTS": str(folder / "texts"),
            "ASPOSE_OCR_CHUNKS": str(folder / "chunks"),
            "ASPOSE_OCR_DATABASE": f"sqlite:///{folder}/invoices.db",
        }
        script = str(Path(__file__).parent / "run_examples.py")
        for command in (["-m", "airflow", "db", "migrate"], [script, str(EXAMPLES), *DAG_IDS]):
            done = subprocess.run(
                [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=900, check=False
            )
            assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    found: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_every_example_succeeds(outcomes: dict[str, dict[str, Any]], dag_id: str) -> None:
    """A run of the example ends as success."""
    assert outcomes[dag_id]["state"] == "success"


def test_the_photo_of_a_page_becomes_its_text(outcomes: dict[str, dict[str, Any]]) -> None:
    """Flat, straight, black and white, larger: the text is the printed one, to the letter."""
    assert outcomes["example_photo_to_text"]["xcoms"]["read"]["text"] == truth("page-photo")


def test_the_fields_of_the_invoice_are_a_row(outcomes: dict[str, dict[str, Any]], folder: Path) -> None:
    """The row in the database holds what is printed."""
    engine = create_engine(f"sqlite:///{folder}/invoices.db")
    with engine.connect() as database:
        (row,) = database.execute(text("SELECT supplier_name, receiver_name, total_amount FROM invoices")).all()
    engine.dispose()
    assert tuple(row) == ("Harbour Supplies Ltd", "The Copper Kettle", 840)


def test_the_goods_of_the_table_are_worth_what_is_printed(outcomes: dict[str, dict[str, Any]]) -> None:
    assert outcomes["example_table_to_csv"]["xcoms"]["stock_value"] == 1313.4


def test_receipt_label_and_font(outcomes: dict[str, dict[str, Any]]) -> None:
    """Receipt and label come as text; the font of the label is told."""
    xcoms = outcomes["example_receipt_label_font"]["xcoms"]
    assert xcoms["label"]["text"] == truth("label")
    assert "THE COPPER KETTLE" in xcoms["receipt"]["text"]
    assert xcoms["font"]["fonts"]
    assert xcoms["font"]["style"]


def test_a_djvu_file_becomes_a_pdf_and_text(outcomes: dict[str, dict[str, Any]]) -> None:
    assert outcomes["example_djvu_to_pdf"]["xcoms"]["read"]["text"] == "A page in DjVu"


def test_a_letter_is_spoken(outcomes: dict[str, dict[str, Any]]) -> None:
    """What was read of the letter is a sound file."""
    file = outcomes["example_speak_text"]["xcoms"]["speak"]["file"]
    assert Path(file.removeprefix("file://")).read_bytes()[:4] == b"RIFF"
