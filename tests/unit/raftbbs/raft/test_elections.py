"""Who may become leader, and the flaws F8 and F9 of the raw library."""

import pytest
from pysyncobj.node import Node

from diegod.internal.v1.raft_pb2 import (
    PreVoteReply,
    PreVoteRequest,
    RaftFrame,
    StaleTerm,
    VoteReply,
    VoteRequest,
)
from diegod.raftbbs.raft.api import Role
from tests.unit.raftbbs.raft.lab import Lab, lab
from tests.unit.raftbbs.raft.raw_library import raw_cluster
from tests.unit.raftbbs.raft.scenarios import part_in_campaign, restart_between_votes


def test_raw_a_leader_that_is_cut_off_leads_for_half_a_minute() -> None:
    """F8."""
    with raw_cluster() as raw:
        raw.elect("A", "BC")
        raw.settle("ABC")
        raw.link("A", "B", up=False)
        raw.link("A", "C", up=False)
        raw.elect("B", "C")
        start = raw.now
        while raw["A"].leads and raw.now - start < 60:
            raw.tick("A")
        assert 29 < raw.now - start < 31


def test_a_leader_that_is_cut_off_steps_down() -> None:
    with lab() as table:
        table.elect("A", "BC")
        table.settle()
        table.isolate("A")
        start = table.now
        while table.step("A", seconds=0.1).leadership.leads:
            assert table.now - start < 2
        assert table.now - start <= 1.2


def test_raw_a_vote_counts_as_often_as_it_comes_and_whoever_sends_it() -> None:
    """F9."""
    for voters in (["B", "B"], ["stranger", "another"]):
        with raw_cluster("ABCDE") as raw:
            raw["A"].set("raftElectionDeadline", raw.now - 1)
            raw["A"].doTick(0)
            for voter in voters:
                vote = {"type": "response_vote", "term": 1}
                raw["A"].transport._onMessageReceived(Node(voter), vote)
            assert raw["A"].leads


def _vote(table: Lab, voter: str, term: int) -> Role:
    table.members["A"].inbox.append((voter, RaftFrame(vote_reply=VoteReply(term=term))))
    return table.step("A").leadership.role


def test_a_vote_counts_once_and_only_from_a_voter() -> None:
    with lab("ABCDE") as table:
        assert table.campaign("A").role is Role.CANDIDATE
        term = table.leadership("A").term
        for voter in ("B", "B", "B", "Z"):
            assert _vote(table, voter, term) is Role.CANDIDATE
        assert _vote(table, "C", term - 1) is Role.CANDIDATE
        assert _vote(table, "C", term) is Role.LEADER


@pytest.mark.parametrize("ways", [[("A", "C"), ("B", "C"), ("C", "A"), ("C", "B")], [("A", "C")]])
def test_a_member_that_was_cut_off_does_not_raise_the_term(ways: list[tuple[str, str]]) -> None:
    """Neither one that is alone, nor one that only does not hear the leader."""
    with lab() as table:
        table.elect("A", "BC")
        table.settle()
        for way in ways:
            table.cut(*way)
        for _ in range(20):
            table["C"]._library.election_deadline = table.now
            table.step("C")
            table.settle("AB", rounds=1)
            for other in "AB":
                table.pump("C", other)
        assert table.leadership("C").term == 1
        table.join("C")
        table.settle()
        assert [table.leadership(who).term for who in "ABC"] == [1, 1, 1]
        assert table.leadership("A").leads


@pytest.mark.parametrize("who", ["A", "B"])
def test_who_has_a_leader_votes_for_nobody(who: str) -> None:
    with lab() as table:
        table.elect("A", "BC")
        table.settle()
        request = VoteRequest(term=5, last_log_term=4, last_log_index=99)
        table.members[who].inbox.append(("C", RaftFrame(vote_request=request)))
        result = table.step(who)
        assert result.leadership.term == 1
        assert all(frame.WhichOneof("frame") == "append_entries" for _, frame in result.outbox)


def test_a_leader_of_an_old_term_is_told_and_steps_down() -> None:
    with lab() as table:
        table.elect("A", "BC")
        table.settle()
        table.members["A"].inbox.append(("B", RaftFrame(stale_term=StaleTerm(term=7))))
        leadership = table.step("A").leadership
        assert (leadership.role, leadership.term, leadership.leader_id) == (Role.FOLLOWER, 7, "")


def test_a_request_of_an_old_term_is_answered_with_the_new_one() -> None:
    with lab() as table:
        table.elect("A", "BC")
        table.settle()
        table.members["B"].inbox.append(("C", RaftFrame(vote_request=VoteRequest(term=0))))
        [(peer, frame)] = table.step("B").outbox
        assert (peer, frame.stale_term.term) == ("C", 1)


def test_the_longer_log_and_the_later_term_do_not_refuse_each_other_for_ever() -> None:
    """A pre-vote of a lower term is answered, and the sender adopts the term."""
    with lab() as table:
        assert part_in_campaign(table) < 10


def test_a_vote_is_kept_over_a_restart() -> None:
    with lab() as table:
        assert restart_between_votes(table) == {"B"}


def test_a_leader_that_is_not_heard_is_not_named() -> None:
    with lab() as table:
        table.elect("A", "BC")
        table.settle()
        table.queues["A", "B"].clear()
        assert table.step("B", seconds=0.2).leadership.leader_id == "A"
        assert table.step("B", seconds=1.0).leadership.leader_id == ""


def test_with_nobody_connected_a_member_waits_for_its_next_deadline() -> None:
    with lab() as table:
        table.isolate("C")
        table.expire("C")
        result = table.step("C")
        assert result.leadership.role is Role.FOLLOWER
        assert table["C"].next_deadline() > table.now + 0.4


@pytest.mark.parametrize(("last", "promised"), [(3, False), (4, True)])
def test_a_shorter_log_gets_no_pre_vote(last: int, promised: bool) -> None:
    """Whoever could not win would only raise the term for nothing."""
    with lab() as table:
        table.elect("A", "BC")
        table.settle()
        table.step("A", b"third", b"fourth")
        table.settle()
        table.isolate("A")
        table.queues["B", "C"].clear()
        table.now += 2.0
        request = PreVoteRequest(term=1, last_log_term=1, last_log_index=last)
        table.members["B"].inbox.append(("C", RaftFrame(pre_vote_request=request)))
        table.step("B")
        assert ("pre_vote_reply" in table.kinds("B", "C")) == promised


def test_a_pre_vote_of_an_earlier_term_does_not_count() -> None:
    with lab() as table:
        table.elect("A", "BC")
        table.settle()
        table.expire("B")
        table.step("B")
        for term, role in ((0, Role.FOLLOWER), (1, Role.CANDIDATE)):
            reply = RaftFrame(pre_vote_reply=PreVoteReply(term=term))
            table.members["B"].inbox.append(("C", reply))
            assert table.step("B").leadership.role is role
