"""
Runs the example DAGs on the sample scans, on this machine alone, and shows what they bring.

Starts the emulator on a free port, sets the connection, runs ``airflow dags test`` in a throw-away ``AIRFLOW_HOME`` and
reads the XComs. Leaves nothing running and nothing behind.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
DAGS = ("example_detect_then_recognize_regions", "example_table_to_csv", "example_submit_and_sense")
SECRET = "a-secret-that-no-log-shows"  # noqa: S105 - the emulator takes any

READ_XCOMS = """
import json, sys
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
with create_session() as session:
    rows = session.query(XComModel).filter(XComModel.dag_id == sys.argv[1], XComModel.key == "return_value")
    rows = sorted(rows, key=lambda row: row.timestamp)
    print(json.dumps([[row.task_id, XComModel.deserialize_value(row)] for row in rows]))
"""


def main() -> int:
    """Run the demo and return its exit code."""
    home = Path(tempfile.mkdtemp(prefix="aspose-ocr-demo-"))
    emulator = subprocess.Popen(
        [sys.executable, "-m", "airflow_provider_asposeocr.emulator", "--port", "0", "--latency", "1"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert emulator.stdout is not None
        say("1. The emulator, a local Aspose.OCR Cloud that really reads images")
        ready = emulator.stdout.readline().strip()
        if not ready:
            print("The emulator did not start; see its message above.", file=sys.stderr)
            return 1
        print(ready)
        environment = airflow_environment(home, host=ready.split()[-1])
        say("2. A throw-away Airflow")
        run(["airflow", "db", "migrate"], environment, home / "migrate.log")
        print("ready, with the connection aspose_ocr_default to the emulator")
        for number, dag_id in enumerate(DAGS, start=3):
            say(f"{number}. airflow dags test {dag_id}")
            run(["airflow", "dags", "test", dag_id], environment, home / f"{dag_id}.log")
            show(dag_id, environment)
        say("What a log shows of it: ids and states, no text, no secret")
        show_log(home / f"{DAGS[-1]}.log")
        return 0
    except subprocess.CalledProcessError as error:
        print(error.output or error, file=sys.stderr)
        return 1
    finally:
        emulator.terminate()
        emulator.wait(timeout=10)
        shutil.rmtree(home, ignore_errors=True)


def airflow_environment(home: Path, host: str) -> dict[str, str]:
    """The environment of the throw-away Airflow: nothing of the user's own is read."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    connection = {"conn_type": "aspose_ocr", "host": host, "login": "demo", "password": SECRET}
    return {
        **inherited,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "example_dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_ASPOSE_OCR_DEFAULT": json.dumps(connection),
        "ASPOSE_OCR_OUT": str(home / "out"),
    }


def run(command: list[str], environment: dict[str, str], log: Path) -> None:
    """Run a command with its output in a file; where it fails, show the end of that."""
    with log.open("w") as output:
        code = subprocess.run(command, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
    if code:
        raise subprocess.CalledProcessError(code, command, output=log.read_text()[-6000:])


def show(dag_id: str, environment: dict[str, str]) -> None:
    """Print the XComs of a DAG's tasks in a readable way, without what is empty."""
    read = subprocess.run(
        [sys.executable, "-c", READ_XCOMS, dag_id], env=environment, capture_output=True, text=True, check=False
    )
    if read.returncode:
        raise subprocess.CalledProcessError(read.returncode, "reading the XComs", output=read.stderr[-6000:])
    for task_id, value in json.loads(read.stdout.splitlines()[-1]):
        print(f"\n  XCom of task {task_id!r}:")
        for name, part in value.items() if isinstance(value, dict) else [("return_value", value)]:
            if part not in (None, []):
                print(textwrap.indent(readable(name, part), "    "))


def readable(name: str, value: Any) -> str:
    """One part of an XCom, texts as they are."""
    if isinstance(value, str) and "\n" in value:
        return f"{name}:\n{textwrap.indent(value, '  | ')}"
    if isinstance(value, list):
        return f"{name}:" + "".join(f"\n  - {textwrap.shorten(json.dumps(entry), 110)}" for entry in value)
    if isinstance(value, dict):
        return f"{name}: " + ", ".join(f"{part} {number}" for part, number in value.items())
    return f"{name}: {value}"


def show_log(log: Path) -> None:
    """Print our lines of a log."""
    for line in log.read_text().splitlines():
        if "airflow_provider_asposeocr" in line and "job" in line:
            print("  " + textwrap.shorten(line, 220))


def say(headline: str) -> None:
    """Print a headline."""
    print(f"\n== {headline}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
