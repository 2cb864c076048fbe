"""Bad input of the operators: refused before anything is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrInputError,
)
from airflow_provider_asposeocr.operators.aspose_ocr import (
    AsposeOcrRecognizeRegionsOperator,
)
from tests.unit.operators.recognizing import recognize


class TestBadInput:
    @pytest.fixture(autouse=True)
    def _nothing_was_sent(self, connection: str, emulator: EmulatorServer) -> Any:
        yield
        assert emulator.calls().total == 0
        assert emulator.calls().token_calls == 0

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            ({"image": "/no/such/file.png"}, "There is no file /no/such/file.png"),
            ({"settings": {"langage": "German"}}, "did you mean 'language'"),
            ({"settings": {"resultType": "Word"}}, "allowed: Text, Pdf"),
            ({"settings": {"result_type": "Pdf"}}, "set output_path"),
            ({"settings": {"result_type": "ImagePNG"}}, "set output_path"),
            ({"aspose_ocr_conn_id": "nowhere"}, "'nowhere' is not defined"),
            ({"poll_interval": 0}, "poll_interval must be over 0"),
            ({"poll_interval": 20, "poll_interval_max": 10}, "poll_interval_max"),
            ({"poll_backoff": 0.5}, "poll_backoff"),
        ],
    )
    def test_recognize_image(self, context: Any, letter: str, arguments: dict[str, Any], says: str) -> None:
        """Bad arguments fail the task at once, and are named."""
        with pytest.raises(AsposeOcrInputError, match="(?s)" + says.replace("(", r"\(")) as raised:
            recognize(**{"image": letter, **arguments}).execute(context)
        assert isinstance(raised.value, AirflowFailException)

    @pytest.mark.parametrize(
        ("content", "says"), [(b"", "is empty"), (b"just text", "not an image"), (b"%PDF-1.7", "a PDF file")]
    )
    def test_files_that_are_no_images(self, context: Any, tmp_path: Path, content: bytes, says: str) -> None:
        """Files that are no images are refused."""
        image = tmp_path / "scan.png"
        image.write_bytes(content)
        with pytest.raises(AsposeOcrInputError, match=says):
            recognize(str(image)).execute(context)

    @pytest.mark.parametrize("most", ["9", None, -1, 1.5])
    def test_a_size_that_is_none_is_refused_when_the_dag_is_parsed(self, letter: str, most: Any) -> None:
        """Not when the result is to be delivered, which is paid for by then."""
        with pytest.raises(AsposeOcrInputError, match="max_xcom_bytes must be a whole number"):
            recognize(letter, max_xcom_bytes=most)

    @pytest.mark.parametrize(
        "name",
        [
            *("overwrite", "deferrable", "wait_for_completion", "cancel_on_kill", "durable", "preview", "as_documents"),
            *("resubmit_on_clear", "resubmit_on_ambiguity", "resubmit_failed_jobs"),
        ],
    )
    @pytest.mark.parametrize("value", ["False", "{{ params.again }}", None, 2])
    def test_a_switch_that_is_no_switch_is_refused_when_the_dag_is_parsed(
        self, letter: str, name: str, value: Any
    ) -> None:
        """A text counts as true, whatever it says: a document would be billed again, or a file replaced."""
        with pytest.raises(AsposeOcrInputError, match=f"^{name} must be True or False"):
            recognize(letter, **{name: value})

    @pytest.mark.parametrize(
        ("regions", "says"),
        [
            (None, "needs at least one region"),
            ([[10, 10, 5, 20]], "not right of"),
            ([[10, 9000, 20, 9999]], "outside the image"),
        ],
    )
    def test_regions(self, context: Any, letter: str, regions: Any, says: str) -> None:
        """Bad regions are refused."""
        with pytest.raises(AsposeOcrInputError, match=says):
            AsposeOcrRecognizeRegionsOperator(task_id="read", image=letter, regions=regions).execute(context)

    @pytest.mark.parametrize(
        "given", [{"regions": []}, {"regions": "[]"}, {"settings": {"regions": []}}, {"settings": '{"regions": []}'}]
    )
    def test_blank_page(self, context: Any, letter: str, given: Any) -> None:
        """Where no regions were detected, on a blank page, there is nothing to do: the task is skipped."""
        with pytest.raises(AirflowSkipException, match="no regions"):
            AsposeOcrRecognizeRegionsOperator(task_id="read", image=letter, **given).execute(context)

    def test_existing_file_of_another_job(self, context: Any, letter: str, tmp_path: Path) -> None:
        """The existing file of another job is not replaced."""
        (tmp_path / "01-apples.txt").write_text("precious")
        with pytest.raises(AsposeOcrInputError, match="overwrite=True"):
            recognize(letter, output_path=str(tmp_path)).execute(context)
        assert (tmp_path / "01-apples.txt").read_text() == "precious"
