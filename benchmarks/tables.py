"""
The manifest and the table of a large batch whose texts are written, on this machine's disk.

``python -m benchmarks.tables 10000 100000`` prints a line for each number of documents.
"""

from __future__ import annotations

import importlib
import logging
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec.structs import replace

from airflow_provider_asposeocr.api.checks import endpoint_named
from airflow_provider_asposeocr.batches.beginning import frozen
from airflow_provider_asposeocr.batches.documents import BatchDocument, DocumentStatus
from airflow_provider_asposeocr.batches.manifest import write_manifest
from airflow_provider_asposeocr.batches.memory import BatchMemory
from airflow_provider_asposeocr.batches.plan import BatchPlan
from airflow_provider_asposeocr.batches.table import needs_arrow, write_table
from airflow_provider_asposeocr.storage.documents import storage_path
from benchmarks.measuring import in_fresh_process, peak_memory, resident_mib
from benchmarks.simulated_batch import Store

TEXT = "A line as it stands in letters and invoices.\n" * 8
RUN = "dag/batch/run/-1"


def listed(documents: int) -> Iterator[BatchDocument]:
    """
    Return the documents as they are listed, a thousand in a folder.

    :param documents: how many.
    """
    for number in range(documents):
        name = f"{number // 1000:03}/{number:06}"
        yield BatchDocument(f"/in/{name}.png", number=number, name=name, run=RUN, fingerprint="0" * 16)


def measure_end(documents: int) -> dict[str, float]:
    """
    Write what a batch writes at its end, in this process.

    :param documents: how many it has read.
    """
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory(prefix="aspose-ocr-bench-") as folder:
        out = storage_path(folder)
        plan = BatchPlan(endpoint=endpoint_named("RecognizeImage"), settings=None, regions=None, folder=out)
        memory = BatchMemory(Store(), out, RUN)
        frozen(listed(documents), memory)
        for each in listed(documents):
            file = Path(folder) / f"{each.name}.txt"
            file.parent.mkdir(exist_ok=True)
            file.write_text(TEXT)
            done = {"status": DocumentStatus.COMPLETED, "ocr_task_id": "a197aade-bba9-4c7a-92c7-46851b3dceaa"}
            if memory.record(replace(each, **done, files=(str(file),), seconds=2.0, submitted_at=1.7e9)):
                memory.flush()
        memory.flush()
        needs_arrow()
        found: dict[str, float] = {}
        for name, write in (
            ("manifest", lambda: write_manifest(memory, documents)),
            ("table", lambda: write_table(memory, plan)),
        ):
            base = resident_mib()
            with peak_memory() as peak:
                began = time.perf_counter()
                write()
                found[f"{name}_s"] = time.perf_counter() - began
            found[f"{name}_mib"] = max(peak[0] - base, 0.0)
        return found


def main(numbers: Sequence[str]) -> None:
    """
    Measure in fresh processes.

    :param numbers: of documents.
    """
    for each in numbers or ["10000"]:
        figures = in_fresh_process(measure_end, documents=int(each))
        print(each, ", ".join(f"{name} {figure:.1f}" for name, figure in figures.items()), flush=True)


if __name__ == "__main__":
    # By its name, which the fresh process imports.
    importlib.import_module("benchmarks.tables").main(sys.argv[1:])
