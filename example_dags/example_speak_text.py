"""Read a letter, and speak what it says into a sound file."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_asposeocr.operators.aspose_ocr import (
    AsposeOcrRecognizeImageOperator,
    AsposeOcrTextToSpeechOperator,
)

# Any URI that Airflow's ObjectStoragePath opens: file://, s3://, gs://, abfs://.
SCANS = os.environ.get("ASPOSE_OCR_SCANS", str(Path(__file__).parent / "scans"))
OUT = os.environ.get("ASPOSE_OCR_OUT", "/tmp/aspose-ocr") + "/{{ run_id }}"  # noqa: S108 - an example

with DAG("example_speak_text", start_date=datetime(2024, 1, 1), schedule=None, catchup=False, tags=["example"]):
    # [START howto_operator_aspose_ocr_speech]
    letter = AsposeOcrRecognizeImageOperator(task_id="read", image=f"{SCANS}/letters/01-apples.jpg")
    AsposeOcrTextToSpeechOperator(
        task_id="speak",
        text=letter.output["text"],
        output_path=f"{OUT}/letter.wav",
    )
    # [END howto_operator_aspose_ocr_speech]
