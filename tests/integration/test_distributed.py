"""``make distributed`` leaves nothing behind, however it ends. That nothing is lost is shown by its table."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.integration.waiting import wait_until

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


def processes_of(folder: Path) -> list[str]:
    """The processes that work in the folder, or were started with it in their command or environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            told = [process.cwd(), *process.cmdline(), *process.environ().values()]
            if process.status() != psutil.STATUS_ZOMBIE and any(str(folder) in each for each in told):
                found.append(" ".join(process.cmdline()))
    return found


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_it_is_interrupted(tmp_path: Path, sig: signal.Signals) -> None:
    """Its servers and their folders are gone soon after a signal, though its shell ignores SIGINT."""
    log = tmp_path / "log"
    (tmp_path / "tmp").mkdir()
    with log.open("w") as output:
        script = subprocess.Popen(
            [
                "sh",
                "-c",
                "trap '' INT; exec \"$@\"",
                "sh",
                sys.executable,
                "-m",
                "scripts.distributed",
                "--documents",
                "4",
            ],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until(lambda: "Starting PostgreSQL" in log.read_text() or script.poll() is not None, "it starts Airflow")
        assert len(processes_of(tmp_path)) > 2, log.read_text()
        script.send_signal(sig)
        assert script.wait(60) == (130 if sig is not signal.SIGKILL else -sig)
    finally:
        script.kill()
    wait_until(lambda: not processes_of(tmp_path), f"nothing is left of {processes_of(tmp_path)}", 30)
    wait_until(lambda: not list((tmp_path / "tmp").iterdir()), "no folder is left", 30)
