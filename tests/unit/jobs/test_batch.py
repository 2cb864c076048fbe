"""The batch operator: many documents, one task, nothing twice."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred
from PIL import Image, ImageDraw

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrAuthError,
    AsposeOcrBatchError,
    AsposeOcrBatchRefusedError,
    AsposeOcrCancelledError,
    AsposeOcrInputError,
    AsposeOcrInterruptedError,
)
from airflow_provider_asposeocr.operators.batch import AsposeOcrBatchOperator
from airflow_provider_asposeocr.triggers.batch import AsposeOcrBatchTrigger
from tests.unit.jobs.task_stubs import Clock, MemoryStore, killed_once


@pytest.fixture
def context(store: MemoryStore) -> dict[str, Any]:
    return {"ti": task_instance(), "task_state_store": store}


def task_instance(max_tries: int = 2, run_id: str = "run") -> Any:
    return SimpleNamespace(max_tries=max_tries, dag_id="dag", task_id="batch", run_id=run_id, map_index=-1)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """A folder of six one-line images in two folders of it, each different, with names that collide."""
    folder = tmp_path / "inbox"
    for year in ("2023", "2024"):
        (folder / year).mkdir(parents=True)
        for number in range(3):
            image = Image.new("L", (200, 40), "white")
            ImageDraw.Draw(image).text((10, 10), f"{WORDS[number]}{year}", fill="black", font_size=20)
            image.save(folder / year / f"{number}.png")
    return folder


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    return tmp_path / "outbox"


def batch(images: Any, outbox: Path, **kwargs: Any) -> AsposeOcrBatchOperator:
    return AsposeOcrBatchOperator(
        task_id="batch",
        images=images if isinstance(images, list) else str(images),
        output_path=str(outbox),
        **{"poll_interval": 0.02, "poll_interval_max": 0.05, **kwargs},
    )


def manifest(outbox: Path) -> dict[str, dict[str, Any]]:
    lines = [json.loads(line) for line in (outbox / "manifest.jsonl").read_text().splitlines()]
    assert len({line["image"] for line in lines}) == len(lines)
    return {line["image"]: line for line in lines}


def texts(outbox: Path) -> dict[str, str]:
    return {str(path.relative_to(outbox)): path.read_text() for path in sorted(outbox.rglob("*.txt"))}


class StrictStore(MemoryStore):
    """Takes plain JSON only, as Airflow's, can be out of order, and counts."""

    def __init__(self) -> None:
        super().__init__()
        self.broken_for: str | None = None
        self.writes = 0

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        assert value == json.loads(json.dumps(value))
        assert_plain(value)
        if self.broken_for and self.broken_for in json.dumps(value):
            raise RuntimeError("the API server is away")
        self.writes += 1
        super().set(key, json.loads(json.dumps(value)), retention=retention)

    def documents(self) -> dict[str, dict[str, Any]]:
        chunks = [value for key, value in self.kept.items() if key != "aspose_ocr_batch"]
        return {
            Path(image).parent.name + "/" + Path(image).name: kept for chunk in chunks for image, kept in chunk.items()
        }

    def age(self, seconds: float) -> None:
        """Let all that is kept be older."""
        for key in self.kept.keys() - {"aspose_ocr_batch"}:
            for kept in self.kept[key].values():
                if kept["submitted_at"]:
                    kept["submitted_at"] -= seconds


def assert_plain(value: Any) -> None:
    assert type(value) in (dict, list, str, int, float, bool, type(None))
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        assert_plain(part)


@pytest.fixture
def store() -> StrictStore:
    return StrictStore()


WORDS = ("Apple", "Bread", "Chair")
ALL = {f"{year}/{number}.txt": f"{WORDS[number]}{year}" for year in ("2023", "2024") for number in range(3)}


class TestWhole:
    def test_folder(self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path) -> None:
        (inbox / "notes.txt").write_text("not an image by its name")
        xcom = batch(inbox, outbox).execute(context)
        assert texts(outbox) == ALL
        assert xcom == {
            "endpoint": "RecognizeImage",
            "documents": 6,
            "completed": 6,
            "failed": 0,
            "manifest": str(outbox / "manifest.jsonl"),
            "failures": [],
        }
        lines = manifest(outbox)
        assert set(lines) == {str(inbox / name).replace(".txt", ".png") for name in ALL}
        for image, line in lines.items():
            assert line["status"] == "Completed"
            assert line["files"] == [image.replace("inbox", "outbox").replace(".png", ".txt")]
            assert (line["error"], line["warnings"]) == (None, [])
            assert line["seconds"] >= 0
        assert {line["ocr_task_id"] for line in lines.values()} == {job.id for job in emulator.jobs()}
        assert emulator.calls().accepted == 6
        assert emulator.calls().token_calls == 1
        assert sorted(path.name for path in outbox.iterdir()) == ["2023", "2024", "manifest.jsonl"]

    def test_glob(self, connection: str, context: Any, inbox: Path, outbox: Path) -> None:
        batch(f"{inbox}/*/[01].png", outbox).execute(context)
        assert sorted(texts(outbox)) == ["2023/0.txt", "2023/1.txt", "2024/0.txt", "2024/1.txt"]

    def test_list(self, connection: str, context: Any, inbox: Path, outbox: Path) -> None:
        batch([str(inbox / "2024" / "0.png"), str(inbox / "2023" / "0.png")], outbox).execute(context)
        assert sorted(texts(outbox)) == ["2023/0.txt", "2024/0.txt"]

    def test_one_name_with_two_extensions(self, connection: str, context: Any, inbox: Path, outbox: Path) -> None:
        Image.open(inbox / "2023" / "0.png").save(inbox / "2023" / "0.jpg")
        batch(inbox / "2023", outbox).execute(context)
        assert sorted(texts(outbox)) == ["0.jpg.txt", "0.png.txt", "1.txt", "2.txt"]

    def test_several_results(self, connection: str, context: Any, inbox: Path, outbox: Path) -> None:
        batch([str(inbox / "2023" / "0.png")], outbox, settings={"result_type": "TextAndPdf"}).execute(context)
        assert sorted(path.name for path in outbox.iterdir()) == ["0.pdf", "0.txt", "manifest.jsonl"]

    def test_regions_of_a_form(self, connection: str, context: Any, inbox: Path, outbox: Path) -> None:
        xcom = batch(inbox, outbox, endpoint="RecognizeRegions", regions=[[0, 0, 200, 40]]).execute(context)
        assert xcom["completed"] == 6
        assert texts(outbox)["2023/0.txt"] == "Apple2023"

    def test_nothing_to_do(self, connection: str, emulator: EmulatorServer, context: Any, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        xcom = batch(tmp_path / "empty", tmp_path / "outbox").execute(context)
        assert (xcom["documents"], emulator.calls().total) == (0, 0)

    def test_never_more_at_once_than_wanted(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path
    ) -> None:
        operator = batch(inbox, outbox, max_concurrency=2)
        most = 0
        done = threading.Event()

        def watch() -> None:
            nonlocal most
            while not done.is_set():
                most = max(most, sum(job.status in ("Pending", "Processing") for job in emulator.jobs()))
                time.sleep(0.002)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            operator.execute(context)
        finally:
            done.set()
            watcher.join()
        assert most <= 2


class TestFailures:
    @pytest.fixture
    def with_a_bad_one(self, inbox: Path) -> Path:
        (inbox / "2023" / "9.png").write_text("just text")
        return inbox

    def test_fail_at_end(
        self, connection: str, emulator: EmulatorServer, context: Any, with_a_bad_one: Path, outbox: Path
    ) -> None:
        with pytest.raises(AsposeOcrBatchRefusedError, match=r"1 of 7 documents failed.*9\.png is not an image"):
            batch(with_a_bad_one, outbox).execute(context)
        assert texts(outbox) == ALL
        line = manifest(outbox)[str(with_a_bad_one / "2023" / "9.png")]
        assert line["status"] == "Refused"
        assert "not an image" in line["error"]

    def test_skip(self, connection: str, context: Any, with_a_bad_one: Path, outbox: Path) -> None:
        xcom = batch(with_a_bad_one, outbox, on_error="skip").execute(context)
        assert (xcom["completed"], xcom["failed"]) == (6, 1)
        assert xcom["failures"][0]["image"].endswith("9.png")

    def test_fail_fast(self, slow_emulator: EmulatorServer, context: Any, with_a_bad_one: Path, outbox: Path) -> None:
        images = [str(with_a_bad_one / "2023" / name) for name in ("0.png", "9.png", "1.png", "2.png")]
        with pytest.raises(AsposeOcrBatchError):
            batch(images, outbox, on_error="fail_fast", max_concurrency=2).execute(context)
        assert slow_emulator.calls().accepted <= 2
        assert all(job.cancelled for job in slow_emulator.jobs())

    def test_error_of_a_job_is_submitted_again_by_the_retry_and_only_it(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path
    ) -> None:
        emulator.add_faults([{"kind": "error", "messages": ["unreadable"], "method": "POST", "path": "RecognizeImage"}])
        with pytest.raises(AsposeOcrBatchError, match="unreadable") as raised:
            batch(inbox, outbox).execute(context)
        assert not isinstance(raised.value, AirflowFailException)
        assert emulator.calls().accepted == 6
        assert batch(inbox, outbox).execute(context)["completed"] == 6
        assert emulator.calls().accepted == 7

    def test_blips_are_survived(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path
    ) -> None:
        emulator.add_faults(
            [{"kind": kind, "method": "GET"} for kind in ("reset_before", "truncate", "not_json")]
            + [{"kind": "status", "status": 503, "retry_after": 0, "method": "POST", "path": "RecognizeImage"}]
        )
        assert batch(inbox, outbox).execute(context)["completed"] == 6
        assert emulator.calls().accepted == 6

    def test_doubt_is_not_billed_again(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path
    ) -> None:
        emulator.add_faults([{"kind": "reset_after", "method": "POST", "path": "RecognizeImage"}])
        for _ in range(2):
            with pytest.raises(AsposeOcrBatchRefusedError, match="1 of 6 documents failed"):
                batch(inbox, outbox).execute(context)
            assert emulator.calls().accepted == 6
        assert batch(inbox, outbox, resubmit_on_ambiguity=True).execute(context)["completed"] == 6
        assert emulator.calls().accepted == 7

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            ({"images": "/no/such/folder"}, "no folder or file"),
            ({"images": 5}, "must be a list, a folder or a glob"),
            ({"settings": {"langage": "x"}}, "unknown setting"),
            ({"endpoint": "Nope"}, "Unknown endpoint"),
            ({"endpoint": "RecognizeRegions"}, "needs at least one region"),
            ({"max_concurrency": 0}, "max_concurrency"),
            ({"on_error": "ignore"}, "on_error"),
            ({"output_path": None}, "needs output_path"),
        ],
    )
    def test_bad_input(
        self,
        connection: str,
        emulator: EmulatorServer,
        context: Any,
        inbox: Path,
        outbox: Path,
        arguments: dict[str, Any],
        says: str,
    ) -> None:
        operator = AsposeOcrBatchOperator(
            task_id="batch", **{"images": str(inbox), "output_path": str(outbox), **arguments}
        )
        with pytest.raises(AsposeOcrInputError, match=says):
            operator.execute(context)
        assert emulator.calls().total == 0

    def test_manifest_of_another_run_is_not_replaced(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path, store: MemoryStore
    ) -> None:
        batch(inbox, outbox).execute(context)
        store.kept.clear()
        context["ti"] = task_instance(run_id="another")
        with pytest.raises(AsposeOcrInputError, match="manifest of another run"):
            batch(inbox, outbox).execute(context)
        assert emulator.calls().accepted == 6
        assert batch(inbox, outbox, overwrite=True).execute(context)["completed"] == 6


class TestRetry:
    @pytest.mark.parametrize("by", ["store", "manifest"])
    def test_deferred_and_woken(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path, by: str
    ) -> None:
        if by == "manifest":
            del context["task_state_store"]
        with pytest.raises(TaskDeferred) as deferred:
            batch(inbox, outbox, deferrable=True, defer_after=0.1, max_concurrency=4).execute(context)
        trigger: Any = deferred.value.trigger
        assert isinstance(trigger, AsposeOcrBatchTrigger)
        assert len(trigger.ocr_task_ids) == 4
        assert slow_emulator.calls().accepted == 4
        clock.now += 120
        _, kwargs = trigger.serialize()
        event = event_of_batch(kwargs)
        with pytest.raises(TaskDeferred):
            # Those that have ended are fetched, and others submitted: then there is nothing to do again.
            batch(inbox, outbox, deferrable=True, defer_after=0.1, max_concurrency=4).execute_complete(context, event)
        assert 1 <= len(texts(outbox)) <= 4
        clock.now += 120
        assert slow_emulator.calls().accepted > 4
        with ticking(clock):
            xcom = batch(inbox, outbox).execute_complete(context, event)
        assert xcom["completed"] == 6
        assert texts(outbox) == ALL
        assert slow_emulator.calls().accepted == 6

    def test_the_job_that_woke_it_is_asked_first(
        self, slow_emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path, store: StrictStore
    ) -> None:
        """The others are not done yet, and must not speak for it."""
        trigger = deferred_by(batch(inbox, outbox, **DEFERRED), context)
        last = store.documents()["2024/2.png"]["ocr_task_id"]
        slow_emulator.add_faults([{"kind": "error", "messages": ["unreadable"], "path": "*GetTaskStatus*"}])
        event = event_of_batch({**trigger.serialize()[1], "ocr_task_id": last})
        with pytest.raises(TaskDeferred):
            woken(batch(inbox, outbox, **DEFERRED), context, event)
        assert store.documents()["2024/2.png"]["status"] == "Failed"

    def test_killed_worker(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path
    ) -> None:
        with pytest.raises(TaskDeferred):
            batch(inbox, outbox, deferrable=True, defer_after=0.1).execute(context)
        clock.now += 120
        assert batch(inbox, outbox).execute(context)["completed"] == 6
        assert slow_emulator.calls().accepted == 6

    def test_changed_settings_submit_anew(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path
    ) -> None:
        batch(inbox, outbox).execute(context)
        batch(inbox, outbox, settings={"language": "German"}).execute(context)
        assert emulator.calls().accepted == 12

    def test_users_clear_keeps_what_is_done_unless_overwrite(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path
    ) -> None:
        batch(inbox, outbox).execute(context)
        context["ti"] = task_instance(max_tries=5)
        batch(inbox, outbox).execute(context)
        assert emulator.calls().accepted == 6
        context["ti"] = task_instance(max_tries=8)
        batch(inbox, outbox, overwrite=True).execute(context)
        assert emulator.calls().accepted == 12

    def test_new_documents_are_added(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path
    ) -> None:
        batch(inbox / "2023", outbox).execute(context)
        Image.open(inbox / "2024" / "0.png").save(inbox / "2023" / "new.png")
        assert batch(inbox / "2023", outbox).execute(context)["completed"] == 4
        assert emulator.calls().accepted == 4

    def test_kill_cancels_all(
        self, slow_emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path, store: StrictStore
    ) -> None:
        operator = batch(inbox, outbox)

        def six_are_running() -> bool:
            return [kept["status"] for kept in store.documents().values()] == ["Running"] * 6

        with killed_once(six_are_running, operator), pytest.raises(AsposeOcrCancelledError):
            operator.execute(context)
        assert all(job.cancelled for job in slow_emulator.jobs())

    def test_trigger_kill_cancels_all(
        self, slow_emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path
    ) -> None:
        with pytest.raises(TaskDeferred) as deferred:
            batch(inbox, outbox, deferrable=True, defer_after=0.1).execute(context)
        trigger: Any = deferred.value.trigger
        asyncio.run(trigger.on_kill())
        assert [job.cancelled for job in slow_emulator.jobs()] == [True] * 6


def event_of_batch(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Run the trigger as a triggerer does, at once, and return its event's payload."""

    async def first() -> Any:
        async for event in AsposeOcrBatchTrigger(**{**kwargs, "next_poll_at": time.time()}).run():
            return event.payload
        return None

    payload = asyncio.run(first())
    assert isinstance(payload, dict)
    return payload


def woken(operator: AsposeOcrBatchOperator, context: Any, event: dict[str, Any]) -> Any:
    return operator.execute_complete(context, event)


def deferred_by(operator: AsposeOcrBatchOperator, context: Any) -> Any:
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context)
    return deferred.value.trigger


@contextlib.contextmanager
def ticking(clock: Clock) -> Iterator[None]:
    """A clock that goes on: two minutes in a tenth of a second."""
    done = threading.Event()

    def tick() -> None:
        while not done.wait(0.1):
            clock.now += 120

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


DEFERRED: dict[str, Any] = {"deferrable": True, "defer_after": 0.1}


class TestNothingGetsLost:
    def test_what_failed_is_not_submitted_again_when_the_batch_is_woken(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path
    ) -> None:
        slow_emulator.add_faults(
            [{"kind": "error", "messages": ["unreadable"], "method": "POST", "path": "RecognizeImage"}]
        )
        trigger = deferred_by(batch(inbox, outbox, max_concurrency=4, **DEFERRED), context)
        clock.now += 120
        event = event_of_batch(trigger.serialize()[1])
        # As often as it takes: how long the emulator really reads is the machine's affair.
        for _ in range(100):
            clock.now += 120
            with contextlib.suppress(TaskDeferred):
                with pytest.raises(AsposeOcrBatchError, match="1 of 6 documents failed"):
                    woken(batch(inbox, outbox, max_concurrency=4, **DEFERRED), context, event)
                break
        else:
            pytest.fail("the batch does not end")
        assert slow_emulator.calls().accepted == 6
        clock.now += 120
        with ticking(clock):
            assert batch(inbox, outbox).execute(context)["completed"] == 6
        assert slow_emulator.calls().accepted == 7

    @pytest.mark.parametrize("cancel_on_kill", [True, False])
    def test_a_job_that_never_ends_times_out_over_all_deferrals(
        self, slow_emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path, cancel_on_kill: bool
    ) -> None:
        kwargs: dict[str, Any] = {"timeout": 1.5, "cancel_on_kill": cancel_on_kill, **DEFERRED}
        trigger = deferred_by(batch(inbox, outbox, **kwargs), context)
        for _ in range(200):
            event = event_of_batch(trigger.serialize()[1])
            with pytest.raises((TaskDeferred, AsposeOcrBatchError)) as ended:
                woken(batch(inbox, outbox, **kwargs), context, event)
            if not isinstance(ended.value, TaskDeferred):
                break
            trigger = ended.value.trigger
        else:
            pytest.fail("the batch does not end")
        assert "did not end in time" in str(ended.value)
        assert [job.cancelled for job in slow_emulator.jobs()] == [cancel_on_kill] * 6
        assert slow_emulator.calls().accepted == 6

    def test_a_job_that_never_ends_times_out_in_the_worker(
        self, slow_emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path
    ) -> None:
        with pytest.raises(AsposeOcrBatchError, match=r"6 of 6 documents failed.*did not end in time"):
            batch(inbox, outbox, timeout=1).execute(context)
        assert all(job.cancelled for job in slow_emulator.jobs())

    def test_a_job_that_is_gone_is_submitted_again_by_the_next_try(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path
    ) -> None:
        deferred_by(batch(inbox, outbox, **DEFERRED), context)
        clock.now += 2 * 24 * 3600
        with ticking(clock):
            assert batch(inbox, outbox).execute(context)["completed"] == 6
        assert slow_emulator.calls().accepted == 12

    def test_a_store_that_breaks_ends_the_try_and_the_next_one_goes_on(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path, store: StrictStore
    ) -> None:
        store.broken_for = "Running"
        with pytest.raises(RuntimeError, match="API server is away"):
            batch(inbox, outbox, max_concurrency=1).execute(context)
        assert emulator.calls().accepted == 1
        # What could not be written then is in the manifest.
        assert [line["status"] for line in manifest(outbox).values()].count("Running") == 1

    def test_a_storage_that_breaks_while_a_result_is_written_loses_only_time(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path
    ) -> None:
        outbox.mkdir()
        (outbox / "2024").write_text("a file where a folder has to be")
        with pytest.raises(AsposeOcrBatchError, match=r"3 of 6 documents failed.*2024") as raised:
            batch(inbox, outbox).execute(context)
        assert not isinstance(raised.value, AirflowFailException)
        (outbox / "2024").unlink()
        assert batch(inbox, outbox).execute(context)["completed"] == 6
        assert emulator.calls().accepted == 6

    def test_a_secret_that_is_refused_is_tried_once(
        self, define_connection: Any, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path
    ) -> None:
        define_connection(host=emulator.url, login="wrong", password="wrong")
        with pytest.raises(AsposeOcrAuthError):
            batch(inbox, outbox, max_concurrency=1).execute(context)
        assert emulator.calls().token_calls <= 2

    def test_an_intent_is_taken_back_where_nothing_was_accepted(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path, store: StrictStore
    ) -> None:
        emulator.add_faults(
            [
                {
                    "kind": "status",
                    "status": 503,
                    "method": "POST",
                    "path": "RecognizeImage",
                    "retry_after": 0,
                    "count": 24,
                }
            ]
        )
        with pytest.raises(AsposeOcrBatchError):
            batch(inbox, outbox).execute(context)
        assert {kept["status"] for kept in store.documents().values()} == {"Failed"}
        assert batch(inbox, outbox).execute(context)["completed"] == 6

    def test_no_intent_before_the_token(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path, store: StrictStore
    ) -> None:
        emulator.add_faults([{"kind": "status", "status": 500, "method": "POST", "path": "connect/token", "count": 99}])
        seen: list[str] = []
        original = store.set

        def recording(key: str, value: Any, *, retention: Any = None) -> None:
            seen.append(json.dumps(value))
            original(key, value, retention=retention)

        store.set = recording  # type: ignore[method-assign]
        with pytest.raises(AsposeOcrBatchError):
            batch(inbox / "2023", outbox).execute(context)
        assert seen
        assert not [value for value in seen if "Submitting" in value]

    def test_a_kill_after_a_clear_does_not_bring_back_what_was_cleared(
        self,
        slow_emulator: EmulatorServer,
        clock: Clock,
        context: Any,
        inbox: Path,
        outbox: Path,
        store: StrictStore,
    ) -> None:
        trigger = deferred_by(batch(inbox, outbox, **DEFERRED), context)
        asyncio.run(trigger.on_kill())
        context["ti"] = task_instance(max_tries=5)
        # The first try after the clear dies before it has sent anything.
        store.broken_for = "Submitting"
        with pytest.raises(RuntimeError, match="API server is away"):
            batch(inbox, outbox).execute(context)
        store.broken_for = None
        assert slow_emulator.calls().accepted == 6
        with ticking(clock):
            assert batch(inbox, outbox).execute(context)["completed"] == 6
        assert slow_emulator.calls().accepted == 12

    def test_writes_are_joined(
        self, connection: str, emulator: EmulatorServer, context: Any, tmp_path: Path, store: StrictStore
    ) -> None:
        folder = tmp_path / "many"
        folder.mkdir()
        for number in range(100):
            Image.new("L", (20 + number, 20), "white").save(folder / f"{number}.png")
        original = store.set

        def slow(key: str, value: Any, *, retention: Any = None) -> None:
            time.sleep(0.01)
            original(key, value, retention=retention)

        store.set = slow  # type: ignore[method-assign]
        batch(folder, tmp_path / "out", max_concurrency=50).execute(context)
        assert store.writes < 150
        assert {kept["status"] for kept in store.documents().values()} == {"Completed"}

    def test_durable_false_forgets_but_knows_its_own_files(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path
    ) -> None:
        for expected in (6, 12):
            assert batch(inbox, outbox, durable=False).execute(context)["completed"] == 6
            assert emulator.calls().accepted == expected

    def test_an_empty_manifest_is_nobodys(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "empty").mkdir()
        batch(tmp_path / "empty", outbox).execute(context)
        context["ti"] = task_instance(run_id="another")
        assert batch(inbox, outbox).execute(context)["completed"] == 6


class TestEnds:
    def killed_once_submitted(
        self, emulator: EmulatorServer, operator: AsposeOcrBatchOperator
    ) -> contextlib.AbstractContextManager[None]:
        return killed_once(lambda: emulator.calls().accepted == 6, operator)

    def test_a_worker_that_is_shut_down_cancels_nothing_and_the_retry_goes_on(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path
    ) -> None:
        context["ti"].get_task_states = lambda **_: {"run": {"batch": "running"}}
        operator = batch(inbox, outbox)
        with self.killed_once_submitted(slow_emulator, operator), pytest.raises(AsposeOcrInterruptedError):
            operator.execute(context)
        assert not any(job.cancelled for job in slow_emulator.jobs())
        clock.now += 120
        assert batch(inbox, outbox).execute(context)["completed"] == 6
        assert slow_emulator.calls().accepted == 6

    def test_what_a_kill_cancelled_is_forgotten(
        self, slow_emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path, store: StrictStore
    ) -> None:
        operator = batch(inbox, outbox)
        with self.killed_once_submitted(slow_emulator, operator), pytest.raises(AsposeOcrCancelledError):
            operator.execute(context)
        assert all(job.cancelled for job in slow_emulator.jobs())
        assert {(kept["status"], kept["ocr_task_id"]) for kept in store.documents().values()} == {("Waiting", None)}

    def test_a_signal_that_raises_gets_through(
        self, slow_emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path
    ) -> None:
        """As Airflow's ``execution_timeout``: its signal handler raises in the main thread, wherever that is."""

        class Timeout(BaseException):
            pass

        def ring(*_: Any) -> None:
            raise Timeout

        before = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, 1.0)
        try:
            with pytest.raises(Timeout):
                batch(inbox, outbox).execute(context)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert len(manifest(outbox)) == 6
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("aspose-ocr-batch")]

    def test_fail_fast_names_what_failed_and_does_not_retry_what_cannot_be_mended(
        self, slow_emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path
    ) -> None:
        (inbox / "bad.png").write_text("just text")
        images = [str(inbox / "2023" / "0.png"), str(inbox / "bad.png"), str(inbox / "2023" / "1.png")]
        with pytest.raises(AsposeOcrBatchRefusedError, match=r"1 of 3 documents failed.*bad\.png is not an image"):
            batch(images, outbox, on_error="fail_fast", max_concurrency=2).execute(context)

    def test_airflows_own_timeout_of_a_deferral_only_wakes_the_batch(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path
    ) -> None:
        deferred_by(batch(inbox, outbox, **DEFERRED), context)
        clock.now += 120
        xcom = batch(inbox, outbox).resume_execution("__fail__", {"error": "Trigger timeout"}, context)
        assert xcom["completed"] == 6

    def test_the_worker_learns_from_the_trigger_how_long_jobs_take(
        self,
        slow_emulator: EmulatorServer,
        clock: Clock,
        context: Any,
        inbox: Path,
        outbox: Path,
        store: StrictStore,
    ) -> None:
        trigger = deferred_by(batch(inbox, outbox, max_concurrency=3, **DEFERRED), context)
        clock.now += 120
        event = event_of_batch(trigger.serialize()[1])
        assert event["ended_at"] == pytest.approx(time.time(), abs=1)
        # Nobody comes for the results for a while.
        store.age(50)
        event["ended_at"] = trigger.started_at - 50 + 3.0
        with pytest.raises(TaskDeferred) as deferred:
            woken(batch(inbox, outbox, max_concurrency=3, **DEFERRED), context, event)
        assert deferred.value.trigger.likely_age == pytest.approx(3.0)  # type: ignore[attr-defined]
