"""What a DAG file does not pay for: it is loaded when it is first used."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS

LOADED = """
import json, sys
from airflow.sdk import DAG, BaseOperator
before = set(sys.modules)
import airflow_provider_asposeocr.operators.aspose_ocr
import airflow_provider_asposeocr.sensors.aspose_ocr
print(json.dumps(sorted(set(sys.modules) - before)))
"""


@pytest.mark.skipif(not AIRFLOW_V_3_3_PLUS, reason="Airflow loads HTTP libraries and triggers itself below 3.3")
@pytest.mark.parametrize(
    "module",
    [
        "requests",
        "aiohttp",
        "airflow.triggers.base",
        "PIL",
        "pyarrow",
        "rapidocr",
        "airflow_provider_asposeocr.hooks.asynchronous",
    ],
)
def test_importing_operators_and_sensor_loads_nothing_that_only_a_running_task_needs(module: str) -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, timeout=60)
    loaded = json.loads(done.stdout)
    assert "airflow_provider_asposeocr.hooks.synchronous" in loaded
    assert module not in loaded
