"""
The trigger that follows a job while its task is deferred. Thin: it polls, cancels on a kill, and yields one event.

It never submits, never fetches a result, never raises, and yields ids and states only: an event is written word for
word into the task's log. Nothing is cancelled when a triggerer stops: the job goes on, and so does the next triggerer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from functools import lru_cache
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_asposeocr.api.polling import Poller, PollOutcome, PollSchedule, PollVerdict, is_transient
from airflow_provider_asposeocr.exceptions import AsposeOcrError
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrAsyncHook

CANCEL_TIMEOUT = 25.0
"""Seconds. Airflow gives ``on_kill`` of a trigger 30."""

_schedule = lru_cache(PollSchedule)
"""Thousands of triggers wait in one process, most of them alike."""


class AsposeOcrTaskTrigger(BaseTrigger):
    """
    Follows one job of Aspose.OCR Cloud until it ends, or the deadline.

    :param ocr_task_id: the job's id.
    :param endpoint: where it was submitted.
    :param aspose_ocr_conn_id: the Airflow connection.
    :param started_at: when it was submitted, in seconds since the epoch.
    :param next_poll_at: when to ask first, likewise; a restarted triggerer, which comes later, asks at once.
    :param end_time: until when to wait, likewise. Wall-clock time, as it must survive a restart.
    :param poll_interval: seconds to the first poll after a submission, and the least between two.
    :param poll_backoff: by how much each wait is longer than the last.
    :param poll_interval_max: the longest wait, in seconds.
    :param cancel_on_kill: whether to cancel the job when the user marks or clears the task (Airflow 3.3+).
    """

    def __init__(
        self,
        *,
        ocr_task_id: str,
        endpoint: str,
        aspose_ocr_conn_id: str,
        started_at: float,
        next_poll_at: float,
        end_time: float | None,
        poll_interval: float,
        poll_backoff: float,
        poll_interval_max: float,
        cancel_on_kill: bool = True,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ocr_task_id = ocr_task_id
        self.endpoint = endpoint
        self.aspose_ocr_conn_id = aspose_ocr_conn_id
        self.started_at = started_at
        self.next_poll_at = next_poll_at
        self.end_time = end_time
        self.poll_interval = poll_interval
        self.poll_backoff = poll_backoff
        self.poll_interval_max = poll_interval_max
        self.cancel_on_kill = cancel_on_kill

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that make the same trigger elsewhere. No secret is among them."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "ocr_task_id": self.ocr_task_id,
                "endpoint": self.endpoint,
                "aspose_ocr_conn_id": self.aspose_ocr_conn_id,
                "started_at": self.started_at,
                "next_poll_at": self.next_poll_at,
                "end_time": self.end_time,
                "poll_interval": self.poll_interval,
                "poll_backoff": self.poll_backoff,
                "poll_interval_max": self.poll_interval_max,
                "cancel_on_kill": self.cancel_on_kill,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until there is nothing more to ask, and yield ``{ocr_task_id, endpoint, status, message, ...}``."""
        try:
            schedule = _schedule(self.poll_interval, self.poll_backoff, self.poll_interval_max)
            poller = Poller(schedule, self.started_at, self.end_time)
            first = PollOutcome(PollVerdict.WAIT, delay=max(0.0, self.next_poll_at - time.time()))
            hook = AsposeOcrAsyncHook(self.aspose_ocr_conn_id)
            event = self._event_of(await hook.follow(self.endpoint, self.ocr_task_id, poller, first))
        except AsposeOcrError as error:
            verdict = PollVerdict.GAVE_UP if is_transient(error) else PollVerdict.REFUSED
            event = self._event(verdict, str(error), error=error)
        except Exception as error:  # a raising trigger loops for ever in `dag.test()` of Airflow 2.11
            self.log.exception("The trigger failed")
            event = self._event(PollVerdict.GAVE_UP, f"the trigger failed with {type(error).__name__}, see its log.")
        yield event

    def _event_of(self, outcome: PollOutcome) -> TriggerEvent:
        messages = outcome.task.messages if outcome.task and outcome.verdict is PollVerdict.ERROR else ()
        return self._event(outcome.verdict, outcome.reason, error=outcome.error, messages=messages)

    def _event(
        self, status: str, message: str, *, error: AsposeOcrError | None = None, messages: Iterable[str] = ()
    ) -> TriggerEvent:
        event = {"ocr_task_id": self.ocr_task_id, "endpoint": self.endpoint, "status": str(status), "message": message}
        more = {
            "error": type(error).__name__ if error else None,
            "retry_after": getattr(error, "retry_after", None),
            "messages": list(messages),
        }
        return TriggerEvent({**event, **{name: value for name, value in more.items() if value}})

    async def on_kill(self) -> None:
        """Cancel the job: the user marked the task, cleared it, or failed its run. Not called on any restart."""
        if not self.cancel_on_kill:
            return
        try:
            async with asyncio.timeout(CANCEL_TIMEOUT):
                await AsposeOcrAsyncHook(self.aspose_ocr_conn_id).cancel(self.endpoint, self.ocr_task_id)
        except (AsposeOcrError, TimeoutError) as error:
            self.log.warning(
                "The user ended the task, but %s job %s could not be cancelled and goes on at the service: %s",
                self.endpoint,
                self.ocr_task_id,
                error or "it took too long",
            )
        else:
            self.log.info("The user ended the task: %s job %s is cancelled.", self.endpoint, self.ocr_task_id)
