"""
What Airflow's executor has told its scheduler.

A task that is deferred ends its process, which the executor tells the scheduler a moment later. Where the trigger has
fired and the task is queued again by then, Airflow 3.3 takes that news for the end of the second process, and fails the
task before it runs: "finished with state success, but the task instance's state attribute is queued". On a busy machine
that moment is long enough for tests that let a trigger fire at once.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

LONGEST = 15.0
"""Seconds. A scheduler that was killed meanwhile never writes that it was told."""


def wait_until_told_of_deferral(log: Path, dag_id: str, run_id: str, task_id: str, map_index: int) -> None:
    """Wait until the scheduler has been told of the end of each process that has deferred a task instance."""
    key = (
        rf"dag_id='{dag_id}', task_id='{task_id}', run_id='{re.escape(run_id)}', try_number=\d+, map_index={map_index}"
    )
    told = re.compile(rf"executor event with state success for task instance TaskInstanceKey\({key}\)")
    about = (f" dag_id={dag_id} ", f" run_id={run_id} ", f" task_id={task_id} ", f" map_index={map_index} ")
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline:
        lines = log.read_text(errors="replace").splitlines()
        deferrals = sum(
            "Pausing task as DEFERRED" in line and all(word in f"{line} " for word in about) for line in lines
        )
        if sum(bool(told.search(line)) for line in lines) >= max(deferrals, 1):
            return
        time.sleep(0.05)
