"""What a user sees and changes of a running Airflow through its public REST API, with the waiting for it.

https://airflow.apache.org/docs/apache-airflow/stable/stable-rest-api-ref.html
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import httpx

ANSWER_TIMEOUT = 60.0
"""Seconds. With dozens of tasks on a busy machine Airflow takes longer than the client's usual five."""
POLL_INTERVAL = 0.2
FINISHED_RUN_STATES = frozenset({"success", "failed"})
FINISHED_TASK_STATES = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


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
            start=moment(body["start_date"]),
            end=moment(body["end_date"]),
            pid=body["pid"],
            trigger_id=(body["trigger"] or {}).get("id"),
        )


class AirflowApi:
    """DAGs, runs, tasks, XComs and logs, each by its ids."""

    def __init__(self) -> None:
        self.api_url = ""
        self._client = httpx.Client(trust_env=False, timeout=ANSWER_TIMEOUT)

    def log_in(self, token: str) -> None:
        """Make all calls as the user whose token it is; without one, Airflow must take anybody for an admin."""
        self._client.headers["Authorization"] = f"Bearer {token}"

    def check(self) -> None:
        """Raise an error if there is no use in waiting any longer."""

    def describe(self) -> str:
        """What the message of an error shows besides."""
        return ""

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

    def unfinished_runs(self) -> list[tuple[str, str]]:
        """The DAG and the run id of each run, of any DAG, that has not ended."""
        runs = self._list("dags/~/dagRuns", "dag_runs", {"state": ["queued", "running"]})
        return [(run["dag_id"], run["dag_run_id"]) for run in runs]

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

    # What a user does

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

    # XComs, states and logs

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """The value of an XCom as it is stored: plain JSON, which is also what a downstream task gets."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.api("GET", path, params={"map_index": map_index})["value"]

    def xcom_keys(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> list[str]:
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries"
        entries = self._list(path, "xcom_entries", {"map_index": map_index})
        return sorted(entry["key"] for entry in entries)

    def state_store(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """What the task state store of a task instance holds."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/state-store"
        entries = self._list(path, "task_state_store", {"map_index": map_index})
        return {entry["key"]: entry["value"] for entry in entries}

    def task_log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1) -> str:
        """The log of one try, as the user sees it, one JSON object (or plain line) per line."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        answer = self.api("GET", path, params={"map_index": map_index, "full_content": True})
        lines = answer["content"]
        return "\n".join(line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines)

    # Calls

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
            self.check()
            if time.monotonic() > deadline:
                raise RunningAirflowError(complaint() + self.describe())
            time.sleep(POLL_INTERVAL)

    def _tasks(self, dag_id: str, run_id: str) -> str:
        try:
            instances = self.task_instances(dag_id, run_id)
        except (RunningAirflowError, httpx.HTTPError) as error:
            return f"\n(the tasks cannot be read: {error})"
        return "".join(
            f"\n{ti.task_id}[{ti.map_index}]: {ti.state}, try {ti.try_number} of {ti.max_tries + 1}, pid {ti.pid}"
            for ti in instances
        )


def _checked(response: httpx.Response) -> Any:
    if response.is_error:
        request = response.request
        raise RunningAirflowError(f"{request.method} {request.url} answered {response.status_code}: {response.text}")
    return response.json()


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
