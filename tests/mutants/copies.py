"""M10, M12, M16: copies of the state, whose store it is, and the library's own files."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from diegod.raftbbs.raft.snapshot import digest_of
from diegod.raftbbs.store.environment import DATA_FILE, Environment
from tests.mutants.mutant import RAFT, STORMS, Chance, Mutant
from tests.mutants.surgery import around, says, without, without_call

_FOUND = Chance("storms", 40, must=True)
_ANOTHER_STORE = "raft/test_greeting.py::test_another_store_is_refused_with_all_that_it_sends"


def _promises_of_another(write: Any, transaction: Any, meta: Any, state: Any) -> None:
    write(transaction, meta, replace(state, term=1, voted_for=None))


def _any_digest(prepare: Any, environment: Any, offered: Any, folder: Path) -> None:
    data = folder / DATA_FILE
    own = replace(offered, digest=digest_of(data), size=data.stat().st_size)
    prepare(environment, own, folder)


def _any_end(ends_with: Any, folder: Path, environment: Any) -> tuple[int, int]:
    """The last entry is looked at, but not compared: it is what was offered."""
    return _Anything(ends_with(folder, environment))


class _Anything(tuple[int, int]):
    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = tuple.__hash__


def _any_cluster(read: Any, environment: Any) -> Any:
    return replace(read(environment), cluster_id="cluster")


def _whole_log_kept(keep: Any, transaction: Any, log: Any, index: int) -> None:
    """The log of whoever made the copy is taken over with it."""


def _without_the_last_change(prepare: Any, environment: Any, offered: Any, folder: Path) -> None:
    prepare(environment, offered, folder)
    staged = Environment.open(folder, durable=False, map_size=environment.map_size)
    changes = staged.table("change")
    with staged.begin_write() as transaction:
        last = transaction.last_key(changes)
        if last is not None:
            transaction.delete(changes, last)
    staged.close()


def _newer_only(needed: Any, fetching: Any, snapshot: Any) -> bool:
    return bool(snapshot.index > fetching._journal.state.commit_index)


def _any_age(needed: Any, fetching: Any, snapshot: Any) -> bool:
    return not fetching._journal.has(snapshot.index, snapshot.term)


def _from_anyone(on_offer: Any, gate: Any, peer: str, offer: Any, now: float) -> None:
    gate._fetching.on_offer(peer, offer, now)


def _unpinned(cut: Any, engine: Any) -> None:
    pinned, engine._serving.pinned_index = engine._serving.pinned_index, None
    cut(engine)
    engine._serving.pinned_index = engine._serving.pinned_index or pinned


def _two_entries(cut: Any, engine: Any) -> None:
    limits, engine._limits = engine._limits, replace(
        engine._limits, log_kept_entries=2, log_cut_entries=1
    )
    cut(engine)
    engine._limits = limits


def _ahead_of_apply(cut: Any, engine: Any) -> None:
    """As far as is committed, applied or not."""
    journal = engine._journal
    end = min(journal.state.commit_index, journal.last_index)
    if journal.first_index < end and engine._limits.log_kept_entries == 0:
        state, journal.state = journal.state, replace(journal.state, applied_index=end)
        journal.cut_to(end)
        journal.state = state
    cut(engine)


def _one_store_for_ever(hello: Any, greeting: Any) -> Any:
    """A member says its name in place of its store's id: a new disk says the same as the old."""
    said = hello(greeting)
    said.hello.store_id = f"store-{said.hello.member_id}"
    return said


def _of_our_cluster(receive: Any, greeting: Any, peer: str, hello: Any) -> None:
    receive(greeting, peer, _saying(hello, cluster_id=greeting._birth.cluster_id))


def _of_whom_the_wire_names(receive: Any, greeting: Any, peer: str, hello: Any) -> None:
    receive(greeting, peer, _saying(hello, member_id=peer))


def _saying(hello: Any, **fields: str) -> Any:
    changed = type(hello)()
    changed.CopyFrom(hello)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _met_for_the_first_time(receive: Any, greeting: Any, peer: str, hello: Any) -> None:
    greeting._transaction.writer.delete(greeting._meta, b"store/" + peer.encode())
    receive(greeting, peer, hello)


def _made_anew(open_: Any, cls: Any, path: Any, **options: Any) -> Any:
    return open_(cls, path, **options | {"create": True})


def _foreign_store(check: Any, *arguments: Any) -> None:
    """Whose store it is is not compared."""


COPIES = (
    Mutant(
        "receivers-promises-taken-from-the-copy",
        "M10",
        "whoever installs a copy has forgotten its own term and vote",
        around("raftbbs.raft.journal:write_hard_state", _promises_of_another),
        ("raft/test_far_behind.py::test_it_keeps_what_it_is_and_what_it_promised",),
        _FOUND,
    ),
    Mutant(
        "digest-not-checked",
        "M10",
        "a copy that was damaged on its way becomes the store (F16)",
        around("raftbbs.raft.snapshot:prepare", _any_digest),
        (
            "raft/test_snapshot.py"
            "::test_a_copy_that_is_not_what_was_offered_is_refused[another digest]",
            "raft/test_fetching.py::test_a_copy_with_another_digest_is_refused",
        ),
        STORMS,
    ),
    Mutant(
        "end-of-a-copy-not-checked",
        "M10",
        "a copy counts as ending where it was said to end",
        around("raftbbs.raft.snapshot:_ends_with", _any_end),
        (
            "raft/test_snapshot.py"
            "::test_a_copy_that_is_not_what_was_offered_is_refused[another index]",
        ),
    ),
    Mutant(
        "copy-of-another-cluster",
        "M10",
        "another cluster's state becomes this one's",
        around("raftbbs.store.identity:read", _any_cluster),
        ("raft/test_snapshot.py::test_another_clusters_copy_is_refused",),
    ),
    Mutant(
        "log-of-another-taken-over",
        "M10",
        "a copy brings entries that its maker never had acknowledged",
        around("raftbbs.raft.journal:keep_only", _whole_log_kept),
        ("raft/test_far_behind.py::test_its_log_begins_with_the_last_entry_of_the_copy",),
        STORMS,
    ),
    Mutant(
        "snapshot-not-checked-to-be-newer",
        "M10",
        "a copy that is older than what is committed here is installed (F16)",
        around("raftbbs.raft.fetching:Fetching.is_needed", _any_age),
        ("raft/test_fetching.py::test_what_is_not_newer_than_what_is_committed_is_not_fetched",),
        STORMS,
    ),
    Mutant(
        "acknowledged-tail-given-up",
        "M10",
        "entries that a majority counts on vanish when a copy is installed",
        around("raftbbs.raft.fetching:Fetching.is_needed", _newer_only),
        (
            "raft/test_fetching.py::test_an_acknowledged_tail_is_not_given_up_for_a_copy",
            "raft/test_fetching.py"
            "::test_a_copy_that_is_overtaken_while_it_is_prepared_is_not_installed",
        ),
        STORMS,
    ),
    Mutant(
        "copy-from-anyone",
        "M10",
        "a copy of whoever believes to lead is fetched",
        around("raftbbs.raft.gate:Gate._on_offer", _from_anyone),
        ("raft/test_fetching.py::test_only_the_leader_of_the_term_is_listened_to",),
        STORMS,
    ),
    Mutant(
        "log-not-kept-for-a-copy",
        "M10",
        "whoever installs a copy needs the next one at once, for ever",
        around("raftbbs.raft.engine:Engine._cut_log", _unpinned),
        (
            "raft/test_compaction.py"
            "::test_a_copy_is_dropped_when_nobody_uses_it_and_the_log_goes_on",
        ),
        STORMS,
    ),
    Mutant(
        "two-entries-kept",
        "M10",
        "a member that lacks three entries needs the whole state (F16)",
        around("raftbbs.raft.engine:Engine._cut_log", _two_entries),
        ("raft/test_compaction.py::test_a_member_that_lacks_only_what_is_kept_needs_no_copy",),
    ),
    Mutant(
        "cut-ahead-of-apply",
        "M10",
        "a step cuts off entries that it has yet to apply",
        around("raftbbs.raft.engine:Engine._cut_log", _ahead_of_apply),
        ("raft/test_compaction.py::test_what_is_not_applied_is_never_cut",),
    ),
    Mutant(
        "dumps-of-the-library",
        "M10",
        "the library loads a dump, and goes on when it can't (F6)",
        without("raftbbs.raft.guarded:_Core._SyncObj__loadDumpFile"),
        ("raft/test_guarded.py::test_the_library_can_not_cut_or_replace_the_log",),
    ),
    Mutant(
        "change-feed-loses-an-entry-after-a-snapshot",
        "feed",
        "a watcher that resumes on a member that was far behind misses a change",
        around("raftbbs.raft.snapshot:prepare", _without_the_last_change),
        ("raft/test_far_behind.py::test_it_has_the_history_of_changes_without_a_gap",),
    ),
    Mutant(
        "store-id-not-compared",
        "M12",
        "a member that lost its disk votes again under its old name",
        around("raftbbs.raft.greeting:Greeting.hello", _one_store_for_ever),
        ("raft/test_greeting.py::test_a_voter_that_lost_its_disk_does_not_vote",),
    ),
    Mutant(
        "stores-not-remembered",
        "M12",
        "who has which store is forgotten with each connection",
        around("raftbbs.raft.greeting:Greeting.receive", _met_for_the_first_time),
        ("raft/test_greeting.py::test_a_store_is_known_over_a_restart", _ANOTHER_STORE),
    ),
    Mutant(
        "cluster-id-not-compared",
        "M12",
        "a member of another cluster takes part",
        around("raftbbs.raft.greeting:Greeting.receive", _of_our_cluster),
        (_ANOTHER_STORE,),
    ),
    Mutant(
        "member-id-not-compared",
        "M12",
        "a member with the disk of another takes part",
        around("raftbbs.raft.greeting:Greeting.receive", _of_whom_the_wire_names),
        (_ANOTHER_STORE,),
    ),
    Mutant(
        "frames-before-the-hello",
        "M12",
        "a peer takes part before it has said whose store it has",
        around("raftbbs.raft.greeting:Greeting.counts", says(True)),
        ("raft/test_gate.py::test_a_frame_before_the_hello_is_refused",),
        RAFT,
    ),
    Mutant(
        "empty-store-starts",
        "M12",
        "a start on an empty disk makes a store, and votes with it",
        around("raftbbs.store.environment:Environment.open", _made_anew),
        ("store/test_identity.py::test_an_empty_folder_is_no_store",),
    ),
    Mutant(
        "foreign-store-starts",
        "M12",
        "a start on the disk of another member goes on",
        around("raftbbs.store.identity:_check_expected", _foreign_store),
        ("store/test_identity.py::test_a_foreign_store_is_refused_and_closed",),
    ),
    Mutant(
        "library-files-not-verified",
        "M16",
        "another library than the proven one is run",
        around("raftbbs.raft.proven:differences", says([])),
        ("raft/test_proven.py::test_a_changed_or_missing_file_is_named",),
    ),
    Mutant(
        "library-not-asked-for-at-start",
        "M16",
        "a start does not look at the library's files",
        without_call("raftbbs.raft.engine:Engine.__init__", "require_proven"),
        ("raft/test_engine.py::test_the_library_must_be_the_proven_one",),
    ),
)
