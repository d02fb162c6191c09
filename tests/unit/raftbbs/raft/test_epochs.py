"""Members of different epochs refuse one another."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from diegod.internal.v1.raft_pb2 import RaftFrame, RaftHello
from diegod.raftbbs.store import identity
from diegod.raftbbs.store.identity import META_TABLE
from tests.unit.raftbbs.raft.lab import Lab, lab


@pytest.fixture
def table() -> Iterator[Lab]:
    with lab() as table:
        table.elect("A", "BC")
        table.step("A", b"one")
        table.settle()
        yield table


def _put_into_epoch(table: Lab, who: str, epoch: int) -> None:
    """As after a recovery that still names all three: nobody else stands in the way."""
    table.crash(who)
    environment, birth = identity.load(table.folder / who, durable=False)
    meta = environment.table(META_TABLE)
    with environment.begin_write() as transaction:
        identity.write(transaction, meta, replace(birth, epoch=epoch))
    environment.close()
    table.start(who)


def _reasons(table: Lab, who: str, peer: str) -> set[str]:
    return {refusal.reason for by, refusal in table.refused if (by, refusal.peer) == (who, peer)}


def test_each_refuses_the_other_and_says_why(table: Lab) -> None:
    _put_into_epoch(table, "B", 2)
    table.settle()
    assert any("its store is of epoch 2, ours of epoch 1" in r for r in _reasons(table, "A", "B"))
    assert any("its store is of epoch 1, ours of epoch 2" in r for r in _reasons(table, "B", "A"))
    assert any("join again (diegod bbs join)" in reason for reason in _reasons(table, "B", "C"))


def test_nothing_is_replicated_between_epochs(table: Lab) -> None:
    _put_into_epoch(table, "B", 2)
    before = table.applied("B")
    table.step("A", b"two")
    table.settle()
    assert table.applied("A")[-1] == b"two"  # A and C are a majority of their epoch
    assert table.applied("B") == before


def test_one_of_a_later_epoch_gets_no_vote(table: Lab) -> None:
    _put_into_epoch(table, "B", 2)
    table.crash("A")
    table.expire("B")
    for _ in range(4):
        table.step("B")
        table.pump("B", "C")
        table.step("C")
        table.pump("C", "B")
    assert not table.step("B").leadership.leads


def test_a_member_that_says_no_epoch_is_of_the_first(table: Lab) -> None:
    """The release before this one knows of none."""
    hello = RaftHello(cluster_id="cluster", member_id="B", store_id="store-B", store_format=2)
    table.refused.clear()
    table.members["A"].inbox.append(("B", RaftFrame(hello=hello)))
    table.step("A")
    assert _reasons(table, "A", "B") == set()


def test_its_own_epoch_is_in_its_hello(table: Lab) -> None:
    _put_into_epoch(table, "B", 7)
    table.isolate("B")
    table.link("B", "A")
    (hello,) = [f.hello for _, f in table.step("B").outbox if f.HasField("hello")]
    assert hello.epoch == 7
