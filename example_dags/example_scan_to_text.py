"""Straighten a scan, make it black and white, make a searchable PDF of it, and read that."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_asposeocr.operators.aspose_ocr import (
    AsposeOcrBinarizeImageOperator,
    AsposeOcrDeskewImageOperator,
    AsposeOcrRecognizeImageOperator,
    AsposeOcrRecognizePdfOperator,
)

# Any URI that Airflow's ObjectStoragePath opens: file://, s3://, gs://, abfs://.
SCANS = os.environ.get("ASPOSE_OCR_SCANS", str(Path(__file__).parent / "scans"))
OUT = os.environ.get("ASPOSE_OCR_OUT", "/tmp/aspose-ocr") + "/{{ run_id }}"  # noqa: S108 - an example

with DAG("example_scan_to_text", start_date=datetime(2024, 1, 1), schedule=None, catchup=False, tags=["example"]):
    # [START howto_operator_aspose_ocr_scan_to_text]
    straight = AsposeOcrDeskewImageOperator(
        task_id="deskew", image=f"{SCANS}/huckleberry-finn-page-29.jpg", output_path=f"{OUT}/straight/"
    )
    black = AsposeOcrBinarizeImageOperator(
        task_id="binarize", image=straight.output["file"], output_path=f"{OUT}/black/"
    )
    searchable = AsposeOcrRecognizeImageOperator(
        task_id="searchable",
        image=black.output["file"],
        settings={"resultType": "Pdf"},
        output_path=f"{OUT}/searchable/",
    )
    AsposeOcrRecognizePdfOperator(task_id="read", image=searchable.output["file"])
    # [END howto_operator_aspose_ocr_scan_to_text]
