"""M1 to M3: one transaction a step, nothing said before its commit, a log that guards itself."""

import zlib
from dataclasses import replace
from typing import Any

from diegod.raftbbs.raft.api import Fatal
from diegod.raftbbs.raft.journal import _KEY, HardState, _encode_entry
from diegod.raftbbs.store.environment import StoreFailed
from tests.mutants.mutant import RAFT, Chance, Mutant
from tests.mutants.surgery import all_of, around, never_fails, says

_JOURNAL = "raftbbs.raft.journal:Journal"
_COMMIT = "raftbbs.raft.step_transaction:StepTransaction.commit"
_NOT_IN_A_JOURNAL = "raft/test_journal.py::test_what_must_not_happen_ends_the_member"


def _saved_late(*names: str) -> Any:
    """These promises reach the disk with the next transaction, not with that of their step."""

    def save(original: Any, journal: Any) -> None:
        state = journal.state
        before = getattr(journal, "late_state", state)
        journal.late_state = state
        journal.state = replace(state, **{name: getattr(before, name) for name in names})
        original(journal)
        journal.state = state

    return save


def _applied_index_saved_seldom(original: Any, journal: Any) -> None:
    """As the library does it with the commit index: now and then (F10b)."""
    state = journal.state
    saved = getattr(journal, "saved_applied_index", state.applied_index)
    if state.applied_index - saved >= 5:
        saved = state.applied_index
    journal.saved_applied_index = saved
    journal.state = replace(state, applied_index=saved)
    original(journal)
    journal.state = state


def _vote_not_saved(original: Any, journal: Any) -> None:
    state = journal.state
    journal.state = replace(state, voted_for=None)
    original(journal)
    journal.state = state


def _add_late(original: Any, journal: Any, command: bytes, index: int, term: int) -> None:
    journal.__dict__.setdefault("late_entries", []).append((command, index, term))
    journal._remember((command, index, term))


def _write_late_entries(original: Any, journal: Any) -> None:
    """When there are some; those that were cut off meanwhile are not wanted any more."""
    late = journal.__dict__.get("late_entries", [])
    if len(late) > 8:
        for command, index, term in late:
            if index <= journal.last_index and journal.term_at(index) == term:
                journal._transaction.writer.put(
                    journal._log, _KEY.pack(index), _encode_entry(command, index, term)
                )
        late.clear()
    original(journal)


def _commit_put_off(commit: Any, transaction: Any) -> None:
    """The first one, with which a member is born, is made; the others come later, or never."""
    if not hasattr(transaction, "was_born"):
        transaction.was_born = True
        commit(transaction)


def _step_says_what_it_is(step: Any, engine: Any, *arguments: Any) -> Any:
    engine._transaction.engine = engine
    return step(engine, *arguments)


def _commit_with_answers_only(commit: Any, transaction: Any) -> None:
    """A step that only sends messages does not wait for the disk."""
    engine = getattr(transaction, "engine", None)
    if engine is None or engine._answers:
        commit(transaction)


def _commit_that_may_fail(commit: Any, transaction: Any) -> None:
    try:
        commit(transaction)
    except StoreFailed:
        transaction.abort()


def _step_after_a_failure(step: Any, engine: Any, *arguments: Any) -> Any:
    engine._failed = False
    return step(engine, *arguments)


def _untold(original: Any, driver: Any, *arguments: Any) -> Any:
    tell, driver._on_failure = driver._on_failure, lambda error: None
    try:
        return original(driver, *arguments)
    finally:
        driver._on_failure = tell


def _not_flushed(open_: Any, cls: Any, path: Any, **options: Any) -> Any:
    return open_(cls, path, **options | {"durable": False})


def _any_checksum(decode: Any, payload: bytes) -> HardState:
    state: HardState = decode(zlib.crc32(payload[4:]).to_bytes(4, "big") + payload[4:])
    return state


def _cut_what_is_committed(cut: Any, journal: Any, index: int) -> None:
    state, journal.state = journal.state, replace(journal.state, commit_index=0)
    cut(journal, index)
    journal.state = replace(journal.state, commit_index=state.commit_index)


def _cut_what_is_not_applied(cut: Any, journal: Any, index: int) -> None:
    state = journal.state
    journal.state = replace(state, applied_index=journal.last_index)
    cut(journal, index)
    journal.state = state


def _any_commit_index(original: Any, journal: Any, index: int) -> None:
    journal.state = replace(journal.state, commit_index=index)


def _any_term_and_vote(original: Any, journal: Any, term: int, voted_for: str | None) -> None:
    journal.state = replace(journal.state, term=term, voted_for=voted_for)


def _read_everything(read: Any, journal: Any, start: int, stop: int, *bounds: int) -> Any:
    return read(journal, start, stop, 1 << 40, 1 << 40)


DURABILITY = (
    Mutant(
        "term-and-vote-outside-the-transaction",
        "M1",
        "a member that crashes has forgotten its last vote",
        around(f"{_JOURNAL}.save", _saved_late("term", "voted_for")),
        ("raft/test_elections.py::test_a_vote_is_kept_over_a_restart",),
        RAFT,
    ),
    Mutant(
        "vote-not-saved",
        "M1",
        "whoever restarts votes a second time in the same term",
        around(f"{_JOURNAL}.save", _vote_not_saved),
        (
            "raft/test_elections.py::test_a_vote_is_kept_over_a_restart",
            "tests/sim/test_stories.py::test_a_vote_is_given_once_a_term",
        ),
        RAFT,
    ),
    Mutant(
        "applied-index-outside-the-transaction",
        "M1",
        "a member that crashes applies its last entry once more",
        around(f"{_JOURNAL}.save", _applied_index_saved_seldom),
        ("raft/test_engine.py::test_the_applied_index_is_in_the_transaction_of_the_state",),
        RAFT,
    ),
    Mutant(
        "log-outside-the-transaction",
        "M1",
        "an entry that was acknowledged is not in the log of whoever crashes",
        all_of(
            around(f"{_JOURNAL}.add", _add_late), around(f"{_JOURNAL}.save", _write_late_entries)
        ),
        ("raft/test_engine.py::test_what_was_answered_survives_a_loss_of_power_everywhere",),
        RAFT,
    ),
    Mutant(
        "commit-not-flushed",
        "M1",
        "a commit leaves what it wrote to the kernel's leisure",
        around("raftbbs.store.environment:Environment.open", _not_flushed),
        ("store/test_environment.py::test_a_durable_store_flushes_each_commit",),
    ),
    Mutant(
        "answer-before-commit",
        "M2",
        "what a step has to say goes out, and then what it wrote is lost",
        around(_COMMIT, _commit_put_off),
        (
            "raft/test_engine.py::test_what_was_answered_survives_a_loss_of_power_everywhere",
            "raft/test_engine.py::test_a_restart_keeps_term_vote_log_and_state",
        ),
        Chance("raft", 40, must=True),
    ),
    Mutant(
        "message-before-commit",
        "M2",
        "votes and acknowledgements go out before they are on disk; answers wait",
        all_of(
            around("raftbbs.raft.engine:Engine.step", _step_says_what_it_is),
            around(_COMMIT, _commit_with_answers_only),
        ),
        (
            "raft/test_engine.py::test_what_was_answered_survives_a_loss_of_power_everywhere",
            "raft/test_elections.py::test_a_vote_is_kept_over_a_restart",
        ),
        Chance("raft", 40, must=True),
    ),
    Mutant(
        "failed-commit-goes-on",
        "M2",
        "a commit that failed is passed over, and its step speaks",
        around(_COMMIT, _commit_that_may_fail),
        ("raft/test_engine.py::test_a_store_that_fails_ends_the_member",),
    ),
    Mutant(
        "failed-step-is-retried",
        "M2",
        "a member goes on after a step that failed half-way",
        around("raftbbs.raft.engine:Engine.step", _step_after_a_failure),
        ("raft/test_gate.py::test_an_acknowledgement_beyond_the_log_ends_the_leader",),
    ),
    Mutant(
        "failed-tick-untold",
        "M2",
        "the thread of the tick ends without a word, and the process lives",
        around("raftbbs.driver:ThreadDriver._tick_for_ever", _untold),
        ("test_driver.py::test_a_tick_that_fails_is_told_and_is_the_last_one",),
    ),
    Mutant(
        "half-a-delivery-untold",
        "M2",
        "changes that are on disk are told to nobody, and the process lives",
        around("raftbbs.driver:ThreadDriver._bring_back", _untold),
        ("test_driver.py::test_half_a_delivery_is_a_failure_too",),
    ),
    Mutant(
        "entry-checksum-not-compared",
        "M3",
        "a damaged entry is applied",
        around("raftbbs.raft.journal:_checksum", says(0)),
        (
            "raft/test_journal.py::test_a_damaged_store_does_not_start",
            "raft/test_journal.py::test_an_entry_in_the_place_of_another_is_noticed",
        ),
    ),
    Mutant(
        "vote-checksum-not-compared",
        "M3",
        "a damaged term or vote is believed",
        around("raftbbs.raft.journal:_decode_state", _any_checksum),
        ("raft/test_journal.py::test_a_damaged_store_does_not_start",),
    ),
    Mutant(
        "damaged-log-starts",
        "M3",
        "a log with a gap, or without what was committed, is taken up",
        around(f"{_JOURNAL}._check", never_fails(Fatal)),
        (
            "raft/test_journal.py::test_a_damaged_store_does_not_start",
            "raft/test_journal.py::test_a_commit_index_beyond_the_log_does_not_start",
            "raft/test_journal.py::test_a_log_that_begins_behind_what_is_applied_does_not_start",
            "raft/test_journal.py::test_an_empty_log_of_a_member_that_took_part_does_not_start",
        ),
    ),
    Mutant(
        "entries-out-of-order",
        "M3",
        "an entry that does not follow the last one is passed over",
        around(f"{_JOURNAL}.add", never_fails(Fatal)),
        (f"{_NOT_IN_A_JOURNAL}[<lambda>-does not follow0]",),
    ),
    Mutant(
        "truncation-abort",
        "M3",
        "what is committed is cut off where another log has something else",
        around(f"{_JOURNAL}.cut_from", _cut_what_is_committed),
        (f"{_NOT_IN_A_JOURNAL}[<lambda>-entry 5 is committed]",),
    ),
    Mutant(
        "commit-index-unguarded",
        "M3",
        "the commit index goes back, or beyond the log",
        around(f"{_JOURNAL}.set_commit_index", _any_commit_index),
        (
            f"{_NOT_IN_A_JOURNAL}[<lambda>-can't go from 5 to 4]",
            f"{_NOT_IN_A_JOURNAL}[<lambda>-the log ends at 10]",
        ),
    ),
    Mutant(
        "vote-given-twice",
        "M3",
        "the journal takes a second vote of a term, and a term that goes back",
        around(f"{_JOURNAL}.set_term", _any_term_and_vote),
        (
            f"{_NOT_IN_A_JOURNAL}[<lambda>-the vote of term 2 was given to C0]",
            f"{_NOT_IN_A_JOURNAL}[<lambda>-can't go back from 2 to 1]",
        ),
    ),
    Mutant(
        "slices-unbounded",
        "M3",
        "a step reads, sends or applies as much as there is",
        around(f"{_JOURNAL}._read", _read_everything),
        (
            "raft/test_journal.py::test_slices_are_bounded",
            "raft/test_engine.py::test_a_step_applies_no_more_than_it_may",
        ),
    ),
    Mutant(
        "log-cut-before-it-is-applied",
        "M3",
        "the journal lets the beginning of the log go though it is not applied",
        around(f"{_JOURNAL}.cut_to", _cut_what_is_not_applied),
        (f"{_NOT_IN_A_JOURNAL}[<lambda>-applied up to 3, can't begin at 4]",),
    ),
)
