"""
Read the fields of an invoice, and write them as a row into a database.

``ASPOSE_OCR_DATABASE`` is its address for SQLAlchemy, such as ``postgresql+psycopg2://user@host/name``. With Airflow's
provider of a database installed, its hook or ``SQLExecuteQueryOperator`` and an Airflow connection take that place.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task
from sqlalchemy import create_engine, text

from airflow_provider_asposeocr.operators.aspose_ocr import AsposeOcrRecognizeInvoiceOperator

# Any URI that Airflow's ObjectStoragePath opens: file://, s3://, gs://, abfs://.
SCANS = os.environ.get("ASPOSE_OCR_SCANS", str(Path(__file__).parent / "scans"))
DATABASE = os.environ.get("ASPOSE_OCR_DATABASE", "sqlite:////tmp/aspose-ocr-invoices.db")

TABLE = """
CREATE TABLE IF NOT EXISTS invoices (
    job VARCHAR(80) PRIMARY KEY, supplier_name TEXT, receiver_name TEXT, issue_date DATE, due_date DATE,
    currency VARCHAR(3), net_amount NUMERIC(12, 2), vat NUMERIC(5, 2), total_amount NUMERIC(12, 2), account TEXT
)
"""
# The job's id is the key: a task that runs twice writes one row.
ROW = """
INSERT INTO invoices VALUES (
    :job, :supplier_name, :receiver_name, :issue_date, :due_date, :currency, :net_amount, :vat, :total_amount, :account
) ON CONFLICT (job) DO NOTHING
"""


# [START howto_operator_aspose_ocr_invoice_row]
@task
def write_row(job: str, invoice: dict[str, Any]) -> None:
    """Write the fields into the table; what is missing on the paper is NULL."""
    engine = create_engine(DATABASE)
    with engine.begin() as database:
        database.execute(text(TABLE))
        database.execute(text(ROW), {"job": job, **invoice})
    engine.dispose()


# [END howto_operator_aspose_ocr_invoice_row]

with DAG(
    "example_invoice_to_database", start_date=datetime(2024, 1, 1), schedule=None, catchup=False, tags=["example"]
):
    # [START howto_operator_aspose_ocr_invoice]
    read = AsposeOcrRecognizeInvoiceOperator(task_id="invoice", image=f"{SCANS}/invoice.jpg")
    write_row(read.output["ocr_task_id"], read.output["invoice"])
    # [END howto_operator_aspose_ocr_invoice]
