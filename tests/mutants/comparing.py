"""M15: members compare the hashes of their states, and one whose state is wrong leaves; two
processes with one store; and the format from which on there is something to compare.
"""

from collections import Counter
from hashlib import blake2b
from typing import Any

from diegod.raftbbs.core.agreement import Judgement
from diegod.raftbbs.raft.api import Quarantined
from diegod.raftbbs.store.state import FormatUnknown
from tests.mutants.mutant import Mutant
from tests.mutants.seen import Seen
from tests.mutants.surgery import around, never_fails, nothing, rule, says

_JUDGE = "raftbbs.core.agreement:judge"
_COMPARING = "raftbbs.raft.comparing:Comparing"
_MAJORITY = "core/test_agreement.py::test_a_majority_of_all_voters_is_right"
_LEAVES = "raft/test_comparing.py::"


def _minority(judge: Any, index: int, said: Any, voters: Any) -> Judgement:
    """Where somebody is wrong, what fewest said is right."""
    judgement = judge(index, said, voters)
    if not judgement.wrong:
        return judgement
    fewest = Counter(said.values()).most_common()[-1][0]
    return Judgement(index, fewest, tuple(who for who in sorted(said) if said[who] != fewest))


def _of_those_who_spoke(judge: Any, index: int, said: Any, voters: Any) -> Judgement:
    return judge(index, said, [voter for voter in voters if voter in said])


def _also_of_learners(judge: Any, index: int, said: Any, voters: Any) -> Judgement:
    return judge(index, said, sorted({*voters, *said}))


def _one_convicts(judge: Any, index: int, said: Any, voters: Any) -> Judgement:
    judgement = judge(index, said, voters)
    if not judgement.undecided:
        return judgement
    right = said[min(said)]
    return Judgement(index, right, tuple(who for who in sorted(said) if said[who] != right))


def _told_is_believed(on_quarantine: Any, comparing: Any, told: Any) -> None:
    if told.hash_index == comparing.last.index:
        raise Quarantined(told.hash_index, b"", told.hash)
    on_quarantine(comparing, told)


def _told_by_anyone(on_quarantine: Any, gate: Any, peer: str, told: Any) -> None:
    gate._comparing.on_quarantine(told)


def _in_old_chain(raise_format: Any, writer: Any, cluster_format: int) -> None:
    writer.now.cluster_format = cluster_format


def _without_deletes(delete: Any, transaction: Any, table: Any, key: bytes) -> bool:
    digest, transaction.digest = transaction.digest, None
    try:
        return bool(delete(transaction, table, key))
    finally:
        transaction.digest = digest


def _no_chain(make: Any, writer: Any, tables: Any, transaction: Any, history: int) -> None:
    """The hash is of one entry, not of all before it."""
    make(writer, tables, transaction, history)
    writer._hash = transaction.digest = blake2b(digest_size=32)


def _one_life(make: Any, lives: Any, *arguments: Any) -> None:
    make(lives, *arguments)
    lives.life = 1


def _by_any_steps(raise_format: Any, view: Any, command: Any, context: Any) -> Any:
    seen = Seen(view, cluster_format=lambda _: command.cluster_format - 1)
    return raise_format(seen, command, context)


COMPARING = (
    Mutant(
        "minority-hash-wins",
        "M15",
        "what most members have is wrong, and they leave",
        around(_JUDGE, _minority),
        (_MAJORITY, f"{_LEAVES}test_a_follower_with_another_state_leaves_and_the_others_go_on"),
    ),
    Mutant(
        "majority-of-those-who-spoke",
        "M15",
        "one member that speaks first says what is right",
        around(_JUDGE, _of_those_who_spoke),
        (_MAJORITY,),
    ),
    Mutant(
        "learners-judge",
        "M15",
        "learners count where states are compared",
        around(_JUDGE, _also_of_learners),
        ("core/test_agreement.py::test_whoever_does_not_vote_can_be_wrong_and_decides_nothing",),
    ),
    Mutant(
        "one-against-one-convicts",
        "M15",
        "of two members that differ one leaves, perhaps the right one",
        around(_JUDGE, _one_convicts),
        (_MAJORITY, f"{_LEAVES}test_one_against_one_nobody_leaves_and_an_operator_hears_of_it"),
    ),
    Mutant(
        "former-store-is-remembered",
        "M15",
        "a member that came back with another store is judged by what the old one said",
        around("raftbbs.core.agreement:Agreement.forget", nothing),
        ("core/test_agreement.py::test_a_member_that_comes_back_begins_anew",),
    ),
    Mutant(
        "wrong-leader-stays",
        "M15",
        "a leader whose state is wrong sends others away and goes on",
        around(f"{_COMPARING}._judge", never_fails(Quarantined)),
        (f"{_LEAVES}test_a_leader_with_another_state_leaves_and_the_others_elect",),
    ),
    Mutant(
        "wrong-follower-stays",
        "M15",
        "a follower that is told that its state is wrong serves it",
        around(f"{_COMPARING}.on_quarantine", nothing),
        (
            f"{_LEAVES}test_a_follower_with_another_state_leaves_and_the_others_go_on",
            f"{_LEAVES}test_a_program_that_applies_differently_is_found",
        ),
    ),
    Mutant(
        "whoever-is-told-leaves",
        "M15",
        "a member leaves though its state is what the leader says is right",
        around(f"{_COMPARING}.on_quarantine", _told_is_believed),
        (f"{_LEAVES}test_only_the_leader_sends_away_and_only_who_is_wrong",),
    ),
    Mutant(
        "anybody-sends-away",
        "M15",
        "a member that does not lead sends others away",
        around("raftbbs.raft.gate:Gate._on_quarantine", _told_by_anyone),
        (f"{_LEAVES}test_only_the_leader_sends_away_and_only_who_is_wrong",),
    ),
    Mutant(
        "hash-of-any-size",
        "M15",
        "what can be no hash of a state is compared",
        around("raftbbs.raft.frames:_check_hash", nothing),
        (f"{_LEAVES}test_a_hash_that_can_not_be_is_refused",),
    ),
    Mutant(
        "mark-not-looked-at",
        "M15",
        "a store whose state was found to be wrong is served again",
        around("raftbbs.store.quarantine:refuse_marked", nothing),
        (
            "store/test_quarantine.py"
            "::test_a_marked_store_is_refused_with_what_and_why_and_what_to_do",
            "store/test_verification.py::test_a_quarantined_store_is_not_even_looked_at",
        ),
    ),
    Mutant(
        "chain-leaves-out-deletes",
        "M15",
        "a row that one member still has, and another has not, is never noticed",
        around("raftbbs.store.environment:WriteTransaction.delete", _without_deletes),
        ("store/test_state.py::test_another_row_that_is_gone_makes_another_hash",),
    ),
    Mutant(
        "chain-of-one-entry",
        "M15",
        "a difference is noticed only if it came with the entry that is compared",
        around("raftbbs.store.state:StateWriter.__init__", _no_chain),
        ("store/test_state.py::test_another_row_makes_another_hash_for_ever",),
    ),
    Mutant(
        "chain-of-before-the-format",
        "M15",
        "what members hashed differently before they compared counts against them",
        around("raftbbs.store.state:StateWriter.raise_format", _in_old_chain),
        (
            "core/test_formats.py"
            "::test_from_then_on_hashes_are_equal_whatever_was_before",
            f"{_LEAVES}test_a_difference_from_before_the_format_is_none",
        ),
    ),
    Mutant(
        "earlier-life-is-heard",
        "M12",
        "the original and the copy of a disk both vote",
        around("raftbbs.raft.lives:Lives.complaint", says("")),
        (
            "raft/test_lives.py::test_the_original_of_a_copy_that_started_later_is_not_heard",
            "raft/test_lives.py::test_of_two_copies_that_started_equally_often_the_first_is_heard",
        ),
    ),
    Mutant(
        "lives-not-counted",
        "M12",
        "nobody can tell a copy of a disk from its original",
        around("raftbbs.raft.lives:Lives.__init__", _one_life),
        ("raft/test_lives.py::test_each_start_is_a_life_of_its_own",),
    ),
    Mutant(
        "raise_format/one-step",
        "core",
        "the format is taken back, or a step of it is passed over",
        rule("raise_format", _by_any_steps),
        (
            "core/test_formats.py::test_only_by_one_step",
            "core/test_formats.py::test_never_twice_in_one_entry_either",
        ),
        command="raise_format",
    ),
    Mutant(
        "unknown-format-goes-on",
        "core",
        "a member goes on with a format that it does not know",
        around("raftbbs.store.state:StateWriter.raise_format", never_fails(FormatUnknown)),
        ("core/test_formats.py::test_what_this_version_does_not_know_ends_it",),
    ),
)
