"""Read a table: its rows for the next task, and a CSV file and an Excel workbook."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_asposeocr.operators.aspose_ocr import AsposeOcrRecognizeTableOperator

# Any URI that Airflow's ObjectStoragePath opens: file://, s3://, gs://, abfs://.
SCANS = os.environ.get("ASPOSE_OCR_SCANS", str(Path(__file__).parent / "scans"))
OUT = os.environ.get("ASPOSE_OCR_OUT", "/tmp/aspose-ocr") + "/{{ run_id }}"  # noqa: S108 - an example


@task
def stock_value(rows: list[list[str]]) -> float:
    """What all the goods are worth: the first row names the columns."""
    names, *goods = rows
    count, price = names.index("Count"), names.index("Price")
    return round(sum(float(row[count]) * float(row[price]) for row in goods), 2)


with DAG("example_table_to_csv", start_date=datetime(2024, 1, 1), schedule=None, catchup=False, tags=["example"]):
    # [START howto_operator_aspose_ocr_table]
    table = AsposeOcrRecognizeTableOperator(
        task_id="table",
        image=f"{SCANS}/stock-table.jpg",
        settings={"resultTypeTable": "CsvAndExcel"},
        output_path=f"{OUT}/",
    )
    stock_value(table.output["rows"])
    # [END howto_operator_aspose_ocr_table]
