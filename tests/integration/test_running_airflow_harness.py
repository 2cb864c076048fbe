"""The harness itself: does it run a real Airflow, and do its ways of killing things mean to Airflow what they should?

The DAGs here are toys. What they show of Airflow is what the provider's own tests build on; the times which the tests
print are those in which Airflow noticed what was done to it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.running_airflow import RunningAirflow, RunningAirflowError, TaskProcess

pytestmark = pytest.mark.integration

# A trigger and operators that leave traces in files, so that a test sees what Airflow called. DAGs import it from a
# folder on PYTHONPATH, as they import a provider.
TOYS_MODULE = '''
import asyncio
import time
from pathlib import Path

from airflow.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent


class WaitForFileTrigger(BaseTrigger):
    def __init__(self, file):
        super().__init__()
        self.file = file

    def serialize(self):
        return "harness_toys.WaitForFileTrigger", {"file": self.file}

    async def run(self):
        Path(self.file + ".waiting").touch()
        while not Path(self.file).exists():
            await asyncio.sleep(0.1)
        yield TriggerEvent("arrived")

    async def on_kill(self):
        Path(self.file + ".killed").touch()


class WaitForFileOperator(BaseOperator):
    """Waits in the triggerer until the file exists."""

    template_fields = ("file",)

    def __init__(self, file, **kwargs):
        super().__init__(**kwargs)
        self.file = file

    def execute(self, context):
        self.defer(trigger=WaitForFileTrigger(self.file), method_name="resume")

    def resume(self, context, event):
        return event


class SleepOnceOperator(BaseOperator):
    """Sleeps in its first try; ends at once in the next one."""

    template_fields = ("file",)

    def __init__(self, file, **kwargs):
        super().__init__(**kwargs)
        self.file = file

    def execute(self, context):
        if context["ti"].try_number == 1:
            Path(self.file + ".sleeping").touch()
            time.sleep(300)
        return context["ti"].try_number

    def on_kill(self):
        Path(self.file + ".killed").touch()
'''

DAG_FILE = """
from datetime import timedelta

from airflow.providers.standard.sensors.time_delta import TimeDeltaSensor
from airflow.sdk import DAG, task
from harness_toys import SleepOnceOperator, WaitForFileOperator

with DAG("toy_python"):
    @task
    def greet(name):
        print("greeting", name)
        return {"hello": name, "numbers": [1, 2.5, None]}

    greet.expand(name=["Wörld", "Moon"])

with DAG("toy_time_delta"):
    TimeDeltaSensor(task_id="wait", delta=timedelta(seconds=10), deferrable=True)

with DAG("toy_sleep"):
    SleepOnceOperator(task_id="sleep", file="{{ dag_run.conf['file'] }}", retries=1, retry_delay=timedelta(0))

with DAG("toy_file"):
    WaitForFileOperator(task_id="wait", file="{{ dag_run.conf['file'] }}")
"""


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAirflow]:
    modules = tmp_path_factory.mktemp("modules")
    (modules / "harness_toys.py").write_text(TOYS_MODULE)
    started = time.monotonic()
    with RunningAirflow(dags={"toys.py": DAG_FILE}, python_path=[modules]) as running:
        print(f"Airflow was up after {time.monotonic() - started:.1f} s")
        yield running
        sessions = [process.pid for process in running.processes()]
        started = time.monotonic()
    print(f"Airflow was gone after {time.monotonic() - started:.1f} s")
    assert len(sessions) == 5
    assert not any(_is_alive(pid) for pid in sessions)
    assert not running.home.exists()


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
    _wait_for(Path(file + ".waiting").exists)
    airflow.wait_for_task("toy_file", run_id, "wait", {"deferred"})

    started = time.monotonic()
    airflow.kill_triggerer(sig)
    Path(file + ".waiting").unlink()
    airflow.start_triggerer()
    _wait_for(Path(file + ".waiting").exists)
    print(f"The trigger ran again {time.monotonic() - started:.1f} s after {sig.name}")
    Path(file).touch()

    assert airflow.wait_for_run("toy_file", run_id) == "success"
    assert airflow.xcom("toy_file", run_id, "wait") == "arrived"
    assert not Path(file + ".killed").exists()


def test_a_killed_task_process_looks_like_out_of_memory_and_is_retried(airflow: RunningAirflow, file: str) -> None:
    run_id = airflow.trigger("toy_sleep", conf={"file": file})
    _wait_for(Path(file + ".sleeping").exists)
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
    _wait_for(Path(file + ".sleeping").exists)
    process = _only(airflow.running_task_processes("toy_sleep"))
    max_tries = airflow.task_instance("toy_sleep", run_id, "sleep").max_tries

    airflow.kill_scheduler(signal.SIGKILL)
    killed = time.monotonic()
    assert not _is_alive(process.pid)
    airflow.start_scheduler()

    assert airflow.wait_for_run("toy_sleep", run_id) == "success"
    print(f"The run ended {time.monotonic() - killed:.1f} s after the kill of the scheduler")
    assert airflow.xcom("toy_sleep", run_id, "sleep") == 2
    assert airflow.task_instance("toy_sleep", run_id, "sleep").max_tries == max_tries


@pytest.mark.parametrize("state", ["failed", "success"])
def test_ending_a_deferred_task_calls_the_triggers_on_kill(airflow: RunningAirflow, file: str, state: str) -> None:
    run_id = airflow.trigger("toy_file", conf={"file": file})
    _wait_for(Path(file + ".waiting").exists)

    airflow.set_task_state("toy_file", run_id, "wait", state)
    took = _wait_for(Path(file + ".killed").exists)

    print(f"on_kill of the trigger was called {took:.1f} s after the task was marked {state}")
    assert airflow.wait_for_run("toy_file", run_id) == state


def test_clearing_a_deferred_task_calls_on_kill_and_starts_it_anew(airflow: RunningAirflow, file: str) -> None:
    run_id = airflow.trigger("toy_file", conf={"file": file})
    _wait_for(Path(file + ".waiting").exists)
    first = airflow.wait_for_task("toy_file", run_id, "wait", {"deferred"})

    airflow.clear_task("toy_file", run_id, "wait")
    took = _wait_for(Path(file + ".killed").exists)
    print(f"on_kill of the trigger was called {took:.1f} s after the task was cleared")
    Path(file).touch()

    assert airflow.wait_for_run("toy_file", run_id) == "success"
    second = airflow.task_instance("toy_file", run_id, "wait")
    assert (first.try_number, second.try_number) == (1, 2)
    assert second.max_tries > first.max_tries
    assert airflow.xcom("toy_file", run_id, "wait") == "arrived"


def test_ending_a_running_task_calls_the_operators_on_kill(airflow: RunningAirflow, file: str) -> None:
    run_id = airflow.trigger("toy_sleep", conf={"file": file})
    _wait_for(Path(file + ".sleeping").exists)
    process = _only(airflow.running_task_processes())

    airflow.set_task_state("toy_sleep", run_id, "sleep", "failed")
    took = _wait_for(Path(file + ".killed").exists)

    print(f"on_kill of the operator was called {took:.1f} s after the task was marked failed")
    _wait_for(lambda: not _is_alive(process.pid))
    assert airflow.wait_for_run("toy_sleep", run_id) == "failed"


def test_waiting_in_vain_tells_the_tasks_states_and_the_logs(airflow: RunningAirflow, file: str) -> None:
    run_id = airflow.trigger("toy_file", conf={"file": file})
    _wait_for(Path(file + ".waiting").exists)

    with pytest.raises(RunningAirflowError, match=r"(?s)wait\[-1\]: deferred, try 1 of 1.*--- triggerer\n"):
        airflow.wait_for_run("toy_file", run_id, timeout=0)

    airflow.set_run_state("toy_file", run_id, "failed")
    _wait_for(Path(file + ".killed").exists)


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

    _wait_for(lambda: not any(_is_alive(int(pid)) for pid in pids))
    _wait_for(lambda: not Path(home).exists())


def _wait_for(condition: Callable[[], bool], timeout: float = 60.0) -> float:
    """Wait until the condition holds, and return how long that took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout, "waited in vain"
        time.sleep(0.05)
    return time.monotonic() - started


def _only(processes: list[TaskProcess]) -> TaskProcess:
    assert len(processes) == 1
    return processes[0]


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
