"""An operator that asks often."""

from __future__ import annotations

from typing import Any

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.operators.aspose_ocr import (
    AsposeOcrRecognizeImageOperator,
)

QUICK: dict[str, Any] = {"poll_interval": 0.02, "poll_interval_max": 0.05}


def polls(emulator: EmulatorServer) -> int:
    return emulator.calls().count("GET", "RecognizeImage")


def recognize(image: Any, **kwargs: Any) -> AsposeOcrRecognizeImageOperator:
    operator = AsposeOcrRecognizeImageOperator(task_id="recognize", image=image, **{**QUICK, **kwargs})
    operator.doubt_patience = 0.1
    return operator
