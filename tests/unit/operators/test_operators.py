"""The operators against the emulator: what they return, and what Airflow makes of their arguments."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.operators.aspose_ocr import (
    AsposeOcrDetectRegionsOperator,
    AsposeOcrOperator,
    AsposeOcrRecognizeImageOperator,
    AsposeOcrRecognizeRegionsOperator,
)
from tests.unit.operators.recognizing import QUICK, recognize


class TestResults:
    def test_text(self, connection: str, emulator: EmulatorServer, context: Any, letter: str, letter_text: str) -> None:
        """The XCom holds the text, the job and the endpoint, as plain JSON."""
        xcom = recognize(letter).execute(context)
        assert xcom["text"] == letter_text
        assert xcom["results"] == [{"type": "Text", "text": letter_text}]
        assert xcom["endpoint"] == "RecognizeImage"
        assert xcom["warnings"] == []
        assert [job.id for job in emulator.jobs()] == [xcom["ocr_task_id"]]
        assert json.loads(json.dumps(xcom)) == xcom

    def test_each_part_is_an_xcom_of_its_own(self, letter: str) -> None:
        assert recognize(letter).multiple_outputs

    def test_trial_needs_no_credentials(
        self, emulator: EmulatorServer, define_connection: Callable[..., None], context: Any, letter: str
    ) -> None:
        define_connection(host=emulator.url, extra=json.dumps({"trial": True}))
        xcom = recognize(letter, trial=True).execute(context)
        assert "*" in xcom["text"]
        assert xcom["endpoint"] == "RecognizeImageTrial"
        assert emulator.calls().token_calls == 0

    def test_detect_then_recognize(self, connection: str, context: Any, scans: Path) -> None:
        """Detected regions are recognized to the text of the page."""
        image = str(scans / "two-columns.jpg")
        detected = AsposeOcrDetectRegionsOperator(task_id="detect", image=image, durable=False, **QUICK).execute(
            context
        )
        assert all(len(rectangle) == 4 for rectangle in detected["regions"])
        read = AsposeOcrRecognizeRegionsOperator(
            task_id="read", image=image, regions=detected["regions"], durable=False, **QUICK
        ).execute(context)
        expected = (scans / "expected" / "two-columns.txt").read_text().split()
        assert read["text"].split() == expected
        assert [region["rect"] for region in read["regions"]] == detected["regions"]
        assert "\n".join(region["text"] for region in read["regions"]) == read["text"]

    def test_regions_that_can_be_read_once_are_known_at_the_end_too(
        self, connection: str, context: Any, letter: str
    ) -> None:
        read = AsposeOcrRecognizeRegionsOperator(task_id="read", image=letter, regions=iter([[9, 9, 200, 90]]), **QUICK)
        assert [region["rect"] for region in read.execute(context)["regions"]] == [[9, 9, 200, 90]]

    def test_regions_come_in_the_order_the_caller_gave(self, connection: str, context: Any, scans: Path) -> None:
        whole, right, left = [0, 0, 1140, 230], [601, 232, 1073, 400], [85, 237, 559, 400]
        regions = [{"rect": right, "order": 5}, {"rect": left, "order": 1}, {"rect": whole, "order": 9}]
        xcom = AsposeOcrRecognizeRegionsOperator(
            task_id="read", image=str(scans / "two-columns.jpg"), regions=regions, **QUICK
        ).execute(context)
        assert [(region["order"], region["rect"]) for region in xcom["regions"]] == [(1, left), (5, right), (9, whole)]
        assert xcom["regions"][0]["text"].startswith("The lamp at the end")

    def test_binary_result_goes_to_its_file(self, connection: str, context: Any, letter: str, tmp_path: Path) -> None:
        xcom = recognize(letter, settings={"result_type": "TextAndPdf"}, output_path=f"{tmp_path}/").execute(context)
        pdf = tmp_path / "01-apples.pdf"
        assert pdf.read_bytes().startswith(b"%PDF-")
        assert [entry["type"] for entry in xcom["results"]] == ["Text", "Pdf"]
        assert xcom["results"][1] == {"type": "Pdf", "file": str(pdf)}
        assert (tmp_path / "01-apples.txt").read_text() == xcom["text"]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["01-apples.pdf", "01-apples.txt"]

    def test_large_text_stands_in_its_file_only(
        self, connection: str, context: Any, letter: str, tmp_path: Path
    ) -> None:
        xcom = recognize(letter, output_path=f"{tmp_path}/page.txt", max_xcom_bytes=10).execute(context)
        assert xcom["results"] == [{"type": "Text", "file": f"{tmp_path}/page.txt"}]
        assert xcom["text"] is None

    def test_warnings_are_returned_and_logged(
        self, connection: str, emulator: EmulatorServer, context: Any, letter: str, logged: Callable[[], str]
    ) -> None:
        emulator.add_faults(
            [{"kind": "warnings", "warnings": ["low contrast"], "messages": ["note"], "method": "POST"}]
        )
        xcom = recognize(letter).execute(context)
        assert xcom["warnings"] == ["low contrast", "note"]
        log = logged()
        assert "low contrast" in log
        assert xcom["text"] not in log

    def test_without_waiting(self, connection: str, emulator: EmulatorServer, context: Any, letter: str) -> None:
        """Without waiting, the XCom is what the sensor takes, for one call."""
        xcom = recognize(letter, wait_for_completion=False).execute(context)
        assert xcom == {"ocr_task_id": emulator.jobs()[0].id, "endpoint": "RecognizeImage"}
        assert emulator.calls().total == 1


class TestAirflow:
    def test_default_args_reach_every_parameter(self) -> None:
        with DAG("d", schedule=None, default_args={"poll_interval": 7, "aspose_ocr_conn_id": "mine", "durable": False}):
            operator = AsposeOcrDetectRegionsOperator(task_id="detect", image="x.png")
        assert (operator.waiting.schedule.interval, operator.aspose_ocr_conn_id, operator.durable) == (7, "mine", False)

    @pytest.mark.parametrize(
        "operator_class",
        [AsposeOcrRecognizeImageOperator, AsposeOcrDetectRegionsOperator, AsposeOcrRecognizeRegionsOperator],
    )
    def test_template_fields_are_attributes(self, operator_class: type[AsposeOcrOperator]) -> None:
        operator = operator_class(task_id="t", image="x.png")
        assert all(hasattr(operator, name) for name in operator.template_fields)

    def test_templates(self) -> None:
        """All templates are rendered."""
        operator = AsposeOcrRecognizeRegionsOperator(
            task_id="t",
            image="{{ folder }}/a.png",
            settings={"language": "{{ language }}"},
            regions="{{ regions }}",
            output_path="{{ folder }}/out",
        )
        operator.render_template_fields({"folder": "s3://b", "language": "German", "regions": "[[1,2,3,4]]"})  # type: ignore[arg-type]
        assert operator.image == "s3://b/a.png"
        assert operator.settings == {"language": "German"}
        assert operator.regions == "[[1,2,3,4]]"
        assert operator.output_path == "s3://b/out"
