"""The largest files: by how much the resident memory of a process grows that sends or fetches one."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks import downloads, uploads
from benchmarks.documents import write_document
from benchmarks.measuring import MB, cost_of, in_fresh_process
from benchmarks.report import Goal, Table, Topic, number
from benchmarks.servers import LocalService

MAX_GROWTH_MIB = 8.0


def upload(size: int) -> dict[str, float]:
    """
    Submit one document from a file, and return what it cost.

    :param size: in bytes.
    """
    with tempfile.TemporaryDirectory(prefix="aspose-ocr-bench-") as folder, LocalService() as service:
        return in_fresh_process(  # type: ignore[no-any-return]
            uploads.measure,
            service_url=service.url,
            url=service.url,
            way=uploads.OURS,
            document=str(write_document(Path(folder) / "large.png", size)),
            small_document=str(write_document(Path(folder) / "small.png", 100_000)),
            runs=1,
        )


def download(size: int) -> dict[str, float]:
    """
    Fetch one result into a file, and return what it cost.

    :param size: in bytes.
    """
    with LocalService() as service:
        return in_fresh_process(  # type: ignore[no-any-return]
            downloads.measure, service_url=service.url, url=service.url, way=downloads.OURS, size=size, runs=1
        )


def hold(size: int) -> dict[str, float]:
    """
    Hold so many bytes in memory, and return what the measure makes of it.

    :param size: in bytes.
    """
    return in_fresh_process(_hold, size=size)  # type: ignore[no-any-return]


def _hold(size: int) -> dict[str, float]:
    return cost_of(lambda: b"x" * size, lambda: b"x" * 1000, runs=1)


def run(quick: bool) -> Topic:
    """
    Send one and fetch one.

    :param quick: smaller ones.
    """
    sent, fetched = (64, 32) if quick else (1000, 500)
    costs = {
        f"upload of {sent} MB": upload(sent * MB),
        f"result of {fetched} MB into a file": download(fetched * MB),
    }
    goals = [
        Goal(
            f"memory growth, {what}",
            f"< {MAX_GROWTH_MIB:g} MiB",
            f"{number(cost['peak_mib'])} MiB",
            "-",
            cost["peak_mib"] < MAX_GROWTH_MIB,
        )
        for what, cost in costs.items()
    ]
    table = Table(
        "Large files, ours",
        ("what", "growth MiB", "CPU s", "seconds"),
        [(what, cost["peak_mib"], cost["cpu_s"], cost["wall_s"]) for what, cost in costs.items()],
    )
    return Topic("Large files", goals, [table])
