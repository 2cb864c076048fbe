"""The trigger that waits for any of the running jobs of a batch: it watches the few that will likely end first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_asposeocr.api.pacer import DEFAULT_CALLS_PER_DOCUMENT
from airflow_provider_asposeocr.api.pacing import BatchPolls
from airflow_provider_asposeocr.api.polling import PollVerdict, is_transient
from airflow_provider_asposeocr.api.results import OcrTask
from airflow_provider_asposeocr.api.waiting import Waiting
from airflow_provider_asposeocr.exceptions import AsposeOcrError
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrAsyncHook
from airflow_provider_asposeocr.triggers.aspose_ocr import CANCEL_TIMEOUT

ENDED = "Ended"
"""The event's status where jobs have ended, or it is time to go on."""
_LONGEST_BACKOFF = 60.0


class AsposeOcrBatchTrigger(BaseTrigger):
    """
    Waits until some jobs of a batch have ended, and says which. The worker, once woken, fetches the results.

    A poll tells the state of one job only, so it watches few: once enough of them have ended, others have, too.

    :param endpoint: where they were submitted.
    :param aspose_ocr_conn_id: the Airflow connection.
    :param ocr_task_ids: the ids of all jobs of the batch that are at the service: to cancel them.
    :param watched: of each job to watch what it is called in ``polls``, its id, and when it was submitted.
    :param enough: how many of them must have ended.
    :param linger: for how many seconds to wait for more, once the first has ended.
    :param polls: what is known of how long jobs take, and of which were asked at which age: see
        :meth:`~airflow_provider_asposeocr.api.pacing.BatchPolls.to_json`.
    :param calls_per_document: how many polls per job to aim at.
    :param wake_at: when to go on in any case, in seconds since the epoch; ``None`` for never.
    :param end_time: until when to wait, likewise.
    :param waiting: how, as JSON: see :meth:`~airflow_provider_asposeocr.api.waiting.Waiting.to_json`.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        aspose_ocr_conn_id: str,
        ocr_task_ids: Sequence[str],
        watched: Sequence[Sequence[Any]],
        enough: int = 1,
        linger: float = 1.0,
        polls: Mapping[str, Any] | None = None,
        calls_per_document: float = DEFAULT_CALLS_PER_DOCUMENT,
        wake_at: float | None = None,
        end_time: float | None = None,
        waiting: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.endpoint = endpoint
        self.aspose_ocr_conn_id = aspose_ocr_conn_id
        self.ocr_task_ids = list(ocr_task_ids)
        self.watched = [list(each) for each in watched]
        self.enough = enough
        self.linger = linger
        self.polls = dict(polls or {})
        self.calls_per_document = calls_per_document
        self.wake_at = wake_at
        self.end_time = end_time
        self.waiting = Waiting.from_json(waiting or {})

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that make the same trigger elsewhere. No secret is among them."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "endpoint": self.endpoint,
                "aspose_ocr_conn_id": self.aspose_ocr_conn_id,
                "ocr_task_ids": self.ocr_task_ids,
                "watched": self.watched,
                "enough": self.enough,
                "linger": self.linger,
                "polls": self.polls,
                "calls_per_document": self.calls_per_document,
                "wake_at": self.wake_at,
                "end_time": self.end_time,
                "waiting": self.waiting.to_json(),
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield ``{endpoint, status, ended, calls, polls, message}``: which have ended, what was learned."""
        event = self.empty_event()
        try:
            async with AsyncExitStack() as opened:
                await self.watch(self._asking(opened), time.time, event)
            event["status"] = ENDED
        except AsposeOcrError as error:
            event |= {"status": str(PollVerdict.REFUSED), "message": str(error), "error": type(error).__name__}
        except Exception as error:  # a raising trigger loops for ever in `dag.test()` of Airflow 2.11
            self.log.exception("The trigger failed")
            event |= {"status": str(PollVerdict.GAVE_UP), "message": f"the trigger failed with {type(error).__name__}."}
        yield TriggerEvent(event)

    def empty_event(self) -> dict[str, Any]:
        """Return the event as it is before anything was asked."""
        return {"endpoint": self.endpoint, "ended": [], "calls": 0, "message": ""}

    def _asking(self, opened: AsyncExitStack) -> Callable[[str], Awaitable[OcrTask]]:
        hook: AsposeOcrAsyncHook | None = None

        async def ask(ocr_task_id: str) -> OcrTask:
            nonlocal hook
            if hook is None:
                # Here, where a look-up that fails is one failed poll: the jobs are paid for.
                hook = await opened.enter_async_context(AsposeOcrAsyncHook(self.aspose_ocr_conn_id))
            return await hook.get_status(self.endpoint, ocr_task_id, retry_limit=0)

        return ask

    async def watch(
        self, ask: Callable[[str], Awaitable[OcrTask]], now: Callable[[], float], event: dict[str, Any]
    ) -> None:
        """
        Ask one job after the other, when that pays, until there is something to do for a worker.

        :param ask: returns the state of a job.
        :param now: returns the time in seconds since the epoch.
        :param event: is told what was found.
        :raises AsposeOcrError: where asking again is of no use.
        """
        polls = BatchPolls.from_json(self.polls, self.calls_per_document)
        for key, _, started_at in self.watched:
            # The worker's clock may be ahead: nothing would be asked until then.
            polls.follow(key, min(started_at, now()), self.end_time)
        try:
            await self._watch(polls, ask, now, event)
        finally:
            event["polls"] = polls.to_json()

    async def _watch(
        self,
        polls: BatchPolls,
        ask: Callable[[str], Awaitable[OcrTask]],
        now: Callable[[], float],
        event: dict[str, Any],
    ) -> None:
        bounds = [bound for bound in (self.wake_at, self.end_time) if bound is not None]
        ids = {key: ocr_task_id for key, ocr_task_id, _ in self.watched}
        failures, closed_until = 0, 0.0
        enough = max(min(self.enough, len(self.watched)), 1)
        while True:
            if bounds and now() >= min(bounds):
                return
            # What one poll learns of the service holds for all.
            for key in polls.take_due(now(), 1) if now() >= closed_until else ():
                event["calls"] += 1
                try:
                    task = await ask(ids[key])
                except AsposeOcrError as error:
                    if not is_transient(error):
                        raise
                    failures += 1
                    wait = min(self.waiting.schedule.interval * 2 ** min(failures, 10), _LONGEST_BACKOFF)
                    asked = getattr(error, "retry_after", None) or 0.0
                    self.log.warning("Poll failed, asking again in %.1f s: %s", max(wait, asked), error)
                    closed_until = now() + max(wait, asked)
                    polls.not_answered(key, closed_until)
                    continue
                failures = 0
                if task.status.is_terminal:
                    polls.ended(key)
                    if not event["ended"]:
                        bounds.append(now() + self.linger)
                    event["ended"].append(ids[key])
                else:
                    polls.not_ended(key)
            # An end that is found here costs a call more, as the worker fetches the result: one will do.
            if event["ended"] and len(event["ended"]) + polls.likely_over(now()) >= enough:
                return
            due = polls.next_due(now())
            dues = [] if due is None else [max(due, closed_until)]
            until = min([*bounds, *dues], default=now() + _LONGEST_BACKOFF)
            await asyncio.sleep(max(0.0, until - now()))

    async def on_kill(self) -> None:
        """Cancel the jobs that are not completed: the user marked the task, cleared it, or failed its run."""
        if not self.waiting.cancel_on_kill:
            return
        try:
            async with asyncio.timeout(CANCEL_TIMEOUT), AsposeOcrAsyncHook(self.aspose_ocr_conn_id) as hook:
                cancelled = await asyncio.gather(
                    *(hook.cancel_unless_ended(self.endpoint, ocr_task_id) for ocr_task_id in self.ocr_task_ids),
                    return_exceptions=True,
                )
        except (AsposeOcrError, TimeoutError) as error:
            self.log.warning(
                "The user ended the batch, but its jobs go on at the service: %s", error or "took too long"
            )
            return
        failures = [error for error in cancelled if isinstance(error, BaseException)]
        for failure in failures:
            self.log.warning("A job of the batch could not be cancelled and goes on at the service: %s", failure)
        self.log.info(
            "The user ended the batch: %d jobs are cancelled; %d are completed and can be fetched for 24 hours.",
            cancelled.count(True),
            cancelled.count(False),
        )
