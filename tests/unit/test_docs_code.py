"""Every Python block of the README and the guides runs, against the emulator."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_asposeocr.emulator import EmulatorServer
from tests.unit.doc_blocks import ONLY_PARSED, ROOT, DocBlock, python_blocks

BLOCKS = python_blocks()
RUNNABLE = [block for block in BLOCKS if not block.is_of_an_example and not block.is_of_tests]
# Packages that the guides compare with, or that only one Airflow line has.
FOREIGN = ("aspose_ocr_cloud", "airflow.sdk", "airflow.providers.http")


def _absent(block: DocBlock) -> str | None:
    """A module that a block needs and this environment does not have."""
    for module in FOREIGN:
        if f"{module}" in block.source and f"import {module}" in block.source.replace("from ", "import "):
            try:
                found = importlib.util.find_spec(module)
            except ModuleNotFoundError:
                found = None
            if found is None:
                return module
    return None


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What became of each block, all run in one Airflow of their own."""
    folder = tmp_path_factory.mktemp("guides")
    for kind in ("dags", "parsed", "scripts"):
        (folder / kind).mkdir()
    for block in RUNNABLE:
        if _absent(block) is None:
            program = block.program(folder / "data" / block.name)
            kind = "scripts" if "with DAG(" not in program else "parsed" if block.only_parsed else "dags"
            if kind == "scripts" and block.only_parsed:
                compile(program, block.name, "exec")
                continue
            (folder / kind / f"{block.name}.py").write_text(program)
    report = folder / "report.json"
    with EmulatorServer() as emulator:
        service = {"host": emulator.url, "login": "any", "password": "any-secret"}
        environment = {
            **os.environ,
            "AIRFLOW_HOME": str(folder / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
            "AIRFLOW_CONN_ASPOSE_OCR_DEFAULT": json.dumps({"conn_type": "aspose_ocr", **service}),
            "AIRFLOW_CONN_ASPOSE_OCR_HTTP": json.dumps({"conn_type": "http", "host": emulator.url}),
        }
        runner = Path(__file__).with_name("doc_runner.py")
        ended = subprocess.run(
            [sys.executable, str(runner), str(folder), str(report)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
    assert ended.returncode == 0, ended.stdout[-6000:]
    told: dict[str, str] = json.loads(report.read_text())
    texts = {str(file.read_text().split()) for file in (folder / "data").glob("docs_migration_*/texts/scan.txt")}
    return told | {"migration": "success" if len(texts) == 1 else "the programs of migration.md differ in their texts"}


@pytest.mark.parametrize("block", RUNNABLE, ids=lambda block: block.name)
def test_a_block_runs(block: DocBlock, outcomes: dict[str, str]) -> None:
    """A block with tasks is a DAG that succeeds, any other a program that raises nothing."""
    if module := _absent(block):
        pytest.skip(f"{module} is not installed beside this Airflow")
    if block.only_parsed and f"{block.name}.py" not in outcomes:
        return
    assert outcomes[f"{block.name}.py"] == "success"


def test_both_ways_of_a_migration_bring_the_same_text(outcomes: dict[str, str]) -> None:
    """The vendor's client, the HTTP provider's operators and ours write the same file."""
    assert outcomes["migration"] == "success"


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.is_of_tests], ids=lambda block: block.name)
def test_tests_of_the_guides_pass(block: DocBlock, tmp_path: Path) -> None:
    """What the guides show as a test passes, in a folder without our own fixtures."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_guide.py").write_text(
        block.program(tmp_path).replace('Path("example_dags', f'Path("{ROOT}/example_dags')
    )
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout


def test_most_blocks_are_run() -> None:
    """Each reason not to run a block is needed, and no block is a fragment that runs nowhere."""
    parsed = [block for block in RUNNABLE if block.only_parsed]
    assert len(BLOCKS) > 40
    assert len(parsed) <= len(BLOCKS) // 5
    for part in ONLY_PARSED:
        assert any(part in block.source for block in parsed), part
