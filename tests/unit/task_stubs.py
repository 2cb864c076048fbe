"""Stand-ins for what Airflow gives a task: a task state store, a clock, a triggerer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

from airflow_provider_asposeocr.triggers.aspose_ocr import AsposeOcrTaskTrigger


class MemoryStore:
    """A task state store in memory, as strict as Airflow's about values."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return self.kept.get(key, default)

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        if value is None:
            raise ValueError("None cannot be kept")
        if repr(json.loads(json.dumps(value))) != repr(value):
            raise ValueError(f"not plain JSON: {value!r}")
        self.kept[key] = value

    def delete(self, key: str) -> None:
        self.kept.pop(key, None)


class Clock:
    """A clock that tests turn forward."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@contextlib.contextmanager
def killed_once(happened: Callable[[], object], operator: Any) -> Iterator[None]:
    """Tell a task to end, from another thread, once something has happened."""
    over = threading.Event()

    def kill() -> None:
        while not happened():
            if over.wait(0.005):
                return
        operator.on_kill()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield
    finally:
        over.set()
        killer.join()


def event_of(trigger: AsposeOcrTaskTrigger) -> dict[str, Any]:
    """Run a trigger as a triggerer does, from its serialized form, and return its event's payload."""
    path, kwargs = trigger.serialize()
    assert path == "airflow_provider_asposeocr.triggers.aspose_ocr.AsposeOcrTaskTrigger"

    async def first() -> Any:
        async for event in AsposeOcrTaskTrigger(**kwargs).run():
            return event.payload
        return None

    payload = asyncio.run(first())
    assert isinstance(payload, dict)
    return payload
