"""Read a page with the place of each word, to be looked at on the tab "OCR result" of its task (Airflow 3.1+)."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_asposeocr.operators.aspose_ocr import AsposeOcrRecognizeImageOperator

SCANS = os.environ.get("ASPOSE_OCR_SCANS", str(Path(__file__).parent / "scans"))
TEXTS = os.environ.get("ASPOSE_OCR_TEXTS", "/tmp/aspose-ocr-texts")  # noqa: S108 - an example's output

with DAG("example_result_page", start_date=datetime(2024, 1, 1), schedule=None, catchup=False, tags=["example"]):
    # [START howto_result_page]
    AsposeOcrRecognizeImageOperator(
        task_id="recognize",
        image=f"{SCANS}/two-columns.jpg",
        settings={"resultType": "TextAndPdfAndHocr"},
        output_path=f"{TEXTS}/{{{{ run_id }}}}/",
    )
    # [END howto_result_page]
