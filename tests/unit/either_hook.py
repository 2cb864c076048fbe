"""Both hooks behind one face, and a reader for the emulator that needs not read."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image

from airflow_provider_asposeocr.api.polling import PollSchedule
from airflow_provider_asposeocr.emulator import Fragment
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrAsyncHook, AsposeOcrHook

TEXT = "alpha beta"


FAST = PollSchedule(interval=0.01, backoff=1, interval_max=0.01, jitter=0)


class OneLineReader:
    """Finds the same line in every image."""

    def read(self, image: Image.Image) -> Sequence[Fragment]:
        return [Fragment(TEXT, 0.9, ((5.0, 5.0), (95.0, 5.0), (95.0, 25.0), (5.0, 25.0)))]


class AnyHook:
    """Either hook: the methods of the asynchronous one are run to their end. ``slept`` tells its waits."""

    def __init__(self, flavour: str, conn_id: str = "aspose_ocr_default", **arguments: Any) -> None:
        self.slept: list[float] = []
        if flavour == "requests":
            self.hook: Any = AsposeOcrHook(conn_id, sleep=self.slept.append, **arguments)
        else:
            self.hook = AsposeOcrAsyncHook(conn_id, sleep=self._sleep, **arguments)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.hook, name)

        def run(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            return asyncio.run(_finish(result)) if inspect.isawaitable(result) else result

        return run

    def wait(self, endpoint: str, ocr_task_id: str, **kwargs: Any) -> Any:
        """Wait, asking fast."""
        method = self.__getattr__("wait")
        return method(endpoint, ocr_task_id, **{"schedule": FAST, "timeout": 20, **kwargs})


async def _finish(awaitable: Any) -> Any:
    return await awaitable


def sha256(content: bytes) -> str:
    """As the emulator names an image."""
    return hashlib.sha256(content).hexdigest()
