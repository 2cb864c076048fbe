"""The public names as a user's type checker sees them: what each returns, and which arguments it refuses."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

USE = """
from datetime import timedelta
from pathlib import Path
from typing import Any, assert_type

from airflow.providers.common.compat.sdk import RetryDecision, XComArg

from airflow_provider_asposeocr.api.results import OcrTask
from airflow_provider_asposeocr.decorators.aspose_ocr import aspose_ocr_task
from airflow_provider_asposeocr.emulator import CallReport, EmulatorServer, JobSummary
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrAsyncHook, AsposeOcrHook
from airflow_provider_asposeocr.operators.aspose_ocr import (
    AsposeOcrDetectRegionsOperator,
    AsposeOcrRecognizeImageOperator,
    AsposeOcrRecognizeRegionsOperator,
)
from airflow_provider_asposeocr.operators.batch import AsposeOcrBatchOperator
from airflow_provider_asposeocr.retry_policy import AsposeOcrRetryPolicy
from airflow_provider_asposeocr.sensors.aspose_ocr import AsposeOcrTaskSensor
from airflow_provider_asposeocr.triggers.aspose_ocr import AsposeOcrTaskTrigger


def synchronously(hook: AsposeOcrHook) -> None:
    assert_type(hook.submit("RecognizeImage", "scan.png", {"language": "German"}), str)
    assert_type(hook.get_task("RecognizeImage", "id"), OcrTask)
    assert_type(hook.get_status("RecognizeImage", "id"), OcrTask)
    assert_type(hook.wait("RecognizeImage", "id", timeout=60), OcrTask)
    assert_type(hook.cancel("RecognizeImage", "id"), None)
    assert_type(hook.test_connection(), tuple[bool, str])
    assert_type(hook.get_task("RecognizeImage", "id").text, str | None)


async def asynchronously() -> None:
    async with AsposeOcrAsyncHook("mine") as hook:
        assert_type(hook, AsposeOcrAsyncHook)
        assert_type(await hook.submit("RecognizeImage", "scan.png", {"language": "German"}), str)
        assert_type(await hook.get_task("RecognizeImage", "id"), OcrTask)
        assert_type(await hook.get_status("RecognizeImage", "id"), OcrTask)
        assert_type(await hook.wait("RecognizeImage", "id", timeout=60), OcrTask)
        assert_type(await hook.cancel("RecognizeImage", "id"), None)
        assert_type(await hook.test_connection(), tuple[bool, str])


def tasks(context: Any) -> None:
    image = AsposeOcrRecognizeImageOperator(
        task_id="image", image="scan.png", trial=True, deferrable=True, timeout=timedelta(minutes=5)
    )
    assert_type(image, AsposeOcrRecognizeImageOperator)
    assert_type(image.execute(context), dict[str, Any])
    detect = AsposeOcrDetectRegionsOperator(task_id="detect", image="scan.png", settings={"rotate": 90})
    assert_type(detect, AsposeOcrDetectRegionsOperator)
    regions = AsposeOcrRecognizeRegionsOperator(task_id="regions", image="scan.png", regions=[[0, 0, 9, 9]])
    assert_type(regions, AsposeOcrRecognizeRegionsOperator)
    batch = AsposeOcrBatchOperator(task_id="batch", images=["a.png"], output_path="out", on_error="skip")
    assert_type(batch, AsposeOcrBatchOperator)
    assert_type(batch.execute(context), dict[str, Any])
    sensor = AsposeOcrTaskSensor(task_id="sensor", ocr_task_id=image.output, poke_interval=timedelta(seconds=5))
    assert_type(sensor, AsposeOcrTaskSensor)


@aspose_ocr_task
def bare(name: str) -> str:
    return name


@aspose_ocr_task(endpoint="RecognizeReceipt", deferrable=True, task_id="receipts", retries=2)
def receipt(name: str, page: int = 0) -> Path:
    return Path(name)


@aspose_ocr_task(endpoint="RecognizeRegions")
def regions(name: str) -> dict[str, Any]:
    return {"image": name, "regions": [[0, 0, 9, 9]]}


def functions() -> None:
    assert_type(bare("scan.png"), XComArg)
    assert_type(receipt.override(task_id="again")(name="scan.png", page=2), XComArg)
    assert_type(receipt.function("scan.png"), Path)
    assert_type(regions.partial().expand(name=["a.png", "b.png"]), XComArg)


def policy() -> None:
    policy = AsposeOcrRetryPolicy(delay=timedelta(seconds=5), resubmit_failed_jobs=True)
    assert_type(policy.evaluate(ValueError(), 1, 3), RetryDecision)
    assert_type(AsposeOcrRetryPolicy.deserialize(policy.serialize()), AsposeOcrRetryPolicy)


def trigger(trigger: AsposeOcrTaskTrigger) -> None:
    assert_type(trigger.serialize(), tuple[str, dict[str, Any]])


def emulator() -> None:
    with EmulatorServer(latency=0, client_id="me", client_secret="mine") as server:
        assert_type(server, EmulatorServer)
        assert_type(server.url, str)
        assert_type(server.calls(), CallReport)
        assert_type(server.jobs(), list[JobSummary])
"""

MISUSE = """
from datetime import timedelta

from airflow_provider_asposeocr.api.results import OcrTask
from airflow_provider_asposeocr.decorators.aspose_ocr import aspose_ocr_task
from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrAsyncHook, AsposeOcrHook
from airflow_provider_asposeocr.operators.aspose_ocr import AsposeOcrRecognizeImageOperator
from airflow_provider_asposeocr.operators.batch import AsposeOcrBatchOperator
from airflow_provider_asposeocr.retry_policy import AsposeOcrRetryPolicy
from airflow_provider_asposeocr.sensors.aspose_ocr import AsposeOcrTaskSensor


async def misuse(hook: AsposeOcrHook, async_hook: AsposeOcrAsyncHook) -> None:
    hook.get_task("RecognizeImage", 5)  # arg-type
    hook.get_task("RecognizeImage")  # call-arg
    hook.wait("RecognizeImage", "id", timeout="soon")  # arg-type
    hook.submit(5, "scan.png")  # arg-type
    task: OcrTask = async_hook.get_task("RecognizeImage", "id")  # assignment
    async_hook.get_status("RecognizeImage", "id")  # unused-coroutine
    AsposeOcrRecognizeImageOperator(task_id="read", image="scan.png", trial="yes")  # arg-type
    AsposeOcrBatchOperator(task_id="batch", images=[], output_path="out", on_error="ignore")  # arg-type
    AsposeOcrTaskSensor(task_id="sensor")  # call-arg
    AsposeOcrRetryPolicy(delay=30)  # arg-type
    EmulatorServer(latency="long")  # arg-type


@aspose_ocr_task  # type-var
def returns_no_document(name: str) -> int:
    return len(name)


@aspose_ocr_task(endpoint="RecognizeImage")
def scan(name: str) -> str:
    return name


scan(5)  # arg-type
aspose_ocr_task(endpoint="ReadMinds")  # call-overload
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[int, str]]]:
    """What mypy says of both snippets: number of the line and code of the error, by the name of the file."""
    pytest.importorskip("mypy")
    folder = tmp_path_factory.mktemp("snippets")
    snippets = {"use.py": USE, "misuse.py": MISUSE}
    for name, text in snippets.items():
        (folder / name).write_text(text)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-pretty", "--no-error-summary"]
    # With the project's cache, as `make lint` leaves it: without one it takes ten times as long.
    options = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache")]
    done = subprocess.run(
        [*command, *options, *(str(folder / name) for name in snippets)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    print(done.stdout)
    found = re.findall(r"^.*?(\w+\.py):(\d+):(?:\d+:)? error: .*\[([\w-]+)\]$", done.stdout, re.MULTILINE)
    return {name: [(int(line), code) for file, line, code in found if file == name] for name in snippets}


def test_every_public_name_has_the_type_that_is_documented(said: dict[str, list[tuple[int, str]]]) -> None:
    assert said["use.py"] == []


def test_wrong_arguments_are_reported(said: dict[str, list[tuple[int, str]]]) -> None:
    """Each at its line, and nothing else: neither hook lets a wrong argument through."""
    lines = enumerate(MISUSE.splitlines(), 1)
    expected = [(number, line.partition("  # ")[2]) for number, line in lines if "  # " in line]
    assert len(expected) == 14
    assert said["misuse.py"] == expected
