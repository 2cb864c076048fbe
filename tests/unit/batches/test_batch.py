"""A whole batch: many documents, one task, each result in its place."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException
from PIL import Image

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from tests.unit.batches.batch_stubs import (
    ALL,
    batch,
    manifest,
    texts,
)


class TestWhole:
    def test_folder(self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path) -> None:
        """All images of a folder are read into files of the same structure, with a manifest."""
        (inbox / "notes.txt").write_text("not an image by its name")
        xcom = batch(inbox, outbox).execute(context)
        assert texts(outbox) == ALL
        assert xcom["seconds"].keys() == {"p50", "p95"}
        assert xcom["calls"] >= 6
        assert {**xcom, "seconds": None, "calls": None} == {
            "endpoint": "RecognizeImage",
            "documents": 6,
            "completed": 6,
            "skipped": 0,
            "failed": 0,
            "submissions": 6,
            "calls": None,
            "seconds": None,
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
        """A glob names its images."""
        batch(f"{inbox}/*/[01].png", outbox).execute(context)
        assert sorted(texts(outbox)) == ["2023/0.txt", "2023/1.txt", "2024/0.txt", "2024/1.txt"]

    def test_list(self, connection: str, context: Any, inbox: Path, outbox: Path) -> None:
        """A list names its images."""
        batch([str(inbox / "2024" / "0.png"), str(inbox / "2023" / "0.png")], outbox).execute(context)
        assert sorted(texts(outbox)) == ["2023/0.txt", "2024/0.txt"]

    def test_one_name_with_two_extensions(self, connection: str, context: Any, inbox: Path, outbox: Path) -> None:
        """Images that differ in their extension only get files of their own."""
        Image.open(inbox / "2023" / "0.png").save(inbox / "2023" / "0.jpg")
        batch(inbox / "2023", outbox).execute(context)
        assert sorted(texts(outbox)) == ["0.jpg.txt", "0.png.txt", "1.txt", "2.txt"]

    def test_several_results(self, connection: str, context: Any, inbox: Path, outbox: Path) -> None:
        """Each result of a document is a file."""
        batch([str(inbox / "2023" / "0.png")], outbox, settings={"result_type": "TextAndPdf"}).execute(context)
        assert sorted(path.name for path in outbox.iterdir()) == ["0.pdf", "0.txt", "manifest.jsonl"]

    def test_regions_of_a_form(self, connection: str, context: Any, inbox: Path, outbox: Path) -> None:
        """The regions of a form are read from every document."""
        xcom = batch(inbox, outbox, endpoint="RecognizeRegions", regions=[[0, 0, 200, 40]]).execute(context)
        assert xcom["completed"] == 6
        assert texts(outbox)["2023/0.txt"] == "Apple2023"

    def test_nothing_to_do(self, connection: str, emulator: EmulatorServer, context: Any, tmp_path: Path) -> None:
        """An empty folder costs no call, and skips the task with a sentence, unless the user says otherwise."""
        (tmp_path / "empty").mkdir()
        with pytest.raises(AirflowSkipException, match="There are no documents in"):
            batch(tmp_path / "empty", tmp_path / "outbox").execute(context)
        with pytest.raises(AsposeOcrInputError, match="There are no documents in"):
            batch(tmp_path / "empty", tmp_path / "outbox", on_empty="fail").execute(context)
        xcom = batch(tmp_path / "empty", tmp_path / "outbox", on_empty="succeed").execute(context)
        assert (xcom["documents"], emulator.calls().total) == (0, 0)

    def test_never_more_at_once_than_wanted(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path
    ) -> None:
        """There are never more jobs at once than wanted."""
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
