"""The emulator runs without Airflow: nobody needs one to try the service, and its start is not Airflow's."""

from __future__ import annotations

import json
import subprocess
import sys

IMPORTED = """
import json, sys
import airflow_provider_asposeocr.emulator.server
print(json.dumps([name for name in sys.modules if name.partition(".")[0] == "airflow"]))
"""
STARTED = """
import json, sys
from airflow_provider_asposeocr.emulator.__main__ import main

class Output:
    def write(self, text):
        loaded = [name for name in sys.modules if name.partition(".")[0] == "airflow"]
        sys.__stdout__.write(json.dumps([text, loaded]) + "\\n")

    def flush(self):
        sys.__stdout__.flush()

sys.stdout = Output()
main(["--port", "0"])
"""


def test_importing_the_server_loads_nothing_of_airflow() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == []


def test_the_command_serves_without_anything_of_airflow() -> None:
    with subprocess.Popen([sys.executable, "-c", STARTED], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
        finally:
            process.kill()
    said, loaded = json.loads(line)
    assert said.startswith("Aspose.OCR Cloud emulator: http://127.0.0.1:")
    assert loaded == []
