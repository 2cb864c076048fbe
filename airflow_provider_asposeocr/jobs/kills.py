"""The end of a task's process: who ends it, and what becomes of the job."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from airflow_provider_asposeocr.events import Event, warned
from airflow_provider_asposeocr.exceptions import (
    About,
    AsposeOcrCancelledError,
    AsposeOcrError,
    AsposeOcrInterruptedError,
)

log = logging.getLogger(__name__)

LONGEST_WAIT_FOR_CANCEL = 30.0
"""Seconds after which an interrupted task no longer waits for its job to be cancelled."""
STATES_A_USER_SETS = frozenset({"failed", "success", "skipped", "removed", "restarting", "upstream_failed"})
"""Of a task instance whose process still runs. Else it is ``running``, or Airflow has given it to another process."""
_NAP = 0.5
"""Seconds. How long a worker sleeps at a stretch, so that it notices a kill."""


class Kill:
    """Airflow's word that this task's process is to end, and what was done about it."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._begun = threading.Event()
        self.for_good = False
        """Whether a user ended the task, or its ``execution_timeout``: nobody will go on with the job."""

    @property
    def has_begun(self) -> bool:
        """Whether the process was told to end."""
        return self._thread is not None

    def begin(self, ti: Any, cancel: Callable[[], None], *, timed_out: bool, patience: float) -> None:
        """
        Find out who ends the task, and cancel its job if that is a user or ``execution_timeout``.

        In a thread: this may be called in a signal handler, and what that has interrupted may hold the lock that guards
        the talk with Airflow's supervisor, or one of the HTTP library. Then the thread goes on when that is done.

        :param ti: the task instance.
        :param cancel: cancels the job.
        :param timed_out: whether ``execution_timeout`` is over.
        :param patience: for how many seconds to wait for that.
        """
        if self._thread is None:
            arguments = (ti, cancel, timed_out)
            thread = threading.Thread(target=self._run, args=arguments, name="aspose-ocr-kill", daemon=True)
            thread.start()
            self._thread = thread
            self._begun.set()
        self._thread.join(LONGEST_WAIT_FOR_CANCEL if timed_out else patience)

    def settle(self, *, is_sure: bool = False) -> None:
        """
        Wait until what was begun is done.

        :param is_sure: whether another thread is about to begin it.
        """
        if is_sure:
            self._begun.wait(LONGEST_WAIT_FOR_CANCEL)
        if self._thread is not None:
            self._thread.join(LONGEST_WAIT_FOR_CANCEL)

    def error(self, about: About) -> AsposeOcrError:
        """
        Return what ends the task.

        :param about: the document, and its job where that was submitted.
        """
        known = f"{about.get('endpoint')} job {about['ocr_task_id']}" if about.get("ocr_task_id") else "The job"
        if self.for_good:
            return AsposeOcrCancelledError(
                f"The task was ended by a user or by its execution_timeout. {known} is not followed any more.", **about
            )
        return AsposeOcrInterruptedError(
            "The task's process was told to end, as when a worker is shut down; no user ended the task. "
            f"{known}, if it was submitted, goes on at the service, and a retry goes on with it (Airflow 3.3+).",
            **about,
        )

    def _run(self, ti: Any, cancel: Callable[[], None], timed_out: bool) -> None:
        try:
            self.for_good = timed_out or user_ended_the_task(ti)
            if self.for_good:
                cancel()
            else:
                warned(
                    log,
                    Event.TASK_INTERRUPTED,
                    "The task's process was told to end, as when a worker is shut down, but no user ended the task: "
                    "its job is not cancelled, and a retry goes on with it (Airflow 3.3+).",
                )
        except Exception:
            # A job that goes on costs nothing more; one that is cancelled is paid in vain.
            log.exception("It could not be found out who ends the task; its job is not cancelled")


def user_ended_the_task(ti: Any) -> bool:
    """
    Ask Airflow whether a user has marked or cleared a task whose process is told to end.

    Not to be called in a signal handler: what that has interrupted may hold the lock of the talk with the supervisor.

    :param ti: the task instance of the context.
    """
    if not hasattr(ti, "get_task_states"):
        # Airflow 2 knows it of its own task instance. Without an answer, nobody may go on with the job.
        state = ti.current_state() if hasattr(ti, "current_state") else None
        return state is None or str(state) in STATES_A_USER_SETS
    states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id], task_ids=[ti.task_id], map_index=ti.map_index)
    # One task instance was asked for, the key is made of its task id and map index; none: the run was deleted.
    return all(state in STATES_A_USER_SETS for state in states.get(ti.run_id, {}).values())


def sleep_until_stopped(duration: float, stop: Callable[[], None]) -> None:
    """
    Sleep, but not through a kill.

    :param duration: seconds.
    :param stop: is called before, after and now and then; it raises to end the sleep.
    """
    end = time.monotonic() + duration
    while True:
        stop()
        left = end - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, _NAP))
