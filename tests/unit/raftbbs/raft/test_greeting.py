"""Whose store speaks: the guard against a member that lost its disk."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from diegod.internal.v1.raft_pb2 import RaftFrame, RaftHello
from diegod.raftbbs.raft.api import Refusal
from diegod.raftbbs.store.identity import create, read
from tests.unit.raftbbs.raft.lab import Lab, lab

HELLO = RaftHello(cluster_id="cluster", member_id="B", store_id="store-B", store_format=1)


@pytest.fixture
def table() -> Iterator[Lab]:
    with lab() as table:
        table.elect("A", "BC")
        table.settle()
        yield table


def _changed(**fields: object) -> RaftHello:
    hello = RaftHello()
    hello.CopyFrom(HELLO)
    for name, value in fields.items():
        setattr(hello, name, value)
    return hello


@pytest.mark.parametrize(
    ("hello", "reason"),
    [
        (_changed(cluster_id="other"), "its store belongs to the cluster 'other'"),
        (_changed(member_id="C"), "its store belongs to the member 'C'"),
        (
            _changed(store_format=3),
            "it says that the cluster has format 3, and this version reads formats up to 2: this "
            "member must be upgraded",
        ),
        (_changed(store_id=""), "its store has no id of its own: it is a copy"),
        (_changed(store_id="store-A"), "its store has no id of its own: it is a copy"),
        (
            _changed(store_id="new"),
            "its store is 'new', we know it with 'store-B': it must not vote",
        ),
    ],
)
def test_another_store_is_refused_with_all_that_it_sends(
    table: Lab, hello: RaftHello, reason: str
) -> None:
    table.queues["A", "B"].clear()
    table.members["A"].inbox.append(("B", RaftFrame(hello=hello)))
    assert table.step("A").refused == [Refusal("B", reason)]
    table.step("B", reads=1)
    table.pump("B", "A")
    refused = table.step("A", seconds=0.1).refused
    assert {refusal.reason for refusal in refused} <= {"it has not said hello", reason}
    assert table.kinds("A", "B") == []
    table.members["A"].inbox.append(("B", RaftFrame(hello=HELLO)))
    table.step("A", seconds=0.1)
    assert table.kinds("A", "B") == ["append_entries"]


def test_a_voter_that_lost_its_disk_does_not_vote(table: Lab) -> None:
    """It has forgotten what it promised; an acknowledged write could be lost with its help."""
    table.step("A", b"acknowledged")
    table.isolate("C")
    table.settle("AB")
    birth = read(table.members["B"].environment)
    table.crash("B")
    table.folder = table.folder / "new"
    create(table.folder / "B", replace(birth, store_id="new"), durable=False)
    table.isolate("A")
    table.start("B")
    table.join("C")
    table.cut("A", "C")
    table.cut("C", "A")
    for _ in range(40):
        for who in "BC":
            table[who]._library.election_deadline = table.now
            table.step(who, seconds=0.2)
        table.pump_all()
        assert not table.leadership("B").leads
        assert not table.leadership("C").leads


def test_a_store_is_known_over_a_restart(table: Lab) -> None:
    table.crash("A")
    table.members["A"] = table.member_class(table, "A")
    hello = _changed(store_id="new")
    table.members["A"].inbox.append(("B", RaftFrame(hello=hello)))
    assert "we know it with 'store-B'" in table.step("A").refused[0].reason
