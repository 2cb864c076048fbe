"""Recognize every letter of a folder, one mapped task each, and write the texts into files."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG, ObjectStoragePath, task

from airflow_provider_asposeocr.operators.aspose_ocr import AsposeOcrRecognizeImageOperator

SCANS = os.environ.get("ASPOSE_OCR_SCANS", str(Path(__file__).parent / "scans"))
TEXTS = os.environ.get("ASPOSE_OCR_TEXTS", "/tmp/aspose-ocr-texts")  # noqa: S108 - an example's output


@task
def list_letters() -> list[str]:
    """List the letters of the folder, on whatever storage it is."""
    return sorted(str(path) for path in ObjectStoragePath(f"{SCANS}/letters").iterdir() if path.suffix == ".jpg")


with DAG("example_mapped_folder", start_date=datetime(2024, 1, 1), schedule=None, catchup=False, tags=["example"]):
    # [START howto_operator_aspose_ocr_mapped]
    AsposeOcrRecognizeImageOperator.partial(
        task_id="recognize",
        output_path=f"{TEXTS}/{{{{ run_id }}}}/",
        deferrable=True,
        max_active_tis_per_dag=16,
    ).expand(image=list_letters())
    # [END howto_operator_aspose_ocr_mapped]
