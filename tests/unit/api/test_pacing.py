"""When a batch asks for its jobs: few calls, and an end soon after the last job. Simulated, with a time of its own."""

from __future__ import annotations

import heapq
import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from airflow_provider_asposeocr.api.durations import Durations
from airflow_provider_asposeocr.api.pacer import BatchPacer
from airflow_provider_asposeocr.api.pacing import FIRST_PROBE, BatchPolls

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
    calls_per_document: float = 2.6
    knows_its_end: bool = True
    """Whether it says when there is nothing more to submit."""
    calls: int = 0
    delays: dict[int, float] = field(default_factory=dict)
    """By document: how long after its end its job was found."""

    def run(self) -> float:
        """Work to the end, and return how many seconds that took."""
        began = now = 1_000_000.0
        polls = BatchPolls(BatchPacer(self.calls_per_document))
        durations = [self.duration(number) for number in range(self.documents)]
        started: dict[int, float] = {}
        busy: list[tuple[float, bool, int]] = []
        submitted = in_flight = 0
        while len(self.delays) < self.documents:
            while submitted < self.documents and in_flight < self.at_once:
                heapq.heappush(busy, (now + SUBMISSION, True, submitted))
                submitted, in_flight = submitted + 1, in_flight + 1
            if self.knows_its_end and submitted == self.documents:
                polls.follow_to_the_end(self.at_once)
            for key in polls.take_due(now):
                self.calls += 1
                heapq.heappush(busy, (now + POLL, False, int(key)))
            due = polls.next_due(now)
            assert due is None or due >= now
            assert busy or due is not None, "nothing will ever happen again"
            now = max(now, min([busy[0][0]] if busy else [math.inf], [due if due is not None else math.inf])[0])
            while busy and busy[0][0] <= now:
                _, is_submission, number = heapq.heappop(busy)
                if is_submission:
                    started[number] = now
                    polls.follow(str(number), now, now + 3600)
                elif now - POLL - started[number] >= durations[number]:
                    polls.ended(str(number))
                    in_flight -= 1
                    self.delays[number] = now - POLL - started[number] - durations[number]
                else:
                    polls.not_ended(str(number))
            assert self.calls < 50 * self.documents
        return now - began


@pytest.mark.parametrize("at_once", [16, 64])
@pytest.mark.parametrize("seconds", [2.0, 20.0])
def test_jobs_of_equal_length(seconds: float, at_once: int) -> None:
    """Jobs of equal length cost few calls more than one each, and no time."""
    simulation = Simulation(lambda _: seconds, at_once)
    took = simulation.run()
    bound = math.ceil(DOCUMENTS / at_once) * seconds
    assert simulation.calls <= 1.5 * DOCUMENTS
    assert took <= 1.05 * bound + 2


@pytest.mark.parametrize("at_once", [16, 64])
@pytest.mark.parametrize("seed", range(3))
def test_jobs_as_they_are(at_once: int, seed: int) -> None:
    """Jobs of all lengths cost at most 2.9 calls each in a small batch, and are found 3 s late on the average."""
    dice = random.Random(seed)
    durations = [dice.lognormvariate(math.log(4), 0.8) for _ in range(DOCUMENTS)]
    simulation = Simulation(lambda number: durations[number], at_once)
    simulation.run()
    assert simulation.calls <= 2.9 * DOCUMENTS
    assert sum(simulation.delays.values()) <= 3.0 * DOCUMENTS


def test_the_last_jobs_are_followed_closely() -> None:
    """The end of a batch waits for its last jobs: with nothing more to submit, they are found sooner."""
    late, calls = {False: 0.0, True: 0.0}, {False: 0, True: 0}
    for seed in range(5):
        dice = random.Random(seed)
        durations = [dice.lognormvariate(math.log(4), 0.8) for _ in range(DOCUMENTS)]
        for knows_its_end in late:
            simulation = Simulation(durations.__getitem__, 16, knows_its_end=knows_its_end)
            simulation.run()
            late[knows_its_end] += sum(simulation.delays[number] for number in range(DOCUMENTS - 8, DOCUMENTS))
            calls[knows_its_end] += simulation.calls
    assert late[True] < late[False]
    assert calls[True] < calls[False] * 1.05


def test_jobs_that_become_shorter() -> None:
    """Jobs that become shorter are soon found in time again."""
    simulation = Simulation(lambda number: 20.0 if number < 40 else 5.0, 16, 400)
    simulation.run()
    assert max(simulation.delays[number] for number in range(380, 400)) < 5.0


def test_jobs_that_become_longer() -> None:
    """Jobs that become longer are soon found in time again."""
    simulation = Simulation(lambda number: 2.0 if number < 100 else 10.0, 16, 400)
    simulation.run()
    assert max(simulation.delays[number] for number in range(380, 400)) < 3
    assert simulation.calls <= 2 * 400


def test_a_few_long_jobs_among_short_ones() -> None:
    """A few long jobs make the short ones neither late nor dear."""
    simulation = Simulation(lambda number: 60.0 if number % 50 == 0 else 2.0, 16)
    simulation.run()
    assert simulation.calls <= 2.6 * DOCUMENTS
    late = sorted(simulation.delays.values())
    assert late[len(late) // 2] < 0.5


@pytest.mark.parametrize("documents", [1, 2, 5])
@pytest.mark.parametrize("seconds", [0.0, 1.0, 10.0, 300.0])
def test_a_small_batch(documents: int, seconds: float) -> None:
    """A small batch costs few calls, and is found in time."""
    simulation = Simulation(lambda _: seconds, 16, documents)
    simulation.run()
    assert simulation.calls <= 16 + documents
    assert max(simulation.delays.values()) <= max(2.0, 0.8 * seconds)


def knowing(seconds: float) -> BatchPolls:
    """Of jobs that take equally long."""
    pacer = BatchPacer(durations=Durations.from_json({"seen": [[seconds * 0.98, seconds]] * 60}))
    pacer.learn(())
    return BatchPolls(pacer)


class TestPolls:
    def test_jobs_that_have_likely_ended_are_asked_all_at_once(self) -> None:
        polls = knowing(10.0)
        for number in range(64):
            polls.follow(str(number), 0.0, 3600.0)
        assert len(polls.take_due(60.0)) == 64

    def test_an_ask_that_is_likely_in_vain_is_made_for_few(self) -> None:
        """What they answer tells of the others of their age."""
        pacer = BatchPacer(durations=Durations.from_json({"seen": [[0.5, 1.0]] * 30 + [[10.0, 20.0]] * 60}))
        pacer.learn(())
        polls = BatchPolls(pacer)
        for number in range(64):
            polls.follow(str(number), 0.0, 3600.0)
        due = polls.next_due(0.0)
        assert due is not None
        assert 0.8 < due < 1.2
        assert 0 < len(polls.take_due(due)) <= 8
        assert polls.take_due(due) == []

    def test_jobs_that_are_gone_make_nobody_wait_for_others(self) -> None:
        """Of an earlier try, say: each is asked soon, and those that were submitted since as soon as any."""
        polls, now = BatchPolls(), 1000.0
        for number in range(20):
            polls.follow(f"gone {number}", 0.0, None)
        while len(polls):
            due = polls.next_due(now)
            assert due is not None
            now = due
            for key in polls.take_due(now):
                polls.forget(key)
        assert now < 1001.0
        polls.follow("new", now, None)
        assert polls.next_due(now) == pytest.approx(now + FIRST_PROBE)

    def test_a_late_look_teaches_nothing(self) -> None:
        polls = knowing(10.0)
        for number in range(10):
            polls.follow(str(number), 0.0, 3600.0)
        # The task was deferred, and woken when all had ended long since.
        for key in polls.take_due(600.0):
            polls.ended(key)
        polls.follow("next", 1000.0, 3600.0)
        due = polls.next_due(1000.0)
        assert due is not None
        assert due < 1011.0

    def test_a_job_that_is_over_is_asked_at_once(self) -> None:
        polls = knowing(100.0)
        polls.follow("a", 1000.0, 3600.0, over=True)
        polls.follow("b", 1000.0, 3600.0)
        assert polls.take_due(1001.0) == ["a"]

    def test_a_job_that_is_not_over_though_it_was_said_is_asked_as_all_others(self) -> None:
        """As by an event that tells nothing of how long jobs take: without a deadline it would never be asked again."""
        polls = BatchPolls()
        polls.follow("a", 0.0, None, over=True)
        polls.follow("b", 0.0, None)
        assert polls.take_due(0.0) == ["a"]
        polls.not_ended("a")
        due = polls.next_due(1.0)
        assert due is not None
        assert polls.take_due(due) == ["b"]
        polls.ended("b")
        assert polls.next_due(due) is not None

    def test_the_deadline_is_kept_while_nothing_is_known(self) -> None:
        polls = BatchPolls()
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
                    polls.not_ended(key)
            due = polls.next_due(now)
            if due is None:
                break
            assert due >= now
            now = max(due, now + 0.001)
        assert {key for key, at in asked if at >= 5.0 + int(key)} == {"0", "1", "2"}
        assert all(at < 5.2 + int(key) for key, at in asked)

    def test_the_deadline_is_kept_by_a_job_longer_than_the_others(self) -> None:
        polls = knowing(30.0)
        polls.follow("a", 0.0, 31.0)
        assert polls.take_due(30.7) == ["a"]
        polls.not_ended("a")
        assert polls.next_due(30.7) == 31.0

    def test_who_does_not_want_to_be_asked_is_not(self) -> None:
        polls = BatchPolls()
        polls.follow("a", 0.0, 3600.0)
        assert polls.next_due(0.0) == 0.5
        assert polls.take_due(0.5) == ["a"]
        polls.not_answered("a", 40.0)
        assert polls.next_due(0.5) == 40.0
        assert polls.take_due(39.0) == []

    def test_who_does_not_want_to_be_asked_is_not_though_the_time_is_over(self) -> None:
        """As a job that is not known yet, and times out sooner: it is not asked without a pause."""
        polls = BatchPolls()
        polls.follow("a", 0.0, 1.0)
        assert polls.take_due(2.0) == ["a"]
        polls.not_answered("a", 4.0)
        assert (polls.take_due(3.9), polls.next_due(3.9)) == ([], 4.0)
        assert polls.take_due(4.0) == ["a"]

    def test_the_soonest_are_known(self) -> None:
        polls = knowing(10.0)
        for number in range(5):
            polls.follow(str(number), float(number), None)
        assert [key for key, _ in polls.soonest(2)] == ["0", "1"]


class TestHandingOver:
    def test_a_job_is_not_asked_again_for_an_age_at_which_another_has_asked(self) -> None:
        """A trigger goes on where the worker stopped, and a woken worker where the trigger did."""
        polls = BatchPolls.from_json(
            {"durations": {"seen": [[0.5, 1.0]] * 30 + [[10.0, 20.0]] * 60}, "spent": [160, 90, 1.0]}
        )
        polls.follow("a", 0.0, None)
        due = polls.next_due(0.0)
        assert due is not None
        assert due < 2.0
        assert polls.take_due(due) == ["a"]
        polls.not_ended("a")
        for _ in range(2):
            polls = BatchPolls.from_json(json.loads(json.dumps(polls.to_json())))
            polls.follow("a", 0.0, None)
            assert polls.take_due(due) == []
            following = polls.next_due(due)
            assert following is not None
            assert following > 1.5 * due

    def test_what_is_not_followed_here_is_handed_on(self) -> None:
        """A trigger watches a few of the jobs; what is known of the others must not get lost."""
        kept = {"durations": {"seen": [[0.9, 1.0]] * 5}, "unfinished": {"a": 3.0, "b": 4.0, "c": 5.0}}
        polls = BatchPolls.from_json(kept)
        polls.follow("a", 0.0, None, over=True)
        assert polls.take_due(6.0) == ["a"]
        polls.ended("a")
        polls.forget("b")
        assert polls.to_json()["unfinished"] == {"c": 5.0}

    def test_the_end_of_a_job_is_learned_once(self) -> None:
        """Who fetches what another has seen to be over learns nothing, but has spent a call."""
        polls = BatchPolls.from_json({"durations": {"seen": [[0.9, 1.0]] * 5}, "spent": [7, 5, 0.1]})
        polls.follow("a", 0.0, None, over=True)
        assert polls.take_due(600.0) == ["a"]
        polls.ended("a")
        kept = polls.to_json()
        assert (kept["durations"]["seen"], kept["spent"][:2]) == ([[0.9, 1.0]] * 5, [8, 5])

    def test_a_batch_goes_on_without_a_probe_at_each_wake(self) -> None:
        """Where no job has ended yet, and one was asked a moment ago."""
        polls = BatchPolls.from_json({"unfinished": {"a": 50.0}})
        polls.follow("a", 0.0, None)
        polls.follow("b", 0.0, None)
        due = polls.next_due(51.0)
        assert due is not None
        assert due > 51.0

    def test_what_was_learned_is_not_forgotten_by_many_hand_overs(self) -> None:
        """Once it is known when jobs end, they are looked at after that, which says little: it must not spoil that."""
        polls = BatchPolls.from_json({"durations": {"seen": [[1.9, 2.0]] * 20}, "spent": [50, 40, 0.02]})
        for wave in range(8):
            for number in range(16):
                polls.follow(f"{wave}-{number}", 0.0, None)
            for key in polls.take_due(2.1):
                polls.ended(key)
            polls = BatchPolls.from_json(json.loads(json.dumps(polls.to_json())))
        polls.follow("next", 0.0, None)
        due = polls.next_due(0.0)
        assert due is not None
        assert 1.9 < due < 2.2

    def test_who_goes_on_with_the_last_jobs_follows_them_as_closely(self) -> None:
        """A trigger is told that nothing follows, and at how many places there were jobs before."""
        pacer = BatchPacer(durations=Durations.from_json({"seen": [[at / 2, at / 2 + 2] for at in range(1, 60)]}))
        pacer.learn(())
        usual, last = BatchPolls(pacer, {"a": 12.0}), BatchPolls(pacer, {"a": 12.0})
        last.follow_to_the_end(16)
        dues = []
        for polls in (usual, last, BatchPolls.from_json(json.loads(json.dumps(last.to_json())))):
            polls.follow("a", 0.0, None)
            dues.append(polls.soonest(1)[0][1])
        assert dues[1] < dues[0]
        assert dues[2] == pytest.approx(dues[1], rel=0.2)
