"""What a follower takes from an append, and the flaws F3 and F12d of the raw library."""

from dataclasses import dataclass

import pytest

from diegod.internal.v1.raft_pb2 import AppendEntries, LogEntry, RaftFrame
from diegod.raftbbs.raft.api import Fatal
from diegod.raftbbs.raft.append import Retry, Take, reconcile
from tests.unit.raftbbs.raft.lab import lab
from tests.unit.raftbbs.raft.raw_library import SUCCESS, raw_cluster


@dataclass
class Log:
    """The terms of the entries 1, 2, …; those before `first_index` can't be looked at."""

    terms: list[int]
    first_index: int = 1

    @property
    def last_index(self) -> int:
        return len(self.terms)

    def term_at(self, index: int) -> int:
        assert index >= self.first_index
        return self.terms[index - 1]


def message(previous: int, previous_term: int, *terms: int, commit: int = 0) -> AppendEntries:
    entries = [
        LogEntry(index=previous + 1 + n, term=term, command=b"\0") for n, term in enumerate(terms)
    ]
    return AppendEntries(
        term=9,
        commit_index=commit,
        has_previous=True,
        previous_index=previous,
        previous_term=previous_term,
        entries=entries,
    )


def summary(verdict: Take | Retry) -> tuple[int, ...]:
    """Previous index and term, how many entries, match, commit index; or where to retry."""
    if isinstance(verdict, Retry):
        return (verdict.next_index,)
    return (
        verdict.previous_index,
        verdict.previous_term,
        len(verdict.entries),
        verdict.match,
        verdict.commit_index,
    )


@pytest.mark.parametrize(
    ("terms", "commit", "sent", "expected"),
    [
        ([0, 1], 1, message(2, 1), (2, 1, 0, 2, 0)),
        ([0, 1], 1, message(2, 1, 1, 1, commit=9), (2, 1, 2, 4, 4)),
        ([0, 1, 1], 1, message(2, 1, 1, 1, commit=3), (3, 1, 1, 4, 3)),
        ([0, 1, 1, 1, 1], 1, message(2, 1, 1, commit=9), (5, 1, 0, 3, 3)),
        ([0, 1, 1, 1], 2, message(2, 1, commit=9), (4, 1, 0, 2, 2)),
        ([0, 1, 1, 1], 2, message(2, 1, 1, 2, commit=2), (3, 1, 1, 4, 2)),
        ([0, 1], 1, message(5, 1, 1), (3,)),
        ([0, 1, 2, 2, 2], 2, message(5, 3, 3), (3,)),
        ([0, 1, 2, 2, 2], 4, message(5, 3, 3), (5,)),
    ],
    ids=[
        "heartbeat",
        "new entries, commit no further than they prove",
        "the first is known",
        "all are known: what follows stays, and is not claimed",
        "a heartbeat behind the end commits no further than it proves",
        "a conflict is cut, and only that",
        "a gap: retry at our end",
        "a conflict at the previous entry: retry where its term began",
        "but never below what is committed",
    ],
)
def test_a_follower_takes_what_is_proven(
    terms: list[int], commit: int, sent: AppendEntries, expected: tuple[int, ...]
) -> None:
    assert summary(reconcile(Log(terms), commit, sent)) == expected


@pytest.mark.parametrize("sent", [message(2, 2), message(1, 0, 2), message(1, 0, 1, 2)])
def test_a_conflict_with_what_is_committed_ends_the_member(sent: AppendEntries) -> None:
    with pytest.raises(Fatal, match="committed"):
        reconcile(Log([0, 1, 1]), 3, sent)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (message(1, 0), (6, 1, 0, 4, 0)),
        (message(1, 0, 1, 1, commit=3), (6, 1, 0, 4, 3)),
        (message(2, 1, 1, 1, 1, 1, 2, commit=7), (6, 1, 1, 7, 7)),
        (message(2, 1, 1, 1, 1, 2, commit=5), (5, 1, 1, 6, 5)),
        (message(4, 1, 1, commit=5), (6, 1, 0, 5, 5)),
    ],
    ids=[
        "a heartbeat from before our log: it agrees up to where ours begins",
        "entries from before our log are known",
        "from before it until behind its end",
        "a conflict behind it",
        "where it begins",
    ],
)
def test_what_was_cut_off_agrees(sent: AppendEntries, expected: tuple[int, ...]) -> None:
    log = Log([0, 1, 1, 1, 1, 1], first_index=4)
    assert summary(reconcile(log, 5, sent)) == expected


def test_raw_a_resent_range_removes_acknowledged_entries() -> None:
    """F3: with one lost connection and two outstanding resets, 14 committed entries vanish."""
    with raw_cluster(appendEntriesBatchSizeBytes=400) as raw:
        raw.elect("A", "BC")
        raw.settle("ABC")
        raw.link("A", "C", up=False)
        raw["A"].put(b"x" * 60)
        raw.tick("A")
        raw.tick("A")
        raw.link("A", "B", up=False)
        raw.link("A", "B")
        raw.tick("A")
        raw.tick("A")
        raw.pump("A", "B")
        raw.pump("B", "A", 1)
        acknowledged: list[bytes] = []
        for number in range(20):
            raw["A"].put(
                b"x" * 60 + b"%d" % number,
                lambda result, reason: acknowledged.append(result) if reason == SUCCESS else None,
            )
        raw.tick("A")
        raw.tick("A")
        raw.pump("A", "B")
        raw.tick("B")
        raw.pump("B", "A", 1)
        raw.tick("A")
        raw.pump("B", "A")
        raw.tick("A")
        assert len(acknowledged) == 20
        raw.pump("A", "B", 1)
        raw.tick("B")
        raw.link("A", "B", up=False)
        raw.elect("B", "C")
        raw.settle("BC")
        assert len(set(acknowledged) - set(raw["C"].applied)) > 10


def test_a_resent_range_removes_nothing() -> None:
    with lab() as table:
        table.elect("A", "BC")
        table.settle()
        for number in range(12):
            table.step("A", b"%d" % number)
        table.settle()
        follower, end = table["B"], table.leadership("B").log_last
        old = table["A"]._journal.entry(end - 9)
        resent = AppendEntries(
            term=1,
            commit_index=1 << 40,
            has_previous=True,
            previous_index=old[1],
            previous_term=old[2],
            entries=[
                LogEntry(index=i, term=t, command=c)
                for c, i, t in (table["A"]._journal.entry(end - n) for n in range(8, 4, -1))
            ],
            round=1,
        )
        table.queues["A", "B"].clear()
        table.queues["A", "B"].append(RaftFrame(append_entries=resent))
        table.pump("A", "B")
        result = table.step("B")
        assert follower.leadership().log_last == end
        [(_, reply)] = result.outbox
        assert reply.append_reply.success
        assert reply.append_reply.next_index == end - 4


def _conflict(entries: int) -> int:
    """Heartbeats until a member with so many lost entries agrees with the new leader."""
    with lab() as table:
        table.elect("A", "BC")
        table.settle()
        table.isolate("A")
        for number in range(entries):
            table.step("A", b"lost%d" % number)
        table.elect("B", "C")
        for number in range(entries + 20):
            table.step("B", b"kept%d" % number)
        table.settle("BC")
        while table.step("B", seconds=0.3).leadership.leads:
            table.queues["B", "C"].clear()
        table.elect("C", "B")  # who begins to send at its own end, beyond A's
        table.settle("BC")
        table.join("A")
        for heartbeats in range(100):
            if table.applied("A") == table.applied("B") and len(table.applied("A")) > entries:
                return heartbeats
            table.settle(rounds=1)
        raise AssertionError(table.leadership("A"))


def test_raw_a_conflict_is_walked_back_one_entry_a_heartbeat() -> None:
    """F12d: 100 conflicting entries take more than 100 heartbeats to heal."""
    with raw_cluster() as raw:
        raw.elect("A", "BC")
        raw.settle("ABC")
        raw.link("A", "B", up=False)
        raw.link("A", "C", up=False)
        for _ in range(100):
            raw["A"].put(b"lost")
        raw.settle("A")
        raw.elect("B", "C")
        for _ in range(120):
            raw["B"].put(b"kept")
        raw.settle("BC")
        raw.elect("C", "B")
        raw.link("A", "B")
        raw.link("A", "C")
        for _ in range(100):
            raw.settle("ABC", rounds=1)
        assert raw["A"].applied != raw["B"].applied


def test_a_conflict_is_walked_back_one_term_a_heartbeat() -> None:
    assert _conflict(100) < 10
