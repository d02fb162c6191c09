"""M6, M7: who becomes leader, and for how long; M8: what proves that it still is."""

from dataclasses import replace
from typing import Any

from diegod.internal.v1.raft_pb2 import PreVoteReply, VoteReply
from tests.mutants.mutant import BBS, RAFT, RING, Chance, Mutant
from tests.mutants.surgery import around, nothing, says

_ELECTIONS = "raftbbs.raft.elections:Elections"
_CONFIRMATIONS = "raftbbs.raft.confirmations:Confirmations"
_FOUND = Chance("raft", 60, must=True)


def _again(count: Any, elections: Any, peer: str, reply: VoteReply, now: float) -> None:
    elections._voters = set()
    count(elections, peer, reply, now)


def _vote_of_this_term(count: Any, elections: Any, peer: str, reply: VoteReply, now: float) -> None:
    count(elections, peer, VoteReply(term=elections._library.term), now)


def _pre_vote_of_this_term(
    count: Any, elections: Any, peer: str, reply: PreVoteReply, now: float
) -> None:
    count(elections, peer, PreVoteReply(term=elections._library.term), now)


def _of_no_lower_term(answer: Any, elections: Any, peer: str, request: Any, now: float) -> None:
    if request.term >= elections._library.term:
        answer(elections, peer, request, now)


def _at_once(before_tick: Any, elections: Any, now: float) -> None:
    library = elections._library
    if not library.leads and library.election_deadline <= now:
        elections._campaign(now)
    else:
        before_tick(elections, now)


def _append_of_no_lower_term(take: Any, gate: Any, peer: str, message: Any, now: float) -> None:
    if message.term >= gate.library.term:
        take(gate, peer, message, now)


def _unheard(leader_id: Any, elections: Any, now: float) -> str:
    leader: str = elections._library.leader_id
    return leader


def _half_a_minute(conf: Any, timing: Any) -> Any:
    made = conf(timing)
    made.leaderFallbackTimeout = 30.0
    return made


def _without_noop(wait: Any, confirmations: Any, *waiting: Any) -> None:
    *what, view = waiting
    wait(confirmations, *what, replace(view, noop_index=0))


def _as_if_applied(settle: Any, confirmations: Any, view: Any) -> None:
    settle(confirmations, replace(view, applied_index=1 << 60))


def _from_anyone(take: Any, confirmations: Any, peer: str, reply: Any) -> None:
    asked = confirmations._asked.get(reply.id)
    take(confirmations, asked.leader_id if asked is not None else peer, reply)


async def _not_awaited(read: Any, access: Any, stale: bool) -> None:
    """A read does not wait for anything, unless it is asked to."""


ELECTIONS = (
    Mutant(
        "vote-per-voter",
        "M6",
        "a vote counts as often as it comes (F9)",
        around(f"{_ELECTIONS}.on_vote_reply", _again),
        ("raft/test_elections.py::test_a_vote_counts_once_and_only_from_a_voter",),
        RAFT,
    ),
    Mutant(
        "vote-of-another-term",
        "M6",
        "a vote of an earlier term counts in this one",
        around(f"{_ELECTIONS}.on_vote_reply", _vote_of_this_term),
        ("raft/test_elections.py::test_a_vote_counts_once_and_only_from_a_voter",),
        RAFT,
    ),
    Mutant(
        "stickiness",
        "M6",
        "whoever has a leader elects another one (F8)",
        around(f"{_ELECTIONS}._is_loyal", says(False)),
        ("raft/test_elections.py::test_who_has_a_leader_votes_for_nobody",),
        RAFT,
    ),
    Mutant(
        "pre-vote",
        "M6",
        "a member that was cut off raises the term, and ends a leader that works (F8)",
        around(f"{_ELECTIONS}.before_tick", _at_once),
        ("raft/test_elections.py::test_a_member_that_was_cut_off_does_not_raise_the_term",),
        RAFT,
    ),
    Mutant(
        "pre-vote-answer",
        "M6",
        "the longer log and the later term refuse each other for ever",
        around(f"{_ELECTIONS}.on_pre_vote_request", _of_no_lower_term),
        (
            "raft/test_elections.py"
            "::test_the_longer_log_and_the_later_term_do_not_refuse_each_other_for_ever",
        ),
        RAFT,
    ),
    Mutant(
        "pre-vote-unanswered",
        "M6",
        "nobody says whether it would vote, so nobody dares to campaign",
        around(f"{_ELECTIONS}.on_pre_vote_request", nothing),
        (
            "raft/test_elections.py"
            "::test_the_longer_log_and_the_later_term_do_not_refuse_each_other_for_ever",
        ),
        replace(RING, must=True),
    ),
    Mutant(
        "pre-vote-for-a-shorter-log",
        "M6",
        "a member that can't win is encouraged to raise the term",
        around(f"{_ELECTIONS}._is_complete", says(True)),
        ("raft/test_elections.py::test_a_shorter_log_gets_no_pre_vote",),
        RAFT,
    ),
    Mutant(
        "pre-vote-of-another-term",
        "M6",
        "a promise of an earlier term counts for this campaign",
        around(f"{_ELECTIONS}.on_pre_vote_reply", _pre_vote_of_this_term),
        ("raft/test_elections.py::test_a_pre_vote_of_an_earlier_term_does_not_count",),
        RAFT,
    ),
    Mutant(
        "stale-candidate-not-told",
        "M6",
        "a candidate of an old term never hears of the new one",
        around(f"{_ELECTIONS}.on_vote_request", _of_no_lower_term),
        ("raft/test_elections.py::test_a_request_of_an_old_term_is_answered_with_the_new_one",),
        RAFT,
    ),
    Mutant(
        "stale-leader-not-told",
        "M6",
        "a leader of an old term never hears of the new one",
        around("raftbbs.raft.gate:Gate._on_append", _append_of_no_lower_term),
        ("raft/test_gate.py::test_a_leader_of_an_old_term_is_told_so",),
        RAFT,
    ),
    Mutant(
        "later-term-not-followed",
        "M6",
        "a leader that hears of a later term leads on",
        around(f"{_ELECTIONS}.on_stale_term", nothing),
        ("raft/test_elections.py::test_a_leader_of_an_old_term_is_told_and_steps_down",),
        RAFT,
    ),
    Mutant(
        "check-quorum",
        "M7",
        "a leader that is cut off leads on for half a minute (F8)",
        around("raftbbs.raft.guarded:_conf", _half_a_minute),
        (
            "raft/test_elections.py::test_a_leader_that_is_cut_off_steps_down",
            "raft/test_engine.py::test_two_members_need_each_other",
        ),
        RAFT,
    ),
    Mutant(
        "unheard-leader-is-named",
        "M8",
        "reads are sent to a leader that was not heard for long",
        around(f"{_ELECTIONS}.leader_id", _unheard),
        (
            "raft/test_elections.py::test_a_leader_that_is_not_heard_is_not_named",
            "raft/test_confirmations.py::test_without_a_leader_a_read_fails_at_once",
        ),
    ),
    Mutant(
        "read-without-a-round",
        "M8",
        "a leader believes that it leads, and answers reads by itself (F8)",
        around(f"{_CONFIRMATIONS}.confirmed_round", lambda original, self, view: view.round),
        (
            "raft/test_confirmations.py"
            "::test_a_read_on_the_leader_waits_for_a_round_that_began_after_it",
            "raft/test_confirmations.py::test_leadership_that_is_lost_is_not_confirmed",
        ),
        _FOUND,
    ),
    Mutant(
        "own-term-no-op-before-a-read",
        "M8",
        "a new leader reads before it knows what its predecessor committed",
        around(f"{_CONFIRMATIONS}._wait", _without_noop),
        (
            "raft/test_confirmations.py"
            "::test_a_new_leader_reads_nothing_before_its_first_entry_is_applied",
        ),
        _FOUND,
    ),
    Mutant(
        "follower-reads-before-it-has-applied",
        "M8",
        "a follower answers as soon as it knows the index, not when it has it",
        around(f"{_CONFIRMATIONS}._settle_catching", _as_if_applied),
        ("raft/test_confirmations.py::test_a_follower_reads_what_it_has_applied_itself",),
        RAFT,
    ),
    Mutant(
        "leader-reads-before-it-has-applied",
        "M8",
        "a leader with a backlog answers reads without what is committed in it",
        around("raftbbs.raft.confirmations:_is_applied", says(True)),
        ("raft/test_confirmations.py::test_a_leader_reads_what_it_has_applied_itself",),
        RAFT,
    ),
    Mutant(
        "read-index-from-anyone",
        "M8",
        "whoever answers is taken for the leader that was asked",
        around(f"{_CONFIRMATIONS}.on_reply", _from_anyone),
        ("raft/test_confirmations.py::test_an_answer_that_was_not_asked_for_counts_for_nothing",),
    ),
    Mutant(
        "read-over-a-lost-connection",
        "M8",
        "a read whose question was lost waits until its time is up",
        around(f"{_CONFIRMATIONS}.lost", nothing),
        ("raft/test_confirmations.py::test_a_read_fails_when_the_connection_is_lost",),
    ),
    Mutant(
        "reads-stale-by-default",
        "M8",
        "any member answers from what it happens to have, whatever was asked for",
        around("raftbbs.edge.access:Access.read", _not_awaited),
        ("edge/test_access.py::test_a_read_is_linearizable_unless_it_is_asked_to_be_stale",),
        replace(BBS, must=True),
    ),
)
