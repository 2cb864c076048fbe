"""
One folder, cut into chunks, read by many machines of which two die in the middle: ``make distributed``.

Airflow runs with CeleryExecutor, Redis and PostgreSQL, two workers and two triggerers, each with a home folder of its
own. Documents and results lie on an S3-compatible server, the service is the emulator with jobs of a fixed duration.
While chunks are being read, one worker and one triggerer are killed (SIGKILL, with all that they have forked), and do
not come back. The table at the end says what has become of each document; the exit status is 1 where a count is wrong.

**When the worker is killed.** A process that dies while a POST is out leaves a document in doubt: no client can know
whether it was billed, and the batch does not submit it again without leave. So the worker is frozen first (SIGSTOP),
and killed only if the task state store shows no document as ``Submitting``: that is written before each POST.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

from PIL import Image

from airflow_provider_asposeocr.emulator import EmulatorServer, Fragment
from tests.integration.airflow_api import FINISHED_RUN_STATES, RunningAirflowError
from tests.integration.connections import connection_to
from tests.integration.many_machines import MACHINES, TRIGGERERS, WORKERS, ManyMachines
from tests.integration.object_server import ObjectServer
from tests.integration.process_sessions import Guard
from tests.integration.redis_server import TemporaryRedis

PROJECT = Path(__file__).resolve().parent.parent
DAG_ID = "example_batch_on_many_machines"
TASK_ID = "recognize"
BUCKET = "warehouse"
INBOX, OUTBOX = "inbox", "texts"
FOLDERS = 7
"""Folders of the inbox: no chunk ends where one of them does."""
ARRIVAL = 0.4
"""Seconds in which what a frozen process has sent to Airflow gets there; it takes a hundredth of a second."""
READ_BEFORE_KILLS = 0.1
"""The share of the documents that is submitted before the first kill."""


class NumberReader:
    """Reads a document of one colour in no time: its colour is its number."""

    def read(self, image: Image.Image) -> Sequence[Fragment]:
        """
        Return one line of text.

        :param image: in mode RGB.
        """
        red, green, blue = image.convert("RGB").getpixel((0, 0))  # type: ignore[misc]
        text = text_of(red << 16 | green << 8 | blue)
        return [Fragment(text, 0.9, ((5.0, 5.0), (95.0, 5.0), (95.0, 25.0), (5.0, 25.0)))]


def text_of(number: int) -> str:
    """Return what stands on a document."""
    return f"Document number {number}"


def document(number: int) -> bytes:
    """Return a document as a PNG file."""
    file = io.BytesIO()
    Image.new("RGB", (100, 30), (number >> 16 & 255, number >> 8 & 255, number & 255)).save(file, "PNG")
    return file.getvalue()


@dataclass
class Warehouse:
    """What is asked for, what has happened, and where things are."""

    airflow: ManyMachines
    emulator: EmulatorServer
    bucket: Any
    documents: int
    hashes: dict[str, int] = field(default_factory=dict)
    """The numbers of the documents by their SHA-256."""
    run_id: str = ""
    started: float = 0.0
    kills: dict[str, str] = field(default_factory=dict)
    refrained: int = 0

    @property
    def now(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.started

    def stock(self) -> None:
        """Put the documents into the inbox."""

        def put(number: int) -> None:
            content = document(number)
            self.hashes[sha256(content).hexdigest()] = number
            self.bucket.put_object(Key=f"{INBOX}/{key_of(number)}.png", Body=content)

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(put, range(self.documents)))

    def results(self) -> dict[str, str]:
        """Return all texts that were written, by their names below the output folder."""
        found = [each.key for each in self.bucket.objects.filter(Prefix=f"{OUTBOX}/") if each.key.endswith(".txt")]
        with ThreadPoolExecutor(8) as threads:
            texts = threads.map(lambda key: self.bucket.Object(key).get()["Body"].read().decode(), found)
            return {key.removeprefix(f"{OUTBOX}/"): text for key, text in zip(found, texts, strict=True)}

    def manifests(self) -> list[dict[str, Any]]:
        """Return the lines of the manifests of all chunks."""
        found = self.bucket.objects.filter(Prefix=f"{OUTBOX}/manifest")
        return [json.loads(line) for each in found for line in each.get()["Body"].read().decode().splitlines()]

    # Kills

    def kill_worker(self, machine: str) -> None:
        """Lose a worker, if it has jobs in flight and nothing is in doubt."""
        if not self.in_flight(machine):
            return
        self.airflow.freeze(machine)
        time.sleep(ARRIVAL)
        running = self.in_flight(machine)
        if not running or any(counts["Submitting"] for counts in running.values()):
            self.airflow.thaw(machine)
            self.refrained += 1
            return
        self.airflow.lose(machine)
        jobs = sum(counts["Running"] for counts in running.values())
        self.kills[machine] = f"at {self.now:.0f} s, with {jobs} jobs in flight of chunks {_listed(running)}"
        print(f"{machine} killed {self.kills[machine]}", flush=True)

    def in_flight(self, machine: str) -> dict[int, Counter[str]]:
        """Return, for each chunk that a worker works on and that has jobs, how many documents are in which state."""
        found = {}
        for task in self.airflow.tasks_on(machine, DAG_ID, self.run_id):
            if task["task_id"] != TASK_ID or task["map_index"] < 0:
                continue
            store = self.airflow.state_store(DAG_ID, self.run_id, TASK_ID, task["map_index"])
            slots = [value for key, value in store.items() if key.startswith("aspose_ocr_batch_")]
            counts = Counter(entry["status"] for each in slots for entry in each.values())
            if counts["Running"] or counts["Submitting"]:
                found[task["map_index"]] = counts
        return found

    def kill_triggerer(self, machine: str) -> None:
        """Lose a triggerer, if it holds deferrals."""
        held = [task["map_index"] for task in self.airflow.tasks_on(machine, DAG_ID, self.run_id)]
        if held:
            self.airflow.lose(machine)
            self.kills[machine] = f"at {self.now:.0f} s, with the deferrals of chunks {_listed(held)}"
            print(f"{machine} killed {self.kills[machine]}", flush=True)


def key_of(number: int) -> str:
    """Return a document's path below the inbox, without its extension."""
    return f"{number % FOLDERS}/{number:06}"


def _listed(numbers: Any) -> str:
    return ", ".join(str(number) for number in sorted(numbers)) or "none"


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run it all and print the table.

    :param arguments: of the command line; by default those of this process.
    :returns: 0 where all counts are right.
    """
    options = parser().parse_args(arguments)
    # A shell that starts something in the background lets it ignore SIGINT.
    for stopping in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stopping, _interrupted)
    try:
        with warehouse(options) as each:
            _run(each, options)
            return _report(each, options)
    except RunningAirflowError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; all that was started is ended.", file=sys.stderr)
        return 130


def _interrupted(_signal: int, _frame: Any) -> NoReturn:
    raise KeyboardInterrupt


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    one = argparse.ArgumentParser(description=__doc__.splitlines()[1] if __doc__ else None)
    one.add_argument("--documents", type=int, default=1000, help="how many (default: 1000)")
    one.add_argument("--chunk", type=int, default=125, help="documents of a chunk (default: 125)")
    one.add_argument("--job-seconds", type=float, default=2.0, help="seconds that a job takes (default: 2)")
    one.add_argument("--slots", type=int, default=3, help="tasks that a worker runs at a time (default: 3)")
    one.add_argument("--limit", type=float, default=900.0, help="seconds for the run at most (default: 900)")
    one.add_argument("--no-kills", action="store_true", help="let all machines live, for comparison")
    one.add_argument("--keep", action="store_true", help="keep the folder with all homes and logs")
    return one


@contextlib.contextmanager
def warehouse(options: argparse.Namespace) -> Iterator[Warehouse]:
    """
    Start everything; end it, whatever happens.

    :param options: of the command line.
    """
    folder = Path(tempfile.mkdtemp(prefix="aspose-ocr-distributed-"))
    say(f"Everything lies in {folder}")
    with contextlib.ExitStack() as stack:
        # What a kill of this very process leaves, the guard ends.
        guard = stack.enter_context(Guard())
        if not options.keep:
            guard.watch_folder(folder)
            stack.callback(functools.partial(shutil.rmtree, folder, ignore_errors=True))
        redis = stack.enter_context(TemporaryRedis())
        guard.watch_session(redis.pid)
        guard.watch_folder(redis.folder)
        objects = stack.enter_context(ObjectServer(folder / "objects.log"))
        guard.watch_session(objects.pid)
        emulator = stack.enter_context(EmulatorServer(latency=options.job_seconds, reader=NumberReader()))
        bucket = objects.bucket(BUCKET)
        source = (PROJECT / "example_dags" / f"{DAG_ID}.py").read_text()
        airflow = ManyMachines(
            dags={f"{DAG_ID}.py": source},
            broker=redis.url,
            at_once=options.slots,
            home=folder / "airflow",
            connections={"aspose_ocr_default": connection_to(emulator), "objects": objects.connection},
            env={
                "ASPOSE_OCR_SCANS": f"s3://{BUCKET}/{INBOX}",
                "ASPOSE_OCR_TEXTS": f"s3://{BUCKET}/{OUTBOX}",
                "ASPOSE_OCR_STORAGE": "objects",
                "ASPOSE_OCR_CHUNK": str(options.chunk),
            },
        )
        each = Warehouse(airflow, emulator, bucket, options.documents)
        say(f"Stocking an S3-compatible server with {options.documents} documents")
        each.stock()
        say("Starting PostgreSQL, scheduler, API server, DAG processor, two triggerers, two Celery workers")
        stack.enter_context(airflow)
        yield each


def _run(each: Warehouse, options: argparse.Namespace) -> None:
    airflow = each.airflow
    to_kill: dict[str, Callable[[str], None]] = {WORKERS[0]: each.kill_worker, TRIGGERERS[0]: each.kill_triggerer}
    if options.no_kills:
        to_kill = {}
    airflow.wait_until_parsed(DAG_ID)
    each.started = time.monotonic()
    each.run_id = airflow.trigger(DAG_ID)
    say(f"{DAG_ID} runs")
    shown = 0.0
    while airflow.run_state(DAG_ID, each.run_id) not in FINISHED_RUN_STATES:
        airflow.check()
        accepted = each.emulator.calls().accepted
        if each.now > options.limit:
            raise RunningAirflowError(f"Not ended after {options.limit:g} s{airflow.describe()}")
        if each.now - shown >= 10:
            shown = each.now
            print(f"  {shown:4.0f} s: {accepted} of {each.documents} submitted", flush=True)
        if accepted >= READ_BEFORE_KILLS * each.documents:
            for machine, kill in to_kill.items():
                if machine not in each.kills:
                    kill(machine)
        time.sleep(0.2)


def _report(each: Warehouse, options: argparse.Namespace) -> int:
    took = each.now
    airflow, calls = each.airflow, each.emulator.calls()
    state = airflow.run_state(DAG_ID, each.run_id)
    tasks = [task for task in airflow.task_instances(DAG_ID, each.run_id) if task.task_id == TASK_ID]
    results = each.results()
    wanted = {f"{key_of(number)}.txt": text_of(number) for number in range(each.documents)}
    lines = Counter(line["image"] for line in each.manifests() if line["status"] == "Completed")
    lost = sum(results.get(name) != text for name, text in wanted.items())
    twice = sum(count - 1 for count in calls.accepted_by_image.values())
    chunks = -(-each.documents // options.chunk)
    checks = [
        ("state of the run", state, "success"),
        ("chunks", len(tasks), chunks),
        ("chunks that succeeded", sum(task.state == "success" for task in tasks), chunks),
        ("results on the S3 server", len(results), each.documents),
        ("lines of the manifests, all Completed", sum(lines.values()), each.documents),
        ("documents in two manifests", sum(count > 1 for count in lines.values()), 0),
        ("submissions, as the service counted", calls.accepted, each.documents),
        ("documents that the service knows", len(set(calls.accepted_by_image) & set(each.hashes)), each.documents),
        ("duplicates", twice, 0),
        ("lost: no result, or another's", lost, 0),
        ("machines killed", len(each.kills), 0 if options.no_kills else 2),
    ]
    facts = [("documents", each.documents)]
    facts += [
        ("seconds, from the run's start to its end", f"{took:.0f}"),
        ("seconds of a job", f"{options.job_seconds:g}"),
        ("calls per document but its submission", f"{(calls.total - calls.accepted) / each.documents:.2f}"),
        ("tries of the chunks", sum(task.try_number for task in tasks)),
        *((f"{machine} killed", how) for machine, how in each.kills.items()),
        ("waited for a moment without doubt", each.refrained),
    ]
    for machine in MACHINES:
        done = airflow.logs_on(machine, TASK_ID)
        verb = "ran" if machine in WORKERS else "watched"
        facts.append((f"{machine} {verb}", f"chunks {_listed(done)}"))
    print("\n| what | | must be | |\n|---|---|---|---|")
    for name, value in facts:
        print(f"| {name} | {value} | | |")
    for name, value, must_be in checks:
        print(f"| {name} | {value} | {must_be} | {'' if value == must_be else 'WRONG'} |")
    wrong = [name for name, value, must_be in checks if value != must_be]
    print(f"\nWrong: {', '.join(wrong)}" if wrong else "\nNothing lost, nothing billed twice.", flush=True)
    return 1 if wrong else 0


def say(sentence: str) -> None:
    """Print what happens now."""
    print(f"== {sentence}", flush=True)


if __name__ == "__main__":
    os.chdir(PROJECT)
    sys.exit(main())
