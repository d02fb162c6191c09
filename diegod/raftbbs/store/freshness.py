"""Whether rows are what the history says they became: an older version may lie in a row's place.

A value's envelope tells that it belongs to its place, and no value can tell that it is the latest
there. The history can: a change carries the row as it was after it. What is older than the history,
or a whole store of an earlier day, is not told from here.
"""

from itertools import islice

from diegod.raftbbs.core.decision import Row
from diegod.raftbbs.store.environment import ReadTransaction
from diegod.raftbbs.store.state import StateView
from diegod.raftbbs.store.tables import Tables
from diegod.v1.record_pb2 import (
    ActualLrp,
    Cell,
    Change,
    DesiredLrp,
    Domain,
    Lock,
    Task,
    TaskSchedule,
)

NEWEST = 1000
"""How many changes a start looks at; a check that may take its time looks at all."""


def outdated_row(tables: Tables, transaction: ReadTransaction, newest: int | None = NEWEST) -> str:
    """The first row that is not what its last change made of it, for an operator; "" for none."""
    state = StateView(tables, transaction)
    seen: set[tuple[str, str]] = set()
    changes = transaction.scan(tables.changes, reverse=True)
    for _, stored in islice(changes, newest):
        change = Change.FromString(stored)
        kind = change.WhichOneof("row")
        if kind is None:
            continue
        row: Row = getattr(change, kind)
        name, now = _present(state, row)
        if (kind, name) in seen:
            continue
        seen.add((kind, name))
        expected = 0 if change.verb == Change.REMOVED else row.provenance.revision
        found = 0 if now is None else now.provenance.revision
        if found != expected:
            return (
                f"the {kind} {name!r} is as revision {found} left it, and its last change is "
                f"revision {expected}"
            )
    return ""


def _present(state: StateView, row: Row) -> tuple[str, Row | None]:
    """What a row is called, and the row that has this name now."""
    match row:
        case Task():
            return row.task_guid, state.task(row.task_guid)
        case DesiredLrp():
            return row.process_guid, state.desired_lrp(row.process_guid)
        case ActualLrp():
            return row.instance_guid, state.actual_lrp(row.instance_guid)
        case Cell():
            return row.cell_id, state.cell(row.cell_id)
        case Domain():
            return row.domain, state.domain(row.domain)
        case Lock():
            return row.name, state.lock(row.name)
        case TaskSchedule():
            return row.name, state.task_schedule(row.name)
