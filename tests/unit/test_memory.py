"""Memory does not grow with the document or the result: the small version of what ``make bench`` shows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks import large_files
from benchmarks.measuring import MB

SIZE = 24 * MB


@pytest.mark.parametrize("transfer", [large_files.upload, large_files.download])
def test_memory_does_not_grow_with_the_file(transfer: Callable[[int], dict[str, float]]) -> None:
    # In a fresh process, over loopback; whoever held the file once would need at least its size.
    assert transfer(SIZE)["peak_mib"] < large_files.MAX_GROWTH_MIB


def test_the_measure_notices_a_file_held_in_memory() -> None:
    assert large_files.hold(SIZE)["peak_mib"] > SIZE / MB / 2
