"""Make a PDF of a DjVu file, and read its pages."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_asposeocr.operators.aspose_ocr import AsposeOcrDjVuToPdfOperator, AsposeOcrRecognizePdfOperator

# Any URI that Airflow's ObjectStoragePath opens: file://, s3://, gs://, abfs://.
SCANS = os.environ.get("ASPOSE_OCR_SCANS", str(Path(__file__).parent / "scans"))
OUT = os.environ.get("ASPOSE_OCR_OUT", "/tmp/aspose-ocr") + "/{{ run_id }}"  # noqa: S108 - an example

with DAG("example_djvu_to_pdf", start_date=datetime(2024, 1, 1), schedule=None, catchup=False, tags=["example"]):
    # [START howto_operator_aspose_ocr_djvu]
    pdf = AsposeOcrDjVuToPdfOperator(task_id="convert", image=f"{SCANS}/page.djvu", output_path=f"{OUT}/")
    AsposeOcrRecognizePdfOperator(task_id="read", image=pdf.output["file"])
    # [END howto_operator_aspose_ocr_djvu]
