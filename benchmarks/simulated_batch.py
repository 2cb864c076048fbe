"""Batches against the simulated service, without Airflow and without a file of a document."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_asposeocr.api.checks import endpoint_named
from airflow_provider_asposeocr.api.waiting import Waiting
from airflow_provider_asposeocr.batches.beginning import frozen, gone_on_with, header_of
from airflow_provider_asposeocr.batches.deferring import standing, start_of, taken_up, trigger_for
from airflow_provider_asposeocr.batches.documents import BatchDocument
from airflow_provider_asposeocr.batches.manifest import Summary, write_manifest
from airflow_provider_asposeocr.batches.memory import BatchMemory
from airflow_provider_asposeocr.batches.plan import BatchPlan
from airflow_provider_asposeocr.batches.run import BatchRun
from airflow_provider_asposeocr.storage.documents import storage_path
from airflow_provider_asposeocr.triggers.batch import AsposeOcrBatchTrigger
from benchmarks.simulated_service import SimulatedService, simulated


class Store:
    """Airflow's task state store, in memory, as strict as that about values."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.bytes = 0

    def get(self, key: str, default: Any = None) -> Any:
        return self.kept.get(key, default)

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        text = json.dumps(value)
        self.bytes += len(text)
        self.kept[key] = json.loads(text)

    def delete(self, key: str) -> None:
        self.kept.pop(key, None)


@dataclass
class SimulatedBatch:
    """
    A batch that lives as long as the test, over all its tries.

    :param service: does the work.
    :param folder: for list, journal and manifest.
    :param documents: how many.
    :param at_once: jobs at the service.
    """

    service: SimulatedService
    folder: Path
    documents: int
    at_once: int = 16
    seconds: float = 0.0
    bound: float = 0.0
    bytes_written: int = 0
    summary: Summary | None = None

    def __post_init__(self) -> None:
        self.store = Store()

    def plan(self, **kwargs: Any) -> BatchPlan:
        return BatchPlan(
            endpoint=endpoint_named("RecognizeImage"),
            settings=None,
            regions=None,
            folder=storage_path(str(self.folder)),
            **{"max_concurrency": self.at_once, **kwargs},
        )

    def memory(self) -> BatchMemory:
        return BatchMemory(self.store, storage_path(str(self.folder)), "dag/batch/run/-1")

    def wake(self, header: Mapping[str, Any], pause_after: float = 5.0) -> BatchRun:
        """Go on after a deferral, as a woken worker does, until there is nothing to do again."""
        plan, memory = self.plan(), self.memory()
        memory.go_on(header)
        start = start_of(header)

        async def worked() -> BatchRun:
            run = BatchRun(plan, memory, start, began_at=header["began_at"], header=header)
            await run.run(self.service, pause_after)
            return run

        run = simulated(worked)
        self.bytes_written = memory.bytes_written
        return run

    def run_deferred(self, *, defer_after: float = 0.5, away: float = 0.0, **kwargs: Any) -> int:
        """
        Make a whole try that is deferred whenever that pays, with the trigger's own watching.

        :param defer_after: seconds.
        :param away: for how many seconds no worker is there at each deferral and at each wake.
        :returns: how often it was deferred.
        """
        plan, waiting = self.plan(**kwargs), Waiting(defer_after=defer_after)
        first = self.memory()
        start = frozen(self._documents(), first)

        async def worked() -> int:
            began = self.service.now()
            header: dict[str, Any] = dict(header_of(start, plan, began_at=began))
            first.keep_header(header)
            over: Sequence[str] = ()
            wakes = 0
            while True:
                memory = self.memory()
                header = memory.header() or {}
                memory.go_on(header)
                run = BatchRun(plan, memory, start_of(header), began_at=began, header=header, over=over)
                finished = await run.run(self.service, defer_after)
                memory.keep_header(standing(run, plan, start.total, self.service.now()))
                if finished:
                    break
                trigger, _ = trigger_for(run, plan, waiting, "", None, self.service.now())
                _, arguments = trigger.serialize()
                await asyncio.sleep(away)
                trigger, event = AsposeOcrBatchTrigger(**json.loads(json.dumps(arguments))), trigger.empty_event()
                await trigger.watch(self.service.status, self.service.now, event)
                await asyncio.sleep(away)
                event, over, wakes = json.loads(json.dumps(event)), event["ended"], wakes + 1
                memory.keep_header(taken_up(memory.header() or {}, event))
            self.seconds = self.service.now() - began
            assert run.progress.calls == self.service.polls
            return wakes

        wakes = simulated(worked)
        self.summary = write_manifest(self.memory_at_end(), start.total)
        return wakes

    def memory_at_end(self) -> BatchMemory:
        """What the batch remembers, as a new process finds it."""
        memory = self.memory()
        memory.go_on(memory.header() or {})
        return memory

    def _documents(self) -> Iterator[BatchDocument]:
        for number in range(self.documents):
            name = f"{number // 1000:03}/{number:06}"
            yield BatchDocument(f"/in/{name}.png", number=number, name=name)

    def run(self, *, pause_after: float | None = None, **kwargs: Any) -> BatchRun:
        """Make a whole try in a time of its own, and write the manifest."""
        plan, memory = self.plan(**kwargs), self.memory()
        header = memory.header()
        if header is None:
            start = frozen(self._documents(), memory)
        else:
            start = gone_on_with(header, plan, memory, cleared=False)

        async def worked() -> BatchRun:
            began = self.service.now()
            memory.keep_header(header_of(start, plan, began_at=began))
            run = BatchRun(plan, memory, start, began_at=began)
            run.finished = await run.run(self.service, pause_after)  # type: ignore[attr-defined]
            self.seconds = self.service.now() - began
            self.header = standing(run, plan, start.total, self.service.now())
            return run

        run = simulated(worked)
        self.bytes_written = memory.bytes_written
        self.summary = write_manifest(memory, start.total)
        self.service.epoch += self.seconds
        return run
