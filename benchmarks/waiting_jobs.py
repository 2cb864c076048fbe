"""
A thousand jobs that wait in one event loop, as in a triggerer: CPU per poll, memory, tokens, connections.

The jobs come in one after the other within an interval, as tasks do; and once all in the same moment, as they do when a
triggerer starts anew. What triggers cost that do nothing but sleep is the floor: any provider's do; and for the CPU of
a poll, aiohttp alone, one session and one token in plain code.
"""

from __future__ import annotations

import asyncio
import gc
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from benchmarks.measuring import in_fresh_process, peak_memory, resident_mib
from benchmarks.report import Goal, Table, Topic, number
from benchmarks.servers import LocalService

MAX_CPU_OVER_AIOHTTP, MAX_MIB = 1.6, 5.0
OURS, FLOOR = "ours: AsposeOcrTaskTrigger.run()", "floor: triggers that only sleep"
AIOHTTP = "floor of a poll: aiohttp alone, one session"
PEER = "requests, one session, in sync_to_async"


def with_trigger(_url: str, interval: float) -> Callable[[str], Awaitable[None]]:
    """Our trigger."""
    from airflow_provider_asposeocr.triggers.aspose_ocr import AsposeOcrTaskTrigger

    async def follow(job: str) -> None:
        now = time.time()
        trigger = AsposeOcrTaskTrigger(
            ocr_task_id=job,
            endpoint="RecognizeImage",
            aspose_ocr_conn_id="aspose_ocr_default",
            started_at=now,
            next_poll_at=now,
            end_time=now + 3600,
            waiting={"poll_interval": interval, "poll_backoff": 1.0, "poll_interval_max": interval},
        )
        events = [event async for event in trigger.run()]
        assert [event.payload["status"] for event in events] == ["Completed"]

    return follow


def with_requests(url: str, interval: float) -> Callable[[str], Awaitable[None]]:
    """A trigger written over a synchronous client."""
    import requests
    from asgiref.sync import sync_to_async

    session = requests.Session()
    form = {"grant_type": "client_credentials", "client_id": "bench", "client_secret": "no secret"}
    token = session.post(f"{url}/connect/token", data=form, timeout=60).json()["access_token"]
    get = sync_to_async(session.get)

    async def follow(job: str) -> None:
        while True:
            answer = await get(
                f"{url}/v5.0/ocr/Utilities/GetTaskStatus",
                params={"id": job},
                headers={"Authorization": f"Bearer {token}"},
                timeout=60,
            )
            if answer.json()["taskStatus"] == "Completed":
                return
            await asyncio.sleep(interval)

    return follow


class BareAiohttp:
    """
    A loop that only polls: no errors, no retries, no token that ends.

    :param url: of the service.
    :param interval: seconds between two polls of a job.
    """

    def __init__(self, url: str, interval: float) -> None:
        self._url = url
        self._interval = interval
        self._session: Any = None
        self._headers: dict[str, str] = {}

    async def __call__(self, job: str) -> None:
        """Poll a job until it is completed."""
        if self._session is None:
            await self._begin()
        question = {"url": f"{self._url}/v5.0/ocr/Utilities/GetTaskStatus", "params": {"id": job}}
        while True:
            async with self._session.get(**question, headers=self._headers) as answer:
                if (await answer.json(content_type=None))["taskStatus"] == "Completed":
                    return
            await asyncio.sleep(self._interval)

    async def _begin(self) -> None:
        import aiohttp

        self._session = aiohttp.ClientSession()
        form = {"grant_type": "client_credentials", "client_id": "bench", "client_secret": "no secret"}
        async with self._session.post(f"{self._url}/connect/token", data=form) as answer:
            self._headers = {"Authorization": f"Bearer {(await answer.json())['access_token']}"}

    async def aclose(self) -> None:
        """End the session."""
        await self._session.close()


def sleeping(_url: str, interval: float) -> Callable[[str], Awaitable[None]]:
    """A trigger that asks nobody."""
    from airflow.triggers.base import BaseTrigger, TriggerEvent

    class SleepingTrigger(BaseTrigger):
        def __init__(self, job: str) -> None:
            super().__init__()
            self.job = job

        def serialize(self) -> tuple[str, dict[str, Any]]:
            return "SleepingTrigger", {"job": self.job}

        async def run(self) -> AsyncIterator[TriggerEvent]:
            await asyncio.sleep(2 * interval)
            yield TriggerEvent(self.job)

    async def follow(job: str) -> None:
        assert len([event async for event in SleepingTrigger(job).run()]) == 1

    return follow


WAYS: dict[str, Callable[[str, float], Callable[[str], Awaitable[None]]]] = {
    OURS: with_trigger,
    AIOHTTP: BareAiohttp,
    PEER: with_requests,
    FLOOR: sleeping,
}


def measure(url: str, way: str, jobs: int, interval: float, all_at_once: bool) -> dict[str, float]:
    """
    Measure one way, in this process.

    :param url: of the service.
    :param way: a name of :data:`WAYS`.
    :param jobs: how many wait at once.
    :param interval: seconds between two polls of a job.
    :param all_at_once: whether all come in the same moment, instead of one after the other within the interval.
    """
    import aiohttp

    sessions = 0
    original = aiohttp.ClientSession.__init__

    def counting(self: Any, *args: Any, **kwargs: Any) -> None:
        nonlocal sessions
        sessions += 1
        original(self, *args, **kwargs)

    async def come(position: int) -> None:
        if not all_at_once:
            await asyncio.sleep(interval * position / jobs)
        await follow(str(uuid.UUID(int=position)))

    async def everything() -> dict[str, float]:
        nonlocal sessions
        await follow(str(uuid.UUID(int=0)))
        gc.collect()
        base = resident_mib()
        sessions = 0
        with peak_memory() as peak:
            wall, cpu = time.perf_counter(), time.process_time()
            await asyncio.gather(*(come(position) for position in range(1, jobs + 1)))
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        if isinstance(follow, BareAiohttp):
            await follow.aclose()
        return {"cpu_s": cpu, "wall_s": wall, "peak_mib": peak[0] - base, "sessions": sessions}

    aiohttp.ClientSession.__init__ = counting  # type: ignore[method-assign]
    follow = WAYS[way](url, interval)
    return asyncio.run(everything())


def run(quick: bool) -> Topic:
    """
    Let the jobs wait.

    :param quick: fewer jobs and fewer polls.
    """
    jobs, polls, interval = (200, 5, 0.5) if quick else (1000, 20, 1.0)
    rows: list[list[str | float | int | None]] = []
    figures = {}
    for name, way, all_at_once in (
        (OURS, OURS, False),
        (f"{OURS}, all in one moment", OURS, True),
        (AIOHTTP, AIOHTTP, False),
        (PEER, PEER, False),
        (FLOOR, FLOOR, False),
    ):
        with LocalService(polls_per_job=polls) as service:
            found = in_fresh_process(
                measure,
                service_url=service.url,
                url=service.url,
                way=way,
                jobs=jobs,
                interval=interval,
                all_at_once=all_at_once,
            )
            asked = service.statistics()
        found["cpu_ms"] = found["cpu_s"] * 1000 / asked.polls if asked.polls else None
        found |= {"tokens": asked.tokens, "connections": asked.connections}
        figures[name] = found
        rows.append(
            [
                name,
                asked.polls,
                found["cpu_ms"],
                found["peak_mib"],
                found["tokens"],
                found["sessions"] if way == OURS else None,
                found["connections"],
                found["wall_s"],
            ]
        )
    ours, peer, bare = figures[OURS], figures[PEER], figures[AIOHTTP]
    assert ours["cpu_ms"] is not None
    assert bare["cpu_ms"] is not None
    # Machines differ more than the ways do.
    over = ours["cpu_ms"] / bare["cpu_ms"]
    today = f"requests {number(peer['cpu_ms'])} ms, {number(peer['peak_mib'])} MiB"
    goal = Goal(
        f"{jobs} waiting jobs in one event loop: CPU per poll, memory, tokens, sessions",
        f"<= {MAX_CPU_OVER_AIOHTTP:g} x aiohttp alone, <= {MAX_MIB:g} MiB, one, one",
        f"{over:.2f} x, {number(ours['cpu_ms'])} ms, {number(ours['peak_mib'])} MiB, {ours['tokens']}, "
        f"{ours['sessions']}",
        f"{today}; aiohttp alone {number(bare['cpu_ms'])} ms, {number(bare['peak_mib'])} MiB",
        over <= MAX_CPU_OVER_AIOHTTP and ours["peak_mib"] <= MAX_MIB and ours["tokens"] == ours["sessions"] == 1,
    )
    table = Table(
        f"{jobs} jobs, {polls} polls each, one every {interval:g} s",
        ("way", "polls", "CPU ms per poll", "peak MiB", "tokens", "sessions", "connections", "seconds"),
        rows,
    )
    notes = [
        f"A poll every {interval:g} s would take {(polls - 1) * interval:g} s; what is longer is a way that does not "
        "keep up. Tokens and connections are those of the whole process, with one job before as a warm-up."
    ]
    return Topic("Waiting jobs", [goal], [table], notes)
