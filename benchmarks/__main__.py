"""``python -m benchmarks [names...] [--quick] [--json FILE] [--markdown FILE]``."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.report import Topic, as_json, markdown

RESULTS = Path(__file__).parent / "results"
NAMES = (
    "uploads",
    "downloads",
    "polling",
    "waiting_jobs",
    "batches",
    "simulated_batches",
    "imports",
    "large_files",
    "running_airflow",
)
"""The modules of this package that have a ``run(quick)``."""
_PACKAGES = ("apache-airflow", "aspose-ocr-cloud", "requests", "aiohttp", "pybase64", "apache-airflow-providers-http")


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Measure, print the report and write it down.

    :param arguments: of the command line.
    :returns: 0; with ``--check`` 1 where a goal is missed.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What this provider costs.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"what to measure; all by default: {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="small sizes and few runs: to try it out")
    parser.add_argument("--json", type=Path, default=RESULTS / "results.json", help="where to write the figures")
    parser.add_argument("--markdown", type=Path, default=RESULTS / "results.md", help="where to write the report")
    parser.add_argument("--check", action="store_true", help="fail where a goal is missed")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    topics: list[Topic] = []
    for name in options.names or NAMES:
        print(f"Measuring {name} ...", file=sys.stderr, flush=True)
        topics.append(importlib.import_module(f"benchmarks.{name}").run(options.quick))
    where = machine(options.quick)
    for path, text in ((options.json, as_json(topics, where)), (options.markdown, markdown(topics, where))):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    print(markdown(topics, where))
    missed = [goal for topic in topics for goal in topic.goals if goal.reached is False]
    for goal in missed:
        print(f"MISSED: {goal.what}: {goal.measured}, the goal is {goal.goal}")
    print(f"{len(missed)} goals are missed." if missed else "No goal is missed.")
    return 1 if missed and options.check else 0


def machine(quick: bool) -> str:
    """
    Say where and with what was measured.

    :param quick: whether it was a trial run.
    """
    load = os.getloadavg()[0]
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    size = " Small sizes and few runs (`--quick`)." if quick else ""
    return (
        f"{os.cpu_count()} cores, load {load:.1f}, Python {platform.python_version()}, {packages}. "
        f"Loopback; medians.{size} Absolute times differ from machine to machine: compare within one run."
    )


if __name__ == "__main__":
    sys.exit(main())
