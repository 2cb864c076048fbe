"""Recognize a warehouse of documents on many machines: the folder is cut into chunks, each a batch on any worker."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_asposeocr.batches.chunks import chunks
from airflow_provider_asposeocr.operators.batch import AsposeOcrBatchOperator

# Where workers share no disk, both are on a storage that all of them reach, such as s3://scans/inbox.
SCANS = os.environ.get("ASPOSE_OCR_SCANS", str(Path(__file__).parent / "scans"))
TEXTS = os.environ.get("ASPOSE_OCR_TEXTS", "/tmp/aspose-ocr-texts")  # noqa: S108 - an example's output
STORAGE = os.environ.get("ASPOSE_OCR_STORAGE")  # the Airflow connection of that storage
CHUNK = int(os.environ.get("ASPOSE_OCR_CHUNK", "1000"))

with DAG(
    "example_batch_on_many_machines", start_date=datetime(2024, 1, 1), schedule=None, catchup=False, tags=["example"]
) as dag:
    # [START howto_operator_aspose_ocr_batch_chunks]
    @task(retries=2)
    def cut() -> list[dict[str, Any]]:
        """Cut the folder into chunks."""
        return chunks(SCANS, size=CHUNK, storage_conn_id=STORAGE, output_path=TEXTS)

    AsposeOcrBatchOperator.partial(
        task_id="recognize",
        output_path=TEXTS,
        storage_conn_id=STORAGE,
        max_concurrency=16,
        deferrable=True,
        defer_after=1,
        retries=3,
    ).expand(images=cut())
    # [END howto_operator_aspose_ocr_batch_chunks]
