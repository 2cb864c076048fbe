"""The jobs of a batch that nobody waits for any more: asked where they stand, and cancelled unless they have ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from airflow_provider_asposeocr.api.endpoints import Endpoint
from airflow_provider_asposeocr.batches.documents import BatchDocument
from airflow_provider_asposeocr.batches.slots import printable
from airflow_provider_asposeocr.exceptions import AsposeOcrError
from airflow_provider_asposeocr.hooks.synchronous import AsposeOcrHook

log = logging.getLogger(__name__)

FAREWELL = 4.0
"""Seconds for all jobs of a batch that a user ends: Airflow kills a process 5 s after it has told it to end."""
FAREWELL_WITHOUT_A_KILL = 60.0
"""Seconds for the same where the batch ends by itself."""
_THREADS = 32


def cancel_all(
    hook: AsposeOcrHook,
    endpoint: Endpoint,
    running: Sequence[BatchDocument],
    forget: Callable[[Sequence[BatchDocument]], object],
    within: float,
) -> set[str]:
    """
    Cancel the jobs that have not ended, and forget them.

    One that has ended is paid for: the next try fetches it. So it does with one that could not be asked, or whose
    cancelling was not confirmed, in time: it is logged, and stays remembered.

    :param hook: with the connection.
    :param endpoint: where they were submitted.
    :param running: the documents whose jobs are at the service.
    :param forget: is told those whose jobs are cancelled.
    :param within: seconds for all of it.
    :returns: the ids of the jobs that were cancelled, or have ended: there is nothing left to ask them.
    """
    deadline = time.time() + within

    def cancel(document: BatchDocument) -> bool | None:
        ocr_task_id = document.ocr_task_id or ""
        try:
            if hook.cancel_unless_ended(endpoint, ocr_task_id, deadline=deadline):
                return True
        except AsposeOcrError as error:
            log.warning(
                "%s job %s is not cancelled and goes on at the service: the next try, also one after a clear, fetches "
                "its result, and nothing is billed again. %s: %s",
                endpoint.name,
                ocr_task_id,
                printable(document.image),
                error,
            )
            return None
        log.info("%s job %s has ended and is not cancelled: the next try fetches it.", endpoint.name, ocr_task_id)
        return False

    with ThreadPoolExecutor(min(len(running), _THREADS)) as executor:
        outcomes = list(zip(running, executor.map(cancel, running), strict=True))
    cancelled = [document for document, outcome in outcomes if outcome]
    log.info("%d of %d jobs are cancelled.", len(cancelled), len(running))
    try:
        forget([document.afresh() for document in cancelled])
    except Exception as error:  # noqa: BLE001 - after a clear, the old try has no store any more
        log.warning(
            "The cancelled jobs could not be forgotten (%s): the next try finds that they are gone.",
            type(error).__name__,
        )
    return {document.ocr_task_id or "" for document, outcome in outcomes if outcome is not None}
