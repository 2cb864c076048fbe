"""What a user's waiting parameters mean, and which are refused."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest

from airflow_provider_asposeocr.api.waiting import Waiting, time_limit
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError


@pytest.mark.parametrize(
    ("timeout", "limit"),
    [(60, 60), (0.5, 0.5), (timedelta(hours=1), 3600), (None, None), (math.inf, None), (1e300, None)],
)
def test_time_limit(timeout: float | timedelta | None, limit: float | None) -> None:
    """A time-out is seconds; none, an infinite one, and one beyond all dates mean for ever."""
    assert time_limit(timeout) == limit


@pytest.mark.parametrize("timeout", [0, -1, math.nan, -math.inf, timedelta(0), "soon", [1]])
def test_what_is_no_time_to_wait_is_refused(timeout: object) -> None:
    with pytest.raises(AsposeOcrInputError, match="timeout must be"):
        time_limit(timeout)  # type: ignore[arg-type]


def test_an_interval_alone_is_enough() -> None:
    """A poll_interval beyond the default longest wait raises that with it."""
    assert Waiting.checked(poll_interval=30).to_json()["poll_interval_max"] == 30


@pytest.mark.parametrize(
    "values",
    [
        {"poll_interval": 0},
        {"poll_interval": math.inf},
        {"poll_interval": "often"},
        {"poll_backoff": math.nan},
        {"poll_interval": 5, "poll_interval_max": 2},
        {"defer_after": -1},
        {"defer_after": math.nan},
        {"defer_after": math.inf},
    ],
)
def test_nonsense_is_refused(values: dict[str, float]) -> None:
    """What would fail, or hang, in the trigger's JSON or in a sleep is refused when the DAG is parsed."""
    with pytest.raises(AsposeOcrInputError, match=next(iter(values))):
        Waiting.checked(**values)
