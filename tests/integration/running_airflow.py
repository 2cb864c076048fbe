"""A really running Airflow for tests: PostgreSQL, scheduler (LocalExecutor), triggerer, DAG processor and API server.

    with RunningAirflow(dags={"hello.py": SOURCE}) as airflow:
        run_id = airflow.trigger("hello")
        assert airflow.wait_for_run("hello", run_id) == "success"
        assert airflow.xcom("hello", run_id, "greet") == "Hello"

Every component is a process of its own, started as a user starts it (``python -m airflow scheduler``), in a throw-away
``AIRFLOW_HOME``, with an environment made here, on 127.0.0.1 and a free port. State is read and changed through the
public REST API, as a user does it. The class knows nothing of the provider under test.

Each component leads a session (``setsid``) of its own. Whatever it forks stays in that session, even the task
processes, which Airflow puts into process groups of their own: so a component can be ended with all that belongs to it.
Should the test process itself be killed, a small guard process notices it and does the same.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psutil

from tests.integration.airflow_api import AirflowApi, RunningAirflowError, TaskInstance, moment
from tests.integration.airflow_settings import COMPONENTS, SETTINGS
from tests.integration.executor_events import wait_until_told_of_deferral
from tests.integration.postgres import TemporaryPostgres
from tests.integration.process_sessions import Guard, kill_session, session_members

START_TIMEOUT = 180.0
"""Seconds for everything to be up. It takes about 15; the very first start after an installation also compiles."""

# Airflow's own titles of its processes: the forked child that runs the user's code carries the id of the task instance.
_TASK_PROCESS_TITLE = re.compile(r"airflow worker -- ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


@dataclass(frozen=True)
class TaskProcess:
    """The process in which the user's code of one task instance runs."""

    pid: int
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int


class RunningAirflow(AirflowApi):
    """Airflow from ``__enter__`` (everything is up and healthy) to ``__exit__`` (nothing is left).

    What runs, and where, is said by ``commands``, ``home_of`` and ``_env_of``: see `many_machines.py` for others.

    :param dags: DAG files as ``{file name: source}``, or the folder that holds them.
    :param connections: Airflow connections by id, each as a URI or as the mapping of its JSON form.
    :param env: more environment variables of all components; they win over ``SETTINGS``.
    :param home: the ``AIRFLOW_HOME``; it is kept. Without it a temporary one is made, and removed in the end unless the
        variable ``KEEP_AIRFLOW_HOME`` is set.
    :param python_path: folders from which DAGs and components can import, before those of ``PYTHONPATH``.
    """

    commands: Mapping[str, tuple[str, ...]] = COMPONENTS

    def __init__(
        self,
        dags: Mapping[str, str] | Path,
        connections: Mapping[str, str | Mapping[str, Any]] | None = None,
        env: Mapping[str, str] | None = None,
        home: Path | None = None,
        python_path: Sequence[Path] = (),
    ) -> None:
        super().__init__()
        self._dags = dags
        self._connections = connections or {}
        self._extra_env = env or {}
        self._given_home = home
        self._python_path = python_path
        self._exit = contextlib.ExitStack()
        self._components: dict[str, subprocess.Popen[bytes]] = {}
        self.home = Path()
        self.env: dict[str, str] = {}

    # Start and end

    def __enter__(self) -> Self:
        try:
            with contextlib.ExitStack() as stack:
                self._start_all(stack)
                self._exit = stack.pop_all()
        except BaseException:
            self._client.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._exit.close()

    def _start_all(self, stack: contextlib.ExitStack) -> None:
        stack.enter_context(self._client)
        self._guard = stack.enter_context(Guard())
        self.home = stack.enter_context(self._make_home())
        self._postgres = postgres = stack.enter_context(TemporaryPostgres())
        self._guard.watch_session(postgres.pid)
        self._guard.watch_folder(postgres.folder)
        port = free_port()
        self.api_url = f"http://127.0.0.1:{port}"
        self.env = self._make_env(postgres.url, port)
        self.log_folder.joinpath("components").mkdir(parents=True, exist_ok=True)
        self._write_dags()
        stack.callback(self._kill_all)
        self._migrate()
        started = datetime.now(UTC)
        for component in self.commands:
            self._start(component)
        for component in self.commands:
            self._wait_until_healthy(component, since=started)

    @contextlib.contextmanager
    def _make_home(self) -> Iterator[Path]:
        if self._given_home is not None:
            self._given_home.mkdir(parents=True, exist_ok=True)
            yield self._given_home.resolve()
            return
        home = Path(tempfile.mkdtemp(prefix="airflow-")).resolve()
        if os.environ.get("KEEP_AIRFLOW_HOME"):
            print(f"AIRFLOW_HOME is kept: {home}", file=sys.stderr)
            yield home
            return
        self._guard.watch_folder(home)
        try:
            yield home
        finally:
            shutil.rmtree(home, ignore_errors=True)

    def _make_env(self, database_url: str, port: int) -> dict[str, str]:
        """All that the components see of the world: nothing of our own environment but what is named here."""
        python_path = [str(path) for path in self._python_path]
        python_path += [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
        settings = {
            **SETTINGS,
            "CORE__DAGS_FOLDER": str(self._dags if isinstance(self._dags, Path) else self.home / "dags"),
            "CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "CORE__EXECUTION_API_SERVER_URL": f"{self.api_url}/execution/",
            "API__HOST": "127.0.0.1",
            "API__PORT": str(port),
            "API__BASE_URL": self.api_url,
            "API__SECRET_KEY": secrets.token_hex(16),
            "API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "DATABASE__SQL_ALCHEMY_CONN": database_url,
            "LOGGING__BASE_LOG_FOLDER": str(self.log_folder),
            "LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(self.log_folder / "dag_processor"),
        }
        connections = {
            f"AIRFLOW_CONN_{conn_id.upper()}": value if isinstance(value, str) else json.dumps(value)
            for conn_id, value in self._connections.items()
        }
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "TMPDIR": tempfile.gettempdir(),
            "PYTHONPATH": os.pathsep.join(python_path),
            "PYTHONUNBUFFERED": "1",
            "AIRFLOW_HOME": str(self.home),
            **{f"AIRFLOW__{name}": value for name, value in settings.items()},
            **connections,
            **self._extra_env,
        }

    def _write_dags(self) -> None:
        if isinstance(self._dags, Path):
            return
        folder = self.home / "dags"
        folder.mkdir(exist_ok=True)
        for name, source in self._dags.items():
            (folder / name).write_text(source)

    def _migrate(self) -> None:
        migrating = self._spawn("db-migrate", ("db", "migrate"))
        failed = migrating.wait(timeout=START_TIMEOUT)
        del self._components["db-migrate"]
        if failed:
            raise RunningAirflowError(f"`airflow db migrate` failed:\n{self._log_tail('db-migrate')}")

    # Components

    def home_of(self, component: str) -> Path:
        """The ``AIRFLOW_HOME`` of a component."""
        return self.home

    def wait_for_task(self, dag_id: str, run_id: str, task_id: str, *args: Any, **kwargs: Any) -> TaskInstance:
        """Wait for a state of a task; where it is deferred, until its trigger may fire."""
        task = super().wait_for_task(dag_id, run_id, task_id, *args, **kwargs)
        if task.state == "deferred":
            wait_until_told_of_deferral(self._component_log("scheduler"), dag_id, run_id, task_id, task.map_index)
        return task

    def _env_of(self, component: str) -> dict[str, str]:
        return self.env

    def _spawn(self, name: str, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        with self._component_log(name).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "airflow", *arguments],
                cwd=self.home_of(name),
                env=self._env_of(name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._components[name] = process
        self._guard.watch_session(process.pid)
        return process

    def _start(self, component: str) -> None:
        running = self._components.get(component)
        if running is not None and running.poll() is None:
            raise RunningAirflowError(f"The {component} is already running")
        self._spawn(component, self.commands[component])

    def _end(self, component: str, sig: signal.Signals) -> None:
        """SIGKILL hits the component and all it has forked, as the loss of its machine would; others only itself."""
        process = self._components.pop(component)
        if sig is not signal.SIGKILL:
            process.send_signal(sig)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=30)
        kill_session(process.pid)
        process.wait()

    def _kill_all(self) -> None:
        for component in list(self._components):
            self._end(component, signal.SIGKILL)

    def _wait_until_healthy(self, component: str, since: datetime) -> None:
        """Wait for a heartbeat later than ``since``; one of a predecessor does not count."""
        name = component.replace("-", "_")

        def healthy() -> bool:
            try:
                health = self._client.get(f"{self.api_url}/api/v2/monitor/health").json()
            except (httpx.TransportError, ValueError):
                return False
            if component == "api-server":
                return True
            heartbeat = moment((health.get(name) or {}).get(f"latest_{name}_heartbeat"))
            return heartbeat is not None and heartbeat > since

        self._wait(healthy, START_TIMEOUT, lambda: f"The {component} is not healthy")

    def processes(self) -> list[psutil.Process]:
        """The processes started here that are running now: the server of the database and the components."""
        started = [self._postgres.pid, *(process.pid for process in self._components.values())]
        return [psutil.Process(pid) for pid in started if psutil.pid_exists(pid)]

    def start_missing(self) -> None:
        """Start the components that do not run, whoever ended them."""
        for component in self.commands:
            process = self._components.get(component)
            if process is not None and process.poll() is not None:
                self._end(component, signal.SIGKILL)
            if component not in self._components:
                self._start_and_wait(component)

    def kill_triggerer(self, sig: signal.Signals = signal.SIGKILL) -> None:
        """End the triggerer; returns when it is gone.

        By SIGTERM that takes Airflow 3.3.2 one or two seconds, or ten more if triggers are running.
        """
        self._end("triggerer", sig)

    def start_triggerer(self) -> None:
        """Start the triggerer; returns when it has sent its first heartbeat."""
        self._start_and_wait("triggerer")

    def restart_triggerer(self, sig: signal.Signals = signal.SIGTERM) -> None:
        self.kill_triggerer(sig)
        self.start_triggerer()

    def kill_scheduler(self, sig: signal.Signals = signal.SIGKILL) -> None:
        """End the scheduler; by SIGKILL with the executor and all running tasks, as the loss of the machine would.

        By SIGTERM the executor first lets the running tasks end; after 30 seconds they are killed.
        """
        self._end("scheduler", sig)

    def start_scheduler(self) -> None:
        """Start the scheduler; returns when it has sent its first heartbeat."""
        self._start_and_wait("scheduler")

    def restart_scheduler(self, sig: signal.Signals = signal.SIGTERM) -> None:
        self.kill_scheduler(sig)
        self.start_scheduler()

    @contextlib.contextmanager
    def only_scheduler_restarted(self) -> Iterator[None]:
        """Replace the scheduler by a new one; in the end, the executor's orphaned processes are killed, too."""
        process = self._components.pop("scheduler")
        process.kill()
        process.wait()
        try:
            self.start_scheduler()
            yield
        finally:
            kill_session(process.pid)

    def _start_and_wait(self, component: str) -> None:
        since = datetime.now(UTC)
        self._start(component)
        self._wait_until_healthy(component, since)

    # Task processes

    def running_task_processes(self, dag_id: str | None = None) -> list[TaskProcess]:
        """The processes that run the user's code now: each is the forked child of one of the executor's workers."""
        pids = dict(self._task_pids())
        if not pids:
            return []
        running = self._list("dags/~/dagRuns/~/taskInstances", "task_instances", {"state": "running"})
        return [
            TaskProcess(
                pid=pids[body["id"]],
                dag_id=body["dag_id"],
                run_id=body["dag_run_id"],
                task_id=body["task_id"],
                map_index=body["map_index"],
                try_number=body["try_number"],
            )
            for body in running
            if body["id"] in pids and dag_id in (None, body["dag_id"])
        ]

    def kill_task_process(self, process: TaskProcess | int, sig: signal.Signals = signal.SIGKILL) -> None:
        """Kill the process of one task; to Airflow it looks as if the kernel was out of memory.

        Raises ``ProcessLookupError`` if this is no task process (any more).
        """
        pid = process.pid if isinstance(process, TaskProcess) else process
        if pid not in dict(self._task_pids()).values():
            raise ProcessLookupError(f"Process {pid} runs no task")
        os.kill(pid, sig)

    def _task_pids(self) -> Iterator[tuple[str, int]]:
        scheduler = self._components.get("scheduler")
        for process in session_members(scheduler.pid) if scheduler else ():
            with contextlib.suppress(psutil.Error):
                if match := _TASK_PROCESS_TITLE.fullmatch(" ".join(process.cmdline()).strip()):
                    yield match[1], process.pid

    # Logs

    @property
    def log_folder(self) -> Path:
        """All that is logged: the tasks' and DAG files' logs, and in ``components/`` what each component printed."""
        return self.home / "logs"

    def component_log(self, component: str) -> str:
        return self._component_log(component).read_text(errors="replace")

    def _component_log(self, component: str) -> Path:
        return self.log_folder / "components" / f"{component}.log"

    def _log_tail(self, component: str, lines: int = 25) -> str:
        with contextlib.suppress(FileNotFoundError):
            return "\n".join(self.component_log(component).splitlines()[-lines:])
        return ""

    def check(self) -> None:
        for component, process in self._components.items():
            if process.poll() is not None:
                raise RunningAirflowError(f"The {component} has died:\n{self._log_tail(component, 60)}")

    def describe(self) -> str:
        return "".join(f"\n\n--- {component}\n{self._log_tail(component)}" for component in self.commands)


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
