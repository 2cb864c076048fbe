"""Airflow's look-up of a connection, which may fail as a database that is away, or an API server that is not well."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import BaseHook


class LookUps:
    """Counts the look-ups; the first of them fail as ``failures`` says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failures: list[Exception] = []
        self.count = 0
        self._real = BaseHook.get_connection
        monkeypatch.setattr(BaseHook, "get_connection", staticmethod(self._look_up))
        if hasattr(BaseHook, "aget_connection"):
            monkeypatch.setattr(BaseHook, "aget_connection", staticmethod(self._look_up_later))

    def _look_up(self, conn_id: str) -> Any:
        self.count += 1
        if self.failures:
            raise self.failures.pop(0)
        return self._real(conn_id)

    async def _look_up_later(self, conn_id: str) -> Any:
        await asyncio.sleep(0)
        return self._look_up(conn_id)
