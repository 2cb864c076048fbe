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
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psutil

from tests.integration.postgres import TemporaryPostgres

START_TIMEOUT = 180.0
"""Seconds for everything to be up. It takes about 15; the very first start after an installation also compiles."""

ANSWER_TIMEOUT = 60.0
"""Seconds. With dozens of tasks on a busy machine Airflow takes longer than the client's usual five."""
POLL_INTERVAL = 0.2
FINISHED_RUN_STATES = frozenset({"success", "failed"})
FINISHED_TASK_STATES = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})

COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "api-server": ("api-server", "--workers", "1"),
    # Without --skip-serve-logs the two would serve their logs on all interfaces; here everybody reads the same folder.
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "triggerer": ("triggerer", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
}

# Airflow's own titles of its processes: the forked child that runs the user's code carries the id of the task instance.
_TASK_PROCESS_TITLE = re.compile(r"airflow worker -- ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")

SETTINGS: Mapping[str, str] = {
    "CORE__EXECUTOR": "LocalExecutor",
    "CORE__PARALLELISM": "8",  # LocalExecutor forks that many workers when it starts
    "CORE__MAX_ACTIVE_TASKS_PER_DAG": "64",
    "CORE__LOAD_EXAMPLES": "False",
    "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
    "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    "CORE__HOSTNAME_CALLABLE": "socket.gethostname",  # the default asks the DNS
    "CORE__DEFAULT_TASK_RETRY_DELAY": "0",
    "LOGGING__COLORED_CONSOLE_LOG": "False",
    "USAGE_DATA_COLLECTION__ENABLED": "False",
    # How soon a new or changed DAG file is seen.
    "DAG_PROCESSOR__REFRESH_INTERVAL": "2",
    "DAG_PROCESSOR__PARSING_PROCESSES": "1",
    # How soon the next task starts.
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    # How soon a running task notices that a user ended it. It asks 5 times as often as usual: so it may fail as often.
    "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    "WORKERS__MAX_FAILED_HEARTBEATS": "15",
    # How soon the tasks of a killed scheduler are taken over, and those without a heartbeat are retried.
    "SCHEDULER__JOB_HEARTBEAT_SEC": "1",
    "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "6",
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "2",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    # How soon `defer(timeout=...)` expires, and the triggers of a killed triggerer are taken over by the next one.
    "SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "1",
    "TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5",
    "TRIGGERER__CAPACITY": "1000",
}


class RunningAirflowError(AssertionError):
    """Airflow did not do what the test waits for; the message shows the tasks' states and the ends of the logs."""


@dataclass(frozen=True)
class TaskInstance:
    """A task instance as the REST API shows it; ``id`` is new in every try."""

    id: str
    task_id: str
    map_index: int
    state: str | None
    try_number: int
    max_tries: int
    start: datetime | None
    end: datetime | None
    pid: int | None
    trigger_id: int | None

    @classmethod
    def from_api(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            id=body["id"],
            task_id=body["task_id"],
            map_index=body["map_index"],
            state=body["state"],
            try_number=body["try_number"],
            max_tries=body["max_tries"],
            start=_moment(body["start_date"]),
            end=_moment(body["end_date"]),
            pid=body["pid"],
            trigger_id=(body["trigger"] or {}).get("id"),
        )


@dataclass(frozen=True)
class TaskProcess:
    """The process in which the user's code of one task instance runs."""

    pid: int
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int


class RunningAirflow:
    """Airflow from ``__enter__`` (everything is up and healthy) to ``__exit__`` (nothing is left).

    :param dags: DAG files as ``{file name: source}``, or the folder that holds them.
    :param connections: Airflow connections by id, each as a URI or as the mapping of its JSON form.
    :param env: more environment variables of all components; they win over ``SETTINGS``.
    :param home: the ``AIRFLOW_HOME``; it is kept. Without it a temporary one is made, and removed in the end unless the
        variable ``KEEP_AIRFLOW_HOME`` is set.
    :param python_path: folders from which DAGs and components can import, before those of ``PYTHONPATH``.
    """

    def __init__(
        self,
        dags: Mapping[str, str] | Path,
        connections: Mapping[str, str | Mapping[str, Any]] | None = None,
        env: Mapping[str, str] | None = None,
        home: Path | None = None,
        python_path: Sequence[Path] = (),
    ) -> None:
        self._dags = dags
        self._connections = connections or {}
        self._extra_env = env or {}
        self._given_home = home
        self._python_path = python_path
        self._exit = contextlib.ExitStack()
        self._components: dict[str, subprocess.Popen[bytes]] = {}
        self.home = Path()
        self.api_url = ""
        self.env: dict[str, str] = {}
        self._client = httpx.Client(trust_env=False, timeout=ANSWER_TIMEOUT)

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
        self._guard = stack.enter_context(_Guard())
        self.home = stack.enter_context(self._make_home())
        self._postgres = postgres = stack.enter_context(TemporaryPostgres())
        self._guard.watch_session(postgres.pid)
        self._guard.watch_folder(postgres.folder)
        port = _free_port()
        self.api_url = f"http://127.0.0.1:{port}"
        self.env = self._make_env(postgres.url, port)
        self.log_folder.joinpath("components").mkdir(parents=True, exist_ok=True)
        self._write_dags()
        stack.callback(self._kill_all)
        self._migrate()
        started = datetime.now(UTC)
        for component in COMPONENTS:
            self._start(component)
        for component in COMPONENTS:
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

    def _spawn(self, name: str, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        with self._component_log(name).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "airflow", *arguments],
                cwd=self.home,
                env=self.env,
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
        self._spawn(component, COMPONENTS[component])

    def _end(self, component: str, sig: signal.Signals) -> None:
        """SIGKILL hits the component and all it has forked, as the loss of its machine would; others only itself."""
        process = self._components.pop(component)
        if sig is not signal.SIGKILL:
            process.send_signal(sig)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=30)
        _kill_session(process.pid)
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
            heartbeat = _moment((health.get(name) or {}).get(f"latest_{name}_heartbeat"))
            return heartbeat is not None and heartbeat > since

        self._wait(healthy, START_TIMEOUT, lambda: f"The {component} is not healthy")

    def processes(self) -> list[psutil.Process]:
        """The processes started here that are running now: the server of the database and the components."""
        started = [self._postgres.pid, *(process.pid for process in self._components.values())]
        return [psutil.Process(pid) for pid in started if psutil.pid_exists(pid)]

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
            _kill_session(process.pid)

    def _start_and_wait(self, component: str) -> None:
        since = datetime.now(UTC)
        self._start(component)
        self._wait_until_healthy(component, since)

    # DAGs and runs

    def wait_until_parsed(self, dag_id: str, timeout: float = 60.0) -> None:
        """Wait until the scheduler could run the DAG; an import error in any DAG file ends the waiting."""

        def parsed() -> bool:
            if errors := self.api("GET", "importErrors")["import_errors"]:
                details = "\n".join(f"{error['filename']}:\n{error['stack_trace']}" for error in errors)
                raise RunningAirflowError(f"DAG files cannot be imported:\n{details}")
            answer = self._client.get(f"{self.api_url}/api/v2/dags/{dag_id}/details")
            return answer.status_code == httpx.codes.OK and not answer.json()["is_stale"]

        self._wait(parsed, timeout, lambda: f"DAG {dag_id!r} was not parsed within {timeout:g} s")

    def trigger(
        self,
        dag_id: str,
        conf: Mapping[str, Any] | None = None,
        logical_date: datetime | None = None,
        run_id: str | None = None,
    ) -> str:
        """Start a DAG run and return its id; waits for the DAG to be parsed."""
        self.wait_until_parsed(dag_id)
        body = {
            "dag_run_id": run_id,
            "conf": dict(conf or {}),
            "logical_date": logical_date.isoformat() if logical_date else None,
        }
        return str(self.api("POST", f"dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        return str(self.api("GET", f"dags/{dag_id}/dagRuns/{run_id}")["state"])

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float = 120.0) -> str:
        """Wait until the run is ``success`` or ``failed``, and return which."""
        self._wait(
            lambda: self.run_state(dag_id, run_id) in FINISHED_RUN_STATES,
            timeout,
            lambda: f"Run {run_id!r} of {dag_id!r} has not ended within {timeout:g} s{self._tasks(dag_id, run_id)}",
        )
        return self.run_state(dag_id, run_id)

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        return [TaskInstance.from_api(body) for body in self._list(path, "task_instances")]

    def task_instance(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> TaskInstance:
        return TaskInstance.from_api(self.api("GET", self._task_path(dag_id, run_id, task_id, map_index)))

    def wait_for_task(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        states: Collection[str] = FINISHED_TASK_STATES,
        map_index: int = -1,
        timeout: float = 60.0,
    ) -> TaskInstance:
        """Wait until the task instance exists and is in one of the states, and return it as it was then."""
        seen: list[TaskInstance] = []

        def reached() -> bool:
            answer = self._client.get(f"{self.api_url}/api/v2/{self._task_path(dag_id, run_id, task_id, map_index)}")
            if answer.status_code == httpx.codes.NOT_FOUND:  # a mapped task that is not expanded yet
                return False
            seen[:] = [TaskInstance.from_api(_checked(answer))]
            return seen[0].state in states

        self._wait(
            reached,
            timeout,
            lambda: (
                f"Task {task_id!r} has not become {' or '.join(sorted(states))} within {timeout:g} s"
                f"{self._tasks(dag_id, run_id)}"
            ),
        )
        return seen[0]

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """The value of an XCom as it is stored: plain JSON, which is also what a downstream task gets."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.api("GET", path, params={"map_index": map_index})["value"]

    def xcom_keys(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> list[str]:
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries"
        entries = self._list(path, "xcom_entries", {"map_index": map_index})
        return sorted(entry["key"] for entry in entries)

    def task_log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1) -> str:
        """The log of one try, as the user sees it, one JSON object (or plain line) per line."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        answer = self.api("GET", path, params={"map_index": map_index, "full_content": True})
        lines = answer["content"]
        return "\n".join(line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines)

    def set_task_state(self, dag_id: str, run_id: str, task_id: str, state: str, map_index: int = -1) -> None:
        """Mark a task instance ``failed``, ``success`` or ``skipped``, as the user does it in the UI.

        Airflow 3.3.2 calls ``on_kill`` of a deferred task's trigger only if the triggerer has already started it, which
        it does within a second or two after the state became ``deferred``: a test has to wait for that.
        """
        self.api("PATCH", self._task_path(dag_id, run_id, task_id, map_index), {"new_state": state})

    def set_run_state(self, dag_id: str, run_id: str, state: str) -> None:
        """Mark a run ``failed`` or ``success``, or put it back to ``queued``."""
        self.api("PATCH", f"dags/{dag_id}/dagRuns/{run_id}", {"state": state})

    def clear_task(
        self, dag_id: str, run_id: str, task_id: str, map_index: int | None = None, downstream: bool = True
    ) -> None:
        """Clear a task in any state, as the user does it in the UI; without a map index with all its instances."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": [task_id if map_index is None else [task_id, map_index]],
            "only_failed": False,
            "include_downstream": downstream,
        }
        self.api("POST", f"dags/{dag_id}/clearTaskInstances", body)

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
        for process in _session_members(scheduler.pid) if scheduler else ():
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

    def _log_tails(self) -> str:
        return "".join(f"\n\n--- {component}\n{self._log_tail(component)}" for component in COMPONENTS)

    def _tasks(self, dag_id: str, run_id: str) -> str:
        try:
            instances = self.task_instances(dag_id, run_id)
        except (RunningAirflowError, httpx.HTTPError) as error:
            return f"\n(the tasks cannot be read: {error})"
        return "".join(
            f"\n{ti.task_id}[{ti.map_index}]: {ti.state}, try {ti.try_number} of {ti.max_tries + 1}, pid {ti.pid}"
            for ti in instances
        )

    # REST API, https://airflow.apache.org/docs/apache-airflow/stable/stable-rest-api-ref.html

    def api(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, params: Mapping[str, Any] | None = None
    ) -> Any:
        """Call the public REST API (``path`` below ``/api/v2``) and return the decoded answer."""
        return _checked(self._client.request(method, f"{self.api_url}/api/v2/{path}", json=body, params=params))

    def _list(self, path: str, key: str, params: Mapping[str, Any] | None = None) -> list[Any]:
        """All pages of a listing."""
        items: list[Any] = []
        while True:
            page = self.api("GET", path, params={**(params or {}), "limit": 100, "offset": len(items)})
            items += page[key]
            if not page[key] or len(items) >= page["total_entries"]:
                return items

    @staticmethod
    def _task_path(dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        return path if map_index < 0 else f"{path}/{map_index}"

    def _wait(self, condition: Callable[[], bool], timeout: float, complaint: Callable[[], str]) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            for component, process in self._components.items():
                if process.poll() is not None:
                    raise RunningAirflowError(f"The {component} has died:\n{self._log_tail(component, 60)}")
            if time.monotonic() > deadline:
                raise RunningAirflowError(complaint() + self._log_tails())
            time.sleep(POLL_INTERVAL)


class _Guard:
    """A process that ends what we started if we are killed and cannot do it ourselves.

    It waits for the end of its standard input, which comes with our own end.
    """

    _SOURCE = """
import os, shutil, signal, sys, time
sessions, folders = set(), []
for line in sys.stdin:
    kind, _, value = line.rstrip("\\n").partition(" ")
    if kind == "session":
        sessions.add(int(value))
    else:
        folders.append(value)
def members():
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.getsid(int(name)) in sessions:
                yield int(name)
        except OSError:
            pass
for _ in range(20):
    for pid in members():
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
    time.sleep(0.1)
for folder in folders:
    shutil.rmtree(folder, ignore_errors=True)
"""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", self._SOURCE],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def watch_session(self, pid: int) -> None:
        self._tell(f"session {pid}")

    def watch_folder(self, folder: Path) -> None:
        self._tell(f"folder {folder}")

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()


def _session_members(leader: int) -> list[psutil.Process]:
    """The live processes of a session; those that only wait for being reaped do not count."""
    members = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.Error):
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
    return members


def _kill_session(leader: int) -> None:
    while members := _session_members(leader):  # again and again, because one may have forked in between
        for process in members:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(0.02)


def _checked(response: httpx.Response) -> Any:
    if response.is_error:
        request = response.request
        raise RunningAirflowError(f"{request.method} {request.url} answered {response.status_code}: {response.text}")
    return response.json()


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
