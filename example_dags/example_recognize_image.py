"""Recognize the text of one scan: the smallest DAG there is."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_asposeocr.operators.aspose_ocr import AsposeOcrRecognizeImageOperator

# Any URI that Airflow's ObjectStoragePath opens: file://, s3://, gs://, abfs://.
SCANS = os.environ.get("ASPOSE_OCR_SCANS", str(Path(__file__).parent / "scans"))

with DAG("example_recognize_image", start_date=datetime(2024, 1, 1), schedule=None, catchup=False, tags=["example"]):
    # [START howto_operator_aspose_ocr_recognize_image]
    AsposeOcrRecognizeImageOperator(
        task_id="recognize",
        image=f"{SCANS}/huckleberry-finn-page-29.jpg",
        settings={"language": "English"},
        deferrable=True,
    )
    # [END howto_operator_aspose_ocr_recognize_image]
