"""A member far behind takes over the leader's state: what passes between them; F1, F6, F14."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from diegod.internal.v1.command_pb2 import Batch, Command, UpsertDomain
from diegod.raftbbs.raft.api import AnswerStatus, Replaced
from diegod.raftbbs.raft.journal import read_hard_state
from diegod.raftbbs.replica import Replica
from diegod.raftbbs.store.environment import Environment, WriteTransaction
from diegod.raftbbs.store.identity import META_TABLE
from diegod.raftbbs.store.state import StateView
from diegod.raftbbs.store.tables import Tables
from diegod.v1.record_pb2 import Change
from tests.unit.raftbbs.raft.behind import SMALL, WRITTEN, Later, leave_behind, until_installed
from tests.unit.raftbbs.raft.lab import Lab, Member, lab
from tests.unit.raftbbs.raft.raw_library import raw_cluster


def test_a_member_far_behind_takes_over_the_leaders_state(parted: Lab) -> None:
    parted.join("C")
    parted.settle(rounds=60)
    assert parted.replaced == ["C"]
    assert parted.applied("C") == WRITTEN
    parted.step("A", b"after")
    parted.settle()
    assert parted.applied("A") == parted.applied("B") == parted.applied("C")
    assert parted.refused == []


def test_its_log_begins_with_the_last_entry_of_the_copy(parted: Lab) -> None:
    parted.join("C")
    until_installed(parted)
    ends = parted["A"]._serving._copy
    assert ends is not None
    with pytest.raises(Replaced, match=f"up to entry {ends.index}"):
        parted.step("C")
    parted.crash("C")
    parted.members["C"] = parted.member_class(parted, "C")
    assert parted.log("C") == [(ends.index, ends.term)]
    view = parted.leadership("C")
    assert (view.commit_index, view.applied_index) == (ends.index, ends.index)


def test_it_keeps_what_it_is_and_what_it_promised(parted: Lab) -> None:
    """The copy has the leader's birth record, its vote, and the stores of its peers."""
    own = parted.members["C"].environment
    with own.begin_read() as transaction:
        before = dict(transaction.scan(own.table(META_TABLE)))
        promised = read_hard_state(transaction, own.table(META_TABLE))
    assert promised is not None
    assert promised.voted_for == "A"
    parted.join("C")
    parted.settle(rounds=60)
    assert parted.replaced == ["C"]
    after = parted.members["C"].environment
    with after.begin_read() as transaction:
        rows = dict(transaction.scan(after.table(META_TABLE)))
        state = read_hard_state(transaction, after.table(META_TABLE))
    assert state is not None
    assert (state.term, state.voted_for) == (promised.term, promised.voted_for)
    for key in (b"birth", b"store/A", b"store/B"):
        assert rows[key] == before[key]
    assert b"store/C" not in rows


def test_it_counts_for_nothing_until_it_acknowledges(parted: Lab) -> None:
    """F1, F6: with B gone, nothing is committed before C has entries of its own again."""
    parted.join("C")
    parted.settle("AC", rounds=2)
    parted.crash("B")
    commit = parted.leadership("A").commit_index
    parted.step("A", b"alone")
    until_installed(parted)
    assert parted["A"]._library.match_index("C") < parted.leadership("A").log_first
    assert parted.leadership("A").commit_index == commit
    parted.settle(rounds=4)
    assert parted.leadership("A").commit_index == commit + 1
    assert parted.applied("C")[-1] == b"alone"


def test_writes_that_no_majority_has_are_not_acknowledged_by_a_copy() -> None:
    """F1, as the raw library does it: see test_gate."""
    with lab(limits=SMALL) as table:
        table.elect("A", "BC")
        table.settle()
        table.isolate("A")
        table.step("A", b"lost0")
        table.step("A", b"lost1")
        table.elect("B", "C")
        for payload in WRITTEN:
            table.step("B", payload)
            table.settle("BC", rounds=1)
        table.join("A")
        table.settle(rounds=60)
        assert table.replaced == ["A"]
        assert table.applied("A") == table.applied("B") == WRITTEN
        answered = [table.answers[id_].status for id_ in (1, 2) if id_ in table.answers]
        assert AnswerStatus.OK not in answered


class Board(Member):
    """A member whose state is the BBS's, with its feed of changes."""

    def __init__(self, lab: Lab, who: str) -> None:
        super().__init__(lab, who)
        self.tables = Tables.open(self.environment)

    def apply(self, transaction: WriteTransaction, index: int, payload: bytes) -> object:
        command = Command(by="user/ann", upsert_domain=UpsertDomain(domain=f"d{index}"))
        batch = Batch(at_ns=index, commands=[command])
        Replica(self.tables).apply_entry(transaction, index, batch.SerializeToString())
        return super().apply(transaction, index, payload)

    def changes(self, revision: int) -> list[Change]:
        with self.environment.begin_read() as transaction:
            return list(StateView(self.tables, transaction).changes_after(revision))


def test_it_has_the_history_of_changes_without_a_gap() -> None:
    """Whoever watched another member goes on here, as if nothing had been."""
    with lab(limits=SMALL, member_class=Board) as table:
        leave_behind(table)
        table.join("C")
        until_installed(table)
        with pytest.raises(Replaced):
            table.step("C")
        table.crash("C")
        table.start("C")
        boards = {who: table.members[who] for who in "AC"}
        assert all(isinstance(board, Board) for board in boards.values())
        there, here = (board.changes(0) for board in boards.values())  # type: ignore[attr-defined]
        assert len(here) == len(WRITTEN)
        assert here == there
        table.step("A", b"after")
        table.settle()
        news = boards["C"].changes(len(WRITTEN))  # type: ignore[attr-defined]
        assert [change.revision for change in news] == [len(WRITTEN) + 1]


def test_one_copy_serves_several() -> None:
    with lab("ABCDE", limits=SMALL) as table:
        table.elect("A", "BCDE")
        table.settle()
        table.isolate("D")
        table.isolate("E")
        for payload in WRITTEN:
            table.step("A", payload)
            table.settle("ABC", rounds=1)
        table.join("D")
        table.settle(rounds=60)
        table.join("E")
        table.settle(rounds=60)
        assert table.replaced == ["D", "E"]
        assert sum("made a copy" in notice for notice in table.notices) == 1
        assert table.applied("D") == table.applied("E") == WRITTEN


def test_raw_a_peer_is_flooded_while_there_is_no_snapshot_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """F14: one round of heartbeats does not end before its period does."""
    with raw_cluster() as raw:
        raw.elect("A", "BC")
        raw.settle("ABC")
        raw.link("A", "C", up=False)
        for number in range(9):
            raw["A"].put(b"%d" % number)
        raw.settle("AB")
        raw["A"].forceLogCompaction()
        raw.settle("AB")
        serializer = raw["A"].get("serializer")
        monkeypatch.setattr(serializer, "getTransmissionData", lambda node: None)
        raw.link("A", "C")
        sent = raw["A"].transport.send

        def send(node: Any, message: Any) -> bool:
            raw.now += 0.0001
            return bool(sent(node, message))

        monkeypatch.setattr(raw["A"].transport, "send", send)
        raw.tick("A")
        assert len(raw.queues["A", "C"]) > 500


def test_while_a_copy_is_made_a_peer_gets_a_heartbeat_a_round(parted: Lab) -> None:
    later = Later()
    parted["A"]._serving._background = later
    parted.join("C")
    parted.settle(rounds=3)
    for _ in range(10):
        parted.settle("BC", rounds=1)
        parted.step("A", b"meanwhile", seconds=0.2)
        kinds = parted.kinds("A", "C")
        assert 1 <= len(kinds) <= 3
        assert set(kinds) == {"append_entries"}
        parted.settle("AB", rounds=1)
        parted.pump("A", "C")
        parted.step("C")
        parted.pump("C", "A")
    assert len(later.waiting) == 1
    assert all(not frame.append_entries.entries for frame in parted.queues["A", "C"])
    later.finish()
    parted.settle(rounds=60)
    assert parted.replaced == ["C"]
    assert parted.applied("C") == parted.applied("A")


def test_a_copy_that_can_not_be_made_is_tried_again_later(
    parted: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Environment, folder: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Environment, "copy", fail)
        parted.join("C")
        parted.settle()
    assert sum("No space left" in notice for notice in parted.notices) == 1
    assert parted["A"]._serving.pinned_index is None
    parted.settle(rounds=120)
    assert parted.replaced == ["C"]


def test_the_copy_is_made_and_prepared_beside_the_steps() -> None:
    """In threads, as in production; the steps go on meanwhile."""
    steps: list[str] = []

    def slowly(work: Callable[[], Any]) -> Any:
        def run() -> Any:
            before = len(steps)
            while len(steps) < before + 3:
                time.sleep(0.001)
            return work()

        return pool.submit(run)

    with ThreadPoolExecutor(2) as pool, lab(limits=SMALL, background=slowly) as table:
        leave_behind(table)
        table.join("C")
        until = time.monotonic() + 10
        while not table.replaced and time.monotonic() < until:
            steps.append("step")
            table.step("A", b"meanwhile %d" % len(steps), seconds=0.01)
            table.settle(rounds=1)
            time.sleep(0.001)
        table.settle(rounds=30)
        assert table.replaced == ["C"]
        assert table.applied("C") == table.applied("A")
        assert len(table.applied("C")) == len(WRITTEN) + len(steps)
