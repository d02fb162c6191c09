"""The tests have teeth: engines with one measure taken away are found out.

Each mutant is the product with one thing changed, here and nowhere else. A directed history finds
it, or the random ones do; where both do, both are shown.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from diegod.internal.v1.raft_pb2 import AppendReply
from diegod.raftbbs.raft import snapshot
from diegod.raftbbs.raft.confirmations import Confirmations
from diegod.raftbbs.raft.elections import Elections
from diegod.raftbbs.raft.gate import Gate
from diegod.raftbbs.raft.journal import HardState, Journal
from diegod.raftbbs.raft.step_transaction import StepTransaction
from diegod.raftbbs.store.environment import Table, WriteTransaction
from tests.sim.raft_faults import STORM_LIMITS, STORM_TIMING
from tests.sim.raft_member import disks
from tests.sim.raft_world import World
from tests.unit.raftbbs.raft.lab import lab
from tests.unit.raftbbs.raft.scenarios import (
    acknowledge_late,
    lose_power_after_answer,
    part_in_campaign,
    restart_between_votes,
)

Patch = pytest.MonkeyPatch


def answer_before_commit(patch: Patch) -> None:
    """What a step has to say goes out; the commit of what it wrote comes later, or never."""
    commit = StepTransaction.commit

    def put_off(self: StepTransaction) -> None:
        if not hasattr(self, "started"):
            self.started = True  # type: ignore[attr-defined]
            commit(self)

    patch.setattr(StepTransaction, "commit", put_off)


def forget_votes(patch: Patch) -> None:
    """The vote is not written to disk."""
    save = Journal.save

    def save_without_vote(self: Journal) -> None:
        state = self.state
        self.state = replace(state, voted_for=None)
        save(self)
        self.state = state

    patch.setattr(Journal, "save", save_without_vote)


def leave_pre_votes_unanswered(patch: Patch) -> None:
    """A pre-vote of a lower term gets no answer."""
    answer = Elections.on_pre_vote_request

    def ignore(self: Elections, peer: str, request: object, now: float) -> None:
        if request.term >= self._library.term:  # type: ignore[attr-defined]
            answer(self, peer, request, now)  # type: ignore[arg-type]

    patch.setattr(Elections, "on_pre_vote_request", ignore)


def count_every_acknowledgement(patch: Patch) -> None:
    """An acknowledgement counts in whatever term it comes."""
    take = Gate._on_append_reply

    def take_all(self: Gate, peer: str, reply: AppendReply, now: float) -> None:
        of_this_term = AppendReply()
        of_this_term.CopyFrom(reply)
        of_this_term.term = self.library.term
        take(self, peer, of_this_term, now)

    patch.setattr(Gate, "_on_append_reply", take_all)


def read_without_round(patch: Patch) -> None:
    """A leader believes that it leads, and answers reads by itself."""
    patch.setattr(Confirmations, "confirmed_round", lambda self, view: view.round)


def read_before_first_entry(patch: Patch) -> None:
    """A new leader reads at its commit index, which may be behind its predecessor's."""
    wait = Confirmations._wait
    patch.setattr(
        Confirmations,
        "_wait",
        lambda self, purpose, id_, peer, view: wait(
            self, purpose, id_, peer, replace(view, noop_index=0)
        ),
    )


def count_a_copy_as_acknowledged(patch: Patch) -> None:
    """F1, F6: whoever is offered a copy counts as having what is in it, and all behind it."""
    leave = Gate._leave_behind

    def believe(self: Gate, peer: str, reply: AppendReply, now: float) -> None:
        leave(self, peer, reply, now)
        end = self._journal.last_index + 1
        everything = {"next_node_idx": end, "reset": False, "success": True}
        self.library.deliver(peer, {"type": "next_node_idx", **everything})

    patch.setattr(Gate, "_leave_behind", believe)


def take_over_the_promises_of_another(patch: Patch) -> None:
    """The term and the vote of the installed copy are not this member's."""
    write = snapshot.write_hard_state

    def forget(transaction: WriteTransaction, meta: Table, state: HardState) -> None:
        write(transaction, meta, replace(state, term=1, voted_for=None))

    patch.setattr(snapshot, "write_hard_state", forget)


def _found_by_seeds(count: int, seconds: float = 15.0, **bounds: Any) -> list[str]:
    """The first violation that random histories find."""
    for seed in range(count):
        with disks() as folder:
            world = World(seed, folder, **bounds).run(seconds)
        if world.violations:
            return world.violations
    return []


def test_answering_before_the_commit_loses_what_was_acknowledged(monkeypatch: Patch) -> None:
    answer_before_commit(monkeypatch)
    with lab() as table:
        assert lose_power_after_answer(table) == []


def test_a_forgotten_vote_elects_two_leaders_of_a_term(monkeypatch: Patch) -> None:
    forget_votes(monkeypatch)
    with lab() as table:
        assert restart_between_votes(table) == {"B", "C"}


def test_an_unanswered_pre_vote_leaves_a_majority_without_a_leader(monkeypatch: Patch) -> None:
    leave_pre_votes_unanswered(monkeypatch)
    with lab() as table:
        assert part_in_campaign(table) == 60.0


def test_an_acknowledgement_of_another_term_commits_without_a_majority(monkeypatch: Patch) -> None:
    count_every_acknowledgement(monkeypatch)
    with lab("ABCDE") as table:
        assert acknowledge_late(table) > 0


@pytest.mark.parametrize(
    "mutate",
    [
        answer_before_commit,
        read_without_round,
        read_before_first_entry,
    ],
)
def test_random_histories_find_it(monkeypatch: Patch, mutate: Callable[[Patch], None]) -> None:
    mutate(monkeypatch)
    assert _found_by_seeds(40) != []


@pytest.mark.parametrize(
    "mutate", [count_a_copy_as_acknowledged, take_over_the_promises_of_another]
)
def test_storms_of_snapshots_find_it(monkeypatch: Patch, mutate: Callable[[Patch], None]) -> None:
    mutate(monkeypatch)
    assert _found_by_seeds(40, limits=STORM_LIMITS, timing=STORM_TIMING) != []
