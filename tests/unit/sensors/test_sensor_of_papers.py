"""The sensor brings what an endpoint's results stand for, as the operator of the endpoint does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

from airflow_provider_asposeocr.operators.aspose_ocr import AsposeOcrRecognizeTableOperator
from airflow_provider_asposeocr.sensors.aspose_ocr import AsposeOcrTaskSensor


@pytest.mark.usefixtures("connection")
def test_rows_of_a_table_that_another_task_submitted(context: Any, tmp_path: Path) -> None:
    """A table that one task submits and a sensor waits for comes as rows."""
    sheet = Image.new("RGB", (600, 150), "white")
    for x, y, text in ((30, 30, "Tea"), (400, 30, "6.85"), (30, 90, "Bread"), (400, 90, "4.20")):
        ImageDraw.Draw(sheet).text((x, y), text, fill="black", font=ImageFont.load_default(28))
    sheet.save(tmp_path / "table.png")
    submitted = AsposeOcrRecognizeTableOperator(
        task_id="submit",
        image=str(tmp_path / "table.png"),
        settings={"resultTypeTable": "Csv"},
        wait_for_completion=False,
        durable=False,
    ).execute(context)
    xcom = AsposeOcrTaskSensor(
        task_id="sense", endpoint=submitted["endpoint"], ocr_task_id=submitted["ocr_task_id"], poll_interval=0.02
    ).execute(context)
    found = xcom if isinstance(xcom, dict) else xcom.xcom_value  # type: ignore[union-attr]
    assert found["rows"] == [["Tea", "6.85"], ["Bread", "4.20"]]
