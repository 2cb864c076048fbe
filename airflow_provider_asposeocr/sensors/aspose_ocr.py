"""The sensor that waits for a job which another task has submitted, and brings its result."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
)

from airflow_provider_asposeocr.api.endpoints import checked_ocr_task_id, endpoint_named
from airflow_provider_asposeocr.api.polling import Poller, PollOutcome, PollVerdict
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrError,
    AsposeOcrInputError,
    AsposeOcrInterruptedError,
    AsposeOcrSensorTimeoutError,
    AsposeOcrTimeoutError,
)
from airflow_provider_asposeocr.jobs import OcrJob, OcrJobOperator, seconds
from airflow_provider_asposeocr.outputs import deliver, output_files

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_asposeocr.api.results import OcrTask


class AsposeOcrTaskSensor(OcrJobOperator, BaseSensorOperator):
    """
    Follows a job through the queue (``Pending``, ``Processing``, ``Completed``) and returns its result as XCom.

    Source: vendor's documentation, "Fetching ..." pages, "Task statuses".

    :param ocr_task_id: the job's id, or the whole XCom ``{"ocr_task_id", "endpoint"}`` of an operator with
        ``wait_for_completion=False``. (templated)
    :param endpoint: where it was submitted; not needed with the whole XCom. (templated)
    :param output_path: a folder or file on any storage for the results. (templated)
    :param deferrable: whether to wait in the triggerer; else in ``mode`` ``poke`` or ``reschedule``.
    :param poll_interval: seconds between the first polls, which then grow by ``poll_backoff`` up to
        ``poll_interval_max``; ``poke_interval``, where given, makes it a fixed one instead.
    :param cancel_on_kill: whether to cancel the job when the user ends the task, or the time is over. Off by default:
        the job is another task's.
    :param kwargs: of :class:`~airflow_provider_asposeocr.jobs.OcrJobOperator` and of Airflow's ``BaseSensorOperator``
        (``timeout``, ``soft_fail``, ``mode``, ...).
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
        self._is_waiting = False

    def execute(self, context: Context) -> Any:
        """
        Wait, in the worker or deferred.

        :param context: Airflow's task context.
        """
        if not self.deferrable:
            try:
                return super().execute(context)
            except (AirflowSensorTimeout, AirflowSkipException) as error:
                if not self._is_waiting or self._job is None:
                    raise
                raise self._skip_or(self._bad_end(context, self._job, PollVerdict.TIMED_OUT, "")) from error
        try:
            # The first poll is at once: nobody knows how old the job is.
            return self.follow_job(context, self._the_job(), PollOutcome(PollVerdict.WAIT))
        except AsposeOcrError as error:
            raise self._skip_or(error) from error

    def poke(self, context: Context) -> PokeReturnValue:
        """
        Ask once; the answer of a completed job brings the result.

        :param context: Airflow's task context.
        """
        self._is_waiting = False
        job = self._the_job()
        self._context, self._job = context, job
        self._stop_if_killed()
        self._poller = self._poller or Poller(self.poll_schedule(), job.started_at)
        try:
            outcome = self.hook.ask(job.endpoint, job.ocr_task_id, self._poller)
            if not outcome.is_final:
                # The end of a wait, and not of a poke, is Airflow's to tell.
                self._is_waiting = True
                return PokeReturnValue(is_done=False)
            return PokeReturnValue(is_done=True, xcom_value=self._end(context, job, outcome))
        except AsposeOcrError as error:
            raise self._skip_or(error) from error

    def deliver_task(self, context: Context, job: OcrJob, task: OcrTask) -> dict[str, Any]:
        """
        Write the files and return the XCom.

        :param context: Airflow's task context.
        :param job: which.
        :param task: the same with its results.
        """
        files = None
        if self.output_path is not None:
            files = output_files(self.output_path, None, job.ocr_task_id, self.storage_conn_id, self.overwrite)
        return deliver(
            replace(task, id=job.ocr_task_id),
            job.endpoint,
            settings=None,
            files=files,
            max_xcom_bytes=self.max_xcom_bytes,
        )

    def timed_out(self, job: OcrJob, error: AsposeOcrTimeoutError) -> AsposeOcrError:
        """
        Return the error as Airflow's sensor time-out.

        :param job: which.
        :param error: what to say.
        """
        return AsposeOcrSensorTimeoutError(error.message, endpoint=job.endpoint.name, ocr_task_id=job.ocr_task_id)

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
        now = time.time()
        return OcrJob(checked_ocr_task_id(given or ""), endpoint_named(endpoint), now, now + seconds(self.timeout))

    def _skip_or(self, error: AsposeOcrError) -> Exception:
        """``soft_fail`` and ``never_fail`` mean every failure, whatever mode the sensor waits in."""
        if (self.soft_fail or self.never_fail) and not isinstance(error, AsposeOcrInterruptedError):
            return AirflowSkipException(f"Skipping (soft_fail or never_fail is set): {error}")
        return error

    def _get_next_poke_interval(
        self,
        started_at: Any,
        run_duration: Callable[[], float],
        poke_count: int,
    ) -> float:
        return self.poll_schedule().wait(run_duration())
