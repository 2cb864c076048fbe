"""Files for decoded results: in memory while small, on disk when large, moved where that takes no copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_asposeocr.storage.result_files import SPOOL_SIZE, ResultFile


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def filled(size: int) -> ResultFile:
    file = ResultFile()
    for _ in range(4):
        file.write(b"x" * (size // 4))
    file.seek(0)
    return file


@pytest.mark.parametrize("size", [0, 400, SPOOL_SIZE, 4 * SPOOL_SIZE])
def test_what_was_written_is_read(size: int) -> None:
    with filled(size) as file:
        assert file.read() == b"x" * size
        assert file.tell() == size


def test_small_ones_never_touch_the_disk(temporary_folder: Path, tmp_path: Path) -> None:
    """Small files never touch the disk."""
    with filled(400) as file:
        assert list(temporary_folder.iterdir()) == []
        assert not file.move_to(str(tmp_path / "out.bin"))


def test_large_ones_go_with_their_result(temporary_folder: Path) -> None:
    """Large files go with their result."""
    file = filled(4 * SPOOL_SIZE)
    assert len(list(temporary_folder.iterdir())) == 1
    del file
    assert list(temporary_folder.iterdir()) == []


def test_large_ones_become_the_output(temporary_folder: Path, tmp_path: Path) -> None:
    """Large files become the output, without a copy."""
    target = tmp_path / "out.bin"
    target.write_bytes(b"an older one")
    ordinary = tmp_path / "ordinary"
    ordinary.write_bytes(b"")
    with filled(4 * SPOOL_SIZE) as file:
        assert file.move_to(str(target))
        file.seek(0)
        assert file.read(3) == b"xxx"
    assert target.read_bytes() == b"x" * 4 * SPOOL_SIZE
    assert target.stat().st_mode == ordinary.stat().st_mode
    assert list(temporary_folder.iterdir()) == []
