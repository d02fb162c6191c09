"""The story of a row: its last transitions, kept beside it for people who ask what happened.

A key is a kind, the row's name and a number that counts up; of an instance the name is its process
and index, so that the story goes on when the index gets another instance. What is only created has
no story yet, and costs nothing: its creation is told when something else happens to it. A story
goes when nothing is left that it is about: with the kept guid of a deleted task, with the last
instance of an LRP that is gone, with a cell or a schedule that is removed.
"""

import struct
from contextlib import closing
from typing import Protocol

from google.protobuf.timestamp_pb2 import Timestamp

from diegod.raftbbs.core.decision import Row
from diegod.raftbbs.core.stamps import stamp
from diegod.raftbbs.store.environment import ReadTransaction, WriteTransaction
from diegod.raftbbs.store.tables import Tables
from diegod.raftbbs.store.transitions import transition_of
from diegod.v1.record_pb2 import (
    ActualLrp,
    Cell,
    Change,
    DesiredLrp,
    Task,
    TaskSchedule,
    Transition,
)

KEPT = 50
_ORDINAL = struct.Struct(">I")


class Writer(Protocol):
    """What a story needs of the state that is being written."""

    tables: Tables
    transaction: WriteTransaction


def prefix_of(row: Row) -> bytes:
    """What all keys of its story begin with; b"" for rows that have none."""
    match row:
        case Task():
            return b"t" + _name(row.task_guid)
        case DesiredLrp():
            return b"l" + _name(row.process_guid)
        case ActualLrp():
            return b"i" + _name(row.process_guid) + row.index.to_bytes(4, "big")
        case Cell():
            return b"c" + _name(row.cell_id)
        case TaskSchedule():
            return b"s" + _name(row.name)
    return b""


def _name(name: str) -> bytes:
    return name.encode() + b"\0"  # no name of ours has one


def read(tables: Tables, transaction: ReadTransaction, row: Row) -> list[Transition]:
    prefix = prefix_of(row)
    stored = transaction.scan(tables.stories, prefix) if prefix else ()
    return [Transition.FromString(value) for _, value in stored]


def tell(state: Writer, verb: Change.Verb.ValueType, row: Row, at_ns: int) -> None:
    """Before the row is written: what becomes of it now, and how it began if nobody told yet."""
    prefix = prefix_of(row)
    is_new = verb == Change.CREATED
    if not prefix or (is_new and isinstance(row, Task)):
        return  # a task's guid is never another one's while there is a story of it
    transaction, table = state.transaction, state.tables.stories
    last = _last(state, prefix)
    if last is None:
        if is_new:
            return
        before = _stored(state, row)
        if before is not None:
            begun = transition_of(before, Change.CREATED, began_at(before))
            transaction.put(table, prefix + _ORDINAL.pack(0), _closed(begun))
        last = 0
    ordinal = last + 1
    now = transition_of(row, verb, stamp(at_ns))
    transaction.put(table, prefix + _ORDINAL.pack(ordinal), _closed(now))
    if ordinal >= KEPT:
        transaction.delete(table, prefix + _ORDINAL.pack(ordinal - KEPT))


def began_at(row: Row) -> Timestamp:
    """When a row began to be as it is, as far as the row itself can tell."""
    match row:
        case Task() | ActualLrp() | Cell() if row.HasField("since"):
            return row.since
        case Task() | DesiredLrp() | TaskSchedule():
            return row.created_at
    return Timestamp()


def forget(tables: Tables, transaction: WriteTransaction, row: Row) -> None:
    _forget_under(tables, transaction, prefix_of(row))


def forget_what_is_gone(state: Writer, row: Row) -> None:
    """After the row was removed: its story, unless somebody may still ask for it."""
    tables, transaction = state.tables, state.transaction
    match row:
        case Cell() | TaskSchedule():
            forget(tables, transaction, row)
        case DesiredLrp() | ActualLrp():
            name = _name(row.process_guid)
            has_row = tables.desired_lrps.number(transaction, row.process_guid) is not None
            if not has_row and not _has_keys(state, name):
                _forget_under(tables, transaction, b"l" + name)
                _forget_under(tables, transaction, b"i" + name)


def _has_keys(state: Writer, process: bytes) -> bool:
    with closing(
        state.transaction.scan_stored(state.tables.instances_of_process, process)
    ) as found:
        return next(found, None) is not None


def _forget_under(tables: Tables, transaction: WriteTransaction, prefix: bytes) -> None:
    for key, _ in list(transaction.scan_stored(tables.stories, prefix)):
        transaction.delete(tables.stories, key)


def _last(state: Writer, prefix: bytes) -> int | None:
    """The number of the last line of a story; None when nothing is told yet."""
    lines = state.transaction.scan_stored(state.tables.stories, prefix, reverse=True)
    with closing(lines):
        found = next(lines, None)
    return None if found is None else int(_ORDINAL.unpack(found[0][len(prefix) :])[0])


def _stored(state: Writer, row: Row) -> Row | None:
    """The row as it was until now."""
    tables, transaction = state.tables, state.transaction
    match row:
        case Task():
            return tables.tasks.get(transaction, row.task_guid)
        case DesiredLrp():
            return tables.desired_lrps.get(transaction, row.process_guid)
        case ActualLrp():
            return tables.actual_lrps.get(transaction, row.instance_guid)
        case Cell():
            return tables.cells.get(transaction, row.cell_id)
        case TaskSchedule():
            return tables.task_schedules.get(transaction, row.name)
    return None


def _closed(transition: Transition) -> bytes:
    return transition.SerializeToString(deterministic=True)
