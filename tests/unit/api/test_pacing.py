"""When a batch asks for its jobs: few calls, and an end soon after the last job. Simulated, with a time of its own."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asposeocr.api.pacing import LONGEST_WAIT, BatchPacer, BatchPolls

DOCUMENTS = 200
POLL = 0.02
"""Seconds that a poll takes."""
SUBMISSION = 0.05
"""Seconds that a submission takes; in a simulation all at once take as long."""


@dataclass
class Simulation:
    """A batch as ``BatchRun`` runs it, against a service whose jobs take given times."""

    duration: Callable[[int], float]
    at_once: int
    documents: int = DOCUMENTS
    now: float = 1_000_000.0
    calls: int = 0
    found: dict[int, float] = field(default_factory=dict)
    """By document: the age at which its job was found done."""
    delays: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.polls = BatchPolls(self.documents)

    def run(self) -> float:
        """Work to the end, and return how many seconds that took."""
        began, polls = self.now, self.polls
        waiting = list(range(self.documents))
        started: dict[str, float] = {}
        busy: list[tuple[float, str, bool]] = []
        in_flight = 0
        while waiting or in_flight:
            while waiting and in_flight < self.at_once:
                busy.append((self.now + SUBMISSION, str(waiting.pop(0)), True))
                in_flight += 1
            for key in polls.take_due(self.now):
                self.calls += 1
                busy.append((self.now + POLL, key, False))
            due = polls.next_due(self.now)
            assert due is None or due >= self.now
            assert busy or due is not None, "nothing will ever happen again"
            self.now = min([done for done, _, _ in busy] + [due or math.inf])
            for done, key, is_submission in list(busy):
                if done > self.now:
                    continue
                busy.remove((done, key, is_submission))
                if is_submission:
                    started[key] = self.now
                    polls.follow(key, self.now, self.now + 3600)
                elif self.now - POLL - started[key] >= self.duration(int(key)):
                    polls.ended(key)
                    in_flight -= 1
                    self.found[int(key)] = self.now - POLL - started[key]
                    self.delays[int(key)] = self.found[int(key)] - self.duration(int(key))
                else:
                    polls.not_ended(key, self.now)
            assert self.calls < 50 * self.documents
        return self.now - began


@pytest.mark.parametrize("at_once", [16, 64])
@pytest.mark.parametrize("seconds", [2.0, 20.0])
def test_jobs_of_equal_length(seconds: float, at_once: int) -> None:
    simulation = Simulation(lambda _: seconds, at_once)
    took = simulation.run()
    bound = math.ceil(DOCUMENTS / at_once) * seconds
    assert simulation.calls <= 1.5 * DOCUMENTS
    assert took <= 1.05 * bound + 2


@pytest.mark.parametrize("at_once", [16, 64])
@pytest.mark.parametrize("seed", range(12))
def test_jobs_as_they_are(at_once: int, seed: int) -> None:
    dice = random.Random(seed)
    durations = [dice.lognormvariate(math.log(4), 0.8) for _ in range(DOCUMENTS)]
    simulation = Simulation(lambda number: durations[number], at_once)
    took = simulation.run()
    print(f"{simulation.calls / DOCUMENTS:.2f} calls, {took:.1f} s, {sum(durations) / at_once:.1f} s of work")
    assert simulation.calls <= 1.5 * DOCUMENTS


def test_jobs_that_become_shorter() -> None:
    simulation = Simulation(lambda number: 20.0 if number < 40 else 5.0, 16)
    simulation.run()
    assert max(simulation.found[number] for number in range(30)) >= 20
    late = [simulation.delays[number] for number in range(DOCUMENTS - 16, DOCUMENTS)]
    # The first of them were found 13.6 s late.
    assert max(late) < 5.5
    assert simulation.calls <= 1.5 * DOCUMENTS


def test_jobs_that_become_longer() -> None:
    simulation = Simulation(lambda number: 2.0 if number < 100 else 10.0, 16)
    simulation.run()
    late = [simulation.delays[number] for number in range(DOCUMENTS - 16, DOCUMENTS)]
    assert max(late) < 3
    assert simulation.calls <= 1.5 * DOCUMENTS


def test_a_few_long_jobs_among_short_ones() -> None:
    simulation = Simulation(lambda number: 60.0 if number % 50 == 0 else 2.0, 16)
    simulation.run()
    assert simulation.calls <= 1.6 * DOCUMENTS
    assert max(simulation.delays.values()) <= LONGEST_WAIT / 2


@pytest.mark.parametrize("documents", [1, 2, 5])
@pytest.mark.parametrize("seconds", [0.0, 1.0, 10.0, 300.0])
def test_a_small_batch(documents: int, seconds: float) -> None:
    simulation = Simulation(lambda _: seconds, 16, documents)
    simulation.run()
    assert simulation.calls <= 12 + documents
    assert max(simulation.delays.values()) <= max(2.0, 1.2 * seconds)


class TestPolls:
    def test_a_job_that_was_asked_late_says_nothing_of_how_long_it_took(self) -> None:
        polls = BatchPolls(20)
        polls.learn(10.0)
        for number in range(10):
            polls.follow(str(number), 0.0, 3600.0)
            # The task was deferred, and woken when all had ended long since.
            assert polls.take_due(60.0) == [str(number)]
            polls.ended(str(number))
        assert polls.pacer.likely_age == 10.0

    def test_but_that_it_was_shorter(self) -> None:
        polls = BatchPolls(20)
        polls.learn(100.0)
        polls.follow("a", 0.0, 30.0)
        assert polls.take_due(30.0) == ["a"]
        polls.ended("a")
        assert polls.pacer.likely_age == 30.0 or polls.pacer.knows_little

    def test_the_deadline_is_kept_while_nothing_is_known(self) -> None:
        polls = BatchPolls(100)
        for number in range(3):
            polls.follow(str(number), 0.0, 5.0 + number)
        asked = []
        now = 0.0
        while now < 7.5:
            for key in polls.take_due(now):
                asked.append((key, now))
                if now >= 5.0 + int(key):
                    polls.forget(key)
                else:
                    polls.not_ended(key, now)
            due = polls.next_due(now)
            if due is None:
                break
            assert due >= now
            now = max(due, now + 0.001)
        assert {key for key, at in asked if at >= 5.0 + int(key)} == {"0", "1", "2"}
        assert all(at < 5.2 + int(key) for key, at in asked)

    def test_the_deadline_is_kept_by_a_job_longer_than_the_others(self) -> None:
        polls = BatchPolls(100)
        for _ in range(20):
            polls.learn(30.0)
        polls.follow("a", 0.0, 31.0)
        assert polls.take_due(30.5) == ["a"]
        polls.not_ended("a", 30.5)
        assert polls.next_due(30.5) == 31.0

    def test_who_does_not_want_to_be_asked_is_not(self) -> None:
        polls = BatchPolls(100)
        polls.follow("a", 0.0, 3600.0)
        assert polls.next_due(0.0) == 0.5
        assert polls.take_due(0.5) == ["a"]
        polls.not_answered("a", 40.0)
        assert polls.next_due(0.5) == 40.0
        assert polls.take_due(39.0) == []
        polls.learn(1.0)
        assert polls.next_due(2.0) == 40.0

    def test_while_little_is_known_the_answer_is_waited_for(self) -> None:
        polls = BatchPolls(100)
        polls.learn(1.0)
        for number in range(3):
            polls.follow(str(number), 0.0, 3600.0)
        assert polls.take_due(1.0) == ["0"]
        # Else the loop would spin until it comes.
        assert (polls.take_due(1.0), polls.next_due(1.0)) == ([], None)


ages = st.floats(0, 7200, allow_nan=False)
polls = st.lists(st.tuples(ages, st.booleans()), max_size=80)


def taught(documents: int, answers: list[tuple[float, bool]]) -> BatchPacer:
    pacer = BatchPacer(documents)
    for age, ended in answers:
        pacer.learn(age, ended=ended)
    return pacer


@given(st.integers(1, 10_000), polls, ages)
def test_a_job_is_never_asked_again_at_once(documents: int, answers: list[tuple[float, bool]], age: float) -> None:
    pacer = taught(documents, answers)
    again = pacer.next_ask(age)
    assert again > age
    assert again <= age + LONGEST_WAIT + 0.05 or again == pacer.likely_age


@given(st.integers(1, 10_000), polls, st.integers(1, 30))
def test_a_first_ask_is_between_nothing_and_the_likely_age(
    documents: int, answers: list[tuple[float, bool]], asks: int
) -> None:
    pacer = taught(documents, [*answers, (1.0, True)])
    for _ in range(asks):
        assert 0 <= pacer.first_ask() <= pacer.likely_age


@given(st.integers(1, 10_000), st.integers(2, 500))
def test_probes_strictly_grow(documents: int, number: int) -> None:
    pacer = BatchPacer(documents)
    probes = [pacer.next_probe() for _ in range(number)]
    assert probes[0] == 0.5
    assert all(earlier < later for earlier, later in itertools.pairwise(probes))


@given(polls)
def test_the_likely_age_is_one_that_was_seen(answers: list[tuple[float, bool]]) -> None:
    pacer = taught(10, answers)
    if pacer.knows:
        assert pacer.likely_age in {age for age, ended in answers if ended}
    else:
        assert not [age for age, ended in answers if ended]
