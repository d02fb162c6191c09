"""Steps: what they cost, what they promise, and what a crash leaves of them."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from diegod.raftbbs.raft.api import (
    COMMAND_BYTES_MAX,
    AnswerStatus,
    Fatal,
    Limits,
    ReplicatedLog,
    Timing,
)
from diegod.raftbbs.raft.engine import Engine
from diegod.raftbbs.raft.journal import read_hard_state
from diegod.raftbbs.store.environment import StoreFailed, WriteTransaction
from tests.unit.raftbbs.raft.lab import Lab, Member, lab
from tests.unit.raftbbs.raft.raw_library import raw_cluster
from tests.unit.raftbbs.raft.scenarios import lose_power_after_answer


class Cut(Exception):  # noqa: N818 - it names an event
    """The power goes."""


def cut() -> None:
    raise Cut


@pytest.fixture
def calm() -> Iterator[Lab]:
    with lab() as table:
        table.elect("A", "BC")
        table.settle()
        for queue in table.queues.values():
            queue.clear()
        yield table


def _replicate(table: Lab, rounds: int = 3) -> None:
    """Frames there and back, without any time passing."""
    for _ in range(rounds):
        table.pump_all()
        for who in "BCA":
            table.step(who)


def _count_commits(table: Lab, who: str) -> list[int]:
    commits: list[int] = []
    table.members[who].environment.before_commit = lambda: commits.append(1)
    return commits


def test_the_engine_is_a_replicated_log(calm: Lab) -> None:
    engine: ReplicatedLog = calm["A"]
    assert engine.leadership().leads


# What a step costs.


def test_raw_a_lone_write_waits_for_a_heartbeat() -> None:
    """F18: as shipped, the leader sends with its next heartbeat, and tells of commits with one."""
    with raw_cluster() as raw:
        raw.elect("A", "BC")
        raw.settle("ABC")
        done: list[bytes] = []
        raw["A"].put(b"alone", lambda result, why: done.append(result))
        for _ in range(5):
            raw.tick(*"ABC", seconds=0)
            for pair in raw.queues:
                raw.pump(*pair)
        assert done == []


def test_a_lone_write_waits_for_nothing(calm: Lab) -> None:
    calm.step("A", b"alone")
    _replicate(calm)
    assert [answer.result for answer in calm.answers.values()] == [b"alone"]
    assert calm.applied("B") == calm.applied("C") == [b"alone"]


def test_an_idle_step_commits_nothing(calm: Lab) -> None:
    counts = {who: _count_commits(calm, who) for who in "ABC"}
    calm.settle()
    assert counts == {"A": [], "B": [], "C": []}


def test_a_step_commits_once_however_much_it_does(calm: Lab) -> None:
    commits = _count_commits(calm, "A")
    calm.step("A", *(b"%d" % number for number in range(50)))
    assert len(commits) == 1
    _replicate(calm, rounds=1)
    assert len(commits) == 1
    _replicate(calm, rounds=1)
    assert (len(commits), len(calm.answers)) == (2, 50)


def test_no_thread_and_no_clock_of_its_own(calm: Lab) -> None:
    """F20: nothing happens unless `step` is called, at the time that it is told."""
    assert threading.active_count() == 1
    before = calm.leadership("B")
    calm.now -= 500
    assert calm.step("B").leadership == before


# What a crash leaves.


def test_a_crash_before_the_commit_loses_the_whole_step(calm: Lab) -> None:
    member = calm.members["B"]
    calm.step("A", b"first")
    calm.pump("A", "B")
    before = calm.log("B")
    member.environment.before_commit = cut
    with pytest.raises(Cut):
        calm.step("B")
    assert calm.kinds("B", "A") == []
    with pytest.raises(Fatal):
        calm.step("B")
    calm.crash("B")
    calm.start("B")
    assert calm.log("B")[: len(before)] == before
    calm.settle()
    assert calm.applied("B") == [b"first"]


def test_a_leader_that_crashes_before_the_commit_has_answered_nothing(calm: Lab) -> None:
    calm.step("A", b"first")
    calm.pump_all()
    calm.step("B")
    calm.step("C")
    calm.pump_all()
    calm.members["A"].environment.before_commit = cut
    with pytest.raises(Cut):
        calm.step("A")
    assert calm.answers == {}
    calm.crash("A")
    calm.start("A")
    assert calm.applied("A") == []
    calm.elect("B", "C")
    calm.settle()
    assert calm.applied("A") == calm.applied("C") == [b"first"]


def test_a_restart_keeps_term_vote_log_and_state(calm: Lab) -> None:
    calm.step("A", b"first", b"second")
    calm.settle()
    before, log, votes = calm.leadership("B"), calm.log("B"), calm["B"]._journal.state
    calm.isolate("B")
    calm.crash("B")
    calm.start("B")
    after = calm.leadership("B")
    assert (after.term, after.commit_index, after.applied_index) == (
        before.term,
        before.commit_index,
        before.applied_index,
    )
    assert calm.log("B") == log
    assert calm["B"]._journal.state == votes
    assert votes.voted_for == "A"
    calm.settle()
    assert calm.applied("B") == [b"first", b"second"]


def test_what_was_answered_survives_a_loss_of_power_everywhere() -> None:
    with lab() as table:
        assert lose_power_after_answer(table) == [b"acknowledged"]


def test_the_applied_index_is_in_the_transaction_of_the_state(calm: Lab) -> None:
    calm.step("A", b"first")
    _replicate(calm)
    member = calm.members["A"]
    meta = member.environment.table("meta")
    with member.environment.begin_read() as transaction:
        state = read_hard_state(transaction, meta)
        assert state is not None
        assert transaction.get(member.state, state.applied_index.to_bytes(8, "big")) == b"first"


def test_nothing_is_applied_again_after_a_restart() -> None:
    class Counting(Member):
        def apply(self, transaction: WriteTransaction, index: int, payload: bytes) -> object:
            assert transaction.get(self.state, index.to_bytes(8, "big")) is None, f"{index} again"
            return super().apply(transaction, index, payload)

    with lab(member_class=Counting) as table:
        table.elect("A", "BC")
        table.settle()
        table.step("A", b"first", b"second")
        table.settle()
        table.crash("B")
        table.start("B")
        table.settle()
        assert table.applied("B") == [b"first", b"second"]


# What becomes of a proposal.


def test_a_follower_takes_no_proposal(calm: Lab) -> None:
    calm.step("B", b"here")
    assert calm.answers[1].status is AnswerStatus.NOT_LEADER
    assert calm.kinds("B", "A") == []
    calm.settle()
    assert calm.applied("A") == []


def test_without_a_leader_a_proposal_is_answered_at_once() -> None:
    with lab() as table:
        table.step("A", b"here")
        assert table.answers[1].status is AnswerStatus.NOT_LEADER


def test_raw_a_forwarded_command_can_hang_for_ever() -> None:
    """F7: it was lost with a connection, and the leader stayed the same."""
    with raw_cluster() as raw:
        raw.elect("A", "BC")
        raw.settle("ABC")
        answers: list[object] = []
        raw["C"].put(b"forwarded", lambda result, why: answers.append(result))
        raw.tick("C")
        raw.link("A", "C", up=False)
        raw.link("A", "C")
        raw.settle("ABC", rounds=100)
        assert answers == []


def test_a_proposal_that_takes_too_long_is_answered_as_unknown(calm: Lab) -> None:
    """It is in the log of a leader that lost its majority, and may yet be committed."""
    calm.isolate("A")
    calm.step("A", b"late")
    for _ in range(60):
        calm.step("A", seconds=0.1)
    assert calm.answers[1].status is AnswerStatus.UNKNOWN
    calm.join("A")
    calm.elect("A", "BC")
    calm.settle()
    assert calm.applied("B") == [b"late"]
    assert calm.answers[1].status is AnswerStatus.UNKNOWN


def test_a_command_that_is_too_large_is_refused(calm: Lab) -> None:
    calm.step("A", b"x" * (COMMAND_BYTES_MAX + 1))
    answer = calm.answers[1]
    assert answer.status is AnswerStatus.REFUSED
    assert answer.detail == "the command has 1048577 bytes, at most 1048576 are allowed"


def test_a_full_log_refuses_what_comes() -> None:
    with lab(limits=Limits(log_entries=4)) as table:
        table.elect("A", "BC")
        table.settle()
        table.step("A", b"third", b"fourth", b"fifth")
        table.step("A", b"sixth")
        table.settle()
        assert table.applied("B") == [b"third", b"fourth", b"fifth"]
        answer = table.answers[4]
        assert answer.status is AnswerStatus.REFUSED
        assert answer.detail.startswith("the log is full: it has 5 entries")


# What is applied.


def test_a_step_applies_no_more_than_it_may() -> None:
    with lab("A", limits=Limits(apply_entries=10)) as table:
        for _ in range(3):
            table.step("A")
        table.step("A", *(b"%d" % number for number in range(35)))
        applied = []
        while table["A"].next_deadline() <= table.now:
            applied.append(len(table.step("A").applied))
        assert applied == [10, 10, 10, 5]


def test_an_entry_that_can_not_be_applied_ends_the_member() -> None:
    class Broken(Member):
        def apply(self, transaction: WriteTransaction, index: int, payload: bytes) -> object:
            transaction.put(self.state, b"half", b"done")
            raise ZeroDivisionError

    with lab("A", member_class=Broken) as table:
        for _ in range(3):
            table.step("A")
        table.step("A", b"poison")
        with pytest.raises(Fatal, match="entry 3 can't be applied: ZeroDivisionError"):
            table.step("A")
        assert table.applied("A") == []
        assert table.answers == {}


def test_a_store_that_fails_ends_the_member(calm: Lab, tmp_path: Path) -> None:
    def full() -> None:
        raise StoreFailed("the store can't commit: no space left")

    calm.members["A"].environment.before_commit = full
    with pytest.raises(StoreFailed, match="no space left"):
        calm.step("A", b"first")
    with pytest.raises(Fatal, match="has failed"):
        calm.step("A")


# When the next step is due.


def test_a_single_member_elects_itself_and_commits_alone() -> None:
    with lab("A", timing=Timing()) as table:
        table.crash("A")
        table.members["A"] = Member(table, "A")
        steps = 0
        while not table.leadership("A").noop_applied:
            assert table["A"].next_deadline() <= table.now
            table.step("A")
            steps += 1
        assert steps <= 2
        table.step("A", b"first")
        assert table["A"].next_deadline() <= table.now
        table.step("A")
        assert table.answers[1].status is AnswerStatus.OK
        assert table["A"].next_deadline() > table.now


def test_two_members_need_each_other() -> None:
    with lab("AB") as table:
        table.elect("A", "B")
        table.settle()
        table.isolate("A")
        table.step("A", b"first")
        for _ in range(20):
            table.step("A", seconds=0.1)
        assert not table.leadership("A").leads
        assert table.applied("A") == []


def test_a_leader_is_due_at_its_heartbeat_and_a_follower_at_its_election(calm: Lab) -> None:
    calm.step("A", seconds=0.1)
    assert calm["A"].next_deadline() == pytest.approx(calm.now + 0.1)
    calm.pump("A", "B")
    calm.step("B")
    assert 0.5 <= calm["B"].next_deadline() - calm.now <= 1.0


def test_at_its_deadline_a_step_does_what_was_due(calm: Lab) -> None:
    """Otherwise a virtual clock would stand still there for ever."""
    calm.step("A", seconds=0.1)
    calm.queues["A", "B"].clear()
    calm.now = calm["A"].next_deadline()
    calm.step("A")
    assert calm.kinds("A", "B") == ["append_entries"]
    assert calm["A"].next_deadline() > calm.now
    calm.now = calm["B"]._library.election_deadline = calm.now + 3
    calm.step("B")
    assert calm.kinds("B", "A") == ["pre_vote_request"]
    assert calm["B"].next_deadline() > calm.now


def test_frames_are_taken_before_deadlines_are_judged(calm: Lab) -> None:
    """A member that was paused finds its leader's frames, and does not campaign."""
    calm.step("A", seconds=0.1)
    calm.pump("A", "B")
    calm.expire("B")
    assert calm.step("B").leadership.leader_id == "A"
    assert calm.kinds("B", "A") == ["append_reply"]


def test_the_library_must_be_the_proven_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise Fatal("not the proven one")

    monkeypatch.setattr("diegod.raftbbs.raft.engine.require_proven", refuse)
    with pytest.raises(Fatal, match="not the proven one"), lab("A", engine_class=Engine):
        pass
