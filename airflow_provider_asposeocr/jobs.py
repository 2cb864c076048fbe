"""
Following one job from a worker: wait a short while, defer, come back, fetch once, deliver. Operators and the sensor
share it; neither the protocol nor the poll decision is here.
"""

from __future__ import annotations

import functools
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import AirflowTaskTimeout, BaseOperator, conf
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS

from airflow_provider_asposeocr.api.endpoints import Endpoint, endpoint_named
from airflow_provider_asposeocr.api.polling import (
    DEFAULT_POLL_BACKOFF,
    DEFAULT_POLL_INTERVAL,
    DEFAULT_POLL_INTERVAL_MAX,
    Poller,
    PollOutcome,
    PollSchedule,
    PollVerdict,
    failure,
)
from airflow_provider_asposeocr.exceptions import (
    About,
    AsposeOcrCancelledError,
    AsposeOcrError,
    AsposeOcrInterruptedError,
    AsposeOcrProtocolError,
    AsposeOcrTimeoutError,
)
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrHook
from airflow_provider_asposeocr.outputs import DEFAULT_MAX_XCOM_BYTES

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_asposeocr.api.results import OcrTask

DEFAULT_DEFER_AFTER = 10.0
"""Seconds. With the default schedule four of five typical jobs end within; deferring costs 1.4 s and one call more."""
DEFAULT_TIMEOUT = 3600.0
"""Seconds to wait for a job."""
DEFERRAL_SLACK = 60.0
"""Seconds by which Airflow's own time-out, a net only, comes after the trigger's deadline."""
FETCH_TIMEOUT = 600.0
"""Seconds within which a completed job's result must be fetched."""
LONGEST_CANCEL = 30.0
"""Seconds after which an interrupted task no longer waits for its job to be cancelled."""
STATES_A_USER_SETS = frozenset({"failed", "success", "skipped", "removed", "restarting", "upstream_failed"})
"""Of a task instance whose process still runs. Else it is ``running``, or Airflow has given it to another process."""
_NAP = 0.5
"""Seconds. How long a worker sleeps at a stretch, so that it notices a kill."""


@dataclass(frozen=True, slots=True)
class OcrJob:
    """
    A job at the service.

    :param ocr_task_id: its id.
    :param endpoint: where it was submitted.
    :param started_at: when, in seconds since the epoch.
    :param deadline: until when to wait for it, likewise.
    """

    ocr_task_id: str
    endpoint: Endpoint
    started_at: float
    deadline: float


def seconds(duration: float | timedelta) -> float:
    """Return a duration in seconds."""
    return duration.total_seconds() if isinstance(duration, timedelta) else float(duration)


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


def is_deferral_timeout(error: BaseException) -> bool:
    """
    Say whether Airflow's own time-out ended a deferral.

    :param error: what ``resume_execution`` raised: ``TaskDeferralTimeout``; 2.11 has ``TaskDeferralError`` only.
    """
    name = type(error).__name__
    return name == "TaskDeferralTimeout" or (name == "TaskDeferralError" and "timeout" in str(error).lower())


def user_ended_the_task(ti: Any) -> bool:
    """
    Ask Airflow whether a user has marked or cleared a task whose process is told to end.

    Not to be called in a signal handler: what that has interrupted may hold the lock of the talk with the supervisor.

    :param ti: the task instance of the context.
    """
    if not hasattr(ti, "get_task_states"):
        # Airflow 2 has no such question, but no task state store either: no later try would go on with the job.
        return True
    states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id], task_ids=[ti.task_id], map_index=ti.map_index)
    # One task instance was asked for, the key is made of its task id and map index; none: the run was deleted.
    return all(state in STATES_A_USER_SETS for state in states.get(ti.run_id, {}).values())


class OcrJobOperator(BaseOperator):
    """
    What a task does with a job, once it has its id. The base of our operators and of the sensor.

    :param aspose_ocr_conn_id: the Airflow connection.
    :param output_path: a folder or file on any storage for the results; ``None`` for XCom only.
    :param storage_conn_id: the Airflow connection of the storage.
    :param overwrite: whether files of other jobs may be replaced.
    :param max_xcom_bytes: with ``output_path``, texts larger than this stand in their file only.
    :param deferrable: whether to wait in the triggerer.
    :param poll_interval: seconds to the first poll after a submission.
    :param poll_backoff: by how much each wait is longer than the last.
    :param poll_interval_max: the longest wait, in seconds.
    :param defer_after: seconds to wait in the worker before deferring: most jobs end within.
    :param cancel_on_kill: whether to cancel the job when the user ends the task, or the time is over. A worker's end
        cancels nothing: the next try goes on with the job.
    """

    kill_patience = 3.0
    """Seconds that a signal handler waits for what it has started; Airflow's supervisor kills the process after 5."""

    def __init__(
        self,
        *,
        aspose_ocr_conn_id: str = AsposeOcrHook.default_conn_name,
        output_path: Any = None,
        storage_conn_id: str | None = None,
        overwrite: bool = False,
        max_xcom_bytes: int = DEFAULT_MAX_XCOM_BYTES,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float | timedelta = DEFAULT_POLL_INTERVAL,
        poll_backoff: float = DEFAULT_POLL_BACKOFF,
        poll_interval_max: float | timedelta = DEFAULT_POLL_INTERVAL_MAX,
        defer_after: float | timedelta = DEFAULT_DEFER_AFTER,
        cancel_on_kill: bool = True,
        **kwargs: Any,
    ) -> None:
        if not AIRFLOW_V_3_3_PLUS:
            # There are no retry policies there; the same DAG file runs all the same.
            kwargs.pop("retry_policy", None)
        super().__init__(**kwargs)
        self.aspose_ocr_conn_id = aspose_ocr_conn_id
        self.output_path = output_path
        self.storage_conn_id = storage_conn_id
        self.overwrite = overwrite
        self.max_xcom_bytes = max_xcom_bytes
        self.deferrable = deferrable
        self.poll_interval = seconds(poll_interval)
        self.poll_backoff = poll_backoff
        self.poll_interval_max = seconds(poll_interval_max)
        self.defer_after = seconds(defer_after)
        self.cancel_on_kill = cancel_on_kill
        self._context: Context | None = None
        self._job: OcrJob | None = None
        self._cancelled_job: OcrJob | None = None
        self._killing: threading.Thread | None = None
        self._killed_for_good = False

    @functools.cached_property
    def hook(self) -> AsposeOcrHook:
        """A hook for the task's connection."""
        return AsposeOcrHook(self.aspose_ocr_conn_id)

    def poll_schedule(self) -> PollSchedule:
        """
        Return when to ask.

        :raises AsposeOcrInputError: for numbers that make no schedule.
        """
        return PollSchedule(self.poll_interval, self.poll_backoff, self.poll_interval_max)

    def trigger_arguments(self) -> dict[str, Any]:
        """Return what a trigger of this task is told of the task."""
        return {
            "aspose_ocr_conn_id": self.aspose_ocr_conn_id,
            "poll_interval": self.poll_interval,
            "poll_backoff": self.poll_backoff,
            "poll_interval_max": self.poll_interval_max,
            "cancel_on_kill": self.cancel_on_kill,
        }

    def follow_job(self, context: Context, job: OcrJob, outcome: PollOutcome | None = None) -> dict[str, Any]:
        """
        Wait for a job and return its XCom; or defer, and never return.

        :param context: Airflow's task context.
        :param job: which.
        :param outcome: the decision to begin with; by default to wait as after a submission.
        """
        self._context, self._job = context, job
        self._stop_if_killed()
        poller = Poller(self.poll_schedule(), job.started_at, job.deadline)
        now = time.time()
        until = now + self.defer_after if self.deferrable else None
        outcome = self.hook.follow(
            job.endpoint, job.ocr_task_id, poller, outcome or poller.first(now), until=until, sleep=self._sleep
        )
        if not outcome.is_final:
            self._defer(job, next_poll_at=time.time() + outcome.delay)
        return self._end(context, job, outcome)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """
        Go on after a deferral, also one that Airflow's own time-out ended.

        :param next_method: given by Airflow.
        :param next_kwargs: given by Airflow.
        :param context: Airflow's task context.
        """
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except Exception as error:
            if not is_deferral_timeout(error):
                raise
            timeout = error
        return self.deferral_timed_out(context, timeout)

    def deferral_timed_out(self, context: Context, error: Exception) -> Any:
        """
        Go on where Airflow's own time-out, the net behind the trigger's deadline, ended a deferral.

        :param context: Airflow's task context.
        :param error: what Airflow raised; by default it is raised again.
        """
        raise error

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """
        Go on after the trigger's event: fetch the result once, or raise what became of the job.

        :param context: Airflow's task context.
        :param event: ``{ocr_task_id, endpoint, status, message}``, and where they matter ``error`` (the name of its
            class), ``messages`` and ``retry_after``.
        """
        try:
            assert event is not None
            verdict = PollVerdict(event["status"])
            now = time.time()
            job = OcrJob(event["ocr_task_id"], endpoint_named(event["endpoint"]), now, now + FETCH_TIMEOUT)
        except (AssertionError, KeyError, TypeError, ValueError) as error:
            raise AsposeOcrProtocolError(f"The trigger's event is not one of ours: {event!r:.300}.") from error
        # This is a new instance of the operator: what `on_kill` needs comes from the event.
        self._context, self._job = context, job
        if verdict is PollVerdict.COMPLETED:
            outcome = self.hook.follow(
                job.endpoint,
                job.ocr_task_id,
                Poller(PollSchedule(), job.started_at, job.deadline),
                PollOutcome(PollVerdict.WAIT),
                sleep=self._sleep,
            )
            return self._end(context, job, outcome)
        raise self._bad_end(
            context,
            job,
            verdict,
            event.get("message") or "",
            messages=tuple(event.get("messages") or ()),
            refusal=event.get("error") or "",
            retry_after=event.get("retry_after"),
        )

    def on_kill(self) -> None:
        """
        Cancel the job if a user ended the task or ``execution_timeout`` is over, but not if the worker is shut down.

        After this, ``execute`` goes on running: it must neither deliver nor defer.
        """
        timed_out = isinstance(sys.exc_info()[1], AirflowTaskTimeout)
        killing = self._killing
        if killing is None:
            # In a thread: this may be a signal handler, and what it has interrupted may hold the lock that guards the
            # talk with Airflow's supervisor, or one of the HTTP library. Then the thread goes on when that is done.
            killing = threading.Thread(target=self._kill, args=(timed_out,), name="aspose-ocr-kill", daemon=True)
            killing.start()
            self._killing = killing
        killing.join(LONGEST_CANCEL if timed_out else self.kill_patience)

    def deliver_task(self, context: Context, job: OcrJob, task: OcrTask) -> dict[str, Any]:
        """
        Return a completed job's XCom.

        :param context: Airflow's task context.
        :param job: which.
        :param task: the same with its results.
        """
        raise NotImplementedError

    def job_ended_badly(self, context: Context, job: OcrJob) -> None:
        """Called where a job cannot be gone on with."""

    def timed_out(self, job: OcrJob, error: AsposeOcrTimeoutError) -> AsposeOcrError:
        """Return the error to raise where a job did not end in time."""
        return error

    def image_name(self) -> str | None:
        """The document's path or URI, where the task knows it."""
        return None

    def _end(self, context: Context, job: OcrJob, outcome: PollOutcome) -> dict[str, Any]:
        self._stop_if_killed()
        if outcome.verdict is PollVerdict.COMPLETED and outcome.task is not None:
            self.log.info("%s job %s is completed.", job.endpoint.name, job.ocr_task_id)
            return self.deliver_task(context, job, outcome.task)
        messages = outcome.task.messages if outcome.task else ()
        raise self._bad_end(
            context, job, outcome.verdict, outcome.reason, messages=messages, error=outcome.error
        ) from outcome.error

    def _bad_end(
        self,
        context: Context,
        job: OcrJob,
        verdict: PollVerdict,
        reason: str,
        *,
        messages: tuple[str, ...] = (),
        refusal: str = "",
        retry_after: float | None = None,
        error: AsposeOcrError | None = None,
    ) -> AsposeOcrError:
        aftermath = self._after_timeout(context, job) if verdict is PollVerdict.TIMED_OUT else ""
        if verdict in (PollVerdict.ERROR, PollVerdict.NOT_EXIST):
            self.job_ended_badly(context, job)
        raised = failure(
            verdict,
            reason=reason,
            endpoint=job.endpoint.name,
            ocr_task_id=job.ocr_task_id,
            image=self.image_name(),
            aftermath=aftermath,
            error=error,
            retry_after=retry_after,
            messages=messages,
            refusal=refusal,
        )
        return self.timed_out(job, raised) if isinstance(raised, AsposeOcrTimeoutError) else raised

    def _after_timeout(self, context: Context, job: OcrJob) -> str:
        """Cancel the job if that is wanted, and say what became of it."""
        if not self.cancel_on_kill:
            return "It goes on at the service; its result can be fetched by its id for 24 hours."
        if self._cancel(job):
            self.job_ended_badly(context, job)
            return "It was cancelled (cancel_on_kill=True). A retry of an operator submits the document again."
        return "It could not be cancelled and goes on at the service; its result can be fetched by its id for 24 hours."

    def _cancel(self, job: OcrJob) -> bool:
        """Cancel a job, and say whether that worked."""
        if not self.cancel_on_kill:
            return False
        try:
            self.hook.cancel(job.endpoint, job.ocr_task_id)
        except AsposeOcrError as error:
            self.log.warning(
                "%s job %s could not be cancelled and goes on at the service: %s",
                job.endpoint.name,
                job.ocr_task_id,
                error,
            )
            return False
        self.log.info("%s job %s is cancelled.", job.endpoint.name, job.ocr_task_id)
        return True

    def _defer(self, job: OcrJob, next_poll_at: float) -> NoReturn:
        from airflow_provider_asposeocr.triggers.aspose_ocr import AsposeOcrTaskTrigger  # noqa: PLC0415

        self.log.info("%s job %s is still running: deferring.", job.endpoint.name, job.ocr_task_id)
        left = max(0.0, job.deadline - time.time())
        self.defer(
            trigger=AsposeOcrTaskTrigger(
                ocr_task_id=job.ocr_task_id,
                endpoint=job.endpoint.name,
                started_at=job.started_at,
                next_poll_at=next_poll_at,
                end_time=job.deadline,
                **self.trigger_arguments(),
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=left + DEFERRAL_SLACK),
        )

    def _sleep(self, duration: float) -> None:
        """Sleep, but not through a kill."""
        sleep_until_stopped(duration, self._stop_if_killed)

    def _stop_if_killed(self) -> None:
        """Raise if Airflow has told this process to end."""
        if self._killing is None:
            return
        self._killing.join(LONGEST_CANCEL)
        about: About = {"image": self.image_name()}
        job = "The job"
        if self._job is not None:
            about |= {"endpoint": self._job.endpoint.name, "ocr_task_id": self._job.ocr_task_id}
            job = f"{self._job.endpoint.name} job {self._job.ocr_task_id}"
        if not self._killed_for_good:
            raise AsposeOcrInterruptedError(
                "The task's process was told to end, as when a worker is shut down; no user ended the task. "
                f"{job}, if it was submitted, goes on at the service, and a retry goes on with it (Airflow 3.3+).",
                **about,
            )
        # One that was submitted since.
        self._cancel_for_good()
        raise AsposeOcrCancelledError(
            f"The task was ended by a user or by its execution_timeout. {job} is not followed any more.", **about
        )

    def _kill(self, timed_out: bool) -> None:
        try:
            ti = self._context["ti"] if self._context else None
            self._killed_for_good = timed_out or user_ended_the_task(ti)
            if self._killed_for_good:
                self._cancel_for_good()
            else:
                self.log.warning(
                    "The task's process was told to end, as when a worker is shut down, but no user ended the task: "
                    "its job is not cancelled, and a retry goes on with it (Airflow 3.3+)."
                )
        except Exception:
            # A job that goes on costs nothing more; one that is cancelled is paid in vain.
            self.log.exception("It could not be found out who ends the task; its job is not cancelled")

    def _cancel_for_good(self) -> None:
        """Cancel the job, once, and forget it."""
        job = self._job
        if job is None or job is self._cancelled_job:
            return
        self._cancelled_job = job
        if not self._cancel(job) or self._context is None:
            return
        try:
            self.job_ended_badly(self._context, job)
        except Exception as error:  # noqa: BLE001 - after a clear, this try has no state store any more
            self.log.debug(
                "The cancelled job could not be forgotten; the next try will see what became of it: %s", error
            )
