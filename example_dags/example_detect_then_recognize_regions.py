"""Find the text regions of a scan, then recognize them one by one, in reading order."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_asposeocr.operators.aspose_ocr import (
    AsposeOcrDetectRegionsOperator,
    AsposeOcrRecognizeRegionsOperator,
)

SCANS = os.environ.get("ASPOSE_OCR_SCANS", str(Path(__file__).parent / "scans"))

with DAG(
    "example_detect_then_recognize_regions",
    start_date=datetime(2024, 1, 1),
    schedule=None,
    catchup=False,
    params={"image": "two-columns.jpg"},
    tags=["example"],
):
    # [START howto_operator_aspose_ocr_detect_then_recognize_regions]
    detect = AsposeOcrDetectRegionsOperator(
        task_id="detect",
        image=f"{SCANS}/{{{{ params.image }}}}",
    )
    AsposeOcrRecognizeRegionsOperator(
        task_id="recognize",
        image=f"{SCANS}/{{{{ params.image }}}}",
        regions=detect.output["regions"],
    )
    # [END howto_operator_aspose_ocr_detect_then_recognize_regions]
