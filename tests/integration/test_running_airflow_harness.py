"""The harness itself: does it run a real Airflow, and do its ways of killing things mean to Airflow what they should?

The DAGs here are toys (``dags/toys.py``). What they show of Airflow is what the provider's own tests build on; the
times which the tests print are those in which Airflow noticed what was done to it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.integration.airflow_api import RunningAirflowError
from tests.integration.process_sessions import is_alive
from tests.integration.running_airflow import RunningAirflow, TaskProcess
from tests.integration.waiting import wait_until

pytestmark = pytest.mark.integration


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "file")


def test_python_tasks_succeed_and_leave_xcoms_and_logs(airflow: RunningAirflow) -> None:
    run_id = airflow.trigger("toy_python")

    assert airflow.wait_for_run("toy_python", run_id) == "success"
    assert [(ti.map_index, ti.state, ti.try_number) for ti in airflow.task_instances("toy_python", run_id)] == [
        (0, "success", 1),
        (1, "success", 1),
    ]
    assert airflow.xcom("toy_python", run_id, "greet", map_index=0) == {"hello": "Wörld", "numbers": [1, 2.5, None]}
    assert airflow.xcom_keys("toy_python", run_id, "greet", map_index=1) == ["return_value"]
    assert "greeting Wörld" in airflow.task_log("toy_python", run_id, "greet", map_index=0)
    logs = [path.read_text(errors="replace") for path in airflow.log_folder.rglob("*.log")]
    assert any("greeting Moon" in log for log in logs)


def test_a_deferred_task_survives_the_loss_of_the_triggerer(airflow: RunningAirflow) -> None:
    run_id = airflow.trigger("toy_time_delta")
    airflow.wait_for_task("toy_time_delta", run_id, "wait", {"deferred"})

    airflow.kill_triggerer(signal.SIGKILL)
    airflow.start_triggerer()

    started = time.monotonic()
    assert airflow.wait_for_run("toy_time_delta", run_id) == "success"
    print(f"After the new triggerer's first heartbeat the task took {time.monotonic() - started:.1f} s")


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM])
def test_the_next_triggerer_takes_over_and_nothing_is_killed(
    airflow: RunningAirflow, file: str, sig: signal.Signals
) -> None:
    run_id = airflow.trigger("toy_file", conf={"file": file})
    wait_until(Path(file + ".waiting").exists, "the trigger runs")
    airflow.wait_for_task("toy_file", run_id, "wait", {"deferred"})

    started = time.monotonic()
    airflow.kill_triggerer(sig)
    Path(file + ".waiting").unlink()
    airflow.start_triggerer()
    wait_until(Path(file + ".waiting").exists, "the trigger runs")
    print(f"The trigger ran again {time.monotonic() - started:.1f} s after {sig.name}")
    Path(file).touch()

    assert airflow.wait_for_run("toy_file", run_id) == "success"
    assert airflow.xcom("toy_file", run_id, "wait") == "arrived"
    assert not Path(file + ".killed").exists()


def test_a_killed_task_process_looks_like_out_of_memory_and_is_retried(airflow: RunningAirflow, file: str) -> None:
    run_id = airflow.trigger("toy_sleep", conf={"file": file})
    wait_until(Path(file + ".sleeping").exists, "the task runs")
    process = _only(airflow.running_task_processes("toy_sleep"))
    assert (process.run_id, process.task_id, process.map_index, process.try_number) == (run_id, "sleep", -1, 1)
    assert process.pid == airflow.task_instance("toy_sleep", run_id, "sleep").pid
    assert airflow.running_task_processes("toy_file") == []

    airflow.kill_task_process(process)
    killed = time.monotonic()
    noticed = airflow.wait_for_task("toy_sleep", run_id, "sleep", {"up_for_retry", "success"})
    print(f"Airflow noticed the killed process after {time.monotonic() - killed:.1f} s: {noticed.state}")

    assert airflow.wait_for_run("toy_sleep", run_id) == "success"
    print(f"The run ended {time.monotonic() - killed:.1f} s after the kill")
    assert airflow.xcom("toy_sleep", run_id, "sleep") == 2
    assert "Likely out of memory" in airflow.task_log("toy_sleep", run_id, "sleep", try_number=1)
    with pytest.raises(ProcessLookupError):
        airflow.kill_task_process(process)


def test_a_killed_scheduler_takes_its_tasks_along_and_the_next_one_retries_them(
    airflow: RunningAirflow, file: str
) -> None:
    run_id = airflow.trigger("toy_sleep", conf={"file": file})
    wait_until(Path(file + ".sleeping").exists, "the task runs")
    process = _only(airflow.running_task_processes("toy_sleep"))
    max_tries = airflow.task_instance("toy_sleep", run_id, "sleep").max_tries

    airflow.kill_scheduler(signal.SIGKILL)
    killed = time.monotonic()
    assert not is_alive(process.pid)
    airflow.start_scheduler()

    assert airflow.wait_for_run("toy_sleep", run_id) == "success"
    print(f"The run ended {time.monotonic() - killed:.1f} s after the kill of the scheduler")
    assert airflow.xcom("toy_sleep", run_id, "sleep") == 2
    assert airflow.task_instance("toy_sleep", run_id, "sleep").max_tries == max_tries


@pytest.mark.parametrize("state", ["failed", "success"])
def test_ending_a_deferred_task_calls_the_triggers_on_kill(airflow: RunningAirflow, file: str, state: str) -> None:
    run_id = airflow.trigger("toy_file", conf={"file": file})
    wait_until(Path(file + ".waiting").exists, "the trigger runs")

    airflow.set_task_state("toy_file", run_id, "wait", state)
    took = wait_until(Path(file + ".killed").exists, "on_kill is called")

    print(f"on_kill of the trigger was called {took:.1f} s after the task was marked {state}")
    assert airflow.wait_for_run("toy_file", run_id) == state


def test_clearing_a_deferred_task_calls_on_kill_and_starts_it_anew(airflow: RunningAirflow, file: str) -> None:
    run_id = airflow.trigger("toy_file", conf={"file": file})
    wait_until(Path(file + ".waiting").exists, "the trigger runs")
    first = airflow.wait_for_task("toy_file", run_id, "wait", {"deferred"})

    airflow.clear_task("toy_file", run_id, "wait")
    took = wait_until(Path(file + ".killed").exists, "on_kill is called")
    print(f"on_kill of the trigger was called {took:.1f} s after the task was cleared")
    Path(file).touch()

    assert airflow.wait_for_run("toy_file", run_id) == "success"
    second = airflow.task_instance("toy_file", run_id, "wait")
    assert (first.try_number, second.try_number) == (1, 2)
    assert second.max_tries > first.max_tries
    assert airflow.xcom("toy_file", run_id, "wait") == "arrived"


def test_ending_a_running_task_calls_the_operators_on_kill(airflow: RunningAirflow, file: str) -> None:
    run_id = airflow.trigger("toy_sleep", conf={"file": file})
    wait_until(Path(file + ".sleeping").exists, "the task runs")
    process = _only(airflow.running_task_processes())

    airflow.set_task_state("toy_sleep", run_id, "sleep", "failed")
    took = wait_until(Path(file + ".killed").exists, "on_kill is called")

    print(f"on_kill of the operator was called {took:.1f} s after the task was marked failed")
    wait_until(lambda: not is_alive(process.pid), "the process is gone")
    assert airflow.wait_for_run("toy_sleep", run_id) == "failed"


def test_waiting_in_vain_tells_the_tasks_states_and_the_logs(airflow: RunningAirflow, file: str) -> None:
    run_id = airflow.trigger("toy_file", conf={"file": file})
    wait_until(Path(file + ".waiting").exists, "the trigger runs")

    with pytest.raises(RunningAirflowError, match=r"(?s)wait\[-1\]: deferred, try 1 of 1.*--- triggerer\n"):
        airflow.wait_for_run("toy_file", run_id, timeout=0)

    airflow.set_run_state("toy_file", run_id, "failed")
    wait_until(Path(file + ".killed").exists, "on_kill is called")


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_when_the_test_process_is_ended(tmp_path: Path, sig: signal.Signals) -> None:
    script = """
        import sys
        from tests.integration.running_airflow import RunningAirflow
        with RunningAirflow(dags={}) as airflow:
            print(airflow.home, *(process.pid for process in airflow.processes()), flush=True)
            sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=Path(__file__).parents[2],
        env={key: value for key, value in os.environ.items() if key != "KEEP_AIRFLOW_HOME"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as test_process:
        assert test_process.stdout is not None
        home, *pids = test_process.stdout.readline().split()
        assert len(pids) == 5
        test_process.send_signal(sig)

    wait_until(lambda: not any(is_alive(int(pid)) for pid in pids), "all processes are gone")
    wait_until(lambda: not Path(home).exists(), "the home is gone")


def _only(processes: list[TaskProcess]) -> TaskProcess:
    assert len(processes) == 1
    return processes[0]
