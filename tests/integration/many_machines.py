"""A running Airflow on many machines, which this one plays: CeleryExecutor, two workers, two triggerers.

Each worker and triggerer is a machine of its own as far as it can see: a name, an ``AIRFLOW_HOME`` with its own copy of
the DAG files and its own logs, a working directory, a folder for temporary files. They share what machines share in
truth: the database, the broker, the API server, and the storage of the documents.
"""

from __future__ import annotations

import re
import signal
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.integration.airflow_api import moment
from tests.integration.airflow_settings import COMPONENTS
from tests.integration.process_sessions import session_members
from tests.integration.running_airflow import START_TIMEOUT, RunningAirflow

WORKERS = ("worker-1", "worker-2")
TRIGGERERS = ("triggerer-1", "triggerer-2")
MACHINES = (*WORKERS, *TRIGGERERS)
MODULES = Path(__file__).parent / "modules"


class ManyMachines(RunningAirflow):
    """Airflow with machines of its own for workers and triggerers.

    :param dags: as of :class:`RunningAirflow`; each machine gets a copy.
    :param broker: the address of Redis.
    :param at_once: tasks that one worker runs at a time.
    :param kwargs: as of :class:`RunningAirflow`.
    """

    def __init__(self, dags: Mapping[str, str], broker: str, at_once: int = 3, **kwargs: Any) -> None:
        settings = {
            "CORE__EXECUTOR": "CeleryExecutor",
            "CORE__PARALLELISM": "64",
            "CORE__HOSTNAME_CALLABLE": "machine_name.machine_name",
            "CELERY__BROKER_URL": broker,
            # A worker takes no task that it cannot start: what it has taken comes back late where it dies.
            "CELERY__EXTRA_CELERY_CONFIG": '{"worker_disable_prefetch": true}',
            # It must be longer than any task holds a slot: what is not acknowledged by then is given to another worker.
            "CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "600",
        }
        env = {f"AIRFLOW__{name}": value for name, value in settings.items()} | dict(kwargs.pop("env", {}))
        super().__init__(dags=dags, env=env, python_path=[MODULES, *kwargs.pop("python_path", ())], **kwargs)
        worker = ("celery", "worker", "--skip-serve-logs", "--concurrency", str(at_once), "--celery-hostname")
        self.commands = {
            **{name: COMPONENTS[name] for name in ("api-server", "scheduler", "dag-processor")},
            **dict.fromkeys(TRIGGERERS, COMPONENTS["triggerer"]),
            **{name: (*worker, name) for name in WORKERS},
        }

    def home_of(self, component: str) -> Path:
        return self.home / "machines" / component if component in MACHINES else self.home

    def _env_of(self, component: str) -> dict[str, str]:
        if component not in MACHINES:
            return self.env
        home = self.home_of(component)
        return {
            **self.env,
            "MACHINE": component,
            "HOME": str(home),
            "AIRFLOW_HOME": str(home),
            "TMPDIR": str(home / "tmp"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        }

    def _write_dags(self) -> None:
        super()._write_dags()
        assert isinstance(self._dags, Mapping)
        for machine in MACHINES:
            home = self.home_of(machine)
            for folder in ("dags", "logs", "tmp"):
                (home / folder).mkdir(parents=True)
            for name, source in self._dags.items():
                (home / "dags" / name).write_text(source)

    def _wait_until_healthy(self, component: str, since: datetime) -> None:
        if component in WORKERS:
            ready = f"{component} ready"
            self._wait(
                lambda: ready in self.component_log(component), START_TIMEOUT, lambda: f"{component} is not ready"
            )
        elif component in TRIGGERERS:
            self._wait(
                lambda: self._has_heartbeat(component, since), START_TIMEOUT, lambda: f"{component} is not healthy"
            )
        else:
            super()._wait_until_healthy(component, since)

    def _has_heartbeat(self, machine: str, since: datetime) -> bool:
        jobs = self._list("jobs", "jobs", {"hostname": machine, "job_type": "TriggererJob"})
        beats = [moment(job["latest_heartbeat"]) for job in jobs]
        return any(beat is not None and beat > since for beat in beats)

    # What is where

    def tasks_on(self, machine: str, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The task instances that a worker runs, or whose triggers a triggerer holds, as the REST API shows them."""
        found = self._list(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances", "task_instances")
        if machine in WORKERS:
            return [body for body in found if body["state"] == "running" and body["hostname"] == machine]
        return [
            body
            for body in found
            if body["state"] == "deferred" and ((body["triggerer_job"] or {}).get("hostname") == machine)
        ]

    def logs_on(self, machine: str, task_id: str) -> Counter[int]:
        """How many logs of a mapped task lie on a machine, by map index: of tries, or of what a triggerer watched."""
        pattern = re.compile(rf"task_id={re.escape(task_id)}/map_index=(\d+)/")
        paths = (self.home_of(machine) / "logs").rglob("attempt=*.log")
        return Counter(int(match[1]) for path in paths if (match := pattern.search(str(path))))

    # Losing machines

    def lose(self, machine: str) -> None:
        """SIGKILL all that runs on a machine. It does not come back."""
        self._end(machine, signal.SIGKILL)

    def freeze(self, machine: str) -> None:
        """SIGSTOP all that runs on a machine."""
        for _ in range(2):  # again, because one may have forked in between
            for process in session_members(self._components[machine].pid):
                process.suspend()

    def thaw(self, machine: str) -> None:
        """Let what was frozen go on."""
        for process in session_members(self._components[machine].pid):
            process.resume()
