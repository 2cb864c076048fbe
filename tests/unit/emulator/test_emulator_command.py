"""The command: what it prints, what it refuses, how it ends."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from airflow_provider_asposeocr.emulator.__main__ import main

MODULE = [sys.executable, "-m", "airflow_provider_asposeocr.emulator"]


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with subprocess.Popen(
        [*MODULE, "--port", "0", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://\S+", line)
            assert found, line
            yield process, found[0]
        finally:
            process.kill()


@pytest.mark.parametrize("stopping", [signal.SIGTERM, signal.SIGINT])
def test_serves_with_options_and_stops_when_told(stopping):
    with running("--client-id", "me", "--client-secret", "mine", "--token-lifetime", "77") as (process, url):
        assert url.startswith("http://127.0.0.1:")
        form = {"grant_type": "client_credentials", "client_id": "me", "client_secret": "mine"}
        assert requests.post(f"{url}/connect/token", data=form, timeout=10).json()["expires_in"] == 77
        form["client_secret"] = "yours"
        assert requests.post(f"{url}/connect/token", data=form, timeout=10).status_code == 400
        process.send_signal(stopping)
        output, errors = process.communicate(timeout=20)
        assert (process.returncode, output, errors) == (0, "", "")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "ocr.example.com"])
def test_refuses_a_host_other_machines_can_reach(host, capsys):
    assert main(["--host", host, "--port", "0"]) == 2
    assert "--allow-remote" in capsys.readouterr().err


def test_says_when_the_port_is_taken(capsys):
    with running() as (_, url):
        assert main(["--port", url.rpartition(":")[2]]) == 1
    assert "cannot listen on 127.0.0.1" in capsys.readouterr().err


def test_says_how_to_install_what_is_missing(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "airflow_provider_asposeocr.emulator.server", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main([]) == 1
    assert "pip install 'airflow-provider-asposeocr[emulator]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--latency", "-1"],
        ["--latency", "nan"],
        ["--workers", "0"],
        ["--port", "x"],
        ["--port", "99999"],
        ["--port", "-1"],
    ],
)
def test_refuses_impossible_numbers(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_an_impossible_port_is_one_clear_line(capsys):
    """A port that there is not is named with those there are, without a traceback."""
    with pytest.raises(SystemExit):
        main(["--port", "99999"])
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert "must be 0 to 65535, got 99999" in last


def test_help_names_the_connection_and_the_paths_of_its_own(capsys):
    """The help is enough to use it: a connection, and what it answers besides the service's paths."""
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    shown = capsys.readouterr().out
    assert caught.value.code == 0
    for what in ("AIRFLOW_CONN_ASPOSE_OCR_DEFAULT", "/emulator/calls", "/emulator/faults", "--max-body"):
        assert what in shown


def test_version(capsys):
    """The version of the package is the emulator's."""
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("aspose-ocr-emulator ")


def test_importing_the_package_loads_none_of_what_it_needs():
    program = (
        "import sys, airflow_provider_asposeocr.emulator;"
        "print([name for name in ('fastapi', 'uvicorn', 'PIL', 'cv2', 'rapidocr', 'airflow') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[]"
