"""@task.aspose_ocr: what a function returns is read, and what is paid for is not paid for again."""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowSkipException,
    ObjectStoragePath,
    TaskDeferred,
    task,
)

from airflow_provider_asposeocr.api.endpoints import ENDPOINTS
from airflow_provider_asposeocr.api.settings import Region
from airflow_provider_asposeocr.decorators.aspose_ocr import EndpointName, aspose_ocr_task
from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import AsposeOcrDeliveryError, AsposeOcrInputError
from tests.unit.operators.recognizing import QUICK
from tests.unit.storage.outputs import QUIET
from tests.unit.task_stubs import Clock, event_of

pytestmark = QUIET


def decorated(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The operator of a decorated function that is called with these arguments."""
    options = {"task_id": "of_function", **QUICK, **kwargs}
    with DAG("of_functions", schedule=None):
        operator = aspose_ocr_task(**options)(function)(*args).operator
    operator.doubt_patience = 0.1
    return operator


def deferred(function: Callable[..., Any], context: Any, **kwargs: Any) -> TaskDeferred:
    """What a try that defers at once hands to Airflow."""
    with pytest.raises(TaskDeferred) as raised:
        decorated(function, deferrable=True, defer_after=0, **kwargs).execute(context)
    return raised.value


def fails() -> str:
    raise RuntimeError("the archive is not there")


class TestReturned:
    @pytest.mark.parametrize(
        "kind", [str, Path, ObjectStoragePath, lambda path: Path(path).read_bytes(), lambda path: {"image": path}]
    )
    def test_an_image_in_any_form(
        self, connection: str, context: Any, letter: str, letter_text: str, kind: Callable[[str], Any]
    ) -> None:
        """A path, a URI, an ObjectStoragePath, bytes, or a mapping of arguments becomes what the operator returns."""
        xcom = decorated(lambda: kind(letter)).execute(context)
        assert (xcom["text"], xcom["endpoint"]) == (letter_text, "RecognizeImage")

    def test_an_open_file(self, connection: str, context: Any, letter: str, letter_text: str) -> None:
        """A function may return an open file."""
        xcom = decorated(lambda: io.BytesIO(Path(letter).read_bytes())).execute(context)
        assert xcom["text"] == letter_text

    def test_arguments(self, connection: str, context: Any, letter: str, tmp_path: Path) -> None:
        """What the function returns goes before what the decorator was given."""

        def scan(name: str) -> dict[str, Any]:
            return {"image": letter, "settings": {"resultType": "TextAndPdf"}, "output_path": tmp_path / name}

        xcom = decorated(scan, "mine", output_path="/nowhere/", overwrite=True).execute(context)
        assert [Path(file).name for file in xcom["files"]] == ["01-apples.txt", "01-apples.pdf"]
        assert Path(xcom["file"]).parent == tmp_path / "mine"

    def test_regions(self, connection: str, context: Any, scans: Path) -> None:
        """A function may return an image with the regions to be read of it."""
        image = str(scans / "id-card-form.jpg")
        read = decorated(
            lambda: {"image": image, "regions": [[388, 212, 960, 254]]}, endpoint="RecognizeRegions"
        ).execute(context)
        assert read["text"] == "ORRELWICK"

    def test_no_regions_skip(self, connection: str, emulator: EmulatorServer, context: Any, letter: str) -> None:
        operator = decorated(lambda: {"image": letter, "regions": []}, endpoint="RecognizeRegions")
        with pytest.raises(AirflowSkipException):
            operator.execute(context)
        assert emulator.calls().total == 0

    def test_a_text_to_speak(self, connection: str, context: Any, tmp_path: Path) -> None:
        """For text to speech a function returns the text."""
        operator = decorated(lambda: "Good morning", endpoint="ConvertTextToSpeech", output_path=f"{tmp_path}/")
        assert Path(operator.execute(context)["file"]).read_bytes().startswith(b"RIFF")

    def test_the_function_gets_its_arguments_and_the_context(
        self, connection: str, context: Any, letter: str, letter_text: str
    ) -> None:
        def scan(folder: str, ti: Any = None) -> str:
            return f"{folder}/{os.path.basename(letter)}" if ti is context["ti"] else ""  # noqa: PTH119

        assert decorated(scan, str(Path(letter).parent)).execute(context)["text"] == letter_text

    @pytest.mark.parametrize("endpoint", sorted(ENDPOINTS))
    def test_every_endpoint_has_its_operator(self, endpoint: str) -> None:
        operator = decorated(lambda: "x", endpoint=endpoint.lower())
        assert operator._endpoint_name() == endpoint
        assert operator.custom_operator_name == "@task.aspose_ocr"

    def test_type_checkers_know_all_endpoints(self) -> None:
        assert get_args(EndpointName) == tuple(ENDPOINTS)

    def test_an_unknown_endpoint_is_refused_when_the_dag_is_parsed(self) -> None:
        with pytest.raises(AsposeOcrInputError, match="Unknown endpoint 'ReadMinds'"):
            aspose_ocr_task(endpoint="ReadMinds")

    def test_a_coroutine_function_is_refused_when_the_dag_is_parsed(self) -> None:
        async def scan() -> str:
            return "scan.png"

        with pytest.raises(AsposeOcrInputError, match="coroutine"):
            decorated(scan)


class TestWrongReturns:
    @pytest.mark.parametrize(
        ("returned", "message"),
        [
            (None, "returned None"),
            (5, "a int"),
            (["a.png"], r"\.expand"),
            ("  ", "an empty string"),
            ({"settings": {}}, "no `image`"),
            ({"image": "a.png", "colour": "red"}, "unknown argument 'colour'.*allowed: .*output_path"),
            ({"image": None}, "returned None"),
            ({"image": "a.png", "overwrite": "False"}, "a str as `overwrite`: it must be bool"),
            ({"image": "a.png", "max_xcom_bytes": "9"}, "a str as `max_xcom_bytes`: it must be int"),
            ({"image": "a.png", "settings": {("a",): 1}}, "`settings` that cannot be written as JSON"),
            ({"image": "a.png", "settings": {"language": object()}}, "it holds a object"),
            ({"image": "a.png", "max_xcom_bytes": -1}, "`max_xcom_bytes` below 0"),
            ({"image": "a.png", "output_path": 5}, "a int as `output_path`: it must be str or .* or None"),
        ],
    )
    def test_nothing_is_sent(
        self, connection: str, emulator: EmulatorServer, context: Any, returned: Any, message: str
    ) -> None:
        """What is no document is refused before anything is billed, and not retried."""
        with pytest.raises(AsposeOcrInputError, match=f"{message}.*Nothing was sent"):
            decorated(lambda: returned).execute(context)
        assert emulator.calls().total == 0

    def test_documents_are_quoted_nowhere(
        self, connection: str, context: Any, letter: str, logged: Callable[[], str]
    ) -> None:
        """Bytes that were returned stand in no log, and in no field that Airflow shows of the task."""
        operator = decorated(lambda: Path(letter).read_bytes())
        operator.execute(context)
        assert "JFIF" not in logged() + str(operator.image)

    def test_an_error_of_the_function_is_its_own(self, connection: str, emulator: EmulatorServer, context: Any) -> None:
        with pytest.raises(RuntimeError, match="the archive is not there"):
            decorated(fails).execute(context)
        assert emulator.calls().total == 0


class TestPaid:
    @pytest.mark.parametrize("again", [fails, lambda: None, lambda: 5])
    def test_a_retry_delivers_though_the_function_fails(
        self,
        slow_emulator: EmulatorServer,
        clock: Clock,
        context: Any,
        letter: str,
        tmp_path: Path,
        again: Callable[[], Any],
    ) -> None:
        """A function that cannot find its document any more does not cost what is paid for."""
        deferred(lambda: {"image": Path(letter).read_bytes(), "output_path": f"{tmp_path}/"}, context)
        clock.now += 120
        xcom = decorated(again).execute(context)
        assert "Odette" in xcom["text"]
        assert Path(xcom["file"]).name == f"{xcom['ocr_task_id']}.txt"
        assert slow_emulator.calls().accepted == 1

    def test_its_own_error_is_told_where_the_job_is_lost(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, letter: str
    ) -> None:
        deferred(lambda: letter, context)
        clock.now += 25 * 3600
        with pytest.raises(RuntimeError, match="the archive is not there"):
            decorated(fails).execute(context)
        assert slow_emulator.calls().accepted == 1

    def test_a_function_that_skips_is_obeyed(self, slow_emulator: EmulatorServer, context: Any, letter: str) -> None:
        def skips() -> str:
            raise AirflowSkipException("not today")

        deferred(lambda: letter, context)
        with pytest.raises(AirflowSkipException):
            decorated(skips).execute(context)

    def test_the_same_document_from_elsewhere_is_not_submitted_again(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, letter: str
    ) -> None:
        deferred(lambda: letter, context)
        clock.now += 120
        assert "Odette" in decorated(lambda: Path(letter).read_bytes()).execute(context)["text"]
        assert slow_emulator.calls().accepted == 1

    def test_another_document_is_another_submission(
        self, slow_emulator: EmulatorServer, context: Any, letter: str
    ) -> None:
        """What the function returns is what is asked for: another document is not served by the job of the first."""
        deferred(lambda: letter, context)
        deferred(lambda: letter.replace("01-apples", "02-order"), context)
        assert slow_emulator.calls().accepted == 2


class TestResumed:
    def resumed(self, function: Callable[..., Any], left: TaskDeferred, context: Any, **kwargs: Any) -> Any:
        """What comes of a deferral in another process."""
        event = event_of(left.trigger)  # type: ignore[arg-type]
        operator = decorated(function, deferrable=True, defer_after=0, **kwargs)
        return operator.resume_execution(left.method_name, {**(left.kwargs or {}), "event": event}, context)

    def test_delivers_what_was_asked_for_without_a_second_call(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, letter: str, tmp_path: Path
    ) -> None:
        """Another process knows what the function has returned, also below Airflow 3.3 and with durable=False."""
        context["task_state_store"] = None
        asked = {"image": Path(letter), "output_path": ObjectStoragePath(str(tmp_path)), "settings": {"language": "en"}}
        left = deferred(lambda: asked, context)
        clock.now += 120
        xcom = self.resumed(fails, left, context)
        assert [Path(file).name for file in xcom["files"]] == ["01-apples.txt"]

    @pytest.mark.parametrize("in_settings", [False, True])
    @pytest.mark.parametrize(
        "regions",
        [
            iter,
            deque,
            lambda corners: {tuple(each) for each in corners},
            lambda corners: dict(enumerate(corners)).values(),
            lambda corners: [Region.model_validate({"rect": each}) for each in corners],
        ],
    )
    def test_regions_of_any_kind_are_known_when_the_result_is_delivered(
        self,
        slow_emulator: EmulatorServer,
        clock: Clock,
        context: Any,
        letter: str,
        regions: Callable[..., Any],
        in_settings: bool,
    ) -> None:
        """They are written down before anything is billed, and not what Python calls them."""
        given = regions([[9, 9, 200, 90]])
        asked = {"image": letter, **({"settings": {"regions": given}} if in_settings else {"regions": given})}
        left = deferred(lambda: asked, context, endpoint="RecognizeRegions")
        clock.now += 120
        xcom = self.resumed(fails, left, context, endpoint="RecognizeRegions")
        assert [region["rect"] for region in xcom["regions"]] == [[9, 9, 200, 90]]

    def test_where_the_arguments_of_the_deferral_are_lost_the_store_has_them(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, letter: str, tmp_path: Path
    ) -> None:
        """As in dag.test(), or after Airflow's own time-out of a deferral."""
        left = deferred(lambda: {"image": letter, "output_path": f"{tmp_path}/"}, context)
        left.kwargs = None
        clock.now += 120
        assert Path(self.resumed(fails, left, context)["file"]).name == "01-apples.txt"

    def test_where_nobody_has_them_the_function_is_called_again(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, letter: str, tmp_path: Path
    ) -> None:
        context["task_state_store"] = None
        left = deferred(lambda: letter, context)
        left.kwargs = None
        clock.now += 120
        with pytest.raises(AsposeOcrDeliveryError, match="the archive is not there") as raised:
            self.resumed(fails, left, context)
        assert raised.value.ocr_task_id == slow_emulator.jobs()[0].id
        xcom = self.resumed(lambda: {"image": letter, "output_path": f"{tmp_path}/"}, left, context)
        assert Path(xcom["file"]).name == "01-apples.txt"


class TestInDags:
    def test_mapped(self, letter: str) -> None:
        """Each set of arguments is a task of its own; partial, expand and override are those of TaskFlow."""
        with DAG("mapped", schedule=None):

            @aspose_ocr_task(endpoint="RecognizeReceipt", deferrable=True)
            def read(folder: str, name: str) -> str:
                return f"{folder}/{name}"

            mapped = read.override(task_id="again").partial(folder="/scans").expand(name=["a.jpg", "b.jpg"]).operator
        assert mapped.task_id == "again"
        assert mapped.multiple_outputs

    def test_each_part_is_an_xcom_of_its_own(self, letter: str) -> None:
        assert decorated(lambda: letter).multiple_outputs
        assert not decorated(lambda: letter, multiple_outputs=False).multiple_outputs

    @pytest.mark.filterwarnings("ignore")  # of other providers that are installed beside us
    def test_airflow_finds_it_by_its_name(self) -> None:
        with DAG("by_name", schedule=None):

            @task.aspose_ocr(endpoint="RecognizeLabel")
            def read() -> str:
                return "label.png"

            operator: Any = read().operator
        assert operator._endpoint_name() == "RecognizeLabel"
