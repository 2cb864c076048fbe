"""What is learned of how long jobs take, and at which ages it pays to ask."""

from __future__ import annotations

import json
import math
import random
from itertools import pairwise
from statistics import NormalDist

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asposeocr.api.durations import EDGES, Durations, asking_ages

ages = st.floats(0.01, 7200, allow_nan=False)
intervals = st.lists(st.tuples(ages, ages).map(sorted), max_size=60)


def learned(seen: list[list[float]], unfinished: list[float]) -> list[float]:
    return Durations.from_json({"seen": seen}).estimate(unfinished)


@given(intervals, st.lists(ages, max_size=20))
def test_the_shares_of_all_ages_are_a_whole(seen: list[list[float]], unfinished: list[float]) -> None:
    shares = learned(seen, unfinished)
    assert abs(sum(shares) - 1) < 1e-6
    assert all(share >= 0 for share in shares)


@given(intervals, st.floats(0.01, 10))
def test_every_job_is_asked_again_later_than_before(seen: list[list[float]], price: float) -> None:
    found = asking_ages(learned(seen, []), price)
    age = 0.0
    for _ in range(300):
        following = found.after(age)
        assert following > age
        age = following
        if age > EDGES[-1]:
            return


def test_equal_jobs_are_asked_once() -> None:
    """Where all take about equally long, they are asked right after that."""
    found = asking_ages(learned([[3.9, 4.1]] * 100, []), 0.3)
    assert 4.0 < found.after(0.0) < 4.25
    assert found.calls < 1.3
    assert found.chance(0.0, 4.25) > 0.95


def test_two_kinds_of_jobs_are_asked_when_each_may_have_ended() -> None:
    found = asking_ages(learned([[0.9, 1.0]] * 80 + [[19.5, 20.0]] * 20, []), 0.5)
    assert 0.95 < found.after(0.0) < 1.1
    assert 19 < found.after(1.06) < 21
    assert found.calls < 1.4


def test_what_is_chance_in_two_hundred_jobs_makes_no_age_likelier() -> None:
    """Of jobs whose durations are spread out, what is learned comes near to what holds for all of them."""
    normal = NormalDist(math.log(4), 0.8)
    ended_by = [0.0, *(normal.cdf(math.log(edge)) for edge in EDGES)]
    true = [by - before for before, by in pairwise(ended_by)]
    off = []
    for seed in range(10):
        dice = random.Random(seed)
        durations = [dice.lognormvariate(math.log(4), 0.8) for _ in range(200)]
        shares = learned([[seconds * 0.95, seconds * 1.05] for seconds in durations], [])
        off.append(sum(abs(share - of_all) for share, of_all in zip(shares, true, strict=True)) / 2)
    assert sum(off) / len(off) < 0.2


def test_a_late_look_teaches_nothing() -> None:
    """A job that was looked at long after it had ended changes nothing, however many there are of them."""
    punctual = [[3.9, 4.1]] * 40
    found = asking_ages(learned([*punctual, *[[0.0, 3600.0]] * 40], []), 0.1)
    assert found.after(0.0) < 4.3
    assert found.mean < 5.0


def test_running_jobs_tell_that_jobs_last() -> None:
    """What has not ended yet is not left out: else long jobs would be thought to be short."""
    few = learned([[0.0, 1.0]] * 5, [30.0] * 5)
    assert sum(share for share, edge in zip(few, EDGES, strict=True) if edge > 30) > 0.3


def test_what_was_seen_is_plain_json_and_comes_back() -> None:
    dice = random.Random(0)
    seen = [sorted((round(dice.uniform(0, 9), 3), round(dice.uniform(0, 9), 3))) for _ in range(20)]
    durations = Durations.from_json({"seen": seen})
    durations.estimate(())
    kept = json.loads(json.dumps(durations.to_json()))
    assert kept["seen"] == seen
    assert Durations.from_json(kept).to_json() == kept
