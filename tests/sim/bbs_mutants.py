"""Deliberate mistakes in a bulletin board, each made by replacing one function of the product.

They show what the simulation of the BBS can see. `python -m tests.sim.bbs_mutants [SEEDS [NAME…]]`
prints of each how many seeds it took to see it, and what was seen.
"""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from diegod.internal.v1.raft_pb2 import AppendEntries, AppendReply
from diegod.models.errors import DomainError, Reason
from diegod.raftbbs import core, ticking
from diegod.raftbbs.edge import watch
from diegod.raftbbs.edge.access import Access
from diegod.raftbbs.feed import Feed
from diegod.raftbbs.raft import append, gate, journal, snapshot
from diegod.raftbbs.raft.append import LogView, Take
from diegod.raftbbs.raft.confirmations import Confirmations
from diegod.raftbbs.raft.gate import Gate
from diegod.raftbbs.raft.journal import HardState
from diegod.raftbbs.store.environment import Table, WriteTransaction
from diegod.raftbbs.ticking import Ticking
from tests.sim.bbs import simulate

Patch = pytest.MonkeyPatch


def acks_of_any_term_count(patch: Patch) -> None:
    """F2: an acknowledgement counts in whatever term it comes."""
    take = Gate._on_append_reply

    def mutated(self: Gate, peer: str, reply: AppendReply, now: float) -> None:
        of_this_term = AppendReply()
        of_this_term.CopyFrom(reply)
        of_this_term.term = self.library.term
        take(self, peer, of_this_term, now)

    patch.setattr(Gate, "_on_append_reply", mutated)


def truncate_without_conflict(patch: Patch) -> None:
    """F3: a follower cuts its log behind each append, also where it agrees."""

    def mutated(log: LogView, commit_index: int, message: AppendEntries) -> Take:
        entries = message.entries
        match = max(entries[-1].index if entries else message.previous_index, log.first_index)
        commit = min(message.commit_index, match)
        previous = max(message.previous_index, log.first_index)
        return Take(previous, message.previous_term, entries, match, commit)

    patch.setattr(append, "_take", mutated)


def read_without_round(patch: Patch) -> None:
    """A leader believes that it leads, and answers reads and renewals by itself."""
    patch.setattr(Confirmations, "confirmed_round", lambda self, view: view.round)


def read_before_own_entry(patch: Patch) -> None:
    """A new leader reads at its commit index, which may be behind its predecessor's."""
    wait = Confirmations._wait
    patch.setattr(
        Confirmations,
        "_wait",
        lambda self, purpose, id_, peer, view: wait(
            self, purpose, id_, peer, replace(view, noop_index=0)
        ),
    )


def read_at_once(patch: Patch) -> None:
    """Every read is a stale one."""

    async def mutated(self: Access, stale: bool) -> None:
        return None

    patch.setattr(Access, "read", mutated)


def copy_counts_as_acknowledged(patch: Patch) -> None:
    """F1, F6: whoever is offered a copy counts as having what is in it, and all behind it."""
    leave = Gate._leave_behind

    def mutated(self: Gate, peer: str, reply: AppendReply, now: float) -> None:
        leave(self, peer, reply, now)
        end = self._journal.last_index + 1
        everything = {"next_node_idx": end, "reset": False, "success": True}
        self.library.deliver(peer, {"type": "next_node_idx", **everything})

    patch.setattr(gate.Gate, "_leave_behind", mutated)


def promises_of_another(patch: Patch) -> None:
    """With a copy of the state come no promises of one's own: term and vote are forgotten."""
    write = journal.write_hard_state

    def mutated(transaction: WriteTransaction, meta: Table, state: HardState) -> None:
        write(transaction, meta, replace(state, term=1, voted_for=None))

    patch.setattr(snapshot, "write_hard_state", mutated)


def first_entry_of_a_life_is_not_told(patch: Patch) -> None:
    """The change feed skips the first entry after a start, as after a copy that was taken over."""
    publish = Feed.publish

    def mutated(self: Any, revision: int, changes: Any) -> None:
        if not hasattr(self, "has_begun"):
            self.has_begun, changes = True, ()
        publish(self, revision, changes)

    patch.setattr(Feed, "publish", mutated)


def resumed_beyond_what_is_kept(patch: Patch) -> None:
    """Who resumes from a revision that is no longer kept is not told so."""
    patch.setattr(watch, "_require_kept", lambda revision, counters: None)


def filter_forgets_the_cell_left(patch: Patch) -> None:
    """A cell does not hear of what has left it."""
    concerned = Feed._concerned

    def mutated(self: Feed, change: Any) -> Any:
        seen = type(change)()
        seen.CopyFrom(change)
        seen.left_cell_id = ""
        return concerned(self, seen)

    patch.setattr(Feed, "_concerned", mutated)


def request_ids_ignored(patch: Patch) -> None:
    """A repeated request is one more."""
    patch.setattr(core, "answered_before", lambda *arguments: None)


def lock_token_not_compared(patch: Patch) -> None:
    """A brain that lost its lock goes on."""
    patch.setattr(core, "lock_held", lambda *arguments: None)


def leases_not_rearmed(patch: Patch) -> None:
    """A new leader ends leases by when it saw their rows change."""
    patch.setattr(Ticking, "_rearm", lambda self, now: None)


def unknown_is_called_not_applied(patch: Patch) -> None:
    """What may have been applied is said to be refused: the caller says it anew."""
    refusal = ticking._refusal

    def mutated(answer: Any) -> DomainError:
        error = refusal(answer)
        if error.reason is Reason.UNKNOWN_OUTCOME:
            return DomainError(Reason.RESOURCE_NOT_FOUND, "nothing was applied")
        return error

    patch.setattr(ticking, "_refusal", mutated)


MUTANTS: dict[str, Callable[[Patch], None]] = {
    mutate.__name__: mutate
    for mutate in (
        acks_of_any_term_count,
        truncate_without_conflict,
        read_without_round,
        read_before_own_entry,
        read_at_once,
        copy_counts_as_acknowledged,
        promises_of_another,
        first_entry_of_a_life_is_not_told,
        resumed_beyond_what_is_kept,
        filter_forgets_the_cell_left,
        request_ids_ignored,
        lock_token_not_compared,
        leases_not_rearmed,
        unknown_is_called_not_applied,
    )
}


def seeds_to_kill(name: str, seeds: range) -> tuple[int, str]:
    """How many seeds it took to see a mutant, and what was seen first; 0: none did."""
    with pytest.MonkeyPatch.context() as patch:
        MUTANTS[name](patch)
        for number, seed in enumerate(seeds, 1):
            if violations := simulate(seed).violations:
                return number, violations[0]
    return 0, ""


def main(arguments: list[str]) -> int:
    seeds = range(1, 1 + int(arguments[0] if arguments else 60))
    names = arguments[1:] or list(MUTANTS)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for name, (needed, seen) in zip(
            names, pool.map(seeds_to_kill, names, [seeds] * len(names)), strict=True
        ):
            print(f"{name:36} {needed or 'not seen':>8}  {seen[:150]}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
