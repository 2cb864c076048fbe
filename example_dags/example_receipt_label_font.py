"""Read a receipt and a label, and tell the fonts of the label."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_asposeocr.operators.aspose_ocr import (
    AsposeOcrIdentifyFontOperator,
    AsposeOcrRecognizeLabelOperator,
    AsposeOcrRecognizeReceiptOperator,
)

# Any URI that Airflow's ObjectStoragePath opens: file://, s3://, gs://, abfs://.
SCANS = os.environ.get("ASPOSE_OCR_SCANS", str(Path(__file__).parent / "scans"))

with DAG("example_receipt_label_font", start_date=datetime(2024, 1, 1), schedule=None, catchup=False, tags=["example"]):
    # [START howto_operator_aspose_ocr_receipt_label_font]
    AsposeOcrRecognizeReceiptOperator(task_id="receipt", image=f"{SCANS}/receipt.jpg")
    AsposeOcrRecognizeLabelOperator(task_id="label", image=f"{SCANS}/label.jpg")
    AsposeOcrIdentifyFontOperator(task_id="font", image=f"{SCANS}/label.jpg")
    # [END howto_operator_aspose_ocr_receipt_label_font]
