"""The sensor that waits for a job which another task has submitted, and brings its result."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
)
from msgspec.structs import replace

from airflow_provider_asposeocr.api.checks import checked_ocr_task_id, endpoint_named
from airflow_provider_asposeocr.api.job_failures import JobFailure
from airflow_provider_asposeocr.api.polling import Poller, PollOutcome, PollVerdict
from airflow_provider_asposeocr.api.results import OcrTask
from airflow_provider_asposeocr.api.waiting import FOR_EVER, seconds
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrError,
    AsposeOcrInputError,
    AsposeOcrInterruptedError,
    AsposeOcrSensorTimeoutError,
    AsposeOcrTimeoutError,
    because_of,
)
from airflow_provider_asposeocr.jobs.following import OcrJobOperator
from airflow_provider_asposeocr.jobs.job import OcrJob
from airflow_provider_asposeocr.storage.failures import delivering
from airflow_provider_asposeocr.storage.outputs import output_files
from airflow_provider_asposeocr.storage.results import deliver

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class AsposeOcrTaskSensor(OcrJobOperator, BaseSensorOperator):
    """
    Follows a job through the queue (``Pending``, ``Processing``, ``Completed``) and returns its result as XCom.

    Source: "Fetching image regions", docs.aspose.cloud/ocr/fetch-regions/, and the like pages of the other
    endpoints.

    :param ocr_task_id: the job's id, or the whole XCom ``{"ocr_task_id", "endpoint"}`` of an operator with
        ``wait_for_completion=False``. (templated)
    :param endpoint: where it was submitted; not needed with the whole XCom. (templated)
    :param output_path: a folder or file on any storage for the results. (templated)
    :param deferrable: whether to wait in the triggerer; else in ``mode`` ``poke`` or ``reschedule``.
    :param poll_interval: seconds between the first polls, which then grow by ``poll_backoff`` up to
        ``poll_interval_max``.
    :param poke_interval: seconds between two polls, where they are to be the same all the time.
    :param cancel_on_kill: whether to cancel the job when the user ends the task, or the time is over. Off by default:
        the job is another task's.
    :param kwargs: of :class:`~airflow_provider_asposeocr.jobs.following.OcrJobOperator` and of Airflow's
        ``BaseSensorOperator`` (``timeout``, ``soft_fail``, ``mode``, ...).
    :raises AsposeOcrTaskError: the job ended as ``Error``.
    :raises AsposeOcrTaskNotFoundError: the service does not know the job.
    :raises AsposeOcrSensorTimeoutError: it did not end in time.
    """

    template_fields: Sequence[str] = (
        "ocr_task_id",
        "endpoint",
        "output_path",
        "storage_conn_id",
        "aspose_ocr_conn_id",
    )
    ui_color = "#d8ecd6"
    submits = False

    def __init__(
        self,
        *,
        ocr_task_id: Any,
        endpoint: str | None = None,
        cancel_on_kill: bool = False,
        poke_interval: float | timedelta | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("multiple_outputs", True)
        if isinstance(timeout := kwargs.get("timeout"), int | float) and timeout > FOR_EVER:
            # Airflow's own check makes a timedelta of it, which infinity is not.
            kwargs["timeout"] = FOR_EVER
        if poke_interval is not None:
            kwargs |= {
                "poll_interval": poke_interval,
                "poll_interval_max": poke_interval,
                "poke_interval": poke_interval,
            }
        super().__init__(cancel_on_kill=cancel_on_kill, **kwargs)
        self.ocr_task_id = ocr_task_id
        self.endpoint = endpoint
        self._poller: Poller | None = None
        self._last: PollOutcome | None = None
        self._ended: Exception | None = None

    def execute(self, context: Context) -> Any:
        """
        Wait, in the worker or deferred.

        :param context: Airflow's task context.
        """
        if not self.deferrable:
            return self._poked(context)
        try:
            # The first poll is at once: nobody knows how old the job is.
            return self.follow_job(context, self._the_job(), PollOutcome(PollVerdict.WAIT))
        except AsposeOcrError as error:
            failed = error
        raise because_of(self._skip_or(failed), failed)

    def _poked(self, context: Context) -> Any:
        """Wait in mode ``poke`` or ``reschedule``, which is Airflow's to do."""
        try:
            xcom = super().execute(context)
        except (AirflowSensorTimeout, AirflowSkipException) as error:
            last = self._last
            if last is None or last.is_final or self._job is None:
                raise
            # The last poke has just asked.
            over = self._bad_end(context, self._job, JobFailure(PollVerdict.TIMED_OUT, last.reason, error=last.error))
            raise self._skip_or(over) from error
        if self._ended is not None:
            raise self._ended
        return xcom

    def poke(self, context: Context) -> PokeReturnValue:
        """
        Ask once; the answer of a completed job brings the result.

        :param context: Airflow's task context.
        """
        self._last = None
        job = self._the_job()
        self._context, self._job = context, job
        self._stop_if_killed()
        # In mode `reschedule` each poke is a process of its own, in which the job would stay young for ever.
        lag = 0.0 if self.reschedule else self.doubt_patience
        self._poller = self._poller or Poller(self.waiting.schedule, job.started_at, job.deadline, lag=lag)
        try:
            self._last = outcome = self.hook.ask(job.endpoint, job.ocr_task_id, self._poller)
            if not outcome.is_final:
                # The end of a wait, and not of a poke, is Airflow's to tell.
                return PokeReturnValue(is_done=False)
            return PokeReturnValue(is_done=True, xcom_value=self._end(context, job, outcome))
        except AsposeOcrError as error:
            failed = error
        raised = because_of(self._skip_or(failed), failed)
        if self.silent_fail and self._last is not None and self._last.verdict is not PollVerdict.GAVE_UP:
            # Raised after Airflow's loop, which would poll on: there is nothing more to wait for.
            self._ended = raised
            return PokeReturnValue(is_done=True)
        raise raised

    def deliver_task(self, context: Context, job: OcrJob, task: OcrTask) -> dict[str, Any]:
        """
        Write the files and return the XCom.

        :param context: Airflow's task context.
        :param job: which.
        :param task: the same with its results.
        """
        with delivering(job.endpoint.name, job.ocr_task_id):
            return deliver(
                replace(task, id=job.ocr_task_id),
                job.endpoint,
                settings=None,
                files=output_files(self.output_path, None, job.ocr_task_id, self.storage_conn_id, self.overwrite),
                max_xcom_bytes=self.max_xcom_bytes,
            )

    def raised_for(self, context: Context, job: OcrJob, error: AsposeOcrError) -> AsposeOcrError:
        """
        Return the error to raise: a time-out is Airflow's of a sensor.

        :param context: Airflow's task context.
        :param job: which.
        :param error: what became of it.
        """
        if not isinstance(error, AsposeOcrTimeoutError):
            return error
        return AsposeOcrSensorTimeoutError(error.message, endpoint=job.endpoint.name, ocr_task_id=job.ocr_task_id)

    def deferral_timed_out(self, context: Context, error: Exception) -> Any:
        """
        Go on where Airflow's own time-out ended the deferral: a job that is completed meanwhile is delivered.

        :param context: Airflow's task context.
        :param error: what Airflow raised.
        """
        try:
            return self.end_in_time(context, self._the_job())
        except AsposeOcrError as raised:
            failed = raised
        raise because_of(self._skip_or(failed), error)

    def known_job(self, context: Context) -> OcrJob | None:
        """
        Return the job that is waited for.

        :param context: Airflow's task context.
        """
        return self._the_job()

    def _the_job(self) -> OcrJob:
        given, endpoint = self.ocr_task_id, self.endpoint
        if isinstance(given, Mapping):
            submitted: Mapping[str, Any] = given
            given, endpoint = submitted.get("ocr_task_id"), endpoint or submitted.get("endpoint")
        if not endpoint:
            raise AsposeOcrInputError(
                "The sensor needs the endpoint at which the job was submitted: set `endpoint`, or pass the whole XCom "
                "of the operator as `ocr_task_id` (`ocr_task_id=submit.output`)."
            )
        now, limit = time.time(), seconds(self.timeout)
        # Airflow's own check lets 0 and more through: then there is one poll, at once.
        deadline = now + limit if limit < FOR_EVER else None
        return OcrJob(endpoint_named(endpoint), checked_ocr_task_id(given or ""), now, deadline)

    def _skip_or(self, error: AsposeOcrError) -> Exception:
        """``soft_fail`` and ``never_fail`` mean every failure, whatever mode the sensor waits in."""
        self.counted(error)
        if (self.soft_fail or self.never_fail) and not isinstance(error, AsposeOcrInterruptedError):
            return AirflowSkipException(f"Skipping (soft_fail or never_fail is set): {error}")
        return error

    def _get_next_poke_interval(
        self,
        started_at: Any,
        run_duration: Callable[[], float],
        poke_count: int,
    ) -> float:
        passed = run_duration()
        # Longer where the service asked for it, and never beyond the time-out: the last poke comes then.
        asked = max(self.waiting.schedule.wait(passed), self._last.delay if self._last else 0.0)
        return max(0.0, min(asked, seconds(self.timeout) - passed))
