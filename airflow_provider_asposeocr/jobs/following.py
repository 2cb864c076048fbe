"""
Following one job from a worker: wait a short while, defer, come back, fetch once, deliver. Operators and the sensor
share it; neither the protocol nor the poll decision is here.
"""

from __future__ import annotations

import functools
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import AirflowTaskTimeout, BaseOperator, conf
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS
from msgspec.structs import replace

from airflow_provider_asposeocr.api.checks import switch
from airflow_provider_asposeocr.api.job_failures import JobFailure
from airflow_provider_asposeocr.api.polling import (
    DEFAULT_POLL_BACKOFF,
    DEFAULT_POLL_INTERVAL,
    REPLICA_LAG,
    Poller,
    PollOutcome,
    PollSchedule,
    PollVerdict,
)
from airflow_provider_asposeocr.api.results import OcrTask
from airflow_provider_asposeocr.api.waiting import DEFAULT_DEFER_AFTER, Waiting
from airflow_provider_asposeocr.events import Event, told, warned
from airflow_provider_asposeocr.exceptions import (
    About,
    AsposeOcrError,
    AsposeOcrInputError,
    because_of,
)
from airflow_provider_asposeocr.hooks.flows import LONGEST_FETCH
from airflow_provider_asposeocr.hooks.synchronous import AsposeOcrHook
from airflow_provider_asposeocr.jobs.deferrals import JobEvent, deferral_limit, is_deferral_timeout, not_fetched
from airflow_provider_asposeocr.jobs.job import OcrJob
from airflow_provider_asposeocr.jobs.kills import Kill, sleep_until_stopped
from airflow_provider_asposeocr.jobs.reports import JobReports
from airflow_provider_asposeocr.jobs.result_link import RESULT_LINKS
from airflow_provider_asposeocr.storage.xcoms import DEFAULT_MAX_XCOM_BYTES

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

DEFAULT_TIMEOUT = 3600.0
"""Seconds to wait for a job."""
DEFERRAL_SLACK = 60.0
"""Seconds by which Airflow's own time-out, a net only, comes after the trigger's deadline."""
LONGEST_RETRY_AFTER = 60.0
"""Seconds. Where the service asks for a longer wait before a fetch the try fails: a worker slot is not for sleeping."""


class OcrJobOperator(JobReports, BaseOperator):
    """
    What a task does with a job, once it has its id. The base of our operators and of the sensor.

    :param aspose_ocr_conn_id: the Airflow connection.
    :param output_path: a folder or file on any storage for the results; ``None`` for XCom only.
    :param storage_conn_id: the Airflow connection of the storage.
    :param overwrite: whether files of other jobs may be replaced.
    :param max_xcom_bytes: with ``output_path``, texts larger than this stand in their file only.
    :param deferrable: whether to wait in the triggerer.
    :param poll_interval: seconds to the first poll after a submission, and the least between two.
    :param poll_backoff: by how much each wait is longer than the last.
    :param poll_interval_max: the longest wait, in seconds; by default 10, or ``poll_interval`` where that is longer.
    :param defer_after: seconds to wait in the worker before deferring: most jobs end within.
    :param cancel_on_kill: whether to cancel the job when the user ends the task, or the time is over. A worker's end
        cancels nothing: the next try goes on with the job.
    :raises AsposeOcrInputError: when the DAG is parsed, for values that make no sense.
    """

    kill_patience = 3.0
    """Seconds that a signal handler waits for what it has started; Airflow's supervisor kills the process after 5."""
    doubt_patience = REPLICA_LAG
    """Seconds for which a young job that is ``NotExist`` is not believed to be lost, nor one that runs after a user's
    clear to go on: it may be being cancelled."""
    submits = True
    """Whether a retry may submit the document again."""
    operator_extra_links = RESULT_LINKS

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
        poll_interval_max: float | timedelta | None = None,
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
        self.overwrite = switch(overwrite, "overwrite")
        if not isinstance(max_xcom_bytes, int) or max_xcom_bytes < 0:
            # It is looked at after the bill only.
            raise AsposeOcrInputError(f"max_xcom_bytes must be a whole number from 0 on, got {max_xcom_bytes!r:.40}.")
        self.max_xcom_bytes = max_xcom_bytes
        self.deferrable = switch(deferrable, "deferrable")
        self.waiting = Waiting.checked(
            poll_interval=poll_interval,
            poll_backoff=poll_backoff,
            poll_interval_max=poll_interval_max,
            defer_after=defer_after,
            cancel_on_kill=cancel_on_kill,
        )
        self._context: Context | None = None
        self._job: OcrJob | None = None
        self._cancelled_job: OcrJob | None = None
        self._kill = Kill()

    @functools.cached_property
    def hook(self) -> AsposeOcrHook:
        """A hook for the task's connection."""
        return AsposeOcrHook(self.aspose_ocr_conn_id)

    def follow_job(self, context: Context, job: OcrJob, outcome: PollOutcome | None = None) -> dict[str, Any]:
        """
        Wait for a job and return its XCom; or defer, and never return.

        :param context: Airflow's task context.
        :param job: which.
        :param outcome: the decision to begin with; by default to wait as after a submission.
        """
        self._context, self._job = context, job
        self._stop_if_killed()
        until = time.time() + self.waiting.defer_after if self.deferrable else None
        outcome = self._followed(job, outcome, until)
        if not outcome.is_final:
            self._defer(job, next_poll_at=time.time() + outcome.delay)
        return self._end(context, job, outcome)

    def _followed(self, job: OcrJob, outcome: PollOutcome | None, until: float | None = None) -> PollOutcome:
        """Follow a job in the worker."""
        poller = Poller(self.waiting.schedule, job.started_at, job.deadline, lag=self.doubt_patience)
        outcome = outcome or poller.first(time.time())
        return self.hook.follow(job.endpoint, job.ocr_task_id, poller, outcome, until=until, sleep=self._sleep)

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
            news = JobEvent.read(event)
        except AsposeOcrError as error:
            if known := self.known_job(context):
                error.about(image=self.image_name(), endpoint=known.endpoint.name, ocr_task_id=known.ocr_task_id)
            raise
        now = time.time()
        # This is a new instance of the operator: what `on_kill` needs comes from the event.
        job = OcrJob(news.endpoint, news.ocr_task_id, now, now + LONGEST_FETCH, news.seconds)
        self.hook.cost = news.cost
        self._context, self._job = context, job
        self.job_told(context, job)
        if news.is_handed_back:
            sentence = "Waiting for the job in the worker, as the triggerer cannot: %s"
            warned(self.log, Event.JOB_HANDED_BACK, sentence, news.message, **job.ids)
            job = self._job = replace(job, started_at=news.started_at or now, deadline=news.end_time)
            return self._end(context, job, self._followed(job, PollOutcome(PollVerdict.WAIT)))
        if news.verdict is PollVerdict.COMPLETED:
            return self._end(context, job, self._fetched(job))
        if news.verdict is PollVerdict.TIMED_OUT:
            return self.end_in_time(context, job)
        raise self._bad_end(context, job, news.failure)

    def end_in_time(self, context: Context, job: OcrJob) -> dict[str, Any]:
        """
        End a job whose time is over: ask once more, deliver it if it is completed, else say what became of it.

        :param context: Airflow's task context.
        :param job: which.
        """
        self._context, self._job = context, job
        # The answer of a completed job brings its result: it has the time of a fetch.
        poller = Poller(self.waiting.schedule, job.started_at, time.time() + LONGEST_FETCH)
        outcome = self.hook.ask(job.endpoint, job.ocr_task_id, poller)
        if not outcome.is_final:
            outcome = replace(outcome, verdict=PollVerdict.TIMED_OUT)
        return self._end(context, job, outcome)

    def _fetched(self, job: OcrJob) -> PollOutcome:
        """The result of a job that the trigger saw completed. It is paid for: it is neither cancelled nor forgotten."""
        outcome = self.hook.follow(
            job.endpoint,
            job.ocr_task_id,
            Poller(PollSchedule(), job.started_at, job.deadline, lag=self.doubt_patience, patience=LONGEST_RETRY_AFTER),
            PollOutcome(PollVerdict.WAIT),
            sleep=self._sleep,
        )
        if outcome.verdict not in (PollVerdict.TIMED_OUT, PollVerdict.GAVE_UP):
            return outcome
        raise because_of(not_fetched(outcome, job.endpoint.name, job.ocr_task_id, self.image_name()), outcome.error)

    def on_kill(self) -> None:
        """
        Cancel the job if a user ended the task or ``execution_timeout`` is over, but not if the worker is shut down.

        After this, ``execute`` goes on running: it must neither deliver nor defer.
        """
        timed_out = isinstance(sys.exc_info()[1], AirflowTaskTimeout)
        ti = self._context["ti"] if self._context else None
        self._kill.begin(ti, self._cancel_for_good, timed_out=timed_out, patience=self.kill_patience)

    def deliver_task(self, context: Context, job: OcrJob, task: OcrTask) -> dict[str, Any]:
        """
        Return a completed job's XCom.

        :param context: Airflow's task context.
        :param job: which.
        :param task: the same with its results.
        """
        raise NotImplementedError

    def known_job(self, context: Context) -> OcrJob | None:
        """
        Return the job that the task is about, where it is known without the trigger's event.

        :param context: Airflow's task context.
        """
        return None

    def job_told(self, context: Context, job: OcrJob) -> None:
        """
        Called where the trigger's event has brought a job back.

        :param context: Airflow's task context.
        :param job: which.
        """

    def job_ended_badly(self, context: Context, job: OcrJob, *, failed: bool = False) -> None:
        """
        Called where a job cannot be gone on with.

        :param context: Airflow's task context.
        :param job: which.
        :param failed: whether it ended as ``Error``.
        """

    def raised_for(self, context: Context, job: OcrJob, error: AsposeOcrError) -> AsposeOcrError:
        """
        Return the error to raise where a job did not end well.

        :param context: Airflow's task context.
        :param job: which.
        :param error: what became of it.
        """
        return error

    def image_name(self) -> str | None:
        """The document's path or URI, where the task knows it."""
        return None

    def _end(self, context: Context, job: OcrJob, outcome: PollOutcome) -> dict[str, Any]:
        self._stop_if_killed()
        if outcome.verdict is PollVerdict.COMPLETED and outcome.task is not None:
            told(self.log, Event.JOB_COMPLETED, "%s job %s is completed.", *job.ids.values(), **job.ids)
            return self.bring(context, job, outcome.task)
        raise because_of(self._bad_end(context, job, JobFailure.of(outcome)), outcome.error)

    def _bad_end(self, context: Context, job: OcrJob, failure: JobFailure) -> AsposeOcrError:
        """Forget or cancel the job where that is due, and return what to raise."""
        verdict = failure.verdict
        aftermath = self._after_timeout(context, job, failure.error) if verdict is PollVerdict.TIMED_OUT else ""
        if verdict in (PollVerdict.ERROR, PollVerdict.NOT_EXIST):
            self.job_ended_badly(context, job, failed=verdict is PollVerdict.ERROR)
        error = failure.as_error(**job.ids, image=self.image_name(), aftermath=aftermath, submits=self.submits)
        return self.counted(self.raised_for(context, job, error))

    def _after_timeout(self, context: Context, job: OcrJob, unanswered: AsposeOcrError | None) -> str:
        """Cancel the job if that is wanted and it certainly has not ended, and say what became of it."""
        if unanswered is not None:
            return (
                "Whether it has ended could not be asked, so it is not cancelled: it goes on at the service, a retry "
                "goes on with it (Airflow 3.3+), and its result can be fetched by its id for 24 hours."
            )
        if not self.waiting.cancel_on_kill:
            return "It goes on at the service; its result can be fetched by its id for 24 hours."
        if self._cancel(job, has_been_asked=True):
            self.job_ended_badly(context, job)
            then = "A retry submits the document again, which is billed again." if self.submits else ""
            return f"It was cancelled (cancel_on_kill=True). {then}".rstrip()
        return "It could not be cancelled and goes on at the service; its result can be fetched by its id for 24 hours."

    def _cancel(self, job: OcrJob, *, has_been_asked: bool = False) -> bool:
        """Cancel a job that has not ended, and say whether that worked."""
        if not self.waiting.cancel_on_kill:
            return False
        try:
            if has_been_asked:
                self.hook.cancel(job.endpoint, job.ocr_task_id)
            elif not self.hook.cancel_unless_ended(job.endpoint, job.ocr_task_id):
                sentence = "%s job %s has ended: it is not cancelled."
                told(self.log, Event.JOB_NOT_CANCELLED, sentence, *job.ids.values(), **job.ids)
                return False
        except AsposeOcrError as error:
            sentence = "%s job %s could not be cancelled and goes on at the service: %s"
            warned(self.log, Event.JOB_NOT_CANCELLED, sentence, *job.ids.values(), error, **job.ids)
            return False
        told(self.log, Event.JOB_CANCELLED, "%s job %s is cancelled.", *job.ids.values(), **job.ids)
        return True

    def _defer(self, job: OcrJob, next_poll_at: float) -> NoReturn:
        # Airflow's triggers are a sixth of what a DAG file would pay for importing the operators.
        from airflow_provider_asposeocr.triggers.aspose_ocr import AsposeOcrTaskTrigger  # noqa: PLC0415

        told(self.log, Event.JOB_DEFERRED, "%s job %s is still running: deferring.", *job.ids.values(), **job.ids)
        self.defer(
            trigger=AsposeOcrTaskTrigger(
                endpoint=job.endpoint.name,
                ocr_task_id=job.ocr_task_id,
                aspose_ocr_conn_id=self.aspose_ocr_conn_id,
                started_at=job.started_at,
                next_poll_at=next_poll_at,
                end_time=job.deadline,
                waiting=self.waiting.to_json(),
                cost=self.hook.cost.to_json(),
            ),
            method_name="execute_complete",
            timeout=deferral_limit(job.deadline, DEFERRAL_SLACK),
        )

    def _sleep(self, duration: float) -> None:
        """Sleep, but not through a kill."""
        sleep_until_stopped(duration, self._stop_if_killed)

    def _stop_if_killed(self) -> None:
        """Raise if Airflow has told this process to end."""
        if not self._kill.has_begun:
            return
        self._kill.settle()
        if self._kill.for_good:
            # One that was submitted since.
            self._cancel_for_good()
        about: About = {"image": self.image_name()}
        if self._job is not None:
            about |= {"endpoint": self._job.endpoint.name, "ocr_task_id": self._job.ocr_task_id}
        raise self._kill.error(about)

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
