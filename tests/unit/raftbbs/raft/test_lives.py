"""Two processes with one store: a disk that was copied. Only the later one is heard."""

from collections.abc import Iterator

import pytest

from diegod.internal.v1.raft_pb2 import RaftFrame, RaftHello
from tests.unit.raftbbs.raft.lab import Lab, lab


@pytest.fixture
def table() -> Iterator[Lab]:
    with lab() as table:
        table.elect("A", "BC")
        table.settle()
        yield table


def _hello(table: Lab, who: str) -> RaftHello:
    """What a member would say on a new connection."""
    return table[who]._gate._greeting.hello().hello


def _heard(table: Lab, by: str, peer: str, hello: RaftHello) -> list[str]:
    table.members[by].inbox.append((peer, RaftFrame(hello=hello)))
    return [refusal.reason for refusal in table.step(by).refused]


def test_each_start_is_a_life_of_its_own(table: Lab) -> None:
    first = _hello(table, "C")
    table.crash("C")
    table.start("C")
    again = _hello(table, "C")
    assert (first.life, again.life) == (1, 2)
    assert table.refused == []
    assert _hello(table, "C") == again


def test_the_original_of_a_copy_that_started_later_is_not_heard(table: Lab) -> None:
    original = _hello(table, "C")
    table.crash("C")
    table.start("C")  # the copy, as far as the others can know
    (reason,) = _heard(table, "A", "C", original)
    assert reason == (
        "its store was copied: a process that began with it 2 times is known, and this one says "
        "1; stop one of the two"
    )
    assert table.leadership("A").alarms == (f"C is refused: {reason}",)
    assert _heard(table, "A", "C", _hello(table, "C")) == []
    assert table.leadership("A").alarms == ()


def test_of_two_copies_that_started_equally_often_the_first_is_heard(table: Lab) -> None:
    known = _hello(table, "C")
    other = RaftHello()
    other.CopyFrom(known)
    other.process = known.process + 1
    assert len(_heard(table, "A", "C", other)) == 1
    assert _heard(table, "A", "C", known) == []


def test_a_release_that_does_not_count_is_heard(table: Lab) -> None:
    uncounted = _hello(table, "C")
    uncounted.ClearField("life")
    uncounted.ClearField("process")
    assert _heard(table, "A", "C", uncounted) == []
