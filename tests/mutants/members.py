"""M12: changes of members, learners, and leadership that is given away."""

from dataclasses import replace
from typing import Any

from diegod.internal.v1.raft_pb2 import TimeoutNow, VoteRequest
from diegod.raftbbs.raft import frames
from tests.mutants.mutant import Mutant
from tests.mutants.surgery import all_of, around, rule, says

_ELECTIONS = "raftbbs.raft.elections:Elections"
_MEMBERS = "raft/test_members.py::"
_RECORD = "core/test_membership.py::"


def _of_any_revision(change: Any, view: Any, command: Any, context: Any) -> Any:
    command.expected_revision = view.members().revision
    return change(view, command, context)


def _learners_vote(
    set_peers: Any, library: Any, voters: Any, learners: Any, same: Any = ()
) -> None:
    set_peers(library, (*voters, *learners), (), same)


def _all_support(is_majority: Any, peers: Any, supporters: Any) -> bool:
    count = sum(1 for peer in peers.all if peer in supporters)
    return bool(2 * (count + peers.votes) > len(peers.voters) + peers.votes)


def _asks_all(ask: Any, elections: Any, now: float) -> None:
    peers = elections._peers
    voters, peers.voters = peers.voters, peers.all
    try:
        ask(elections, now)
    finally:
        peers.voters = voters


def _echoes_of_all(confirmed: Any, confirmations: Any, view: Any) -> Any:
    peers = confirmations._peers
    voters, peers.voters = peers.voters, peers.all
    try:
        return confirmed(confirmations, view)
    finally:
        peers.voters = voters


def _unapplied(may_campaign: Any, elections: Any) -> bool:
    return bool(elections._peers.votes)


def _as_a_learner(may_campaign: Any, elections: Any) -> bool:
    library = elections._library
    return bool(library.applied_index == library.commit_index)


def _of_any_store(complaint: Any, greeting: Any, peer: str, hello: Any) -> str:
    return "" if peer in greeting._peers else complaint(greeting, peer, hello)


def _kept_as_learners(go_by: Any, peers: Any, members: Any) -> None:
    """Whoever is in the record no more."""
    kept = type(members)()
    kept.CopyFrom(members)
    listed = {member.member_id for member in members.members}
    for gone, store_id in getattr(peers, "_stores", {}).items():
        if gone not in listed:
            kept.members.add(member_id=gone, store_id=store_id, learner=True)
    go_by(peers, kept)


def _acquainted(counts: Any, greeting: Any, peer: str, kind: str) -> bool:
    return bool(counts(greeting, peer, kind)) or True


def _all_the_same(
    set_peers: Any, library: Any, voters: Any, learners: Any, same: Any = ()
) -> None:
    set_peers(library, voters, learners, (*voters, *learners))


def _told_at_once(go_on: Any, transfer: Any, now: float) -> None:
    going = transfer._going
    if going is not None and not going.told and transfer._library.leads:
        going.told = transfer._send(going.to, frames.timeout_now(going.term))
    go_on(transfer, now)


def _asking(transfer: bool) -> Any:
    def on_vote_request(answer: Any, elections: Any, peer: str, request: Any, now: float) -> None:
        asked = VoteRequest()
        asked.CopyFrom(request)
        asked.transfer = transfer
        answer(elections, peer, asked, now)

    return on_vote_request


def _called_by_anyone(on_call: Any, elections: Any, peer: str, message: Any, now: float) -> None:
    library = elections._library
    on_call(elections, library.leader_id, TimeoutNow(term=library.term), now)


def _not_going(refusal: Any, engine: Any, *arguments: Any) -> Any:
    going, engine._transfer._going = engine._transfer._going, None
    try:
        return refusal(engine, *arguments)
    finally:
        engine._transfer._going = going


def _own_caller(exchange: Any, links: Any, requests: Any, caller: Any) -> Any:
    return exchange(links, requests, replace(caller, id=f"{caller.id}-again"))


MEMBERS = (
    Mutant(
        "change_members/expected_revision",
        "M12",
        "what somebody else changed meanwhile in the record of members is overwritten",
        rule("change_members", _of_any_revision),
        (f"{_RECORD}test_a_change_is_decided_on_the_record_as_it_is",),
        command="change_members",
    ),
    Mutant(
        "change_members/one-at-a-time",
        "M12",
        "one record replaces two voters: two majorities without a common member (F5)",
        around("raftbbs.core.membership:not_one_change", says("")),
        (
            f"{_RECORD}test_only_one_member_differs",
            f"{_RECORD}test_what_is_more_than_one_step_is_refused",
        ),
        command="change_members",
    ),
    Mutant(
        "voter-from-the-start",
        "M12",
        "a member with an empty store votes",
        around("raftbbs.core.membership:_illegal_step", says("")),
        (f"{_RECORD}test_only_one_member_differs",),
    ),
    Mutant(
        "no-voter-left",
        "M12",
        "a record of members is taken that nobody can change any more",
        around("raftbbs.core.membership:illegal", says("")),
        (f"{_RECORD}test_an_illegal_record_is_refused",),
    ),
    Mutant(
        "too-few-are-left",
        "M12",
        "a voter is removed without which nothing can be decided",
        around("raftbbs.core.membership:too_few", says(None)),
        (f"{_RECORD}test_the_others_must_be_a_majority_that_is_there",),
    ),
    Mutant(
        "two-changes-on-their-way",
        "M12",
        "a change is proposed before the one before it is applied (F5)",
        around("raftbbs.raft.membership:Membership.refusal", says("")),
        (
            f"{_MEMBERS}test_a_second_change_is_refused_while_one_is_on_its_way",
            f"{_MEMBERS}test_a_new_leader_changes_nothing_before_its_first_entry_is_applied",
        ),
    ),
    Mutant(
        "campaign-with-unapplied-entries",
        "M12",
        "a member that is two changes behind is elected beside another leader",
        around(f"{_ELECTIONS}._may_campaign", _unapplied),
        (f"{_MEMBERS}test_who_is_two_changes_behind_does_not_campaign",),
    ),
    Mutant(
        "learner-campaigns",
        "M12",
        "a learner raises the term",
        around(f"{_ELECTIONS}._may_campaign", _as_a_learner),
        (f"{_MEMBERS}test_a_learner_does_not_campaign",),
    ),
    Mutant(
        "learners-acknowledgement-counts",
        "M12",
        "what one voter and a learner have counts as committed",
        around("raftbbs.raft.guarded:Library.set_peers", _learners_vote),
        (f"{_MEMBERS}test_a_learner_gets_everything_and_is_not_counted",),
    ),
    Mutant(
        "learners-vote-counts",
        "M12",
        "a member is elected with the help of a learner",
        all_of(
            around("raftbbs.raft.peers:Peers.is_majority", _all_support),
            around(f"{_ELECTIONS}._ask", _asks_all),
        ),
        (
            f"{_MEMBERS}test_the_vote_of_a_learner_is_not_counted",
            f"{_MEMBERS}test_a_learner_gets_everything_and_is_not_counted",
        ),
    ),
    Mutant(
        "learners-echo-counts",
        "M12",
        "learners prove leadership",
        around("raftbbs.raft.confirmations:Confirmations.confirmed_round", _echoes_of_all),
        (f"{_MEMBERS}test_a_round_that_learners_echo_is_not_confirmed",),
    ),
    Mutant(
        "learner-ready-at-once",
        "M12",
        "a learner votes before it has the log",
        around("raftbbs.raft.membership:Membership._has_caught_up", says(True)),
        (f"{_MEMBERS}test_a_learner_is_ready_when_it_has_caught_up",),
    ),
    Mutant(
        "old-store-of-a-replaced-voter-counts",
        "M12",
        "a disk that was given up votes beside the one in its place",
        around("raftbbs.raft.greeting:Greeting._of_no_member", _of_any_store),
        (f"{_MEMBERS}test_the_old_disk_of_a_replaced_voter_does_not_vote",),
    ),
    Mutant(
        "old-acknowledgements-count-for-a-new-store",
        "M12",
        "an empty disk counts as having what the old one had",
        around("raftbbs.raft.guarded:Library.set_peers", _all_the_same),
        (f"{_MEMBERS}test_what_the_old_disk_acknowledged_is_not_counted_for_the_new_one",),
    ),
    Mutant(
        "removed-member-is-heard",
        "M12",
        "who is no member any more takes part",
        around("raftbbs.raft.peers:Peers.set", _kept_as_learners),
        (f"{_MEMBERS}test_a_removed_member_does_not_disturb",),
    ),
    Mutant(
        "acquaintances-count",
        "M12",
        "the vote of a store that we do not know counts as that of a member we know",
        around("raftbbs.raft.greeting:Greeting.counts", _acquainted),
        (f"{_MEMBERS}test_who_has_not_heard_of_a_new_disk_does_not_count_its_votes",),
    ),
    Mutant(
        "transfer-to-one-that-is-behind",
        "M12",
        "a voter that lacks entries is called upon to campaign",
        around("raftbbs.raft.transfer:Transfer.go_on", _told_at_once),
        (f"{_MEMBERS}test_who_lacks_an_entry_is_not_called_upon",),
    ),
    Mutant(
        "proposals-during-a-transfer",
        "M12",
        "whoever gets the leadership never catches up",
        around("raftbbs.raft.engine:Engine._refusal", _not_going),
        (f"{_MEMBERS}test_while_the_leadership_is_given_away_nothing_is_taken",),
    ),
    Mutant(
        "stickiness-gives-way-to-anyone",
        "M12",
        "a leader that is heard is replaced without having given its leadership away",
        around(f"{_ELECTIONS}.on_vote_request", _asking(transfer=True)),
        ("raft/test_elections.py::test_who_has_a_leader_votes_for_nobody",),
    ),
    Mutant(
        "stickiness-gives-way-to-nobody",
        "M12",
        "leadership can't be given away, since all hear their leader",
        around(f"{_ELECTIONS}.on_vote_request", _asking(transfer=False)),
        (f"{_MEMBERS}test_the_leadership_is_given_to_a_voter_though_all_hear_their_leader",),
    ),
    Mutant(
        "called-upon-by-anyone",
        "M12",
        "a call of an earlier leader ends the present one",
        around(f"{_ELECTIONS}.on_timeout_now", _called_by_anyone),
        (f"{_MEMBERS}test_who_is_called_upon_campaigns_only_in_that_term",),
    ),
    Mutant(
        "any-caller-is-a-peer",
        "M11",
        "a member takes its own connection for that of a peer (F15b)",
        around("raftbbs.links:Links.exchange", _own_caller),
        ("test_links.py::test_nobody_dials_itself",),
    ),
)
