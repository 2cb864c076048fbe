"""
A trigger and operators that leave traces in files, so that a test sees what Airflow called. DAGs import it from a
folder on PYTHONPATH, as they import a provider.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent


class WaitForFileTrigger(BaseTrigger):
    def __init__(self, file: str) -> None:
        super().__init__()
        self.file = file

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "harness_toys.WaitForFileTrigger", {"file": self.file}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        Path(self.file + ".waiting").touch()
        while not Path(self.file).exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.1)
        yield TriggerEvent("arrived")

    async def on_kill(self) -> None:
        Path(self.file + ".killed").touch()


class WaitForFileOperator(BaseOperator):
    """Waits in the triggerer until the file exists."""

    template_fields = ("file",)

    def __init__(self, file: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.file = file

    def execute(self, context: Any) -> None:
        self.defer(trigger=WaitForFileTrigger(self.file), method_name="resume")

    def resume(self, context: Any, event: Any) -> Any:
        return event


class SleepOnceOperator(BaseOperator):
    """Sleeps in its first try; ends at once in the next one."""

    template_fields = ("file",)

    def __init__(self, file: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.file = file

    def execute(self, context: Any) -> int:
        if context["ti"].try_number == 1:
            Path(self.file + ".sleeping").touch()
            time.sleep(300)
        return context["ti"].try_number

    def on_kill(self) -> None:
        Path(self.file + ".killed").touch()
