"""One committed entry, applied: the only thing that changes the state.

Every command of the entry is decided by the core on what the commands before it left, recorded in
the transaction of the tick, and answered by an outcome. A mistake in a rule is that command's
answer and writes nothing; it is the same on every member, since a rule sees nothing but the state.
A row that can't be read is damage of this member's store alone, and ends it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from google.protobuf.message import DecodeError

from diegod.internal.v1.command_pb2 import Batch, Command, Members, Outcome
from diegod.models.errors import Reason
from diegod.raftbbs import core
from diegod.raftbbs.core.agreement import Comparison
from diegod.raftbbs.core.decision import (
    KIND_OF,
    Changed,
    Decision,
    FormatRaised,
    NewMembers,
    Refused,
)
from diegod.raftbbs.core.view import Context
from diegod.raftbbs.store import members
from diegod.raftbbs.store.envelope import EnvelopeError
from diegod.raftbbs.store.environment import ReadTransaction, StoreFailed, WriteTransaction
from diegod.raftbbs.store.state import COMPARED_FROM_FORMAT, StateView, StateWriter
from diegod.raftbbs.store.tables import Tables
from diegod.v1.record_pb2 import Change, Provenance

HISTORY_CHANGES = 100_000


class Outcomes(Sequence[Outcome]):
    """One a command. Made when they are asked for: on members that did not propose the entry,
    nobody does."""

    def __init__(self, decisions: Sequence[Decision] = ()) -> None:
        self._decisions = decisions

    def __len__(self) -> int:
        return len(self._decisions)

    @overload
    def __getitem__(self, at: int) -> Outcome: ...

    @overload
    def __getitem__(self, at: slice) -> list[Outcome]: ...

    def __getitem__(self, at: int | slice) -> Outcome | list[Outcome]:
        if isinstance(at, slice):
            return [_outcome(decision) for decision in self._decisions[at]]
        return _outcome(self._decisions[at])


@dataclass(frozen=True)
class AppliedEntry:
    """What an entry came to. `changes` is what watchers are told, all together."""

    outcomes: Sequence[Outcome]
    changes: Sequence[Change]
    revision: int
    at_ns: int


class Replica:
    def __init__(self, tables: Tables, history_changes: int = HISTORY_CHANGES) -> None:
        self._tables = tables
        self._history_changes = history_changes

    def members_of(self, transaction: ReadTransaction) -> Members:
        """The record of members in a state."""
        return members.read(self._tables, transaction)

    def apply_entry(
        self, transaction: WriteTransaction, index: int, payload: bytes
    ) -> AppliedEntry:
        """Apply the batch of one log entry within the transaction of the tick."""
        state = StateWriter(self._tables, transaction, self._history_changes)
        changes: list[Change] = []
        decisions: list[Decision] = []
        try:
            batch = Batch.FromString(payload)
        except DecodeError:  # no version of ours wrote this; it is nothing, everywhere
            batch = Batch()
        state.advance_time(batch.at_ns)
        for command in batch.commands:
            decisions.append(self._apply(state, command, changes))
        state.close(index)
        return AppliedEntry(Outcomes(decisions), changes, state.now.revision, state.now.at_ns)

    # What the log must know of the state.

    def cluster_format(self, transaction: ReadTransaction) -> int:
        return StateView(self._tables, transaction).cluster_format()

    def last_comparison(self, transaction: ReadTransaction) -> Comparison | None:
        """None before the cluster has a format in which all members come to the same hash."""
        state = StateView(self._tables, transaction)
        if state.cluster_format() < COMPARED_FROM_FORMAT:
            return None
        return state.last_comparison()

    def comparison(self, transaction: ReadTransaction, index: int) -> Comparison | None:
        return StateView(self._tables, transaction).comparison(index)

    def _apply(self, state: StateWriter, command: Command, changes: list[Change]) -> Decision:
        context = Context(
            revision=state.now.revision + 1,
            at_ns=state.now.at_ns,
            by=command.by,
            cell_incarnation=command.cell_incarnation,
            cause=command.cause,
        )
        decision = _decided(state, command, context)
        if isinstance(decision, Changed):
            provenance = Provenance(
                revision=context.revision,
                by=command.by,
                cause=command.cause,
                request_id=command.request_id,
            )
            changes.extend(state.record(decision.changes, provenance))
            if command.WhichOneof("command") == "expire_task":
                state.count_collected_task()
        elif isinstance(decision, NewMembers):
            state.record_members(decision.members)
        elif isinstance(decision, FormatRaised):
            state.raise_format(decision.cluster_format)
        return decision


def _decided(state: StateWriter, command: Command, context: Context) -> Decision:
    try:
        return core.apply(state, command, context)
    except (StoreFailed, EnvelopeError, DecodeError, MemoryError):
        raise  # this member's failure, not the command's: the others go on without it
    except Exception as error:
        return Refused(Reason.INVALID_REQUEST, f"the command can't be applied: {error!r}")


def _outcome(decision: Decision) -> Outcome:
    if isinstance(decision, Refused):
        return Outcome(reason=decision.reason.value, message=decision.message)
    if isinstance(decision, NewMembers):
        return Outcome(revision=decision.members.revision)
    if isinstance(decision, FormatRaised):
        return Outcome()
    outcome = Outcome(unchanged=not isinstance(decision, Changed))
    getattr(outcome, KIND_OF[type(decision.row)]).CopyFrom(decision.row)
    outcome.revision = decision.row.provenance.revision
    return outcome
