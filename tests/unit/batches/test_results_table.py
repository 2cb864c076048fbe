"""``results="parquet"``: the whole list as one table of documents, pages or regions with their texts."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from PIL import Image
from pyarrow import parquet

from airflow_provider_asposeocr.batches.chunks import chunks
from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import AsposeOcrBatchError, AsposeOcrInputError
from benchmarks import tables
from tests.unit.batches.batch_stubs import DEFERRED, StrictStore, batch, deferred_by, task_instance
from tests.unit.raw_server import JOB, RawServer, answer, task_answer
from tests.unit.storage.outputs import QUIET
from tests.unit.task_stubs import Clock

pytestmark = QUIET

SCHEMA = """document: string
ocr_task_id: string
status: string
endpoint: string
language: string
settings: string
page: int32
region: int32
rect: list<element: int32>
  child 0, element: int32
text: string
warnings: list<element: string>
  child 0, element: string
error: string
file: string
files: list<element: string>
  child 0, element: string
seconds: double
submitted_at: timestamp[us, tz=UTC]
run: string"""
"""What other people's queries depend on."""


def rows(outbox: Path, name: str = "results.parquet") -> list[dict[str, Any]]:
    return parquet.read_table(outbox / name).to_pylist()


def a_run(run_id: str = "run", **kwargs: Any) -> dict[str, Any]:
    return {"ti": task_instance(run_id=run_id, **kwargs), "task_state_store": StrictStore()}


def one_image(folder: Path) -> str:
    Image.new("L", (60, 40), "white").save(folder / "one.png")
    return str(folder / "one.png")


class TestRows:
    def test_the_columns_and_their_types_are_always_the_same(
        self, service: EmulatorServer, tmp_path: Path, inbox: Path, outbox: Path
    ) -> None:
        """Those of an empty batch, too."""
        (tmp_path / "empty").mkdir()
        for images in (tmp_path / "empty", inbox):
            batch(images, outbox, results="parquet", on_empty="succeed").execute(a_run(images.name))
            assert parquet.read_schema(outbox / "results.parquet").to_string() == SCHEMA

    def test_each_document_has_a_row_in_the_order_of_the_list(
        self, service: EmulatorServer, inbox: Path, outbox: Path, logged: Callable[[], str]
    ) -> None:
        settings = {"language": "German", "result_type": "TextAndPdf"}
        xcom = batch(inbox, outbox, results="parquet", settings=settings).execute(a_run())
        assert xcom["table"] == str(outbox / "results.parquet")
        found = rows(outbox)
        assert [row["document"] for row in found] == sorted(str(path) for path in inbox.rglob("*.png"))
        for row in found:
            assert row["text"] == Path(row["file"]).read_text() != ""
            assert row["text"] not in str(xcom)
            assert [Path(file).suffix for file in row["files"]] == [".txt", ".pdf"]
            assert (row["status"], row["endpoint"], row["language"]) == ("Completed", "RecognizeImage", "German")
            assert (row["page"], row["region"], row["rect"], row["error"]) == (None, None, None, None)
            assert '"resultType": "TextAndPdf"' in row["settings"]
        assert {row["ocr_task_id"] for row in found} == {job.id for job in service.jobs()}
        assert found[0]["text"] not in logged()

    def test_each_region_has_a_row_also_one_that_came_back_empty(
        self, raw_server: Callable[..., RawServer], tmp_path: Path, outbox: Path
    ) -> None:
        texts = [
            {"type": "Text", "data": "Zmlyc3Q="},
            {"type": "Text", "data": None},
            {"type": "Text", "data": "dGhpcmQ="},
        ]
        raw_server(lambda received: answer(200, JOB) if received.method == "POST" else task_answer(results=texts))
        corners = [[0, 0, 60, 10], [0, 10, 60, 20], [0, 20, 60, 40]]
        batch([one_image(tmp_path)], outbox, endpoint="RecognizeRegions", regions=corners, results="parquet").execute(
            a_run()
        )
        found = rows(outbox)
        assert [(row["region"], row["rect"], row["text"]) for row in found] == [
            (0, corners[0], "first"),
            (1, corners[1], None),
            (2, corners[2], "third"),
        ]
        assert [Path(row["file"]).name if row["file"] else None for row in found] == ["one-1.txt", None, "one-3.txt"]

    def test_each_page_has_a_row(self, raw_server: Callable[..., RawServer], tmp_path: Path, outbox: Path) -> None:
        pages = [{"type": "Text", "data": "YQ=="}, {"type": "Text", "data": "Yg=="}]
        raw_server(lambda received: answer(200, JOB) if received.method == "POST" else task_answer(results=pages))
        batch([one_image(tmp_path)], outbox, results="parquet").execute(a_run())
        assert [(row["page"], row["text"]) for row in rows(outbox)] == [(1, "a"), (2, "b")]

    def test_what_failed_has_a_row_that_says_why(self, service: EmulatorServer, inbox: Path, outbox: Path) -> None:
        (inbox / "bad.png").write_text("no image")
        batch(inbox, outbox, results="parquet", on_error="skip").execute(a_run())
        bad = next(row for row in rows(outbox) if row["document"].endswith("bad.png"))
        assert (bad["status"], bad["text"], bad["file"], bad["files"]) == ("Refused", None, None, [])
        assert "is not an image" in bad["error"]

    def test_a_file_that_is_not_there_any_more_is_told_in_its_row(
        self, service: EmulatorServer, inbox: Path, outbox: Path
    ) -> None:
        """The manifest decides what is read, and another task may have moved a result."""
        batch(inbox, outbox, results="parquet").execute(a_run("first"))
        (outbox / "2023" / "0.txt").unlink()
        batch(inbox, outbox, results="parquet").execute(a_run("second"))
        gone, *others = rows(outbox)
        assert gone["text"] is None
        assert gone["warnings"][-1].endswith("0.txt is not there any more: its text is not in this table.")
        assert all(row["text"] for row in others)


class TestRuns:
    def test_the_table_of_a_later_run_holds_what_it_has_skipped(
        self, service: EmulatorServer, inbox: Path, outbox: Path
    ) -> None:
        """It is the table of the whole folder, and says which run has read a document."""
        batch(inbox, outbox, results="parquet").execute(a_run("first"))
        one_image(inbox)
        batch(inbox, outbox, results="parquet").execute(a_run("second"))
        found = rows(outbox)
        assert len(found) == 7
        assert all(row["text"] for row in found)
        assert [(row["status"], row["run"].split("/")[2]) for row in found] == [("Skipped", "first")] * 6 + [
            ("Completed", "second")
        ]

    def test_what_was_read_without_a_table_gets_one_for_nothing(
        self, service: EmulatorServer, inbox: Path, outbox: Path
    ) -> None:
        batch(inbox, outbox).execute(a_run("first"))
        assert not (outbox / "results.parquet").exists()
        assert "table" not in batch(inbox, outbox, results="manifest").execute(a_run("second"))
        batch(inbox, outbox, results="parquet").execute(a_run("third"))
        assert [row["text"] is not None for row in rows(outbox)] == [True] * 6
        assert service.calls().accepted == 6

    def test_it_holds_what_several_tries_have_read(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, inbox: Path, outbox: Path
    ) -> None:
        deferred_by(batch(inbox, outbox, results="parquet", **DEFERRED), context)
        clock.now += 120
        batch(inbox, outbox, results="parquet").execute(context)
        first = rows(outbox)
        assert sorted(row["text"].strip() for row in first)[0].startswith("Apple")
        context["ti"].max_tries += 1
        batch(inbox, outbox, results="parquet").execute(context)
        kept = ("document", "ocr_task_id", "text", "file", "run")
        assert [{name: row[name] for name in kept} for row in rows(outbox)] == [
            {name: row[name] for name in kept} for row in first
        ]

    def test_mapped_batches_have_a_table_each(self, service: EmulatorServer, inbox: Path, outbox: Path) -> None:
        for at, part in enumerate(chunks(inbox, 4)):
            batch(part, outbox, results="parquet").execute(a_run(map_index=at))
        assert [len(rows(outbox, f"results-{at}.parquet")) for at in range(2)] == [4, 2]

    def test_it_is_written_to_any_storage(self, service: EmulatorServer, moody: Any, inbox: Path) -> None:
        xcom = batch(inbox, "moody://out", results="parquet").execute(a_run())
        assert xcom["table"].endswith("/out/results.parquet")
        found = parquet.read_table(arrow.BufferReader(moody.files()["out/results.parquet"])).to_pylist()
        assert [bool(row["text"]) for row in found] == [True] * 6


class TestTrouble:
    def test_nonsense_is_refused_when_the_dag_is_parsed(self, inbox: Path, outbox: Path) -> None:
        with pytest.raises(AsposeOcrInputError, match="results must be one of 'manifest' and 'parquet', got 'csv'"):
            batch(inbox, outbox, results="csv")

    def test_without_its_extra_nothing_is_sent(
        self, service: EmulatorServer, monkeypatch: pytest.MonkeyPatch, inbox: Path, outbox: Path
    ) -> None:
        monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
        with pytest.raises(AsposeOcrInputError, match=r"results='parquet' needs .*\[parquet\]"):
            batch(inbox, outbox, results="parquet").execute(a_run())
        assert service.calls().total == 0

    @pytest.mark.parametrize("region", [{"rect": [0, 0, 9, 9], "order": 2**31}, {"rect": [0, 0, 9, 2**31]}])
    def test_numbers_that_do_not_fit_into_it_are_refused_before_they_are_billed(
        self, service: EmulatorServer, inbox: Path, outbox: Path, region: dict[str, Any]
    ) -> None:
        """No retry could write it."""
        with pytest.raises(AsposeOcrInputError, match=r"2147483648 is too large for the table.*Nothing was sent"):
            batch(inbox, outbox, endpoint="RecognizeRegions", regions=[region], results="parquet").execute(a_run())
        assert service.calls().total == 0

    def test_a_warning_that_names_what_is_no_text_is_in_it(
        self, slow_emulator: EmulatorServer, clock: Clock, tmp_path: Path, outbox: Path
    ) -> None:
        """As that of a file in the way whose name is not UTF-8: no retry could write the table."""
        image = f"{one_image(tmp_path).removesuffix('one.png')}\udcff.png"
        (tmp_path / "one.png").rename(image)
        context = a_run()
        deferred_by(batch([image], outbox, results="parquet", **DEFERRED), context)
        (outbox / "\udcff.txt").write_text("somebody else's")
        clock.now += 120
        assert batch([image], outbox, results="parquet").execute(context)["completed"] == 1
        assert "\\udcff.txt appeared while the job ran" in rows(outbox)[0]["warnings"][0]

    def test_a_storage_that_does_not_take_it_is_told_and_a_retry_writes_it_for_nothing(
        self, service: EmulatorServer, inbox: Path, outbox: Path
    ) -> None:
        context, image = a_run(), inbox / "2023" / "0.png"
        good = image.read_bytes()
        image.write_text("no image")
        with pytest.raises(AsposeOcrBatchError, match="1 of 6 documents failed"):
            batch(inbox, outbox, results="parquet").execute(context)
        image.write_bytes(good)
        (outbox / "results.parquet").unlink()
        (outbox / "results.parquet").mkdir()
        with pytest.raises(AsposeOcrBatchError, match=r"could not be written: .*nothing is billed again") as raised:
            batch(inbox, outbox, results="parquet").execute(context)
        assert not isinstance(raised.value, AirflowFailException)
        (outbox / "results.parquet").rmdir()
        assert batch(inbox, outbox, results="parquet").execute(context)["completed"] == 6
        assert len(rows(outbox)) == 6
        assert service.calls().accepted == 6

    def test_a_text_that_is_no_text_is_in_it_as_far_as_it_can_be_read(
        self, raw_server: Callable[..., RawServer], tmp_path: Path, outbox: Path
    ) -> None:
        came = [{"type": "Text", "data": "YYBi"}]
        raw_server(lambda received: answer(200, JOB) if received.method == "POST" else task_answer(results=came))
        batch([one_image(tmp_path)], outbox, results="parquet").execute(a_run())
        assert rows(outbox)[0]["text"] == "a\N{REPLACEMENT CHARACTER}b"


def test_the_figures_of_the_guide_can_be_measured_again() -> None:
    try:
        figures = tables.measure_end(20)
    finally:
        # It measures in a process of its own, for which it has silenced the log.
        logging.disable(logging.NOTSET)
    assert set(figures) == {"manifest_s", "manifest_mib", "table_s", "table_mib"}
