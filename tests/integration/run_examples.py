"""
Run example DAGs by ``dag.test()``, in a process and a database of their own: ``run_examples.py FOLDER DAG_ID ...``.

The last line of the output is JSON: for each DAG the state of its run, and the return values of its tasks.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from airflow.utils.session import create_session

try:  # Airflow 3
    from airflow.dag_processing.dagbag import DagBag
    from airflow.models.xcom import XComModel
except ImportError:  # Airflow 2.11
    from airflow.models.dagbag import DagBag
    from airflow.models.xcom import XCom as XComModel


def outcome_of(folder: Path, dag_id: str) -> dict[str, Any]:
    """Run one DAG, whose file has its name, and read its XComs."""
    bag = DagBag(str(folder / f"{dag_id}.py"))
    assert not bag.import_errors, bag.import_errors
    run = bag.dags[dag_id].test()
    with create_session() as session:
        rows = session.query(XComModel).filter(XComModel.dag_id == dag_id, XComModel.key == "return_value")
        values = {
            row.task_id if row.map_index < 0 else f"{row.task_id}[{row.map_index}]": XComModel.deserialize_value(row)
            for row in rows
        }
    return {"state": str(getattr(run.state, "value", run.state)), "xcoms": values}


if __name__ == "__main__":
    print(json.dumps({dag_id: outcome_of(Path(sys.argv[1]), dag_id) for dag_id in sys.argv[2:]}))
