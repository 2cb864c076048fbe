"""A job that is paid for is gone on with: without its document, after a failed delivery, and not for ever in vain."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrDeliveryError,
    AsposeOcrInputError,
    AsposeOcrTaskError,
    AsposeOcrTaskRefusedError,
    AsposeOcrTimeoutError,
)
from airflow_provider_asposeocr.retry_policy import AsposeOcrRetryPolicy
from tests.unit.operators.recognizing import recognize
from tests.unit.raw_server import JOB, RawServer, Received, answer, task_answer
from tests.unit.task_stubs import Clock, MemoryStore


@pytest.fixture
def scan(letter: str, tmp_path: Path) -> Path:
    """A document that tests may lose."""
    return Path(shutil.copy(letter, tmp_path / "scan.jpg"))


def interrupted(image: Path, context: Any) -> None:
    """A try that is cut off while it waits for its job."""
    with pytest.raises(TaskDeferred):
        recognize(str(image), deferrable=True, defer_after=0).execute(context)


def submissions(emulator: EmulatorServer) -> int:
    return emulator.calls().accepted


class TestWithoutItsDocument:
    @pytest.mark.parametrize("lost", [Path.unlink, lambda path: (path.unlink(), path.mkdir())])
    def test_a_retry_delivers(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, scan: Path, lost: Callable[[Path], object]
    ) -> None:
        """An image that was archived meanwhile, or is on another worker's disk, is not needed any more."""
        interrupted(scan, context)
        lost(scan)
        clock.now += 120
        assert "Odette" in recognize(str(scan)).execute(context)["text"]
        assert submissions(slow_emulator) == 1

    def test_other_settings_need_it(self, slow_emulator: EmulatorServer, context: Any, scan: Path) -> None:
        """What was not paid for cannot be read without the document."""
        interrupted(scan, context)
        scan.unlink()
        with pytest.raises(AsposeOcrInputError, match="There is no file"):
            recognize(str(scan), settings={"language": "German"}).execute(context)

    def test_another_name_is_another_document(self, slow_emulator: EmulatorServer, context: Any, scan: Path) -> None:
        interrupted(scan, context)
        with pytest.raises(AsposeOcrInputError, match="There is no file"):
            recognize(str(scan.with_name("other.jpg"))).execute(context)

    def test_a_lost_job_needs_it(self, slow_emulator: EmulatorServer, clock: Clock, context: Any, scan: Path) -> None:
        """Where job and document are gone, the document's error is raised."""
        interrupted(scan, context)
        scan.unlink()
        clock.now += 25 * 3600
        with pytest.raises(AsposeOcrInputError, match="There is no file"):
            recognize(str(scan)).execute(context)


def test_a_document_is_read_once_where_nothing_will_remember_it(
    connection: str, emulator: EmulatorServer, context: Any, scan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a store, or with durable=False, no digest is made: the document is opened to be checked and sent."""
    kept, not_kept = MemoryStore(), MemoryStore()
    opened = [
        _times_opened(scan, {**context, "task_state_store": store}, monkeypatch, durable=durable)
        for store, durable in ((kept, True), (not_kept, False), (None, True))
    ]
    assert opened[1] == opened[2] == opened[0] - 1


def _times_opened(scan: Path, context: Any, monkeypatch: pytest.MonkeyPatch, *, durable: bool) -> int:
    opened: list[str] = []
    whole = LocalFileSystem.open

    def counts(self: Any, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        if path.endswith("scan.jpg"):
            opened.append(path)
        return whole(self, path, mode, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(LocalFileSystem, "open", counts)
        recognize(str(scan), durable=durable).execute(context)
    return len(opened)


def test_a_result_that_could_not_be_delivered_is_fetched_by_the_retry(
    connection: str, emulator: EmulatorServer, context: Any, letter: str, tmp_path: Path
) -> None:
    """A file that came into the way while the job ran: once it is gone, a retry delivers."""
    target = tmp_path / "01-apples.txt"

    class InTheWay(MemoryStore):
        """Somebody writes the file right after the submission."""

        def set(self, key: str, value: Any, *, retention: Any = None) -> None:
            super().set(key, value, retention=retention)
            if value["ocr_task_id"] and not emulator.calls().count("GET", "RecognizeImage"):
                target.write_text("of somebody else")

    context["task_state_store"] = InTheWay()
    with pytest.raises(AsposeOcrDeliveryError, match="nothing is billed again") as raised:
        recognize(letter, output_path=str(target)).execute(context)
    assert raised.value.ocr_task_id == emulator.jobs()[0].id
    assert not isinstance(raised.value, AirflowFailException)
    target.unlink()
    assert recognize(letter, output_path=str(target)).execute(context)["files"] == [str(target)]
    assert submissions(emulator) == 1


def test_not_exist_right_after_the_submission_is_asked_again(
    raw_server: Callable[..., RawServer], context: Any, letter: str
) -> None:
    """A replica that does not know the job yet does not cost it."""
    polls = iter(
        [task_answer("NotExist"), task_answer("NotExist"), task_answer(results=[{"type": "Text", "data": "YQ=="}])]
    )
    server = raw_server(lambda received: answer(200, JOB) if received.method == "POST" else next(polls))
    operator = recognize(letter)
    operator.doubt_patience = 60
    assert operator.execute(context)["ocr_task_id"] == JOB
    assert [received.method for received in server.requests] == ["POST", "GET", "GET", "GET"]


def test_a_dripping_answer_does_not_keep_a_retry_beyond_its_timeout(
    raw_server: Callable[..., RawServer], context: Any, letter: str
) -> None:
    """The first question of a retry, for the job of the try before, ends with the time that the retry may wait."""
    waited_out: list[bool] = []

    def script(received: Received) -> bytes:
        if received.method == "POST":
            return answer(200, JOB)
        if len(server.requests) == 2:
            last = received.drip(task_answer("Processing"))
            waited_out.append(True)
            return last
        return task_answer("Processing")

    server = raw_server(script)
    with pytest.raises(TaskDeferred):
        recognize(letter, deferrable=True, defer_after=0).execute(context)
    with pytest.raises(AsposeOcrTimeoutError):
        recognize(letter, timeout=0.1, cancel_on_kill=False).execute(context)
    assert waited_out == []


def test_not_exist_right_after_the_submission_is_not_believed_where_the_time_is_over(
    raw_server: Callable[..., RawServer], context: Any, letter: str
) -> None:
    """A time-out that is shorter than a replica's lag neither cancels the job nor forgets it: the retry fetches."""
    polls = iter([task_answer("NotExist"), task_answer(results=[{"type": "Text", "data": "YQ=="}])])
    server = raw_server(lambda received: answer(200, JOB) if received.method == "POST" else next(polls))
    operator = recognize(letter, timeout=0.1, poll_interval=30, poll_interval_max=30)
    operator.doubt_patience = 60
    with pytest.raises(AsposeOcrTimeoutError, match=r"does not know the job yet.*not cancelled"):
        operator.execute(context)
    assert recognize(letter).execute(context)["ocr_task_id"] == JOB
    assert [received.method for received in server.requests] == ["POST", "GET", "GET"]


class TestJobsThatEndAsError:
    """A document whose job ended as Error is submitted again at most once by retries."""

    def errors(self, emulator: EmulatorServer, count: int) -> None:
        emulator.add_faults([{"kind": "error", "messages": ["unreadable"], "method": "POST", "count": count}])

    def test_the_second_is_final(self, connection: str, emulator: EmulatorServer, context: Any, letter: str) -> None:
        """The first is retried; after the second nothing is submitted, neither by a retry without Airflow's consent."""
        self.errors(emulator, 3)
        with pytest.raises(AsposeOcrTaskError, match="A retry submits the document again") as first:
            recognize(letter).execute(context)
        assert not isinstance(first.value, AirflowFailException)
        with pytest.raises(AsposeOcrTaskRefusedError, match=r"unreadable.*not submitted a third time") as second:
            recognize(letter).execute(context)
        assert isinstance(second.value, AirflowFailException)
        assert emulator.jobs()[1].id in str(second.value)
        assert submissions(emulator) == 2

    def test_one_that_nobody_followed_counts(self, slow_emulator: EmulatorServer, context: Any, letter: str) -> None:
        """A job that ended as Error between two tries counts like any other."""
        for _ in range(2):
            with pytest.raises(TaskDeferred):
                recognize(letter, deferrable=True, defer_after=0).execute(context)
            slow_emulator.add_faults([{"kind": "error", "messages": ["unreadable"], "method": "GET"}])
        with pytest.raises(AsposeOcrTaskRefusedError):
            recognize(letter).execute(context)
        assert submissions(slow_emulator) == 2

    def test_the_third_is_not_submitted_after_a_kill(
        self, connection: str, emulator: EmulatorServer, context: Any, letter: str
    ) -> None:
        """A try that was killed before it could tell of the second Error is retried: that submits nothing either."""
        self.errors(emulator, 2)
        for _ in range(2):
            with pytest.raises(AsposeOcrTaskError):
                recognize(letter).execute(context)
        with pytest.raises(AsposeOcrTaskRefusedError, match="job of an earlier try ended as Error"):
            recognize(letter).execute(context)
        assert submissions(emulator) == 2
        assert "Odette" in recognize(letter, resubmit_failed_jobs=True).execute(context)["text"]

    @pytest.mark.parametrize(
        "wanted", [{"resubmit_failed_jobs": True}, {"retry_policy": AsposeOcrRetryPolicy(resubmit_failed_jobs=True)}]
    )
    def test_each_retry_submits_where_the_user_wants_it(
        self, connection: str, emulator: EmulatorServer, context: Any, letter: str, wanted: dict[str, Any]
    ) -> None:
        operator = recognize(letter, **wanted)
        if not hasattr(operator, "retry_policy") and "retry_policy" in wanted:
            pytest.skip("Airflow below 3.3 knows no retry policies")
        self.errors(emulator, 2)
        for _ in range(2):
            with pytest.raises(AsposeOcrTaskError):
                recognize(letter, **wanted).execute(context)
        assert "Odette" in recognize(letter, **wanted).execute(context)["text"]

    @pytest.mark.parametrize(("try_number", "error"), [(1, AsposeOcrTaskError), (2, AsposeOcrTaskRefusedError)])
    def test_without_a_store_the_tries_count(
        self, connection: str, emulator: EmulatorServer, letter: str, try_number: int, error: type[Exception]
    ) -> None:
        """Below Airflow 3.3 each try has submitted."""
        self.errors(emulator, 1)
        with pytest.raises(AsposeOcrTaskError) as raised:
            recognize(letter).execute({"ti": SimpleNamespace(max_tries=3, try_number=try_number)})  # type: ignore[arg-type, typeddict-item]
        assert type(raised.value) is error
