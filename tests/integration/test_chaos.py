"""
Sixty documents on a really running Airflow while processes are killed and calls go wrong, all over TLS: the emulator
accepts each exactly once, and each is read, or ends as ambiguous with its story told.

What is drawn at random is drawn with fixed seeds: which process is killed, which call goes wrong. The order in which
sixty tasks and a triggerer act is the operating system's, so that no two runs are the same; the outcome always is.

**What is killed.** Only task processes that wait for a job or fetch its result, never one that submits: a process
killed between the service's acceptance and the store's write leaves its job unknown to everybody, which is the gap that
no client can close, and which has its own tests in ``test_ambiguous_submission.py``. So Airflow's task state store is
asked: where it holds the job's id, all later tries know the job, and any kill of any of its processes is safe, at any
moment. The line "Submitted ..." in the log comes before that, and proves nothing. No time is assumed.

**What goes wrong.** A tenth of all calls: of those which poll, fetch or ask for a token, in every way; of the
submissions in ways that certainly did not reach the service (429, 503). And of three documents, a twentieth, the
submission is accepted and its answer lost: such a one is ambiguous, and fails its task by intention.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_asposeocr.emulator import EmulatorServer, TextReader
from airflow_provider_asposeocr.jobs.memory import KEY as RECORD
from tests.certificates import Authority
from tests.integration.airflow_api import FINISHED_RUN_STATES
from tests.integration.connections import connection_to
from tests.integration.documents import print_line
from tests.integration.running_airflow import RunningAirflow, TaskProcess

pytestmark = pytest.mark.integration

DAG_ID = "many_documents"
DAG_FILE = Path(__file__).parent / "dags" / f"{DAG_ID}.py"
MODES = ("synchronous", "deferrable")
DOCUMENTS_PER_MODE = 30
LATENCY = 5.0
TASK_KILLS = 10
TRIGGERER_KILLS = 2
KILLS_OF_ONE_DOCUMENT = 2
SEED = 1884
TIME_LIMIT = 300.0
"""Seconds, for a loaded machine; it takes under half of it."""

SETTINGS = {
    "AIRFLOW__CORE__PARALLELISM": "12",
    # The harness lets a scheduler count as dead after 15 s. One that starts a dozen tasks at once on a loaded machine
    # is silent for longer, takes itself for dead and ends its running tasks as if a user did: their jobs are cancelled.
    # Nobody kills the scheduler here, so nobody has to be quick to notice it.
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "120",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "120",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "120",
}

_TREES = ("maple", "willow", "cedar", "poplar", "alder", "hazel")
_THINGS = ("ladder", "kettle", "lantern", "basket", "saddle")

MANY = 1_000_000
# Rules are tried in their order, and the first that hits ends the search: each takes its share of what the ones before
# it have left, which for a tenth in sum makes hardly a difference.
POLL_FAULTS: list[dict[str, Any]] = [
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 502},
    {"kind": "status", "status": 503, "retry_after": 1},
    {"kind": "status", "status": 504},
    {"kind": "reset_before"},
    {"kind": "reset_after"},
    {"kind": "truncate"},
    {"kind": "wrong_content_type"},
    {"kind": "not_json"},
    {"kind": "unknown_task_status"},
    {"kind": "delay", "seconds": 0.2},
    {"kind": "in_clear"},
]
SUBMISSION_FAULTS: list[dict[str, Any]] = [
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 429, "retry_after": 1},
]
TOKEN_FAULTS: list[dict[str, Any]] = [
    {"kind": "status", "status": 503},
    {"kind": "reset_before"},
    {"kind": "reset_after"},
    {"kind": "truncate"},
    {"kind": "not_json"},
]


SUBMISSION = {"method": "POST", "path": "RecognizeImage"}
LOST_ANSWERS: list[dict[str, Any]] = [
    {**SUBMISSION, "kind": "reset_after", "after": 10},
    {**SUBMISSION, "kind": "truncate", "after": 25},
    # Past the TLS: it is an error of TLS then, and yet the document was accepted.
    {**SUBMISSION, "kind": "in_clear", "after": 40},
]
SCRIPT: list[dict[str, Any]] = [
    {"kind": "expire_token", "method": "GET", "after": 40},
    {"kind": "expire_token", "method": "GET", "after": 90},
    *LOST_ANSWERS,
]
"""Which hit one call each."""


def fault_rules() -> list[dict[str, Any]]:
    """A tenth of the calls of each sort."""
    sorts = (
        ({"method": "GET"}, POLL_FAULTS),
        ({"method": "POST", "path": "connect/token"}, TOKEN_FAULTS),
        (SUBMISSION, SUBMISSION_FAULTS),
    )
    return [
        {**calls, **fault, "rate": 0.1 / len(faults), "count": MANY, "seed": SEED + at * 100 + number}
        for at, (calls, faults) in enumerate(sorts)
        for number, fault in enumerate(faults)
    ]


@dataclass
class Chaos:
    """Kills while a run goes on."""

    airflow: RunningAirflow
    emulator: EmulatorServer
    run_id: str
    dice: random.Random = field(default_factory=lambda: random.Random(SEED))
    kills: list[tuple[float, TaskProcess]] = field(default_factory=list)
    triggerer_kills: list[float] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    _known: set[tuple[str, int]] = field(default_factory=set)
    _polls_at_kill: int = 0
    _restart: threading.Thread | None = None
    _failure: Exception | None = None

    @property
    def now(self) -> float:
        return time.monotonic() - self.started

    def job_is_known(self, task_id: str, map_index: int) -> bool:
        """Whether the task state store has the job's id, for any later try."""
        if (task_id, map_index) not in self._known:
            record = self.airflow.state_store(DAG_ID, self.run_id, task_id, map_index).get(RECORD) or {}
            if record.get("ocr_task_id"):
                self._known.add((task_id, map_index))
        return (task_id, map_index) in self._known

    def kill_a_task(self) -> None:
        """Kill one process, of each mode in turn, if one may be killed now."""
        mode = MODES[len(self.kills) % len(MODES)]
        killed = Counter((process.task_id, process.map_index) for _, process in self.kills)
        candidates = [
            process
            for process in sorted(self.airflow.running_task_processes(DAG_ID), key=lambda process: process.map_index)
            if process.task_id == mode
            and killed[process.task_id, process.map_index] < KILLS_OF_ONE_DOCUMENT
            and self.job_is_known(process.task_id, process.map_index)
        ]
        if not candidates:
            return
        process = self.dice.choice(candidates)
        try:
            self.airflow.kill_task_process(process)
        except ProcessLookupError:
            return
        self.kills.append((self.now, process))

    def restart_the_triggerer(self) -> None:
        """Kill it now and start the next one, while the rest goes on."""

        def restart() -> None:
            try:
                self.airflow.kill_triggerer()
                self.airflow.start_triggerer()
            except Exception as error:  # noqa: BLE001 - raised again in the test's own thread
                self._failure = error

        self._polls_at_kill = self.polls()
        self.triggerer_kills.append(self.now)
        self._restart = threading.Thread(target=restart, name="triggerer-restart")
        self._restart.start()

    def wait_for_restart(self) -> None:
        if self._restart is not None:
            self._restart.join()
        if self._failure is not None:
            raise self._failure

    def triggerer_is_at_work(self) -> bool:
        """Whether it is up, has polled since it was started, and has more to do."""
        if self._restart is not None and self._restart.is_alive():
            return False
        polls = self.polls()
        if polls < self._polls_at_kill + 5:
            return False
        deferred = [ti for ti in self.airflow.task_instances(DAG_ID, self.run_id) if ti.state == "deferred"]
        return len(deferred) >= 3

    def polls(self) -> int:
        return self.emulator.calls().count("GET", "Utilities/GetTaskStatus")

    def rage(self) -> str:
        """Kill, until the run has ended; returns its state."""
        while (state := self.airflow.run_state(DAG_ID, self.run_id)) not in FINISHED_RUN_STATES:
            assert self.now < TIME_LIMIT, f"not ended after {TIME_LIMIT:g} s: {self.summary()}"
            if len(self.triggerer_kills) < TRIGGERER_KILLS and self.triggerer_is_at_work():
                self.wait_for_restart()
                self.restart_the_triggerer()
            if len(self.kills) < TASK_KILLS:
                self.kill_a_task()
            time.sleep(0.2)
        self.wait_for_restart()
        return state

    def summary(self) -> str:
        calls = self.emulator.calls()
        instances = self.airflow.task_instances(DAG_ID, self.run_id)
        hits = Counter[str]()
        rules = self.emulator.faults()
        to_come, rules = rules[: -len(fault_rules())], rules[-len(fault_rules()) :]
        for planned, left in zip(fault_rules(), rules, strict=True):
            name = f"{planned['status']}" if planned["kind"] == "status" else planned["kind"]
            hits[f"{planned.get('path', 'GET')} {name}"] += MANY - (left.count or 0)
        tries = Counter((ti.task_id, ti.try_number) for ti in instances)
        lines = [
            ("run", f"{self.now:.0f} s"),
            ("documents", f"{len(instances)}: {dict(Counter(ti.state for ti in instances))}"),
            ("accepted submissions", f"{calls.accepted} of {len(calls.accepted_by_image)} images"),
            ("calls", ", ".join(f"{name}: {count}" for name, count in calls.by_endpoint.items())),
            ("token calls", str(calls.token_calls)),
            ("triggerer killed", ", ".join(f"at {at:.0f} s" for at in self.triggerer_kills)),
            *(
                ("task killed", f"at {at:.0f} s: {process.task_id}[{process.map_index}], try {process.try_number}")
                for at, process in self.kills
            ),
            ("faults", f"{sum(hits.values())} of {calls.total + calls.token_calls} calls"),
            ("script", f"{len(SCRIPT) - len(to_come)} of {len(SCRIPT)} lost answers and expired tokens"),
            *(("", f"{count} x {name}") for name, count in sorted(hits.items()) if count),
            *(("tries", f"{count} {task_id} in try {number}") for (task_id, number), count in sorted(tries.items())),
        ]
        return "\n".join(f"{name:<22}{value}" for name, value in lines)


@pytest.fixture
def documents(tmp_path: Path) -> dict[tuple[str, int], str]:
    """Images of one line each, and what stands on them."""
    texts = {}
    for mode in MODES:
        for number in range(DOCUMENTS_PER_MODE):
            tree, thing = _TREES[number % len(_TREES)], _THINGS[number // len(_TREES)]
            text = f"The {mode} {tree} {thing}"
            print_line(tmp_path / f"{mode}-{number:02}.png", text)
            texts[mode, number] = text
    return texts


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.found(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def emulator(reader: TextReader, tls: Authority) -> Iterator[EmulatorServer]:
    with EmulatorServer(latency=LATENCY, reader=reader, certificate=tls.certificate, key=tls.key) as server:
        yield server


def test_sixty_documents_are_accepted_once_each_and_read_or_told_to_be_ambiguous(
    emulator: EmulatorServer, documents: dict[tuple[str, int], str], tls: Authority, tmp_path: Path
) -> None:
    emulator.add_faults([*SCRIPT, *fault_rules()])
    airflow = RunningAirflow(
        dags={DAG_FILE.name: DAG_FILE.read_text()},
        connections={"ocr": connection_to(emulator, timeout=10, verify=tls.authority)},
        env={"TEST_IMAGES": str(tmp_path), **SETTINGS},
    )
    with airflow:
        airflow.wait_until_parsed(DAG_ID)
        chaos = Chaos(airflow, emulator, airflow.trigger(DAG_ID))
        state = chaos.rage()
        summary = chaos.summary()
        print(f"\n{summary}")

        instances = airflow.task_instances(DAG_ID, chaos.run_id)
        texts = {
            (ti.task_id, ti.map_index): airflow.xcom(DAG_ID, chaos.run_id, ti.task_id, "text", ti.map_index)
            for ti in instances
            if ti.state == "success"
        }
        stories = {
            (ti.task_id, ti.map_index): airflow.task_log(
                DAG_ID, chaos.run_id, ti.task_id, ti.try_number, ti.map_index
            ).splitlines()
            for ti in instances
            if ti.state == "failed"
        }
    logs = [f"\nThe log of {document}:\n" + "\n".join(story) for document, story in stories.items()]
    summary = "\n".join([summary, *logs])
    calls = emulator.calls()
    assert calls.accepted == 2 * DOCUMENTS_PER_MODE, summary
    assert set(calls.accepted_by_image.values()) == {1}
    assert not [job for job in emulator.jobs() if job.cancelled]
    assert texts == {document: text for document, text in documents.items() if document not in stories}, summary
    for (mode, number), story in stories.items():
        told = [line for line in story if "AsposeOcrAmbiguousSubmissionError" in line]
        assert any(f"{mode}-{number:02}.png" in line and "RecognizeImage" in line for line in told), summary
    assert (state, len(stories)) == ("failed", len(LOST_ANSWERS)), summary
    assert len(chaos.kills) == TASK_KILLS
    assert len(chaos.triggerer_kills) == TRIGGERER_KILLS
