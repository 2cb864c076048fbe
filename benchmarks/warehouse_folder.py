"""
A folder of documents that a task of a running Airflow reads, what becomes of it, and the troubles it is read through.

**When the worker is killed.** A process that dies while a POST is out leaves a document in doubt, which no client can
help and which is not submitted again without leave. So the worker is stopped first (SIGSTOP) and killed only where the
task state store, once what was on its way there has arrived, shows no document as ``Submitting``; else it goes on, and
the next moment is tried.
"""

from __future__ import annotations

import json
import re
import signal
import struct
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from benchmarks.fixed_emulator import TEXT, FixedEmulator
from tests.integration.airflow_api import FINISHED_RUN_STATES, RunningAirflowError
from tests.integration.airflow_settings import COMPONENTS
from tests.integration.process_sessions import session_members
from tests.integration.running_airflow import RunningAirflow

DAG_ID, TASK_ID = "warehouse", "read"
ARRIVAL = 0.4
"""Seconds in which what a stopped process has sent to Airflow gets there; it takes a hundredth of a second."""


@dataclass(frozen=True, slots=True)
class Options:
    """
    What is to be shown.

    :param documents: how many.
    :param size: of each, in bytes.
    :param job_seconds: how long a job takes.
    :param at_once: jobs at the service.
    :param rate: POSTs a second that the service takes.
    :param outage: seconds for which it answers 503, from the half of the documents on.
    :param time_limit: seconds after which it has failed.
    """

    documents: int
    size: int
    job_seconds: float
    at_once: int
    rate: int
    outage: float
    time_limit: float


@dataclass(slots=True)
class Found:
    """What one run cost, and what it came to."""

    state: str = ""
    seconds: float = 0.0
    tries: int = 0
    deferrals: int = 0
    log_lines: int = 0
    xcom: dict[str, Any] = field(default_factory=dict)
    accepted: int = 0
    posts: int = 0
    calls: int = 0
    trigger_calls: int = 0
    worker_mib: float = 0.0
    triggerer_mib: float = 0.0
    journal_bytes: int = 0
    journal_files: int = 0
    cpu: dict[str, float] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)


class Watch:
    """
    Looks, while a run goes on, at what it takes of the machine.

    :param airflow: in which it runs.
    :param outbox: the output folder.
    :param found: where the highest figures go.
    """

    def __init__(self, airflow: RunningAirflow, outbox: Path, found: Found) -> None:
        self._airflow = airflow
        self._work = outbox / ".aspose-ocr"
        self._found = found
        self._cpu: dict[int, tuple[str, float]] = {}
        self._first: dict[int, float] = {}

    def look(self) -> None:
        """Look once."""
        with suppress(RunningAirflowError):
            for task in self._airflow.running_task_processes(DAG_ID):
                self._found.worker_mib = max(self._found.worker_mib, _peak_mib(task.pid))
                self._see("the task", psutil.Process(task.pid))
        for leader in self._airflow.processes():
            with suppress(psutil.Error):
                # Airflow gives some of its processes a title of its own, such as "airflow api_server".
                title = " ".join(leader.cmdline()).replace("_", "-")
                name = next((each for each in COMPONENTS if each in title), "PostgreSQL")
                for process in session_members(leader.pid):
                    if process.pid not in self._cpu or self._cpu[process.pid][0] != "the task":
                        self._see(name, process)
                    if name == "triggerer":
                        self._found.triggerer_mib = max(self._found.triggerer_mib, _peak_mib(process.pid))
        sizes = []
        for path in self._work.rglob("*"):
            with suppress(OSError):
                sizes.append(path.stat().st_size if path.is_file() else 0)
        self._found.journal_bytes = max(self._found.journal_bytes, sum(sizes))
        self._found.journal_files = max(self._found.journal_files, len(sizes))

    def _see(self, name: str, process: psutil.Process) -> None:
        """Remember how much a process has worked; one that began before counts from its first sight on."""
        with suppress(psutil.Error):
            times = process.cpu_times()
            first = self._first.setdefault(process.pid, 0.0 if name == "the task" else times.user + times.system)
            self._cpu[process.pid] = (name, times.user + times.system - first)
            names = Counter[str]()
            for each, seconds in self._cpu.values():
                names[each] += seconds
            self._found.cpu = {each: round(seconds, 1) for each, seconds in names.items()}


def _peak_mib(pid: int) -> float:
    """The most memory that a process has had so far, by its own count."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    match = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(match[1]) / 1024 if match else 0.0


class Warehouse:
    """
    A folder of documents, the runs that read it, and what is done to them meanwhile.

    :param options: what is to be shown.
    :param airflow: that runs.
    :param emulator: the service.
    :param folder: for documents and results.
    """

    def __init__(self, options: Options, airflow: RunningAirflow, emulator: FixedEmulator, folder: Path) -> None:
        self.options = options
        self.airflow = airflow
        self.emulator = emulator
        self.inbox, self.outbox = folder / "in", folder / "out"
        self.limit = {
            "kind": "rate_limit",
            "limit": options.rate,
            "retry_after": 1,
            "method": "POST",
            "path": "RecognizeImage",
        }

    def write(self, numbers: Sequence[int], version: int = 0) -> None:
        """
        Write documents.

        :param numbers: which.
        :param version: documents of other versions differ.
        """
        for at in numbers:
            path = self.inbox / f"{at // 500:03}" / f"{at:06}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_png(f"{at}/{version}", self.options.size))

    def read(self, *, disturbed: bool) -> Found:
        """
        Let the DAG run once.

        :param disturbed: whether the service goes away, and worker and triggerer are killed.
        """
        found = Found()
        watch = Watch(self.airflow, self.outbox, found)
        before, rows = self.emulator.calls(), self._rows()
        self.emulator.set_faults(self.limit)
        started = time.monotonic()
        run_id = self.airflow.trigger(DAG_ID)
        trouble = Trouble(self, run_id, found, started) if disturbed else None
        while (state := self.airflow.run_state(DAG_ID, run_id)) not in FINISHED_RUN_STATES:
            if time.monotonic() - started > self.options.time_limit:
                found.events.append("the time limit was over")
                break
            watch.look()
            # To look costs, too, and there are two cores for all.
            time.sleep(1.0 if trouble is None or trouble.make() else 0.3)
        if trouble is not None:
            trouble.end()
        found.state = state
        run = self.airflow.api("GET", f"dags/{DAG_ID}/dagRuns/{run_id}")
        if run["end_date"]:
            ended, began = (datetime.fromisoformat(run[name]) for name in ("end_date", "start_date"))
            found.seconds = (ended - began).total_seconds()
        after = self.emulator.calls()
        found.accepted = after.accepted - before.accepted
        found.posts = after.count("POST", "RecognizeImage") - before.count("POST", "RecognizeImage")
        found.calls = after.total - before.total
        found.trigger_calls = after.count("GET", "Utilities/GetTaskStatus") - before.count(
            "GET", "Utilities/GetTaskStatus"
        )
        self._read_airflow(run_id, found)
        found.rows = {
            name: count - rows.get(name, 0) for name, count in self._rows().items() if count != rows.get(name)
        }
        return found

    def _read_airflow(self, run_id: str, found: Found) -> None:
        found.tries = self.airflow.task_instance(DAG_ID, run_id, TASK_ID).try_number
        with suppress(RunningAirflowError):
            found.xcom = self.airflow.xcom(DAG_ID, run_id, TASK_ID)
        lines: list[str] = []
        for path in self.airflow.log_folder.rglob("*.log*"):
            if f"run_id={run_id}" in str(path) and path.is_file():
                lines += path.read_text(errors="replace").splitlines()
        found.log_lines = len(lines)
        found.deferrals = sum("Deferring until some of" in line for line in lines)

    def results(self) -> int:
        """Return how many results are as they should be."""
        return sum(path.read_text().strip() == TEXT for path in self.outbox.rglob("*.txt"))

    def manifest(self) -> Counter[str]:
        """Return how many lines of the manifest have each status."""
        with suppress(OSError):
            lines = (self.outbox / "manifest.jsonl").read_text().splitlines()
            return Counter(json.loads(line)["status"] for line in lines)
        return Counter()

    def _rows(self) -> dict[str, int]:
        """How many rows each table of Airflow's database has."""
        with _cursor(self.airflow) as cursor:
            cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
            counts = {}
            for (name,) in cursor.fetchall():
                cursor.execute(f'SELECT count(*) FROM "{name}"')
                counts[name] = cursor.fetchone()[0]
            return counts


class Trouble:
    """
    What goes wrong in a run.

    :param warehouse: whose run.
    :param run_id: which.
    :param found: where it is told.
    :param started: when.
    """

    def __init__(self, warehouse: Warehouse, run_id: str, found: Found, started: float) -> None:
        self._warehouse = warehouse
        self._airflow = warehouse.airflow
        self._run_id = run_id
        self._found = found
        self._started = started
        self._outage_since: float | None = None
        self._outage_is_over = False
        self._worker_is_killed = False
        self._restart: threading.Thread | None = None
        self._broken: BaseException | None = None

    def make(self) -> bool:
        """Do what it is time for, and say whether the next time is a second away."""
        if self._outage_is_over and self._worker_is_killed and self._restart:
            return True
        options, emulator = self._warehouse.options, self._warehouse.emulator
        accepted = emulator.calls().accepted
        now = time.monotonic()
        if self._outage_since is None and accepted >= options.documents / 2:
            self._outage_since = now
            emulator.set_faults({"kind": "status", "status": 503, "count": None}, self._warehouse.limit)
            self._tell(f"the service is away, {accepted} accepted")
        elif self._outage_since is not None and not self._outage_is_over and now - self._outage_since > options.outage:
            self._outage_is_over = True
            emulator.set_faults(self._warehouse.limit)
            self._tell(f"the service is back, {emulator.calls().accepted} accepted")
        if not self._worker_is_killed and accepted >= options.documents / 4 and self._kill_the_worker():
            self._worker_is_killed = True
            self._tell(f"the worker is killed, {accepted} accepted")
        if self._restart is None and self._is_deferred():
            self._restart = threading.Thread(target=self._restart_triggerer, name="triggerer-restart")
            self._restart.start()
            self._tell(f"the triggerer is killed, {accepted} accepted")
        return self._worker_is_killed or accepted < options.documents / 4

    def end(self) -> None:
        """
        Wait for what is under way.

        :raises RuntimeError: where not all went wrong that should have.
        """
        if self._restart is not None:
            self._restart.join()
        if self._broken is not None:
            raise self._broken
        if not (self._outage_is_over and self._worker_is_killed and self._restart):
            self._tell("NOT ALL WENT WRONG THAT SHOULD HAVE")

    def _tell(self, what: str) -> None:
        self._found.events.append(f"{time.monotonic() - self._started:.0f} s: {what}")
        print(self._found.events[-1], file=sys.stderr, flush=True)

    def _is_deferred(self) -> bool:
        return self._airflow.task_instance(DAG_ID, self._run_id, TASK_ID).state == "deferred"

    def _restart_triggerer(self) -> None:
        try:
            self._airflow.restart_triggerer(signal.SIGKILL)
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            self._broken = error

    def _kill_the_worker(self) -> bool:
        processes = self._airflow.running_task_processes(DAG_ID)
        if not processes or self._is_in_doubt():
            return False
        with suppress(ProcessLookupError):
            self._airflow.kill_task_process(processes[0], signal.SIGSTOP)
            time.sleep(ARRIVAL)
            if not self._is_in_doubt():
                self._airflow.kill_task_process(processes[0], signal.SIGKILL)
                return True
            self._airflow.kill_task_process(processes[0], signal.SIGCONT)
        return False

    def _is_in_doubt(self) -> bool:
        """Whether a POST may be out."""
        path = f"dags/{DAG_ID}/dagRuns/{self._run_id}/taskInstances/{TASK_ID}/state-store"
        entries = self._airflow.api("GET", path, params={"limit": 100})["task_state_store"]
        return any('"Submitting"' in json.dumps(entry["value"]) for entry in entries)


@contextmanager
def _cursor(airflow: RunningAirflow) -> Iterator[Any]:
    database = psycopg2.connect(airflow.env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", ""))
    try:
        with database.cursor() as cursor:
            yield cursor
    finally:
        database.close()


def _png(name: str, size: int) -> bytes:
    """A small picture of about so many bytes, unlike that of any other name."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    picture = (
        chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 16, 8, 0, 0, 0, 0)),
        chunk(b"tEXt", b"Title\0" + name.encode()),
        chunk(b"faTt", bytes(max(0, size - 150))),
        chunk(b"IDAT", zlib.compress((b"\0" + b"\xff" * 64) * 16)),
        chunk(b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(picture)
