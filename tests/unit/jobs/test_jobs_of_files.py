"""Jobs that make a file, or have no document of their own, are gone on with as those of images are."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from airflow_provider_asposeocr.operators.aspose_ocr import (
    AsposeOcrBinarizeImageOperator,
    AsposeOcrTextToSpeechOperator,
)
from tests.unit.operators.recognizing import QUICK


def speech(output_path: Any, text: str = "Hello.", **kwargs: Any) -> AsposeOcrTextToSpeechOperator:
    operator = AsposeOcrTextToSpeechOperator(task_id="speak", text=text, output_path=output_path, **{**QUICK, **kwargs})
    operator.doubt_patience = 0.1
    return operator


@pytest.mark.usefixtures("connection")
def test_a_cleared_task_replaces_the_image_that_it_made(
    emulator: EmulatorServer, context: Any, letter: str, tmp_path: Path
) -> None:
    """A clear is no new bill: the image is fetched again, over the task's own file."""

    def binarize() -> dict[str, Any]:
        operator = AsposeOcrBinarizeImageOperator(task_id="black", image=letter, output_path=f"{tmp_path}/", **QUICK)
        operator.doubt_patience = 0.1
        return operator.execute(context)

    first = binarize()
    Path(first["file"].removeprefix("file://")).write_bytes(b"edited by hand")
    context["ti"] = SimpleNamespace(max_tries=context["ti"].max_tries + 3)
    assert {**binarize(), "cost": first["cost"]} == first
    assert emulator.calls().accepted == 1


@pytest.mark.usefixtures("connection")
def test_a_retry_fetches_the_sound_of_the_try_before(emulator: EmulatorServer, context: Any, tmp_path: Path) -> None:
    """A text that was submitted before is not submitted again by a retry; another text is."""
    with pytest.raises(TaskDeferred):
        speech(f"{tmp_path}/", deferrable=True, defer_after=0).execute(context)
    delivered = speech(f"{tmp_path}/").execute(context)
    assert Path(delivered["file"]).name.startswith("speech-")
    assert emulator.calls().accepted == 1
    speech(f"{tmp_path}/", "Good bye.").execute(context)
    assert emulator.calls().accepted == 2


@pytest.mark.usefixtures("connection")
def test_a_worker_that_has_not_seen_the_text_delivers(context: Any, tmp_path: Path) -> None:
    """After a deferral another process delivers, to the name that the text has."""
    with pytest.raises(TaskDeferred) as deferral:
        speech(f"{tmp_path}/", deferrable=True, defer_after=0).execute(context)
    trigger: Any = deferral.value.trigger
    event = {
        "endpoint": trigger.endpoint,
        "ocr_task_id": trigger.ocr_task_id,
        "status": "Completed",
        "started_at": 0.0,
    }
    delivered = speech(f"{tmp_path}/").execute_complete(context, event)
    again = speech(f"{tmp_path}/").execute(context)
    assert delivered["file"] == again["file"]


@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize("nothing", [None, "", "None"])
def test_a_sound_without_a_place_is_refused(emulator: EmulatorServer, context: Any, nothing: str | None) -> None:
    """Where the template of the place rendered to nothing, the text is not sent."""
    with pytest.raises(AsposeOcrInputError, match="set output_path"):
        speech(nothing).execute(context)
    assert emulator.calls().accepted == 0
