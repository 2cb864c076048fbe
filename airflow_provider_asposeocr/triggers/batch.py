"""The trigger that watches for a whole batch: it follows one of its jobs, and cancels all of them on a user's kill."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_asposeocr.api.polling import PollVerdict
from airflow_provider_asposeocr.exceptions import AsposeOcrError
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrAsyncHook
from airflow_provider_asposeocr.triggers.aspose_ocr import CANCEL_TIMEOUT, AsposeOcrTaskTrigger


class AsposeOcrBatchTrigger(AsposeOcrTaskTrigger):
    """
    Watches the job of a batch that tells of the others: jobs end about in the order in which they were submitted.

    One poll instead of one per document: the worker, once woken, fetches the results, which tells their states anyway.

    :param ocr_task_ids: the ids of all jobs of the batch that are at the service.
    :param kwargs: of :class:`~airflow_provider_asposeocr.triggers.aspose_ocr.AsposeOcrTaskTrigger`, whose
        ``ocr_task_id`` is the job to watch.
    :param likely_age: for how many seconds a job lasts, as far as the worker knows; comes back in the event, with
        ``ended_at``, when the watched job was found to have ended, in seconds since the epoch.
    """

    def __init__(self, *, ocr_task_ids: list[str], likely_age: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ocr_task_ids = ocr_task_ids
        self.likely_age = likely_age

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that make the same trigger elsewhere."""
        path, kwargs = super().serialize()
        return path, {**kwargs, "ocr_task_ids": self.ocr_task_ids, "likely_age": self.likely_age}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until there is nothing more to ask, and yield an event that also tells how long jobs take."""
        async for event in super().run():
            ended_at = time.time() if event.payload["status"] in (PollVerdict.COMPLETED, PollVerdict.ERROR) else None
            yield TriggerEvent({**event.payload, "likely_age": self.likely_age, "ended_at": ended_at})

    async def on_kill(self) -> None:
        """Cancel all jobs of the batch: the user marked the task, cleared it, or failed its run."""
        if not self.cancel_on_kill:
            return
        try:
            async with asyncio.timeout(CANCEL_TIMEOUT), AsposeOcrAsyncHook(self.aspose_ocr_conn_id) as hook:
                cancelled = await asyncio.gather(
                    *(hook.cancel(self.endpoint, ocr_task_id) for ocr_task_id in self.ocr_task_ids),
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
        self.log.info("The user ended the batch: %d jobs are cancelled.", len(cancelled) - len(failures))
