"""Batches, what they leave behind, and a store that counts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_asposeocr.operators.batch import AsposeOcrBatchOperator
from airflow_provider_asposeocr.triggers.batch import AsposeOcrBatchTrigger
from tests.unit.task_stubs import Clock, MemoryStore


def task_instance(max_tries: int = 2, run_id: str = "run", task_id: str = "batch", map_index: int = -1) -> Any:
    return SimpleNamespace(max_tries=max_tries, dag_id="dag", task_id=task_id, run_id=run_id, map_index=map_index)


def batch(images: Any, outbox: Path, **kwargs: Any) -> AsposeOcrBatchOperator:
    made = AsposeOcrBatchOperator(
        task_id="batch",
        **{
            "images": images if isinstance(images, list | dict) else str(images),
            "output_path": str(outbox),
            "poll_interval": 0.02,
            "poll_interval_max": 0.05,
            **kwargs,
        },
    )
    made.doubt_patience = 0.1
    return made


def manifest(outbox: Path) -> dict[str, dict[str, Any]]:
    lines = [json.loads(line) for line in (outbox / "manifest.jsonl").read_text().splitlines()]
    assert len({line["image"] for line in lines}) == len(lines)
    return {line["image"]: line for line in lines}


def texts(outbox: Path) -> dict[str, str]:
    return {str(path.relative_to(outbox)): path.read_text() for path in sorted(outbox.rglob("*.txt"))}


class StrictStore(MemoryStore):
    """Takes plain JSON only, as Airflow's, can be out of order, and counts."""

    def __init__(self) -> None:
        super().__init__()
        self.broken_for: str | None = None
        """A regular expression: what it is found in is not kept."""
        self.writes = 0

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        assert value == json.loads(json.dumps(value))
        assert_plain(value)
        if self.broken_for and re.search(self.broken_for, json.dumps(value)):
            raise RuntimeError("the API server is away")
        self.writes += 1
        super().set(key, json.loads(json.dumps(value)), retention=retention)

    def documents(self) -> dict[str, dict[str, Any]]:
        """What is on its way, by folder and name."""
        shards = [value for key, value in self.kept.items() if key != "aspose_ocr_batch"]
        return {
            Path(kept["image"]).parent.name + "/" + Path(kept["image"]).name: kept
            for shard in shards
            for kept in shard.values()
        }


def assert_plain(value: Any) -> None:
    assert type(value) in (dict, list, str, int, float, bool, type(None))
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        assert_plain(part)


WORDS = ("Apple", "Bread", "Chair")


ALL = {f"{year}/{number}.txt": f"{WORDS[number]}{year}" for year in ("2023", "2024") for number in range(3)}


def event_of_batch(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Run the trigger as a triggerer does, at once, and return its event's payload."""

    async def first() -> Any:
        async for event in AsposeOcrBatchTrigger(**kwargs).run():
            return event.payload
        return None

    payload = asyncio.run(first())
    assert isinstance(payload, dict)
    return payload


def woken(operator: AsposeOcrBatchOperator, context: Any, event: dict[str, Any]) -> Any:
    return operator.execute_complete(context, event)


def deferred_by(operator: AsposeOcrBatchOperator, context: Any) -> Any:
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context)
    return deferred.value.trigger


def to_the_end(make: Callable[[], AsposeOcrBatchOperator], context: Any, trigger: Any, clock: Clock) -> Any:
    """Wake a deferred batch until it is done, two minutes at a time, and return its XCom."""
    return to_the_last_event(make, context, trigger, clock)[0]


def to_the_last_event(
    make: Callable[[], AsposeOcrBatchOperator], context: Any, trigger: Any, clock: Clock
) -> tuple[Any, dict[str, Any]]:
    """The same, and return the event that woke it last, too."""
    for _ in range(200):
        clock.now += 120
        event = event_of_batch(trigger.serialize()[1])
        try:
            return woken(make(), context, event), event
        except TaskDeferred as again:
            trigger = again.trigger
    raise AssertionError("not finished after 200 wakes")


@contextlib.contextmanager
def ticking(clock: Clock) -> Iterator[None]:
    """A clock that goes on: two minutes in a tenth of a second."""
    done = threading.Event()

    def tick() -> None:
        while not done.wait(0.1):
            clock.now += 120

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


DEFERRED: dict[str, Any] = {"deferrable": True, "defer_after": 0.1}
