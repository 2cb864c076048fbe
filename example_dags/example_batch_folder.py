"""Recognize a whole folder in one task: for many documents, where a task each would cost more than the document."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_asposeocr.operators.batch import AsposeOcrBatchOperator

SCANS = os.environ.get("ASPOSE_OCR_SCANS", str(Path(__file__).parent / "scans"))
TEXTS = os.environ.get("ASPOSE_OCR_TEXTS", "/tmp/aspose-ocr-texts")  # noqa: S108 - an example's output

with DAG("example_batch_folder", start_date=datetime(2024, 1, 1), schedule=None, catchup=False, tags=["example"]):
    # [START howto_operator_aspose_ocr_batch]
    AsposeOcrBatchOperator(
        task_id="recognize_all",
        images=SCANS,
        output_path=f"{TEXTS}/{{{{ run_id }}}}",
        max_concurrency=16,
        on_error="fail_at_end",
        deferrable=True,
        retries=2,
        retry_delay=timedelta(minutes=1),
    )
    # [END howto_operator_aspose_ocr_batch]
