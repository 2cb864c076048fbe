"""The operators against the emulator: results, calls, deferral, bad input, kill and time-out."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, AirflowTaskTimeout, TaskDeferred

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrAuthError,
    AsposeOcrCancelledError,
    AsposeOcrError,
    AsposeOcrInputError,
    AsposeOcrInterruptedError,
    AsposeOcrProtocolError,
    AsposeOcrRequestError,
    AsposeOcrServiceError,
    AsposeOcrTaskError,
    AsposeOcrTimeoutError,
)
from airflow_provider_asposeocr.operators.aspose_ocr import (
    AsposeOcrDetectRegionsOperator,
    AsposeOcrOperator,
    AsposeOcrRecognizeImageOperator,
    AsposeOcrRecognizeRegionsOperator,
)
from airflow_provider_asposeocr.submissions import KEY
from tests.unit.jobs.task_stubs import Clock, MemoryStore, event_of, killed_once

QUICK: dict[str, Any] = {"poll_interval": 0.02, "poll_interval_max": 0.05}


def _polls(emulator: EmulatorServer) -> int:
    return emulator.calls().count("GET", "RecognizeImage")


def recognize(image: Any, **kwargs: Any) -> AsposeOcrRecognizeImageOperator:
    return AsposeOcrRecognizeImageOperator(task_id="recognize", image=image, **{**QUICK, **kwargs})


class TestResults:
    def test_text(self, connection: str, emulator: EmulatorServer, context: Any, letter: str, letter_text: str) -> None:
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
        xcom = recognize(letter, wait_for_completion=False).execute(context)
        assert xcom == {"ocr_task_id": emulator.jobs()[0].id, "endpoint": "RecognizeImage"}
        assert emulator.calls().total == 1


class TestCalls:
    def test_short_job_is_never_deferred_and_its_last_poll_brings_the_result(
        self, connection: str, emulator: EmulatorServer, context: Any, letter: str
    ) -> None:
        recognize(letter, deferrable=True, poll_interval=0.15, poll_interval_max=0.15).execute(context)
        calls = emulator.calls()
        assert calls.count("POST", "RecognizeImage") == 1
        assert calls.count("GET", "Utilities/GetTaskStatus") == 0
        assert calls.total == 1 + calls.count("GET", "RecognizeImage")
        assert calls.token_calls == 1

    def test_deferral(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, letter: str, letter_text: str
    ) -> None:
        operator = recognize(letter, deferrable=True, defer_after=0)
        with pytest.raises(TaskDeferred) as deferred:
            operator.execute(context)
        trigger: Any = deferred.value.trigger
        assert deferred.value.method_name == "execute_complete"
        assert "secret" not in json.dumps(trigger.serialize())
        clock.now += 120
        event = event_of(trigger)
        assert event == {
            "ocr_task_id": slow_emulator.jobs()[0].id,
            "endpoint": "RecognizeImage",
            "status": "Completed",
            "message": "",
        }
        resumed = recognize(letter, deferrable=True)
        xcom = resumed.resume_execution("execute_complete", {"event": event}, context)
        assert xcom["text"] == letter_text
        calls = slow_emulator.calls()
        assert calls.count("GET", "RecognizeImage") == 1
        assert calls.count("GET", "Utilities/GetTaskStatus") >= 1
        assert calls.count("POST", "RecognizeImage") == 1

    @pytest.mark.parametrize(
        ("status", "error", "permanent"),
        [
            ("Error", AsposeOcrTaskError, False),
            ("TimedOut", AsposeOcrTimeoutError, False),
            ("GaveUp", AsposeOcrServiceError, False),
            ("Refused", AsposeOcrRequestError, True),
        ],
    )
    def test_bad_events(
        self,
        slow_emulator: EmulatorServer,
        context: Any,
        letter: str,
        status: str,
        error: type[Exception],
        permanent: bool,
    ) -> None:
        event = {
            "ocr_task_id": "a197aade-bba9-4c7a-92c7-46851b3dceaa",
            "endpoint": "RecognizeImage",
            "status": status,
            "message": "the reason",
        }
        with pytest.raises(error) as raised:
            recognize(letter).execute_complete(context, event)
        assert event["ocr_task_id"] in str(raised.value)
        assert "01-apples.jpg" in str(raised.value)
        assert "the reason" in str(raised.value)
        assert isinstance(raised.value, AirflowFailException) is permanent

    def test_messages_of_an_event_stay_apart(self, context: Any, letter: str) -> None:
        event = {
            "ocr_task_id": "a197aade-bba9-4c7a-92c7-46851b3dceaa",
            "endpoint": "RecognizeImage",
            "status": "Error",
            "message": "too dark; too small",
            "messages": ["too dark", "too small"],
        }
        with pytest.raises(AsposeOcrTaskError, match="too dark; too small") as raised:
            recognize(letter).execute_complete(context, event)
        assert raised.value.messages == ("too dark", "too small")

    @pytest.mark.parametrize("status", [401, 403])
    @pytest.mark.parametrize("deferrable", [False, True])
    def test_permanent_fault_while_waiting_leaves_the_job(
        self, slow_emulator: EmulatorServer, context: Any, letter: str, status: int, deferrable: bool
    ) -> None:
        slow_emulator.add_faults([{"kind": "status", "status": status, "method": "GET", "count": 2}])
        error = AsposeOcrAuthError if status == 401 else AsposeOcrRequestError
        with pytest.raises(error) as raised:  # noqa: PT012
            try:
                recognize(letter, deferrable=deferrable, defer_after=0).execute(context)
            except TaskDeferred as deferred:
                trigger: Any = deferred.trigger
                recognize(letter).execute_complete(context, event_of(trigger))
        said = str(raised.value)
        assert isinstance(raised.value, AirflowFailException)
        assert slow_emulator.jobs()[0].id in said
        for word in ("is left in place", "by its id for 24 hours", "submits the document again", letter):
            assert said.count(word) == 1
        assert "Nothing was accepted" not in said
        assert not slow_emulator.jobs()[0].cancelled

    @pytest.mark.parametrize("event", [None, "success", {}, {"status": "Completed"}, {"status": "Odd"}])
    def test_foreign_events(self, context: Any, letter: str, event: Any) -> None:
        with pytest.raises(AsposeOcrProtocolError):
            recognize(letter).execute_complete(context, event)


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
        with pytest.raises(AsposeOcrInputError, match="(?s)" + says.replace("(", r"\(")) as raised:
            recognize(**{"image": letter, **arguments}).execute(context)
        assert isinstance(raised.value, AirflowFailException)

    @pytest.mark.parametrize(
        ("content", "says"), [(b"", "is empty"), (b"just text", "not an image"), (b"%PDF-1.7", "a PDF file")]
    )
    def test_files_that_are_no_images(self, context: Any, tmp_path: Path, content: bytes, says: str) -> None:
        image = tmp_path / "scan.png"
        image.write_bytes(content)
        with pytest.raises(AsposeOcrInputError, match=says):
            recognize(str(image)).execute(context)

    @pytest.mark.parametrize(
        ("regions", "says"),
        [
            (None, "needs at least one region"),
            ([], "needs at least one region"),
            ([[10, 10, 5, 20]], "not right of"),
            ([[10, 10, 20, 9999]], "outside the image"),
        ],
    )
    def test_regions(self, context: Any, letter: str, regions: Any, says: str) -> None:
        with pytest.raises(AsposeOcrInputError, match=says):
            AsposeOcrRecognizeRegionsOperator(task_id="read", image=letter, regions=regions).execute(context)

    def test_existing_file_of_another_job(self, context: Any, letter: str, tmp_path: Path) -> None:
        (tmp_path / "01-apples.txt").write_text("precious")
        with pytest.raises(AsposeOcrInputError, match="overwrite=True"):
            recognize(letter, output_path=str(tmp_path)).execute(context)
        assert (tmp_path / "01-apples.txt").read_text() == "precious"


class TestEnds:
    def test_error_of_the_service(
        self, connection: str, emulator: EmulatorServer, context: Any, store: MemoryStore, letter: str
    ) -> None:
        emulator.add_faults([{"kind": "error", "messages": ["unreadable"], "method": "POST"}])
        with pytest.raises(AsposeOcrTaskError, match="unreadable") as raised:
            recognize(letter).execute(context)
        assert raised.value.messages == ("unreadable",)
        assert not isinstance(raised.value, AirflowFailException)
        assert store.kept == {}

    @pytest.mark.parametrize(("cancel", "status"), [(True, "was cancelled"), (False, "goes on at the service")])
    def test_timeout(self, slow_emulator: EmulatorServer, context: Any, letter: str, cancel: bool, status: str) -> None:
        with pytest.raises(AsposeOcrTimeoutError, match=status) as raised:
            recognize(letter, timeout=0.1, cancel_on_kill=cancel).execute(context)
        job = slow_emulator.jobs()[0]
        assert job.cancelled is cancel
        assert job.id in str(raised.value)

    def test_airflows_own_timeout_of_a_deferral(self, slow_emulator: EmulatorServer, context: Any, letter: str) -> None:
        operator = recognize(letter, deferrable=True, defer_after=0)
        with pytest.raises(TaskDeferred):
            operator.execute(context)
        with pytest.raises(AsposeOcrTimeoutError, match="was cancelled"):
            recognize(letter).resume_execution("__fail__", {"error": "Trigger timeout"}, context)
        assert slow_emulator.jobs()[0].cancelled

    def test_kill(self, slow_emulator: EmulatorServer, context: Any, letter: str) -> None:
        operator = recognize(letter, durable=False)
        with killed_once(partial(_polls, slow_emulator), operator), pytest.raises(AsposeOcrCancelledError):
            operator.execute(context)
        assert slow_emulator.jobs()[0].cancelled

    def test_kill_leaves_the_job_where_that_is_wanted(
        self, slow_emulator: EmulatorServer, context: Any, letter: str
    ) -> None:
        operator = recognize(letter, deferrable=True, defer_after=0, cancel_on_kill=False)
        with pytest.raises(TaskDeferred):
            operator.execute(context)
        operator.on_kill()
        assert not slow_emulator.jobs()[0].cancelled


class TestKill:
    """Airflow 3 calls `on_kill` for a user, for `execution_timeout`, and when a worker is shut down."""

    @pytest.fixture
    def state(self, context: Any) -> Iterator[Callable[[Any], None]]:
        """Sets what Airflow answers to the question for the task's state: also an error, or a function."""
        asked: list[dict[str, Any]] = []
        answer: list[Any] = []

        def get_task_states(**which: Any) -> dict[str, Any]:
            asked.append(which)
            says = answer[0]() if callable(answer[0]) else answer[0]
            if isinstance(says, Exception):
                raise says
            return {"run": {"recognize_7": says}} if says != "gone" else {}

        context["ti"] = SimpleNamespace(
            max_tries=2, dag_id="dag", run_id="run", task_id="recognize", map_index=7, get_task_states=get_task_states
        )
        yield answer.append
        for which in asked:
            assert which == {"dag_id": "dag", "run_ids": ["run"], "task_ids": ["recognize"], "map_index": 7}

    @pytest.fixture
    def killed(self, slow_emulator: EmulatorServer, context: Any, letter: str) -> Callable[[], AsposeOcrError]:
        """Kills a task that waits for its job, and returns its error."""

        def kill() -> AsposeOcrError:
            operator = recognize(letter)
            with killed_once(partial(_polls, slow_emulator), operator), pytest.raises(AsposeOcrError) as raised:
                operator.execute(context)
            return raised.value

        return kill

    @pytest.mark.parametrize("ended", ["failed", "success", "skipped", "removed", "restarting", "gone"])
    def test_user_ends_the_task(
        self, state: Any, killed: Any, slow_emulator: EmulatorServer, store: MemoryStore, ended: str
    ) -> None:
        state(ended)
        assert isinstance(killed(), AsposeOcrCancelledError)
        assert slow_emulator.jobs()[0].cancelled
        assert store.kept == {}

    @pytest.mark.parametrize(
        "alive", ["running", "scheduled", "queued", "up_for_retry", "deferred", None, "new one", OSError("who knows")]
    )
    def test_worker_is_shut_down(
        self, state: Any, killed: Any, slow_emulator: EmulatorServer, store: MemoryStore, alive: Any
    ) -> None:
        state(alive)
        error = killed()
        assert isinstance(error, AsposeOcrInterruptedError)
        assert not isinstance(error, AirflowFailException)
        assert slow_emulator.jobs()[0].id in str(error)
        assert not slow_emulator.jobs()[0].cancelled
        assert store.kept[KEY]["ocr_task_id"] == slow_emulator.jobs()[0].id

    def test_what_was_interrupted_holds_the_lock(
        self, state: Any, slow_emulator: EmulatorServer, context: Any, letter: str, store: MemoryStore
    ) -> None:
        operator = recognize(letter)
        operator.kill_patience = 0.1
        lock = threading.Lock()
        interrupted = False

        def ask() -> str:
            with lock:
                return "failed"

        keep = store.set

        def interrupted_as_it_writes(key: str, value: Any, *, retention: Any = None) -> None:
            nonlocal interrupted
            with lock:
                if value["ocr_task_id"]:
                    operator.on_kill()
                    interrupted = True
                keep(key, value, retention=retention)

        state(ask)
        store.set = interrupted_as_it_writes  # type: ignore[method-assign]
        with pytest.raises(AsposeOcrCancelledError):
            operator.execute(context)
        assert interrupted
        assert slow_emulator.jobs()[0].cancelled
        assert store.kept == {}

    @pytest.mark.parametrize(
        ("ended", "error"), [("failed", AsposeOcrCancelledError), ("running", AsposeOcrInterruptedError)]
    )
    def test_before_the_submission_nothing_is_sent(
        self,
        state: Any,
        slow_emulator: EmulatorServer,
        context: Any,
        store: MemoryStore,
        letter: str,
        ended: str,
        error: type[Exception],
    ) -> None:
        state(ended)
        operator = recognize(letter)
        slow_emulator.add_faults([{"kind": "delay", "seconds": 0.15, "path": "connect/token"}])
        with killed_once(lambda: slow_emulator.calls().token_calls, operator), pytest.raises(error):
            operator.execute(context)
        assert slow_emulator.calls().count("POST", "RecognizeImage") == 0
        assert store.kept == {}

    def test_execution_timeout(
        self, state: Any, slow_emulator: EmulatorServer, context: Any, store: MemoryStore, letter: str
    ) -> None:
        """As Airflow does it: a signal ends the wait, `on_kill` is called meanwhile, and the task is still running."""
        state("running")
        operator = recognize(letter)

        def too_long(*_: Any) -> None:
            # Once it waits: what comes sooner is another test.
            if slow_emulator.calls().count("GET", "RecognizeImage"):
                raise AirflowTaskTimeout

        before = signal.signal(signal.SIGALRM, too_long)
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        try:
            operator.execute(context)
        except AirflowTaskTimeout:
            signal.setitimer(signal.ITIMER_REAL, 0)
            operator.on_kill()
        else:
            pytest.fail("the wait ended by itself")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert slow_emulator.jobs()[0].cancelled
        assert store.kept == {}

    def test_a_store_that_does_not_answer_any_more(
        self, state: Any, killed: Any, slow_emulator: EmulatorServer, store: MemoryStore
    ) -> None:
        def refuse(key: str) -> None:
            raise OSError("no such task instance")

        store.delete = refuse  # type: ignore[method-assign]
        state("restarting")
        assert isinstance(killed(), AsposeOcrCancelledError)
        assert slow_emulator.jobs()[0].cancelled

    def test_the_record_of_a_later_try_stays(
        self, state: Any, killed: Any, slow_emulator: EmulatorServer, store: MemoryStore
    ) -> None:
        def failed() -> str:
            store.kept[KEY] |= {"ocr_task_id": "another"}
            return "failed"

        state(failed)
        killed()
        assert slow_emulator.jobs()[0].cancelled
        assert store.kept[KEY]["ocr_task_id"] == "another"


class TestAirflow:
    def test_default_args_reach_every_parameter(self) -> None:
        with DAG("d", schedule=None, default_args={"poll_interval": 7, "aspose_ocr_conn_id": "mine", "durable": False}):
            operator = AsposeOcrDetectRegionsOperator(task_id="detect", image="x.png")
        assert (operator.poll_interval, operator.aspose_ocr_conn_id, operator.durable) == (7, "mine", False)

    @pytest.mark.parametrize(
        "operator_class",
        [AsposeOcrRecognizeImageOperator, AsposeOcrDetectRegionsOperator, AsposeOcrRecognizeRegionsOperator],
    )
    def test_template_fields_are_attributes(self, operator_class: type[AsposeOcrOperator]) -> None:
        operator = operator_class(task_id="t", image="x.png")
        assert all(hasattr(operator, name) for name in operator.template_fields)

    def test_templates(self) -> None:
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
