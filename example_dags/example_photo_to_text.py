"""Make the photo of a page flat, straight, black and white, and larger; then read it. Each step is a job of its own."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_asposeocr.operators.aspose_ocr import (
    AsposeOcrBinarizeImageOperator,
    AsposeOcrDeskewImageOperator,
    AsposeOcrDewarpImageOperator,
    AsposeOcrRecognizeImageOperator,
    AsposeOcrUpscaleImageOperator,
)

# Any URI that Airflow's ObjectStoragePath opens: file://, s3://, gs://, abfs://.
SCANS = os.environ.get("ASPOSE_OCR_SCANS", str(Path(__file__).parent / "scans"))
OUT = os.environ.get("ASPOSE_OCR_OUT", "/tmp/aspose-ocr") + "/{{ run_id }}"  # noqa: S108 - an example

with DAG("example_photo_to_text", start_date=datetime(2024, 1, 1), schedule=None, catchup=False, tags=["example"]):
    # [START howto_operator_aspose_ocr_photo_to_text]
    flat = AsposeOcrDewarpImageOperator(task_id="dewarp", image=f"{SCANS}/page-photo.jpg", output_path=f"{OUT}/flat/")
    straight = AsposeOcrDeskewImageOperator(task_id="deskew", image=flat.output["file"], output_path=f"{OUT}/straight/")
    black = AsposeOcrBinarizeImageOperator(
        task_id="binarize", image=straight.output["file"], output_path=f"{OUT}/black/"
    )
    large = AsposeOcrUpscaleImageOperator(task_id="upscale", image=black.output["file"], output_path=f"{OUT}/large/")
    AsposeOcrRecognizeImageOperator(task_id="read", image=large.output["file"])
    # [END howto_operator_aspose_ocr_photo_to_text]
