"""M9, M13, M14, and what the store promises to watchers and to whoever tells the time."""

import time
from dataclasses import replace
from typing import Any

from google.protobuf.message import DecodeError

from diegod.models.errors import Reason
from diegod.raftbbs import core
from diegod.raftbbs.core.decision import Refused
from diegod.raftbbs.raft.api import AnswerStatus, Fatal
from diegod.raftbbs.store.envelope import EnvelopeError
from tests.mutants.mutant import BBS, RAFT, RING, Mutant
from tests.mutants.surgery import around, never_fails, nothing, says, without

_CORE = "raftbbs.raft.guarded:_Core"
_WRITER = "raftbbs.store.state:StateWriter"


def _unguarded(decided: Any, state: Any, command: Any, context: Any) -> Any:
    return core.apply(state, command, context)


def _damage_is_an_answer(decided: Any, state: Any, command: Any, context: Any) -> Any:
    try:
        return decided(state, command, context)
    except (EnvelopeError, DecodeError):
        return Refused(Reason.INVALID_REQUEST, "the row can't be read")


def _own_clock(advance: Any, writer: Any, at_ns: int) -> None:
    advance(writer, time.time_ns())


def _as_stamped(advance: Any, writer: Any, at_ns: int) -> None:
    writer.now = replace(writer.now, at_ns=at_ns)


def _by_the_wall_clock(stamp: Any, replicated: Any, monotonic_s: float, wall_s: float) -> int:
    replicated.last_ns, replicated.seen_at_s = int(wall_s * 1e9), monotonic_s
    return int(replicated.last_ns)


def _mark_not_moved(compact: Any, writer: Any) -> None:
    compacted = writer.now.compacted
    compact(writer)
    writer.now = replace(writer.now, compacted=compacted)


def _begun_twice(begin: Any, library: Any, *arguments: Any) -> None:
    begin(library, *arguments)
    if library.applied_index > 1:
        library._core._SyncObj__raftLastApplied -= 1


def _unknown_is_not_applied(expire: Any, engine: Any) -> None:
    expire(engine)
    engine._answers = [
        replace(answer, status=AnswerStatus.NOT_LEADER)
        if answer.status is AnswerStatus.UNKNOWN
        else answer
        for answer in engine._answers
    ]


def _refused_as_not_applied(refusal: Any, answer: Any) -> Any:
    return refusal(replace(answer, status=AnswerStatus.NOT_LEADER))


def _waiting_without_bounds(submit: Any, member: Any, commands: Any) -> Any:
    member._submitted = _Uncounted(member._submitted)
    return submit(member, commands)


class _Uncounted(dict):  # type: ignore[type-arg]
    def __len__(self) -> int:
        return 0


def _one_entry(proposals: Any, ticking: Any, *now: float) -> Any:
    """All that waits becomes one entry, however large."""
    waiting = ticking._waiting
    if len(waiting) > 1:
        together = type(waiting[0])(waiting[0].id, [c for each in waiting for c in each.commands])
        ticking._waiting = [together]
    return proposals(ticking, *now)


def _told_before_its_entry(newer: Any, changes: Any, revision: int) -> Any:
    return newer(changes, revision - 1)


def _left_out(tell: Any, feed: Any, watcher: Any, entry: Any) -> None:
    """What does not fit is left out, and nobody says so."""
    if not watcher.entries.full():
        tell(feed, watcher, entry)


def _one_by_one(publish: Any, feed: Any, revision: int, changes: Any) -> None:
    for change in changes:
        publish(feed, change.revision, [change])


def _but_the_first(publish: Any, feed: Any, revision: int, changes: Any) -> None:
    """The first entry after a start, or after a copy that was taken over, is told to nobody."""
    if not hasattr(feed, "has_begun"):
        feed.has_begun, changes = True, ()
    publish(feed, revision, changes)


def _left_untold(concerned: Any, feed: Any, change: Any) -> Any:
    known = type(change)()
    known.CopyFrom(change)
    known.left_cell_id = ""
    return concerned(feed, known)


STATE = (
    Mutant(
        "entry-that-fails-is-passed-over",
        "M9",
        "an entry that could not be applied counts as applied (F4)",
        around("raftbbs.raft.engine:Engine._apply", never_fails(Fatal)),
        ("raft/test_engine.py::test_an_entry_that_can_not_be_applied_ends_the_member",),
    ),
    Mutant(
        "pickled-commands",
        "M9",
        "the library's own apply unpickles what is in the log (F15)",
        without(f"{_CORE}._SyncObj__doApplyCommand"),
        ("raft/test_guarded.py::test_a_command_is_bytes_and_nothing_else",),
    ),
    Mutant(
        "members-change-through-the-library",
        "M9",
        "a pickled change of members in the log is carried out (F5)",
        without(f"{_CORE}._SyncObj__parseChangeClusterRequest"),
        ("raft/test_guarded.py::test_members_do_not_change_through_the_library",),
    ),
    Mutant(
        "illegal-keys-reach-apply",
        "M9",
        "a name that no key of the store can have is written",
        around("raftbbs.core.keys:illegal_keys", says(None)),
        ("core/test_rules.py::test_a_name_that_can_not_be_a_key_is_a_refusal",),
    ),
    Mutant(
        "mistake-in-a-rule-ends-the-member",
        "M9",
        "one command that a rule can't cope with stops every member, for ever",
        around("raftbbs.replica:_decided", _unguarded),
        ("test_replica.py::test_a_mistake_in_a_rule_is_that_commands_answer",),
    ),
    Mutant(
        "damage-is-an-answer",
        "M9",
        "a member that can't read its row answers, and differs from the others",
        around("raftbbs.replica:_decided", _damage_is_an_answer),
        ("test_replica.py::test_a_damaged_row_ends_this_member_and_is_no_answer",),
    ),
    Mutant(
        "apply-reads-a-clock",
        "M9",
        "each member writes its own time into the state",
        around(f"{_WRITER}.advance_time", _own_clock),
        ("store/test_state.py::test_two_members_that_apply_the_same_entries_are_equal",),
        replace(RING, seeds=3),
    ),
    Mutant(
        "applied-once-more-after-a-start",
        "M9",
        "a member that starts applies its last entry again",
        around("raftbbs.raft.guarded:Library.__init__", _begun_twice),
        ("raft/test_engine.py::test_nothing_is_applied_again_after_a_restart",),
        replace(RING, seeds=12, must=True),
    ),
    Mutant(
        "forwarded-proposals",
        "M13",
        "a proposal that a follower passes on is answered by nobody (F7)",
        around("raftbbs.raft.guarded:_Port._refuse_forwarding", nothing),
        ("raft/test_engine.py::test_a_follower_takes_no_proposal",),
    ),
    Mutant(
        "unknown-is-said-to-be-not-applied",
        "M13",
        "a proposal that may yet be committed is said not to be (F7)",
        around("raftbbs.raft.engine:Engine._expire", _unknown_is_not_applied),
        ("raft/test_engine.py::test_a_proposal_that_takes_too_long_is_answered_as_unknown",),
        RAFT,
    ),
    Mutant(
        "unknown-reaches-clients-as-not-applied",
        "M13",
        "a client is told to try elsewhere though its write may be done",
        around("raftbbs.ticking:_refusal", _refused_as_not_applied),
        ("test_ticking.py::test_what_may_be_applied_is_never_said_not_to_be",),
        BBS,
    ),
    Mutant(
        "commands-of-any-size-proposed",
        "M14",
        "a leader proposes what no follower would take",
        around("raftbbs.raft.engine:Engine._refusal", says("")),
        (
            "raft/test_engine.py::test_a_command_that_is_too_large_is_refused",
            "raft/test_engine.py::test_a_full_log_refuses_what_comes",
        ),
    ),
    Mutant(
        "queue-of-writes-without-bounds",
        "M14",
        "writes wait until memory is full",
        around("raftbbs.member:Member.submit", _waiting_without_bounds),
        ("test_member.py::test_more_writes_than_memory_should_hold_are_refused_at_once",),
    ),
    Mutant(
        "one-entry-for-all-that-waits",
        "M14",
        "an entry is as large as what waits, and a tick takes as long",
        around("raftbbs.ticking:Ticking._proposals", _one_entry),
        (
            "test_ticking.py"
            "::test_an_entry_has_its_largest_size_and_the_rest_comes_with_the_next",
        ),
    ),
    Mutant(
        "submissions-of-any-size",
        "M14",
        "one command fills an entry by itself",
        around("raftbbs.edge.ring:_refuse_large", nothing),
        ("edge/test_ring.py::test_what_no_entry_should_hold_alone_is_refused_before_anything",),
    ),
    Mutant(
        "replicated-time-goes-back",
        "time",
        "the stamp of an entry is taken as it is, also where it is older",
        around(f"{_WRITER}.advance_time", _as_stamped),
        (
            "store/test_state.py::test_time_never_goes_back",
            "core/test_rules.py::test_time_never_goes_back",
        ),
    ),
    Mutant(
        "replicated-time-follows-the-wall",
        "time",
        "a leader whose clock is an hour ahead makes everybody's deadline pass",
        around("raftbbs.core.replicated_time:ReplicatedTime.next_stamp", _by_the_wall_clock),
        (
            "core/test_replicated_time.py::test_an_hour_ahead_moves_it_one_second_in_ten",
        ),
    ),
    Mutant(
        "low-water-mark-not-moved",
        "feed",
        "a watcher resumes behind what is no longer kept, and has a gap",
        around(f"{_WRITER}._compact", _mark_not_moved),
        (
            "store/test_state.py::test_what_is_no_longer_kept_is_said",
            "edge/test_watch.py::test_what_is_no_longer_kept_can_only_be_listed_again",
        ),
    ),
    Mutant(
        "old-tokens-are-taken",
        "feed",
        "a token older than the history is resumed from, with a gap",
        around("raftbbs.edge.watch:_require_kept", nothing),
        ("edge/test_watch.py::test_what_is_no_longer_kept_can_only_be_listed_again",),
        BBS,
    ),
    Mutant(
        "change-told-twice",
        "feed",
        "what a watcher resumed from is told once more",
        around("raftbbs.edge.watch:_newer", _told_before_its_entry),
        ("edge/test_watch.py::test_a_member_behind_the_token_waits_and_repeats_nothing",),
    ),
    Mutant(
        "slow-watcher-is-kept",
        "feed",
        "a watcher that does not read in time has a gap, and does not know",
        around("raftbbs.feed:Feed._tell", _left_out),
        ("test_feed.py::test_a_slow_watcher_is_dropped_and_slows_nobody",),
    ),
    Mutant(
        "entry-told-in-pieces",
        "feed",
        "a watcher sees half of an entry",
        around("raftbbs.feed:Feed.publish", _one_by_one),
        ("test_feed.py::test_the_changes_of_one_entry_come_together_and_in_order",),
    ),
    Mutant(
        "first-entry-of-a-life-is-not-told",
        "feed",
        "who watches a member from its start on misses what it applies first",
        around("raftbbs.feed:Feed.publish", _but_the_first),
        ("test_feed.py::test_the_changes_of_one_entry_come_together_and_in_order",),
        replace(BBS, must=True),
    ),
    Mutant(
        "cell-not-told-of-what-it-loses",
        "feed",
        "a cell goes on with what was withdrawn from it",
        around("raftbbs.feed:Feed._concerned", _left_untold),
        (
            "test_feed.py::test_a_cell_hears_once_more_of_what_leaves_it",
            "edge/test_watch.py::test_a_cell_sees_its_own_rows_with_definitions_and_no_others",
        ),
        replace(BBS, must=True),
    ),
)
