"""What is chosen: all kinds before any twice, never a pair that can't be; and how long."""

import random
from collections import Counter

from diegod.raftbbs.failpoints import STEPS
from tests.chaos import nemesis
from tests.chaos.faults import Fault, KillAll, KillOne, Partition, Stop
from tests.chaos.nemesis import ALL_FAULTS, Deck


def test_there_are_all_kinds() -> None:
    """Those of the menu, and a failpoint at each step of persistence."""
    assert len(set(nemesis.KINDS)) == len(ALL_FAULTS) == 19
    assert {f"failpoint {step}" for step in STEPS} < set(nemesis.KINDS)


def test_each_kind_comes_before_any_comes_twice() -> None:
    deck = Deck(ALL_FAULTS, random.Random(3))
    drawn: list[type[Fault]] = []
    while len(drawn) < 3 * len(ALL_FAULTS):
        drawn += deck.draw()
    counts = Counter(drawn)
    assert set(counts) == set(ALL_FAULTS)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_pairs_are_of_two_kinds_that_bear_company() -> None:
    deck = Deck([KillOne, KillAll, Partition, Stop], random.Random(5))
    draws = [deck.draw() for _ in range(300)]
    pairs = [draw for draw in draws if len(draw) == 2]
    assert pairs
    assert all(one is not other for one, other in pairs)
    assert all(KillAll not in pair for pair in pairs)


def test_the_same_seed_draws_the_same() -> None:
    one, other = (Deck(ALL_FAULTS, random.Random("x")) for _ in range(2))
    assert [one.draw() for _ in range(50)] == [other.draw() for _ in range(50)]


def test_durations_stay_within_their_bounds_and_are_often_short() -> None:
    chance = random.Random(1)
    durations = [nemesis._between(chance, 0.2, 10.0) for _ in range(1000)]
    assert 0.2 <= min(durations) < 0.25
    assert 9.0 < max(durations) <= 10.0
    assert 300 < sum(each < 1.0 for each in durations) < 500
