"""Failures in a batch: which end it, which are told at its end, which are billed again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from PIL import Image

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrBatchError,
    AsposeOcrBatchRefusedError,
    AsposeOcrInputError,
)
from airflow_provider_asposeocr.operators.batch import AsposeOcrBatchOperator
from tests.unit.batches.batch_stubs import (
    ALL,
    batch,
    manifest,
    task_instance,
    texts,
)
from tests.unit.task_stubs import MemoryStore


class TestFailures:
    @pytest.fixture
    def with_a_bad_one(self, inbox: Path) -> Path:
        (inbox / "2023" / "9.png").write_text("just text")
        return inbox

    def test_fail_at_end(
        self, connection: str, emulator: EmulatorServer, context: Any, with_a_bad_one: Path, outbox: Path
    ) -> None:
        """With `fail_at_end` the others are read first, and then the failure is told."""
        with pytest.raises(AsposeOcrBatchRefusedError, match=r"1 of 7 documents failed.*9\.png is not an image"):
            batch(with_a_bad_one, outbox).execute(context)
        assert texts(outbox) == ALL
        line = manifest(outbox)[str(with_a_bad_one / "2023" / "9.png")]
        assert line["status"] == "Refused"
        assert "not an image" in line["error"]

    def test_skip(self, connection: str, context: Any, with_a_bad_one: Path, outbox: Path) -> None:
        """With `skip` the failures stand in the XCom, and the task succeeds."""
        xcom = batch(with_a_bad_one, outbox, on_error="skip").execute(context)
        assert (xcom["completed"], xcom["failed"]) == (6, 1)
        assert xcom["failures"][0]["image"].endswith("9.png")

    def test_fail_fast(self, slow_emulator: EmulatorServer, context: Any, with_a_bad_one: Path, outbox: Path) -> None:
        """With `fail_fast` nothing more is submitted, and what runs is cancelled: so says the manifest."""
        images = [str(with_a_bad_one / "2023" / name) for name in ("0.png", "9.png", "1.png", "2.png")]
        with pytest.raises(AsposeOcrBatchError):
            batch(images, outbox, on_error="fail_fast", max_concurrency=2).execute(context)
        assert slow_emulator.calls().accepted <= 2
        assert all(job.cancelled for job in slow_emulator.jobs())
        assert sorted(line["status"] for line in manifest(outbox).values()) == [
            "Refused",
            "Waiting",
            "Waiting",
            "Waiting",
        ]

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
        """A document that may have been billed is not billed again."""
        emulator.add_faults([{"kind": "reset_after", "method": "POST", "path": "RecognizeImage"}])
        for _ in range(2):
            with pytest.raises(AsposeOcrBatchRefusedError, match="1 of 6 documents failed"):
                batch(inbox, outbox).execute(context)
            assert emulator.calls().accepted == 6
        assert batch(inbox, outbox, resubmit_on_ambiguity=True).execute(context)["completed"] == 6
        assert emulator.calls().accepted == 7

    @pytest.mark.parametrize("timeout", [0, -1, float("nan")])
    def test_no_time_to_wait_is_refused_when_the_dag_is_parsed(self, timeout: float) -> None:
        with pytest.raises(AsposeOcrInputError, match="timeout must be over 0"):
            batch([], Path("out"), timeout=timeout)

    @pytest.mark.parametrize("name", ["overwrite", "dry_run", "durable", "resubmit_on_clear", "resubmit_on_ambiguity"])
    def test_a_switch_that_is_no_switch_is_refused_when_the_dag_is_parsed(self, name: str) -> None:
        """As a text from a template, which counts as true whatever it says."""
        with pytest.raises(AsposeOcrInputError, match=f"^{name} must be True or False, got 'False'"):
            batch([], Path("out"), **{name: "False"})

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            ({"images": "/no/such/folder"}, "no folder or file"),
            ({"images": 5}, "must be a list, a folder or a glob"),
            ({"settings": {"langage": "x"}}, "unknown setting"),
            ({"endpoint": "Nope"}, "Unknown endpoint"),
            ({"endpoint": "RecognizeRegions"}, "needs at least one region"),
            ({"max_concurrency": 0}, "max_concurrency"),
            ({"max_concurrency": "4"}, "max_concurrency must be a number"),
            ({"max_failures": "0"}, "max_failures must be a number"),
            ({"max_failures": -1}, "max_failures must be a number"),
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
        """Bad input is refused without a call."""
        operator = AsposeOcrBatchOperator(
            task_id="batch", **{"images": str(inbox), "output_path": str(outbox), **arguments}
        )
        with pytest.raises(AsposeOcrInputError, match=says):
            operator.execute(context)
        assert emulator.calls().total == 0

    @pytest.mark.parametrize("order", [1, -1])
    def test_no_result_takes_the_place_of_a_document(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, order: int
    ) -> None:
        """Wherever in the list that stands, and though all may be overwritten."""
        below = inbox / "2023" / "2024"
        below.mkdir()
        document = Image.open(inbox / "2024" / "0.png")
        document.save(below / "0.png")
        images = [str(inbox / "2023" / "0.png"), str(below / "0.png")][::order]
        with pytest.raises(AsposeOcrInputError, match=r"2024/0\.png is a document, and would be replaced"):
            batch(images, below, endpoint="BinarizeImage", overwrite=True).execute(context)
        assert emulator.calls().total == 0
        assert Image.open(below / "0.png") == document

    @pytest.mark.parametrize("output", [".", ".."])
    def test_no_result_becomes_a_document_of_the_next_run(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, output: str
    ) -> None:
        """In the folder of the documents it would be read, and billed; where `include` leaves it out it is not."""
        scans = inbox / "inbox"
        (inbox / "2023").rename(scans)
        for path in scans.iterdir():
            Image.open(path).save(path.with_suffix(".bmp"))
            path.unlink()
        (scans / "inbox").mkdir()
        (scans / "0.bmp").rename(scans / "inbox" / "0.bmp")
        kwargs: dict[str, Any] = {"endpoint": "BinarizeImage", "output_path": str(scans / output)}
        with pytest.raises(AsposeOcrInputError, match=r"\.png would be a document of the next run"):
            batch(scans, scans, **kwargs).execute(context)
        assert emulator.calls().total == 0
        assert batch(scans, scans, **kwargs, include="*.bmp").execute(context)["completed"] == 3

    def test_the_results_of_another_task_are_not_replaced(
        self, connection: str, emulator: EmulatorServer, context: Any, inbox: Path, outbox: Path, store: MemoryStore
    ) -> None:
        """A folder with the results of another task is refused, unless it may be overwritten."""
        batch(inbox, outbox).execute(context)
        store.kept.clear()
        context["ti"] = task_instance(task_id="another")
        with pytest.raises(AsposeOcrInputError, match="holds the results of another task"):
            batch(inbox, outbox).execute(context)
        assert emulator.calls().accepted == 6
        assert batch(inbox, outbox, overwrite=True).execute(context)["completed"] == 6
