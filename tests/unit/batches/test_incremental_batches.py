"""Runs into the same folder, mapped runs, and what moves meanwhile: nothing is read twice, nothing paid is lost."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from airflow_provider_asposeocr.batches.chunks import chunks
from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrBatchError,
    AsposeOcrBatchRefusedError,
    AsposeOcrInputError,
)
from airflow_provider_asposeocr.operators.batch import AsposeOcrBatchOperator
from tests.unit.batches.batch_stubs import (
    DEFERRED,
    StrictStore,
    batch,
    deferred_by,
    manifest,
    task_instance,
    texts,
    to_the_end,
)
from tests.unit.storage.outputs import QUIET
from tests.unit.storage.storages import Moody
from tests.unit.task_stubs import Clock

pytestmark = QUIET


def drawn(path: Path, shade: int = 200) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (40, 20), shade).save(path)
    return path


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A folder of thirty images."""
    for number in range(30):
        drawn(tmp_path / "many" / f"{number:02}.png", number)
    return tmp_path / "many"


def timeless(found: Any) -> Any:
    """What a storage says that tells neither times nor ETags."""
    if isinstance(found, list):
        return [timeless(each) for each in found]
    return {name: value for name, value in found.items() if name != "created"} if isinstance(found, dict) else found


def next_run(run_id: str, **kwargs: Any) -> dict[str, Any]:
    return {"ti": task_instance(run_id=run_id, **kwargs), "task_state_store": StrictStore()}


class TestNextRun:
    def test_only_what_is_new_or_changed_is_read(self, service: EmulatorServer, many: Path, outbox: Path) -> None:
        assert batch(many, outbox).execute(next_run("first"))["completed"] == 30
        for number in range(10):
            drawn(many / f"{number:02}.png", 250 - number)
            os.utime(many / f"{number:02}.png", (1, number))
        for number in range(5):
            drawn(many / "new" / f"{number}.png", 100)
        xcom = batch(many, outbox).execute(next_run("second"))
        assert (xcom["documents"], xcom["completed"], xcom["skipped"], xcom["submissions"]) == (35, 15, 20, 15)
        assert service.calls().accepted == 45
        lines = manifest(outbox)
        assert [line["status"] for line in lines.values()].count("Skipped") == 20
        assert all(line["files"] for line in lines.values())

    def test_a_storage_that_tells_no_times_is_asked_for_the_content(
        self, service: EmulatorServer, moody: Moody, monkeypatch: pytest.MonkeyPatch, many: Path, outbox: Path
    ) -> None:
        """A document of the same size and other content is read again, and no other is."""
        ls, info = Moody.ls, Moody.info
        monkeypatch.setattr(Moody, "ls", lambda *args, **kwargs: timeless(ls(*args, **kwargs)))
        monkeypatch.setattr(Moody, "info", lambda *args, **kwargs: timeless(info(*args, **kwargs)))
        for path in sorted(many.iterdir())[:6]:
            moody.put(f"in/{path.name}", path.read_bytes())
        assert batch("moody://in", outbox).execute(next_run("first"))["completed"] == 6
        assert batch("moody://in", outbox).execute(next_run("second"))["skipped"] == 6
        before, changed = moody.files()["in/00.png"], bytearray(moody.files()["in/00.png"])
        changed[-1] ^= 1
        moody.put("in/00.png", bytes(changed))
        assert len(before) == len(changed)
        xcom = batch("moody://in", outbox).execute(next_run("third"))
        assert (xcom["completed"], xcom["skipped"], service.calls().accepted) == (1, 5, 7)

    def test_a_storage_that_takes_what_is_there_for_missing_bills_nothing_again(
        self, service: EmulatorServer, moody: Moody, monkeypatch: pytest.MonkeyPatch, many: Path
    ) -> None:
        """As those do that cannot find out for a moment whether there is something."""
        assert batch(many, Path(), output_path="moody://out").execute(next_run("first"))["completed"] == 30
        monkeypatch.setattr(Moody, "exists", lambda *_, **__: False)
        xcom = batch(many, Path(), output_path="moody://out").execute(next_run("second"))
        assert (xcom["skipped"], service.calls().accepted) == (30, 30)

    def test_other_settings_read_everything_anew(self, service: EmulatorServer, many: Path, outbox: Path) -> None:
        batch(many, outbox).execute(next_run("first"))
        xcom = batch(many, outbox, settings={"language": "German"}).execute(next_run("second"))
        assert (xcom["completed"], service.calls().accepted) == (30, 60)

    def test_retrying_what_failed_costs_only_that(self, service: EmulatorServer, many: Path, outbox: Path) -> None:
        service.add_faults(
            [{"kind": "error", "messages": ["bad"], "method": "POST", "path": "RecognizeImage", "count": 3}]
        )
        assert batch(many, outbox, on_error="skip").execute(next_run("first"))["failed"] == 3
        assert batch(many, outbox).execute(next_run("second"))["completed"] == 3
        assert service.calls().accepted == 33

    def test_overwrite_reads_everything_anew(self, service: EmulatorServer, many: Path, outbox: Path) -> None:
        batch(many, outbox).execute(next_run("first"))
        assert batch(many, outbox, on_existing="overwrite").execute(next_run("second"))["completed"] == 30

    @pytest.mark.parametrize("forgotten", [False, True], ids=["remembered", "forgotten"])
    def test_a_clear_of_a_run_that_overwrites_bills_nothing_again(
        self, service: EmulatorServer, many: Path, outbox: Path, forgotten: bool
    ) -> None:
        """Each run reads everything anew; that run, cleared once or twice, only what has changed since."""
        batch(many, outbox).execute(next_run("first"))
        context = next_run("second")
        assert batch(many, outbox, overwrite=True).execute(context)["completed"] == 30
        for clear in range(2):
            context["ti"].max_tries += 1
            if forgotten:
                context["task_state_store"] = StrictStore()
            xcom = batch(many, outbox, overwrite=True).execute(context)
            assert (xcom["skipped"], xcom["submissions"], clear) == (30, 0, clear)
        drawn(many / "00.png", 250)
        os.utime(many / "00.png", (1, 1))
        context["ti"].max_tries += 1
        assert batch(many, outbox, overwrite=True).execute(context)["submissions"] == 1
        assert service.calls().accepted == 61
        assert batch(many, outbox, overwrite=True).execute(next_run("third"))["completed"] == 30

    def test_a_clear_reads_anew_what_another_run_had_read_for_a_run_that_is_now_to_overwrite(
        self, service: EmulatorServer, many: Path, outbox: Path
    ) -> None:
        """What was skipped was not read by the task instance that is cleared."""
        batch(many, outbox).execute(next_run("first"))
        context = next_run("second")
        batch(many, outbox).execute(context)
        context["ti"].max_tries += 1
        assert batch(many, outbox, overwrite=True).execute(context)["completed"] == 30

    def test_a_clear_of_a_run_bills_nothing_that_a_later_run_has_overwritten(
        self, service: EmulatorServer, many: Path, outbox: Path
    ) -> None:
        """What a later run has read is newer than what the cleared one had; only `resubmit_on_clear` reads it anew."""
        first = next_run("first")
        for context in (first, next_run("second")):
            assert batch(many, outbox, overwrite=True).execute(context)["completed"] == 30
        for _ in range(2):
            first["ti"].max_tries += 1
            assert batch(many, outbox, overwrite=True).execute(first)["skipped"] == 30
        assert service.calls().accepted == 60
        first["ti"].max_tries += 1
        assert batch(many, outbox, overwrite=True, resubmit_on_clear=True).execute(first)["completed"] == 30

    def test_resubmit_on_clear_reads_everything_anew(self, service: EmulatorServer, many: Path, outbox: Path) -> None:
        context = next_run("first")
        batch(many, outbox).execute(context)
        context["ti"].max_tries += 1
        assert batch(many, outbox, resubmit_on_clear=True).execute(context)["completed"] == 30
        assert service.calls().accepted == 60

    def test_a_clear_in_the_middle_of_a_run_that_overwrites_goes_on(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path
    ) -> None:
        deferred_by(batch(inbox, outbox, overwrite=True, **DEFERRED), context)
        context["ti"].max_tries += 1
        clock.now += 120
        assert batch(inbox, outbox, overwrite=True).execute(context)["completed"] == 6
        assert slow_emulator.calls().accepted == 6

    def test_fail_refuses_to_begin(self, service: EmulatorServer, many: Path, outbox: Path) -> None:
        batch(many, outbox).execute(next_run("first"))
        with pytest.raises(AsposeOcrInputError, match=r"there already.*and 27 more. Nothing was sent"):
            batch(many, outbox, on_existing="fail").execute(next_run("second"))
        assert service.calls().accepted == 30

    @pytest.mark.parametrize("cannot_know", ["exists", "ls"])
    def test_fail_refuses_to_begin_where_a_storage_cannot_tell_for_a_moment(
        self, service: EmulatorServer, moody: Moody, monkeypatch: pytest.MonkeyPatch, many: Path, cannot_know: str
    ) -> None:
        """A result that is taken for missing, or whose folder cannot be listed, would be paid for again."""
        drawn(many / "below" / "one.png")
        moody.put("out/below/one.txt", b"here")
        ls = Moody.ls

        def locked(storage: Moody, path: str, *args: Any, **kwargs: Any) -> Any:
            if path.endswith("out/below"):
                raise PermissionError(path)
            return ls(storage, path, *args, **kwargs)

        if cannot_know == "ls":
            monkeypatch.setattr(Moody, "ls", locked)
        else:
            monkeypatch.setattr(Moody, "exists", lambda *_, **__: False)
        with pytest.raises(AsposeOcrInputError, match=r"there already|cannot be listed"):
            batch(many, Path(), output_path="moody://out", on_existing="fail").execute(next_run("run"))
        assert service.calls().total == 0

    def test_a_retry_finds_its_list_on_a_storage_that_takes_what_is_there_for_missing(
        self, service: EmulatorServer, moody: Moody, monkeypatch: pytest.MonkeyPatch, many: Path
    ) -> None:
        """To say that the list is gone would be to advise a second bill."""
        context = next_run("run")
        with pytest.raises(AsposeOcrBatchError, match="It ends early: max_submissions=20 is reached"):
            batch(many, Path(), output_path="moody://out", max_submissions=20).execute(context)
        monkeypatch.setattr(Moody, "exists", lambda *_, **__: False)
        assert batch(many, Path(), output_path="moody://out").execute(context)["completed"] == 30
        assert service.calls().accepted == 30

    def test_a_store_that_has_forgotten_costs_nothing(self, service: EmulatorServer, many: Path, outbox: Path) -> None:
        """A clear after the store was emptied finds the manifest."""
        batch(many, outbox).execute(next_run("first"))
        xcom = batch(many, outbox).execute(next_run("first", max_tries=5))
        assert (xcom["skipped"], service.calls().accepted) == (30, 30)


class TestManyTasks:
    def test_mapped_batches_share_a_folder(self, service: EmulatorServer, many: Path, outbox: Path) -> None:
        """Each has its own manifest, and the results keep the structure of the whole folder."""
        parts = chunks(many, 12)
        assert len(parts) == 3
        for at, part in enumerate(parts):
            context = next_run("run", map_index=at)
            xcom = batch(part, outbox).execute(context)
            assert xcom["manifest"].endswith(f"manifest-{at}.jsonl")
        assert service.calls().accepted == 30
        assert len(texts(outbox)) == 30
        assert batch(many, outbox).execute(next_run("later"))["skipped"] == 30

    def test_chunks_of_no_documents(self, tmp_path: Path) -> None:
        """An empty folder has no chunks; one that is not there is an error."""
        (tmp_path / "empty").mkdir()
        assert chunks(tmp_path / "empty") == []
        with pytest.raises(AsposeOcrInputError, match="There is no folder"):
            chunks(tmp_path / "nowhere")


class TestWhatMoves:
    @pytest.mark.parametrize("what", ["one", "all"])
    def test_what_is_paid_for_is_fetched_though_its_document_is_gone(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path, what: str
    ) -> None:
        trigger = deferred_by(batch(inbox, outbox, **DEFERRED), context)
        if what == "one":
            (inbox / "2023" / "0.png").unlink()
        else:
            shutil.rmtree(inbox)
        xcom = to_the_end(lambda: batch(inbox, outbox, **DEFERRED), context, trigger, clock)
        assert xcom["completed"] == 6
        assert slow_emulator.calls().accepted == 6

    def test_results_below_the_documents_are_no_documents_of_later_wakes(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path
    ) -> None:
        def made() -> AsposeOcrBatchOperator:
            pictures = {"result_type": "ImagePNG"}
            return batch(inbox, inbox / "2023" / "read", settings=pictures, max_concurrency=2, **DEFERRED)

        xcom = to_the_end(made, context, deferred_by(made(), context), clock)
        assert (xcom["documents"], xcom["completed"], slow_emulator.calls().accepted) == (6, 6, 6)

    def test_results_below_the_documents_are_no_documents(self, service: EmulatorServer, many: Path) -> None:
        for run in ("first", "second"):
            xcom = batch(many, many / "out", settings={"result_type": "Text"}).execute(next_run(run))
            assert xcom["documents"] == 30
        assert service.calls().accepted == 30


class TestErrors:
    def test_what_ends_as_error_is_billed_twice_at_most(
        self, service: EmulatorServer, many: Path, outbox: Path
    ) -> None:
        """The second time it is told that a retry would fail the same way."""
        service.add_faults(
            [{"kind": "error", "messages": ["bad"], "method": "POST", "path": "RecognizeImage", "count": None}]
        )
        context = next_run("run")
        with pytest.raises(AsposeOcrBatchError) as raised:
            batch(many, outbox).execute(context)
        assert not isinstance(raised.value, AsposeOcrBatchRefusedError)
        for _ in range(3):
            with contextlib.suppress(AsposeOcrBatchError):
                batch(many, outbox).execute(context)
        assert service.calls().accepted == 60
        with pytest.raises(AsposeOcrBatchError):
            batch(many, outbox, resubmit_failed_jobs=True).execute(context)
        assert service.calls().accepted == 90

    def test_names_that_are_no_text(self, service: EmulatorServer, tmp_path: Path, outbox: Path) -> None:
        """A file name that is not UTF-8, or that breaks lines elsewhere, is read like any other."""
        drawn(tmp_path / "odd" / "a\u2028b.png")
        drawn(tmp_path / "odd" / "c.png").rename(tmp_path / "odd" / os.fsdecode(b"\xff.png"))
        xcom = batch(tmp_path / "odd", outbox).execute(next_run("first"))
        assert xcom["completed"] == 2
        lines = (outbox / "manifest.jsonl").read_text().splitlines()
        assert len(lines) == 2
        assert batch(tmp_path / "odd", outbox).execute(next_run("second"))["skipped"] == 2
        assert service.calls().accepted == 2

    def test_a_named_pipe_does_not_hang(self, service: EmulatorServer, tmp_path: Path, outbox: Path) -> None:
        os.mkfifo(tmp_path / "pipe.png")
        with pytest.raises(AsposeOcrBatchRefusedError, match="is no regular file"):
            batch([str(tmp_path / "pipe.png")], outbox).execute(next_run("run"))


class TestGuards:
    def test_max_documents(self, service: EmulatorServer, many: Path, outbox: Path) -> None:
        """Too many documents are refused before anything is sent; those that are skipped do not count."""
        with pytest.raises(AsposeOcrInputError, match="30 of 30 documents would be read"):
            batch(many, outbox, max_documents=10).execute(next_run("first"))
        assert service.calls().total == 0
        batch(many, outbox).execute(next_run("first"))
        assert batch(many, outbox, max_documents=10).execute(next_run("second"))["skipped"] == 30

    def test_a_dry_run_says_what_would_be_billed(self, service: EmulatorServer, many: Path, outbox: Path) -> None:
        (many / "bad.png").write_text("no image")
        xcom = batch(many, outbox, dry_run=True).execute(next_run("run"))
        assert (xcom["dry_run"], xcom["documents"], xcom["to_submit"], xcom["failed"]) == (True, 31, 30, 1)
        assert service.calls().total == 0
        assert not outbox.exists()

    def test_a_dry_run_of_a_batch_that_has_begun_submits_nothing(
        self, service: EmulatorServer, many: Path, outbox: Path
    ) -> None:
        """It says what is left, and leaves what was begun to a try that is none."""
        context = next_run("run")
        with pytest.raises(AsposeOcrBatchError, match="It ends early: max_submissions=20 is reached"):
            batch(many, outbox, max_submissions=20).execute(context)
        for max_tries in (2, 5):
            context["ti"] = task_instance(max_tries=max_tries)
            xcom = batch(many, outbox, dry_run=True).execute(context)
            assert (xcom["dry_run"], xcom["documents"], xcom["completed"], xcom["to_submit"]) == (True, 30, 20, 10)
        assert service.calls().accepted == 20
        assert batch(many, outbox).execute(context)["completed"] == 30
        assert service.calls().accepted == 30

    def test_max_failures(self, service: EmulatorServer, many: Path, outbox: Path) -> None:
        """Once more than `max_failures` documents have failed, no more are submitted."""
        service.add_faults(
            [{"kind": "error", "messages": ["bad"], "method": "POST", "path": "RecognizeImage", "count": None}]
        )
        with pytest.raises(AsposeOcrBatchError, match="more than max_failures=2 documents failed"):
            batch(many, outbox, max_failures=2, max_concurrency=2, on_error="skip").execute(next_run("run"))
        assert service.calls().accepted <= 6

    def test_progress_is_an_xcom(self, service: EmulatorServer, many: Path, outbox: Path) -> None:
        context = next_run("run")
        pushed: dict[str, Any] = {}
        context["ti"].xcom_push = lambda key, value: pushed.update({key: value})
        batch(many, outbox).execute(context)
        assert pushed["progress"]["completed"] == pushed["progress"]["documents"] == 30
        assert pushed["progress"]["submissions"] == 30
