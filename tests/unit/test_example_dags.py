"""The example DAGs: each can be imported, and the one on many machines cuts what it is told to."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from airflow_provider_asposeocr.operators.batch import AsposeOcrBatchOperator

EXAMPLES = Path(__file__).parents[2] / "example_dags"


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("example_*.py")), ids=lambda path: path.stem)
def test_each_example_can_be_imported(example: Path) -> None:
    """It raises nothing, warns of nothing, and names a DAG as its file is named."""
    if not AIRFLOW_V_3_0_PLUS and "schedule=[NEW_TEXTS]" in example.read_text():
        pytest.skip("Airflow 2 asks its database for an alias as it reads the file")
    runpy.run_path(str(example))
    assert f'"{example.stem}"' in example.read_text()


def test_the_example_on_many_machines_reads_each_chunk_in_a_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first task cuts the folder that the environment names, and a batch with retries reads each chunk."""
    for number in range(5):
        (tmp_path / f"{number}.png").write_bytes(b"x")
    monkeypatch.setenv("ASPOSE_OCR_SCANS", str(tmp_path))
    monkeypatch.setenv("ASPOSE_OCR_CHUNK", "2")
    names = runpy.run_path(str(EXAMPLES / "example_batch_on_many_machines.py"))
    parts = names["cut"].function()
    assert [part["until"] for part in parts] == ["1.png", "3.png", None]
    batch = names["dag"].get_task("recognize")
    assert batch.operator_class is AsposeOcrBatchOperator
    assert batch.partial_kwargs["retries"] > 0
    assert batch.upstream_task_ids == {"cut"}
