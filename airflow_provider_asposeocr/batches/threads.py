"""Runs a batch beside the main thread of its task."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future, wait
from contextvars import copy_context

from airflow_provider_asposeocr.batches.plan import BatchPlan
from airflow_provider_asposeocr.batches.run import BatchRun
from airflow_provider_asposeocr.batches.service import HookedService
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrConnectionNotFoundError,
    AsposeOcrServiceError,
)
from airflow_provider_asposeocr.hooks.synchronous import AsposeOcrHook

_LONGEST_END = 30.0
"""Seconds that an interrupted batch waits for what is under way."""
_LOOK_UP = 1.0
"""Seconds after which the main thread, while a batch runs, sees to signals in any case."""


def work(hook: AsposeOcrHook, plan: BatchPlan, run: BatchRun, pause_after: float | None, *, is_paid: bool) -> bool:
    """
    Run a batch in a thread of its own.

    A signal handler (of a kill, or of ``execution_timeout``) may raise or block wherever the main thread is, and in an
    event loop that would be lost or stop everything.

    :param hook: with the connection.
    :param plan: what to do.
    :param run: does it.
    :param pause_after: see :meth:`~airflow_provider_asposeocr.batches.run.BatchRun.run`.
    :param is_paid: whether jobs of an earlier try are at the service.
    :returns: what that returns.
    :raises AsposeOcrServiceError: where they are, and the connection is not found.
    """
    # Here, where nothing runs beside it: a look-up blocks.
    try:
        _ = hook.connection
    except AsposeOcrConnectionNotFoundError as error:
        if not is_paid:
            raise
        # It was there when they were submitted: rather an outage of what keeps it.
        raise AsposeOcrServiceError(
            f"The jobs of the batch cannot be asked for: {error} They are left in place at the service: a retry goes "
            "on with them and is not billed again.",
            endpoint=plan.endpoint.name,
        ) from error
    ended: Future[bool] = Future()

    async def worked() -> bool:
        async with HookedService.over(hook, plan, time.time) as service:
            return await run.run(service, pause_after)

    def in_thread() -> None:
        try:
            ended.set_result(asyncio.run(worked()))
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            ended.set_exception(error)

    thread = threading.Thread(target=copy_context().run, args=(in_thread,), name="aspose-ocr-batch", daemon=True)
    thread.start()
    try:
        while not ended.done():
            # Not for ever: a signal that comes right before a thread begins to wait does not wake it, and its handler
            # runs only once it is awake.
            wait([ended], timeout=_LOOK_UP)
        return ended.result()
    except BaseException:
        run.killed = True
        thread.join(_LONGEST_END)
        raise
