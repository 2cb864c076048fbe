"""Sixty documents: half of them waited for in the triggerer, half in workers."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG

from airflow_provider_asposeocr.operators.aspose_ocr import AsposeOcrRecognizeImageOperator

IMAGES = Path(os.environ["TEST_IMAGES"])

with DAG(
    "many_documents",
    default_args={
        "aspose_ocr_conn_id": "ocr",
        "poll_interval": 1,
        "poll_interval_max": 2,
        "retries": 8,
        "retry_delay": timedelta(seconds=1),
    },
):
    for mode, waiting in (
        ("synchronous", {"deferrable": False}),
        ("deferrable", {"deferrable": True, "defer_after": 0}),
    ):
        AsposeOcrRecognizeImageOperator.partial(task_id=mode, **waiting).expand(
            image=[str(path) for path in sorted(IMAGES.glob(f"{mode}-*.png"))]
        )
