"""The results of a batch, written while all else goes on; and what a storage that takes none means for all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec.structs import replace

from airflow_provider_asposeocr.api.results import OcrTask
from airflow_provider_asposeocr.batches.documents import BatchDocument
from airflow_provider_asposeocr.batches.ends import Ends
from airflow_provider_asposeocr.batches.plan import BatchPlan
from airflow_provider_asposeocr.batches.service import BatchService
from airflow_provider_asposeocr.exceptions import AsposeOcrError

_ATTEMPTS = 4
"""At one result, and results in a row that could not be written."""


class Deliveries:
    """
    Writes results.

    :param plan: what to do.
    :param service: does it.
    :param ends: notes what documents come to.
    :param is_killed: says whether the task was told to end.
    """

    def __init__(self, plan: BatchPlan, service: BatchService, ends: Ends, is_killed: Callable[[], bool]) -> None:
        self._plan = plan
        self._service = service
        self._ends = ends
        self._is_killed = is_killed
        self._underway = 0
        self._delayed = 0
        """Results that the storage did not take at once, and is asked again to."""
        self._given_up = 0
        """Results in a row that it did not take."""

    def keep_up_with(self, most: int) -> bool:
        """
        Say whether more may be paid for: results must not pile up, least of all where the storage does not take them.

        :param most: how many jobs there are at once.
        """
        return not self._delayed and self._underway < 2 * most

    async def deliver(self, document: BatchDocument, task: OcrTask) -> None:
        """
        Write the results of a completed job.

        :param document: whose it was.
        :param task: the job with its results.
        """
        self._underway += 1
        delayed = False
        try:
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    completed = await self._service.deliver(document, task)
                except Exception as error:  # noqa: BLE001 - a storage's own errors are many, and end one document only
                    failure = error if isinstance(error, AsposeOcrError) else None
                    failure = failure or AsposeOcrError(f"{type(error).__name__}: {error}")
                    if attempt == _ATTEMPTS or self._is_killed() or isinstance(error.__cause__, FileExistsError):
                        await self._give_up(document, failure)
                        return
                else:
                    break
                # Nothing more is paid for while results cannot be written.
                self._delayed += not delayed
                delayed = True
                await asyncio.sleep(self._plan.schedule.interval * 2 ** (attempt - 1))
        finally:
            self._underway -= 1
            self._delayed -= delayed
        self._given_up = 0
        now = self._service.now()
        await self._ends.settled(replace(completed, seconds=round(now - (document.submitted_at or now), 3)))

    async def _give_up(self, document: BatchDocument, failure: AsposeOcrError) -> None:
        self._given_up += 1
        if self._given_up >= _ATTEMPTS:
            self._ends.stop("results cannot be written")
        await self._ends.left_running(document, failure)
