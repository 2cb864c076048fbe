"""What a new endpoint of the service costs: one row, one line of an operator, and one row of the emulator."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from airflow_provider_asposeocr.api.answers import ResultEntry
from airflow_provider_asposeocr.api.endpoints import Endpoint, ResultShape
from airflow_provider_asposeocr.api.polling import PollSchedule
from airflow_provider_asposeocr.api.settings import DetectionSettings
from airflow_provider_asposeocr.api.tokens import forget_tokens
from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.emulator.jobs import Outcome
from airflow_provider_asposeocr.emulator.work import EmulatedEndpoint
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrHook

STAMP = Endpoint("RecognizeStamp", DetectionSettings, ResultShape.ENTRIES, sources=("a page of the vendor's",))


def read_stamp(_reader: Any, data: bytes, _settings: Any) -> Outcome:
    return Outcome([ResultEntry(type="Text", data=base64.b64encode(b"%d bytes" % len(data)).decode())])


def test_a_new_endpoint_is_a_row(define_connection: Any, letter: str) -> None:
    """With its row alone, a document is checked, sent, waited for and its result read."""
    forget_tokens()
    with EmulatorServer(endpoints=[EmulatedEndpoint(STAMP, read_stamp)]) as emulator:
        define_connection(host=emulator.url, login="any", password="any-secret")
        hook = AsposeOcrHook()
        ocr_task_id = hook.submit(STAMP, letter, {"language": "de"})
        task = hook.wait(STAMP, ocr_task_id, schedule=PollSchedule(0.02))
        assert task.text == f"{Path(letter).stat().st_size} bytes"
        assert emulator.calls().count("POST", "RecognizeStamp") == 1
