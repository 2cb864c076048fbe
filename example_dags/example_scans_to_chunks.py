"""
New scans to chunks of text, as a language model or a vector database takes them.

Each scan that has no chunks yet is read in a task of its own; the step behind it writes its chunks as lines of JSON.
What would be a model's work is a plain task here, so nothing but the OCR service is called. No task returns a text:
Airflow logs what a Python task returns.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, ObjectStoragePath, task

SCANS = os.environ.get("ASPOSE_OCR_SCANS", str(Path(__file__).parent / "scans"))
CHUNKS = os.environ.get("ASPOSE_OCR_CHUNKS", "/tmp/aspose-ocr-chunks")  # noqa: S108 - an example's output
WORDS = 40
"""Of a chunk."""


def chunks_of(scan: str) -> ObjectStoragePath:
    """Where the chunks of a scan stand."""
    return ObjectStoragePath(f"{CHUNKS}/{Path(scan).stem}.jsonl")


@task
def new_scans() -> list[str]:
    """List the scans that have no chunks yet."""
    scans = sorted(str(path) for path in ObjectStoragePath(f"{SCANS}/letters").iterdir() if path.suffix == ".jpg")
    return [scan for scan in scans if not chunks_of(scan).exists()]


# [START howto_taskflow_aspose_ocr_scans_to_chunks]
@task.aspose_ocr(as_documents=True, deferrable=True, max_active_tis_per_dag=16)
def read(scan: str) -> dict[str, Any]:
    """Say what is to be read, and how."""
    return {"image": scan, "settings": {"language": "English"}}


@task
def chunk(result: dict[str, Any]) -> str | None:
    """Cut documents into chunks of some words, each with what its document says of itself."""
    documents = result["documents"]
    if not documents:
        return None
    lines = []
    for document in documents:
        words = document["text"].split()
        for start in range(0, len(words), WORDS):
            text = " ".join(words[start : start + WORDS])
            lines.append(json.dumps({"text": text, "metadata": {**document["metadata"], "first_word": start}}))
    path = chunks_of(documents[0]["metadata"]["source"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@task
def index(files: list[str | None]) -> int:
    """Where a model would embed the chunks: here they are counted."""
    return sum(len(ObjectStoragePath(file).read_text().splitlines()) for file in files if file)


# [END howto_taskflow_aspose_ocr_scans_to_chunks]

with DAG("example_scans_to_chunks", start_date=datetime(2024, 1, 1), schedule=None, catchup=False, tags=["example"]):
    index(chunk.expand(result=read.expand(scan=new_scans())))
