"""Files of somebody else that bear the names of what a batch writes: they are never replaced unasked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyarrow import Table, parquet

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from tests.unit.batches.batch_stubs import StrictStore, batch, manifest, task_instance
from tests.unit.storage.outputs import QUIET

pytestmark = QUIET


def a_run(run_id: str = "run") -> dict[str, Any]:
    return {"ti": task_instance(run_id=run_id), "task_state_store": StrictStore()}


@pytest.mark.parametrize("content", [b"my list of scans\n", b'\n["a"]\n', b"\0" * 3_000_000, b"\xff\xfe"])
def test_a_manifest_that_is_none_of_a_batch_is_found_before_anything_is_sent(
    service: EmulatorServer, inbox: Path, outbox: Path, content: bytes
) -> None:
    outbox.mkdir()
    (outbox / "manifest.jsonl").write_bytes(content)
    with pytest.raises(AsposeOcrInputError, match=r"manifest\.jsonl is no manifest of a batch.*Nothing was sent"):
        batch(inbox, outbox).execute(a_run())
    assert (outbox / "manifest.jsonl").read_bytes() == content
    assert service.calls().total == 0
    assert batch(inbox, outbox, overwrite=True).execute(a_run())["completed"] == len(manifest(outbox)) == 6


@pytest.mark.parametrize("is_a_table", [False, True])
def test_a_table_that_is_none_of_a_batch_is_found_before_anything_is_sent(
    service: EmulatorServer, inbox: Path, outbox: Path, is_a_table: bool
) -> None:
    outbox.mkdir()
    (outbox / "results.parquet").write_bytes(b"mine")
    if is_a_table:
        parquet.write_table(Table.from_pylist([{"document": "mine", "status": "read"}]), outbox / "results.parquet")
    mine = (outbox / "results.parquet").read_bytes()
    with pytest.raises(AsposeOcrInputError, match=r"results\.parquet is no table of a batch.*Nothing was sent"):
        batch(inbox, outbox, results="parquet").execute(a_run())
    assert service.calls().total == 0
    assert batch(inbox, outbox).execute(a_run())["completed"] == 6
    assert (outbox / "results.parquet").read_bytes() == mine
    assert batch(inbox, outbox, results="parquet", overwrite=True).execute(a_run("next"))["completed"] == 6


def test_an_empty_manifest_and_tables_of_earlier_runs_are_replaced(
    service: EmulatorServer, inbox: Path, outbox: Path
) -> None:
    outbox.mkdir()
    (outbox / "manifest.jsonl").touch()
    assert batch(inbox, outbox, results="parquet").execute(a_run())["completed"] == 6
    assert batch(inbox, outbox, results="parquet").execute(a_run("next"))["skipped"] == 6


def test_a_folder_that_bears_the_name_of_the_table_is_found_before_anything_is_sent(
    service: EmulatorServer, inbox: Path, outbox: Path
) -> None:
    (outbox / "results.parquet").mkdir(parents=True)
    with pytest.raises(AsposeOcrInputError, match=r"results\.parquet cannot be looked into: IsADirectoryError"):
        batch(inbox, outbox, results="parquet").execute(a_run())
    assert service.calls().total == 0
