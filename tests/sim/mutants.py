"""Deliberate mistakes, each made by replacing one function of the product for a while.

They show what the simulation can see: a mutant that breaks no promise in it means that a checker or
a kind of fault is missing.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from diegod.cellruntime.core import steps, tasks
from diegod.cellruntime.core.crash_points import Phase
from diegod.cellruntime.core.lifecycle import State
from diegod.raftbbs import core
from diegod.raftbbs.core.leases import LeaseTable
from diegod.raftbbs.raft import journal
from diegod.raftbbs.raft.elections import Elections
from diegod.raftbbs.raft.guarded import Library
from diegod.raftbbs.raft.step_transaction import StepTransaction
from tests.sim.host import Killed

Mutate = Callable[[pytest.MonkeyPatch], None]


def answer_before_commit(patch: pytest.MonkeyPatch) -> None:
    """What a tick says goes out although its transaction is lost; the member dies afterwards."""
    commit = StepTransaction.commit

    def mutated(self: StepTransaction) -> None:
        try:
            commit(self)
        except Killed:
            self.abort()
            member: Any = self._environment.before_commit.__self__  # type: ignore[union-attr]
            member.dies_soon = True

    patch.setattr(StepTransaction, "commit", mutated)


def vote_not_persisted(patch: pytest.MonkeyPatch) -> None:
    """A member that restarts has forgotten whom it voted for, though not the term."""
    encode = journal._encode_state
    patch.setattr(journal, "_encode_state", lambda state: encode(replace(state, voted_for=None)))


def start_without_a_grant(patch: pytest.MonkeyPatch) -> None:
    """A cell starts what is placed on it, without asking."""

    def mutated(s: Any, container: Any) -> None:
        s.move(container, State.GRANTED, "not even asked")
        steps.record(s, container, Phase.GRANTED)

    patch.setattr(tasks, "prepared", mutated)


def wrong_attempt_accepted(patch: pytest.MonkeyPatch) -> None:
    """The BBS grants a start to whoever has the task, under whatever attempt."""
    role, start = core.RULES["start_task"]

    def mutated(view: Any, command: Any, context: Any) -> Any:
        task = view.task(command.task_guid)
        if task is not None:
            command.attempt = task.attempt
        return start(view, command, context)

    patch.setitem(core.RULES, "start_task", (role, mutated))


def lease_never_expires(patch: pytest.MonkeyPatch) -> None:
    """A cell that is lost is never missed."""
    patch.setattr(LeaseTable, "_full_time", lambda self, now: float("inf"))


def apply_twice(patch: pytest.MonkeyPatch) -> None:
    """A member that restarts applies its last entry once more."""
    begin = Library.__init__

    def mutated(self: Library, *arguments: Any) -> None:
        begin(self, *arguments)
        if self.applied_index > 1:
            self._core._SyncObj__raftLastApplied -= 1

    patch.setattr(Library, "__init__", mutated)


def pre_vote_unanswered(patch: pytest.MonkeyPatch) -> None:
    """Nobody says whether it would vote, so nobody dares to campaign."""
    patch.setattr(Elections, "on_pre_vote_request", lambda *arguments: None)
