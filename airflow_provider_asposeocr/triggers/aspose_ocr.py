"""
The trigger that follows a job while its task is deferred. Thin: it polls, cancels on a kill, and yields one event.

It never submits, never fetches a result, never raises, and yields ids and states only: an event is written word for
word into the task's log. Nothing is cancelled when a triggerer stops: the job goes on, and so does the next triggerer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_asposeocr.api.costs import Cost
from airflow_provider_asposeocr.api.polling import REPLICA_LAG, Poller, PollOutcome, PollVerdict, is_transient
from airflow_provider_asposeocr.api.waiting import Waiting
from airflow_provider_asposeocr.events import Event, told, warned
from airflow_provider_asposeocr.exceptions import AsposeOcrError, AsposeOcrInputError
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrAsyncHook

CANCEL_TIMEOUT = 25.0
"""Seconds. Airflow gives ``on_kill`` of a trigger 30."""


class AsposeOcrTaskTrigger(BaseTrigger):
    """
    Follows one job of Aspose.OCR Cloud until it ends, or the deadline.

    :param endpoint: where it was submitted.
    :param ocr_task_id: the job's id.
    :param aspose_ocr_conn_id: the Airflow connection.
    :param started_at: when it was submitted, in seconds since the epoch.
    :param next_poll_at: when to ask first, likewise; a restarted triggerer, which comes later, asks at once.
    :param end_time: until when to wait, likewise; ``None`` for ever. Wall-clock time, as it must survive a restart.
    :param waiting: how, as JSON: see :meth:`~airflow_provider_asposeocr.api.waiting.Waiting.to_json`. What is left out
        is as the operators have it by default.
    :param cost: what the try has spent so far, as JSON: see :meth:`~airflow_provider_asposeocr.api.costs.Cost.to_json`.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        ocr_task_id: str,
        aspose_ocr_conn_id: str,
        started_at: float,
        next_poll_at: float,
        end_time: float | None,
        waiting: Mapping[str, Any] | None = None,
        cost: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.endpoint = endpoint
        self.ocr_task_id = ocr_task_id
        self.aspose_ocr_conn_id = aspose_ocr_conn_id
        self.started_at = started_at
        self.next_poll_at = next_poll_at
        self.end_time = end_time
        self.waiting = Waiting.from_json(waiting or {})
        self.cost = Cost.from_json(cost)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that make the same trigger elsewhere. No secret is among them."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "endpoint": self.endpoint,
                "ocr_task_id": self.ocr_task_id,
                "aspose_ocr_conn_id": self.aspose_ocr_conn_id,
                "started_at": self.started_at,
                "next_poll_at": self.next_poll_at,
                "end_time": self.end_time,
                "waiting": self.waiting.to_json(),
                "cost": self.cost.to_json(),
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until there is nothing more to ask, and yield ``{ocr_task_id, endpoint, status, message, ...}``."""
        try:
            # Waiting is free here: an outage of the service does not end the try before its time is over.
            poller = Poller(self.waiting.schedule, self.started_at, self.end_time, max_failures=None, lag=REPLICA_LAG)
            hook = AsposeOcrAsyncHook(self.aspose_ocr_conn_id)
            hook.cost.add(self.cost)
            delay = max(0.0, self.next_poll_at - time.time())
            # The first one in no variable of its own: a thousand triggers wait here.
            outcome = await hook.follow(
                self.endpoint, self.ocr_task_id, poller, PollOutcome(PollVerdict.WAIT, delay=delay)
            )
            event = self._event_of(outcome, hook.cost)
        except AsposeOcrError as error:
            verdict = PollVerdict.GAVE_UP if is_transient(error) else PollVerdict.REFUSED
            event = self._event(verdict, str(error), error=error)
        except Exception as error:  # a raising trigger loops for ever in `dag.test()` of Airflow 2.11
            self.log.exception("The trigger failed")
            event = self._event(PollVerdict.GAVE_UP, f"the trigger failed with {type(error).__name__}, see its log.")
        yield event

    def _event_of(self, outcome: PollOutcome, cost: Cost) -> TriggerEvent:
        messages = outcome.task.messages if outcome.task and outcome.verdict is PollVerdict.ERROR else ()
        took = round(time.time() - self.started_at, 3) if outcome.verdict is PollVerdict.COMPLETED else None
        return self._event(
            outcome.verdict, outcome.reason, error=outcome.error, messages=messages, seconds=took, cost=cost
        )

    def _event(
        self,
        status: str,
        message: str,
        *,
        error: AsposeOcrError | None = None,
        messages: Iterable[str] = (),
        seconds: float | None = None,
        cost: Cost | None = None,
    ) -> TriggerEvent:
        event = {"ocr_task_id": self.ocr_task_id, "endpoint": self.endpoint, "status": str(status), "message": message}
        more = {
            "error": type(error).__name__ if error else None,
            "retry_after": getattr(error, "retry_after", None),
            "messages": list(messages),
            "seconds": seconds,
            "cost": (cost or self.cost).to_json(),
        }
        if isinstance(error, AsposeOcrInputError):
            # The connection, which the worker could use: it goes on by itself, until the same deadline.
            more |= {"started_at": self.started_at, "end_time": self.end_time}
        return TriggerEvent({**event, **{name: value for name, value in more.items() if value}})

    async def on_kill(self) -> None:
        """
        Cancel the job: the user marked the task, cleared it, or failed its run. Not called on any restart.

        One that has ended is left: a cleared task fetches its result, and is not billed again.
        """
        if not self.waiting.cancel_on_kill:
            return
        try:
            async with asyncio.timeout(CANCEL_TIMEOUT):
                hook = AsposeOcrAsyncHook(self.aspose_ocr_conn_id)
                is_cancelled = await hook.cancel_unless_ended(self.endpoint, self.ocr_task_id)
        except (AsposeOcrError, TimeoutError) as error:
            warned(
                self.log,
                Event.JOB_NOT_CANCELLED,
                "The user ended the task, but %s job %s could not be cancelled and goes on at the service: %s",
                self.endpoint,
                self.ocr_task_id,
                error or "it took too long",
                endpoint=self.endpoint,
                ocr_task_id=self.ocr_task_id,
            )
        else:
            became = "is cancelled" if is_cancelled else "has ended already: it is not cancelled"
            ids = {"endpoint": self.endpoint, "ocr_task_id": self.ocr_task_id}
            event = Event.JOB_CANCELLED if is_cancelled else Event.JOB_NOT_CANCELLED
            told(self.log, event, "The user ended the task: %s job %s %s.", *ids.values(), became, **ids)
