"""A member whose state is wrong leaves, alone, at the next index at which states are compared."""

from collections.abc import Iterator
from itertools import count

import pytest

from diegod.internal.v1.command_pb2 import Batch
from diegod.internal.v1.raft_pb2 import AppendReply, RaftFrame
from diegod.raftbbs.raft import frames
from diegod.raftbbs.raft.api import AnswerStatus, Quarantined
from diegod.raftbbs.replica import AppliedEntry, Replica
from diegod.raftbbs.store import state
from diegod.raftbbs.store.environment import WriteTransaction
from diegod.raftbbs.store.state import StateWriter
from tests.unit.raftbbs.raft.boards import BoardMember, cancelled, desired, raised
from tests.unit.raftbbs.raft.lab import Lab, lab

EVERY = 10


@pytest.fixture(autouse=True)
def _compared_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "COMPARED_EVERY", EVERY)


@pytest.fixture
def table() -> Iterator[Lab]:
    """A leads; task t1 is there; the cluster has the format in which states are compared."""
    with lab(member_class=BoardMember) as table:
        table.elect("A", "BC")
        table.settle()
        table.step("A", raised(), desired("t1"))
        table.settle()
        yield table


_guids = (f"filler-{n}" for n in count())


def _board(table: Lab, who: str) -> BoardMember:
    member = table.members[who]
    assert isinstance(member, BoardMember)
    return member


def _go_on(table: Lab, among: str, entries: int = EVERY + 2) -> dict[str, Quarantined]:
    """Entries of a leader, up to the next comparison and past it; who left meanwhile."""
    left: dict[str, Quarantined] = {}
    for turn in range(entries + 12):
        living = [each for each in among if each in table.members]
        table.now += 0.1
        for each in living:
            table.freeze()
            leads = turn < entries and table.leadership(each).leads
            try:
                table.step(each, *([desired(next(_guids))] if leads else []))
            except Quarantined as leaving:
                left[each] = leaving
                table.crash(each)
        for a, b in table.queues:
            if a in among and b in among and b in table.members:
                table.pump(a, b)
    return left


def _comparison(table: Lab, who: str) -> tuple[int, bytes]:
    board = _board(table, who)
    with board.environment.begin_read() as transaction:
        last = board.replica.last_comparison(transaction)
    return (last.index, last.state_hash) if last is not None else (0, b"")


def _is_written(table: Lab, leader: str) -> bool:
    """Whether a write to a leader is acknowledged."""
    before = len(table.answers)
    table.step(leader, desired(next(_guids)))
    table.settle("".join(table.members))
    answers = list(table.answers.values())[before:]
    return [answer.status for answer in answers] == [AnswerStatus.OK]


def test_equal_members_have_equal_hashes_and_nobody_leaves(table: Lab) -> None:
    for _ in range(4):
        assert _go_on(table, "ABC") == {}
    assert len({_comparison(table, who) for who in "ABC"}) == 1
    assert _comparison(table, "A")[0] >= 4 * EVERY
    assert table.leadership("A").alarms == ()


def test_a_follower_with_another_state_leaves_and_the_others_go_on(table: Lab) -> None:
    _board(table, "B").alter("t1")
    table.step("A", cancelled("t1"))
    left = _go_on(table, "ABC")
    assert list(left) == ["B"]
    assert left["B"].index % EVERY == 0
    assert left["B"].agreed == _comparison(table, "A")[1] != left["B"].own
    assert _is_written(table, "A")


def test_a_leader_with_another_state_leaves_and_the_others_elect(table: Lab) -> None:
    _board(table, "A").alter("t1")
    table.step("A", cancelled("t1"))
    left = _go_on(table, "ABC")
    assert list(left) == ["A"]
    assert left["A"].own != left["A"].agreed == _comparison(table, "B")[1]
    table.elect("B", "C")
    table.settle("BC")
    assert _is_written(table, "B")
    assert _go_on(table, "BC") == {}


def test_one_against_one_nobody_leaves_and_an_operator_hears_of_it(table: Lab) -> None:
    table.crash("C")
    _board(table, "B").alter("t1")
    table.step("A", cancelled("t1"))
    assert _go_on(table, "AB") == {}
    (alarm,) = table.leadership("A").alarms
    assert alarm.startswith("the states of A and B differ at entry ")
    assert "no majority" in alarm
    assert table.leadership("B").alarms == ()
    table.start("C")
    assert list(_go_on(table, "ABC")) == ["B"]
    assert table.leadership("A").alarms == ()


def test_a_difference_from_before_the_format_is_none(table: Lab) -> None:
    """Stores that became this format at different times: their chains begin with the cluster's."""
    with lab(member_class=BoardMember) as early:
        early.elect("A", "BC")
        early.settle()
        early.step("A", desired("t1"))
        early.settle()
        board = _board(early, "B")
        with board.environment.begin_write() as transaction:
            writer = StateWriter(board.tables, transaction, 100)
            writer.close(0)  # an entry that the others don't have: another hash
        assert _go_on(early, "ABC", 3 * EVERY) == {}
        assert _comparison(early, "A") == (0, b"")
        early.step("A", raised())
        assert _go_on(early, "ABC", 3 * EVERY) == {}
        assert len({_comparison(early, who) for who in "ABC"}) == 1
        assert _comparison(early, "A")[0] > 3 * EVERY


class Forgetful(Replica):
    """A mutant: it loses the cause of each change, as a fault of the program might."""

    def apply_entry(
        self, transaction: WriteTransaction, index: int, payload: bytes
    ) -> AppliedEntry:
        batch = Batch.FromString(payload)
        for command in batch.commands:
            command.cause = "forgotten"
        return super().apply_entry(transaction, index, batch.SerializeToString())


def test_a_program_that_applies_differently_is_found(table: Lab) -> None:
    board = _board(table, "C")
    board.replica = Forgetful(board.tables)
    assert list(_go_on(table, "ABC")) == ["C"]


def test_only_the_leader_sends_away_and_only_who_is_wrong(table: Lab) -> None:
    _go_on(table, "ABC")
    index, own = _comparison(table, "B")
    term = table.leadership("B").term
    other = bytes(32)
    inbox = table.members["B"].inbox
    for peer, frame in [
        ("C", frames.quarantine(term, index, other)),  # it does not lead
        ("A", frames.quarantine(term - 1, index, other)),  # nor did A in that term
        ("A", frames.quarantine(term, index, own)),  # nothing is wrong
        ("A", frames.quarantine(term, index + 1, other)),  # where states are not compared
    ]:
        inbox.append((peer, frame))
    assert table.step("B").refused == []
    table.members["B"].inbox.append(("A", frames.quarantine(term, index, other)))
    with pytest.raises(Quarantined, match=rf"differs from the majority's at entry {index} "):
        table.step("B")


def test_a_hash_that_can_not_be_is_refused(table: Lab) -> None:
    term, last = table.leadership("A").term, table.leadership("A").log_last
    for index, state_hash in [(last + 1, bytes(32)), (last, b"short"), (2**63, bytes(32))]:
        reply = AppendReply(
            term=term, next_index=last + 1, success=True, hash_index=index, hash=state_hash
        )
        table.members["A"].inbox.append(("B", RaftFrame(append_reply=reply)))
        assert [refusal.peer for refusal in table.step("A").refused] == ["B"]
