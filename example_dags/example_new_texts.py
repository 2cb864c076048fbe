"""Recognize letters, and let another DAG run on the texts: each result file is an asset."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, AssetAlias, ObjectStoragePath, task

from airflow_provider_asposeocr.operators.aspose_ocr import AsposeOcrRecognizeImageOperator

SCANS = os.environ.get("ASPOSE_OCR_SCANS", str(Path(__file__).parent / "scans"))
TEXTS = os.environ.get("ASPOSE_OCR_TEXTS", "/tmp/aspose-ocr-texts")  # noqa: S108 - an example's output

# [START howto_asset_alias]
NEW_TEXTS = AssetAlias("aspose_ocr_new_texts")

with DAG("example_new_texts", start_date=datetime(2024, 1, 1), schedule=None, catchup=False, tags=["example"]):
    AsposeOcrRecognizeImageOperator.partial(
        task_id="recognize",
        output_path=f"{TEXTS}/{{{{ run_id }}}}/",
        deferrable=True,
        outlets=[NEW_TEXTS],
    ).expand(image=[f"{SCANS}/letters/01-apples.jpg", f"{SCANS}/letters/02-order.jpg"])


@task
def count_words(**context: Any) -> dict[str, int]:
    """Count the words of each new text; the events tell where it is."""
    of_airflow_2 = context.get("triggering_dataset_events") or {}
    events = context.get("triggering_asset_events") or of_airflow_2
    files = [event.extra["file"] for each in events.values() for event in each]
    return {file: len(ObjectStoragePath(file).read_text().split()) for file in files}


with DAG(
    "example_on_new_texts", start_date=datetime(2024, 1, 1), schedule=[NEW_TEXTS], catchup=False, tags=["example"]
):
    count_words()
# [END howto_asset_alias]
