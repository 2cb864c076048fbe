"""Hook-level lineage, as Airflow collects it where a plugin reads it, such as the OpenLineage provider's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_asposeocr.emulator import EmulatorServer

PLUGIN = """
from airflow.plugins_manager import AirflowPlugin
from airflow.providers.common.compat.sdk import HookLineageReader

class Reading(AirflowPlugin):
    name = "reading"
    hook_lineage_readers = [HookLineageReader]
"""

TASK = """
import json, sys
from types import SimpleNamespace
from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector
from airflow_provider_asposeocr.operators.aspose_ocr import AsposeOcrRecognizeImageOperator
from airflow_provider_asposeocr.operators.batch import AsposeOcrBatchOperator

arguments = {"poll_interval": 0.02, "poll_interval_max": 0.05, **json.loads(sys.argv[1])}
kind = AsposeOcrBatchOperator if "images" in arguments else AsposeOcrRecognizeImageOperator
ti = SimpleNamespace(max_tries=0, dag_id="dag", task_id="read", run_id="run", map_index=-1)
kind(task_id="read", **arguments).execute({"ti": ti})
found = get_hook_lineage_collector().collected_assets
named = {name: {each.asset.uri: each.count for each in getattr(found, name)} for name in ("inputs", "outputs")}
print("lineage:", json.dumps(named))
"""


@pytest.fixture
def lineage(tmp_path: Path, emulator: EmulatorServer, connection: str) -> Any:
    """Runs an operator in a process of its own, and returns what Airflow has collected."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "reading.py").write_text(PLUGIN)

    def run(**arguments: Any) -> dict[str, dict[str, int]]:
        env = {**os.environ, "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__PLUGINS_FOLDER": str(tmp_path / "plugins")}
        command = [sys.executable, "-c", TASK, json.dumps(arguments)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found: dict[str, dict[str, int]] = json.loads(done.stdout.rpartition("lineage: ")[2].splitlines()[0])
        return found

    return run


def test_document_and_result(lineage: Any, scans: Path, tmp_path: Path) -> None:
    """Each once, however many blocks it has, and under its own name."""
    image = tmp_path / "äpfel und birnen.jpg"
    image.write_bytes((scans / "letters" / "01-apples.jpg").read_bytes())
    found = lineage(image=str(image), output_path=f"{tmp_path}/out/")
    assert found == {
        "inputs": {f"file://{tmp_path}/%C3%A4pfel%20und%20birnen.jpg": 1},
        "outputs": {f"file://{tmp_path}/out/%C3%A4pfel%20und%20birnen.txt": 1},
    }


def test_batch(lineage: Any, scans: Path, tmp_path: Path) -> None:
    """A batch names each of its documents, each result and the manifest, once."""
    images = sorted(str(path) for path in (scans / "letters").glob("*.jpg"))[:2]
    found = lineage(images=images, output_path=f"{tmp_path}/out")
    assert found["inputs"] == {f"file://{image}": 1 for image in images}
    assert found["outputs"] == {
        f"file://{tmp_path}/out/{name}": 1 for name in ("01-apples.txt", "02-order.txt", "manifest.jsonl")
    }
