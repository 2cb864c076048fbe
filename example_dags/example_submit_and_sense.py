"""
Submit a scan in one task, wait for it in another, and use its text in a third.

Between the first two, other work can run. The last task must not return the text: Airflow logs what a Python task
returns.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_asposeocr.operators.aspose_ocr import AsposeOcrRecognizeImageOperator
from airflow_provider_asposeocr.sensors.aspose_ocr import AsposeOcrTaskSensor

SCANS = os.environ.get("ASPOSE_OCR_SCANS", str(Path(__file__).parent / "scans"))


@task
def count_words(text: str) -> int:
    """Count the words of a text."""
    return len(text.split())


with DAG("example_submit_and_sense", start_date=datetime(2024, 1, 1), schedule=None, catchup=False, tags=["example"]):
    # [START howto_sensor_aspose_ocr_task]
    submit = AsposeOcrRecognizeImageOperator(
        task_id="submit",
        image=f"{SCANS}/huckleberry-finn-page-29.jpg",
        wait_for_completion=False,
    )
    sense: Any = AsposeOcrTaskSensor(
        task_id="sense",
        ocr_task_id=submit.output,
        deferrable=True,
        timeout=600,
    )
    count_words(sense.output["text"])
    # [END howto_sensor_aspose_ocr_task]
