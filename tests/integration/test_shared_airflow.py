"""The shared Airflow itself: does each test find it in order, whatever the one before has done to it?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.running_airflow import RunningAirflow
from tests.integration.shared_airflow import put_in_order
from tests.integration.trigger_table import trigger_table
from tests.integration.waiting import wait_until

pytestmark = pytest.mark.integration


def test_what_a_test_leaves_running_is_ended_and_what_it_leaves_dead_is_started(
    airflow: RunningAirflow, tmp_path: Path
) -> None:
    waiting, sleeping = tmp_path / "deferred", tmp_path / "running"
    airflow.trigger("toy_file", conf={"file": str(waiting)})
    airflow.trigger("toy_sleep", conf={"file": str(sleeping)})
    wait_until(Path(f"{waiting}.waiting").exists, "the trigger runs")
    wait_until(Path(f"{sleeping}.sleeping").exists, "the task runs")
    airflow.kill_scheduler()
    airflow.kill_triggerer()
    assert len(airflow.processes()) == 3
    assert len(airflow.unfinished_runs()) == 2

    put_in_order(airflow)

    assert len(airflow.processes()) == 5
    assert airflow.unfinished_runs() == []
    assert airflow.running_task_processes() == []
    with trigger_table(airflow) as triggers:
        assert triggers() == set()
    assert airflow.wait_for_run("toy_python", airflow.trigger("toy_python")) == "success"
