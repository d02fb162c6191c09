"""A store that nobody serves begins a new epoch: after a restore, or when its quorum is lost.

All in one transaction: what is left of the log, what becomes of the rows (`core.epochs`), the
counters, the log of one entry, and who votes. After a crash the store is the old one or the new.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar

from diegod.models.epochs import first_revision
from diegod.raftbbs.core.decision import Row
from diegod.raftbbs.core.epochs import Opening, carried_over
from diegod.raftbbs.raft.journal import (
    LOG_TABLE,
    REGULAR,
    HardState,
    keep_only,
    last_index,
    read_entry,
    read_hard_state,
    write_hard_state,
)
from diegod.raftbbs.replica import Replica
from diegod.raftbbs.store import identity
from diegod.raftbbs.store.counters import HASH_BYTES, Counters
from diegod.raftbbs.store.environment import Environment, Table, WriteTransaction
from diegod.raftbbs.store.identity import META_TABLE, Birth, Voter
from diegod.raftbbs.store.state import StateView, write_counters
from diegod.raftbbs.store.tables import KeyedRows, NumberedRows, Tables
from diegod.v1.record_pb2 import ActualLrp, Cell, DesiredLrp, Domain, Lock, Task, TaskSchedule

_ROWS_A_TIME = 1000

N = TypeVar("N", Task, DesiredLrp, ActualLrp)
K = TypeVar("K", Cell, Domain, Lock, TaskSchedule)
R = TypeVar("R", bound=Row)


@dataclass(frozen=True)
class Reborn:
    """What a new epoch began with."""

    birth: Birth
    revision: int
    failed_tasks: int
    entries_applied: int  # of the log, beyond what the member had applied


def sole_voter(
    birth: Birth, member: Voter, store_id: str, epoch: int, cluster_id: str = ""
) -> Birth:
    """Whose store it is from now on: one voter, with a store id that nobody has met."""
    return replace(
        birth,
        cluster_id=cluster_id or birth.cluster_id,
        member_id=member.id,
        store_id=store_id,
        voters=(replace(member, store_id=store_id),),
        learners=(),
        members_revision=0,
        epoch=epoch,
    )


def begin_epoch(
    environment: Environment, birth: Birth, cause: str, now_ns: int, *, finish_log: bool
) -> Reborn:
    """Make this the first moment of `birth.epoch`. `finish_log` applies the whole log first.

    An entry that is in the log and not known to be committed may have been acknowledged by a
    majority that is gone; that it is applied is one of the two things its author must expect.
    """
    tables = Tables.open(environment)
    meta, log = environment.table(META_TABLE), environment.table(LOG_TABLE)
    with environment.begin_write() as transaction:
        state = read_hard_state(transaction, meta)
        applied = 0
        if state is not None and finish_log:
            applied = _finish(transaction, log, state, Replica(tables))
            state = replace(state, applied_index=state.applied_index + applied)
        carrying = _Carrying(tables, transaction, birth, cause, now_ns)
        revision = carrying.run()
        _forget_members(transaction, meta, birth)
        if state is not None:
            keep_only(transaction, log, state.applied_index)
            end = state.applied_index
            write_hard_state(transaction, meta, HardState(state.term + 1, None, end, end))
    return Reborn(birth, revision, carrying.failed_tasks, applied)


def _forget_members(transaction: WriteTransaction, meta: Table, birth: Birth) -> None:
    """Nothing of the members before stays: who they were says the birth record from now on."""
    transaction.clear(meta)
    identity.write(transaction, meta, birth)


def _finish(
    transaction: WriteTransaction, log: Table, state: HardState, replica: Replica
) -> int:
    last = last_index(transaction, log)
    for index in range(state.applied_index + 1, last + 1):
        command, _, _ = read_entry(transaction, log, index)
        if command[:1] == REGULAR:
            replica.apply_entry(transaction, index, command[1:])
    return max(0, last - state.applied_index)


class _Carrying:
    """Every row of a state, carried over into the new epoch."""

    def __init__(
        self, tables: Tables, transaction: WriteTransaction, birth: Birth, cause: str, now_ns: int
    ) -> None:
        self._tables = tables
        self._transaction = transaction
        self._before = StateView(tables, transaction).counters()
        # A backup is from the past, and replicated time would need ten times as long to catch up.
        self._at_ns = max(self._before.at_ns, now_ns)
        self._opening = Opening(birth.epoch, f"bbs/{birth.member_id}", cause, self._at_ns)
        self._revision = first_revision(birth.epoch)
        self.failed_tasks = 0

    def run(self) -> int:
        """The last revision that was given out."""
        tables = self._tables
        if self._revision <= self._before.revision:
            raise ValueError(f"revision {self._before.revision} is of this epoch or a later one")
        self._numbered(tables.desired_lrps)
        self._numbered(tables.actual_lrps)
        self._numbered(tables.tasks, self._count)
        self._keyed(tables.task_schedules, lambda row: row.name)
        self._keyed(tables.cells, lambda row: row.cell_id)
        self._keyed(tables.domains, lambda row: row.domain)
        self._keyed(tables.locks, lambda row: row.name)
        self._transaction.clear(tables.changes)
        self._transaction.clear(tables.comparisons)
        self._transaction.clear(tables.members.rows)
        write_counters(tables, self._transaction, self._counters())
        return self._revision

    def _counters(self) -> Counters:
        """Whoever watched before begins with a list: what changed is not kept."""
        return replace(
            self._before,
            revision=self._revision,
            at_ns=self._at_ns,
            changes=0,
            compacted=self._revision,
            state_hash=bytes(HASH_BYTES),
        )

    def _numbered(
        self, rows: NumberedRows[N], note: Callable[[N], None] = lambda row: None
    ) -> None:
        after = b""
        while some := list(islice(rows.scan(self._transaction, after), _ROWS_A_TIME)):
            for number, row in some:
                note(row)
                if (carried := self._carried(row)) is not None:
                    rows.put(self._transaction, number, carried)
            after = some[-1][0]

    def _keyed(self, rows: KeyedRows[K], name_of: Callable[[K], str]) -> None:
        for row in list(rows.scan(self._transaction)):
            name = name_of(row)
            if (carried := self._carried(row)) is not None:
                rows.put(self._transaction, name, carried)
            else:
                rows.delete(self._transaction, name)

    def _carried(self, row: R) -> R | None:
        carried = carried_over(row, self._opening, self._revision + 1)
        self._revision += carried is not None
        return carried

    def _count(self, task: Task) -> None:
        self.failed_tasks += task.state not in (Task.COMPLETED, Task.RESOLVING)
