"""
Runs the programs of the guides in a process, and an Airflow, of their own: ``python doc_runner.py FOLDER REPORT``.

``FOLDER/dags`` holds DAG files, ``FOLDER/parsed`` those that are only read, ``FOLDER/scripts`` programs without a DAG.
Each ends up in the report, by its file's name: "success", or what went wrong.
"""

from __future__ import annotations

import contextlib
import json
import runpy
import sys
import traceback
from pathlib import Path

from airflow import __version__
from airflow.utils.db import initdb, upgradedb

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:  # Airflow 2
    from airflow.models.dagbag import DagBag


def main(folder: Path, report: Path) -> None:
    """Run all, one after the other."""
    (upgradedb if __version__.startswith("2.") else initdb)()
    outcomes: dict[str, str] = {}
    for kind in ("parsed", "dags"):
        bag = DagBag(str(folder / kind))
        outcomes |= {Path(file).name: error for file, error in bag.import_errors.items()}
        for dag in bag.dags.values():
            file = Path(dag.fileloc).name
            outcomes[file] = "success"
            if kind == "dags":
                with _told(outcomes, file):
                    run = dag.test()
                    states = {task.task_id: str(task.state) for task in run.get_task_instances()}
                    outcomes[file] = "success" if set(states.values()) == {"success"} else json.dumps(states)
    for script in sorted((folder / "scripts").glob("*.py")):
        outcomes[script.name] = "success"
        with _told(outcomes, script.name):
            runpy.run_path(str(script), run_name="__main__")
    report.write_text(json.dumps(outcomes))


@contextlib.contextmanager
def _told(outcomes: dict[str, str], file: str):
    """Take down what a program raises."""
    try:
        yield
    except Exception:  # noqa: BLE001 - whatever it is, the report tells it
        outcomes[file] = traceback.format_exc()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
