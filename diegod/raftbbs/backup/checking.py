"""Every value of a store read and understood: what a digest can't say of a store that is at rest.

Damage of LMDB's own pages can end the process that reads them, so whoever checks a store that may
be damaged does it in a process of its own (`diegod.node.check_store`). Nothing is changed.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from google.protobuf.message import DecodeError

from diegod.internal.v1.command_pb2 import Batch
from diegod.raftbbs.backup.copying import counts_of
from diegod.raftbbs.raft.api import Fatal
from diegod.raftbbs.raft.journal import LOG_TABLE, REGULAR, read_entry, read_hard_state
from diegod.raftbbs.store import identity
from diegod.raftbbs.store.counters import Counters
from diegod.raftbbs.store.envelope import EnvelopeError
from diegod.raftbbs.store.environment import Environment, ReadTransaction, Table
from diegod.raftbbs.store.identity import META_TABLE, StoreRefused
from diegod.raftbbs.store.state import StateView
from diegod.raftbbs.store.tables import KeyedRows, NumberedRows, Tables, number_of
from diegod.v1.record_pb2 import ActualLrp, Change

PROBLEMS_MAX = 20
_UNREADABLE = (
    EnvelopeError,
    DecodeError,
    Fatal,
    StoreRefused,
    ValueError,
    LookupError,
    struct.error,
)


@dataclass
class Checked:
    """What a store has, and what is wrong with it; not more problems than a person reads."""

    counts: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def check(environment: Environment) -> Checked:
    """Read everything. What is found is in the result; a table with a fault is read no further."""
    checked = Checked()
    tables = Tables.open(environment)
    meta, log = environment.table(META_TABLE), environment.table(LOG_TABLE)
    checked.counts = counts_of(environment)
    with environment.begin_read() as transaction:
        for name, part in _parts(environment, tables, meta, log):
            checked.problems += _found(name, part, transaction)
    del checked.problems[PROBLEMS_MAX:]
    return checked


Part = Callable[[ReadTransaction], Iterator[str]]


def _parts(
    environment: Environment, tables: Tables, meta: Table, log: Table
) -> Iterator[tuple[str, Part]]:
    """Each by its name. Values of every table are opened, also where a part reads them again."""
    for table in environment.tables:
        yield f"table {table.name}", partial(_opened, table)
    yield "birth record", lambda transaction: _birth(environment)
    yield "log", lambda transaction: _log(transaction, meta, log)
    tasks, desired, actual = tables.tasks, tables.desired_lrps, tables.actual_lrps
    yield "tasks", lambda transaction: _numbered(transaction, tasks, lambda row: row.task_guid)
    yield "LRPs", lambda transaction: _numbered(transaction, desired, lambda r: r.process_guid)
    yield "instances", lambda transaction: _numbered(transaction, actual, lambda r: r.instance_guid)
    yield "definitions", lambda transaction: _definitions(transaction, tables)
    yield "instances of processes", lambda transaction: _instances(transaction, tables)
    yield "cells", lambda transaction: _keyed(transaction, tables.cells, "cell_id")
    yield "domains", lambda transaction: _keyed(transaction, tables.domains, "domain")
    yield "locks", lambda transaction: _keyed(transaction, tables.locks, "name")
    yield "changes", lambda transaction: _changes(transaction, tables)
    yield "counters", lambda transaction: _counters(transaction, tables)


def _found(name: str, part: Part, transaction: ReadTransaction) -> list[str]:
    problems: list[str] = []
    try:
        for problem in part(transaction):
            problems.append(f"{name}: {problem}")
            if len(problems) == PROBLEMS_MAX:
                break
    except _UNREADABLE as error:
        problems.append(f"{name}: {error}")
    return problems


def _opened(table: Table, transaction: ReadTransaction) -> Iterator[str]:
    """The envelope of every value, whatever is in it."""
    for _ in transaction.scan(table):
        yield from ()


def _birth(environment: Environment) -> Iterator[str]:
    identity.read(environment)
    yield from ()


def _log(transaction: ReadTransaction, meta: Table, log: Table) -> Iterator[str]:
    """Without a gap from its first entry to its last, and around what was applied."""
    state = read_hard_state(transaction, meta)
    if state is None:
        if transaction.count(log):
            yield "there are entries, but neither term nor vote"
        return
    expected = None
    for key, _ in transaction.scan(log):
        index = number_of(key)
        if expected is not None and index != expected:
            yield f"entry {expected} is missing"
        command, _, _ = read_entry(transaction, log, index)
        if command[:1] == REGULAR:
            Batch.FromString(command[1:])
        expected = index + 1
    if expected is None or not state.applied_index < expected:
        yield f"entry {state.applied_index}, the last that was applied, is missing"


def _numbered(
    transaction: ReadTransaction, rows: NumberedRows[Any], guid_of: Callable[[Any], str]
) -> Iterator[str]:
    """From number to row to guid and back; as many of one as of the other."""
    for number, row in rows.scan(transaction):
        if rows.number(transaction, guid_of(row)) != number:
            yield f"{guid_of(row)!r} is not found under its guid"
    if transaction.count(rows.rows) != transaction.count(rows.numbers):
        for guid, number in transaction.scan(rows.numbers):
            if transaction.get(rows.rows, number) is None:
                yield f"{guid.decode(errors='replace')!r} has a number and no row"


def _keyed(transaction: ReadTransaction, rows: KeyedRows[Any], own: str) -> Iterator[str]:
    for key, stored in transaction.scan(rows.rows):
        name = getattr(rows.message.FromString(stored), own)
        if name.encode() != key:
            yield f"{name!r} lies under {key!r}"


def _definitions(transaction: ReadTransaction, tables: Tables) -> Iterator[str]:
    """One a task; of an LRP its present one at least; none of anything else."""
    for number, task in tables.tasks.scan(transaction):
        if transaction.get(tables.task_definitions, number) is None:
            yield f"task {task.task_guid!r} has none"
    if transaction.count(tables.task_definitions) > transaction.count(tables.tasks.rows):
        yield "there are some of tasks that there are not"
    for number, desired in tables.desired_lrps.scan(transaction):
        key = number + desired.definition_revision.to_bytes(8, "big")
        if transaction.get(tables.lrp_definitions, key) is None:
            yield f"LRP {desired.process_guid!r} has none"
    for key, _ in transaction.scan(tables.lrp_definitions):
        if transaction.get(tables.desired_lrps.rows, key[:8]) is None:
            yield f"one is of LRP number {number_of(key)}, which there is not"


def _instances(transaction: ReadTransaction, tables: Tables) -> Iterator[str]:
    """Under its process and index, each instance; and nothing else."""
    count = 0
    for key, _ in transaction.scan(tables.instances_of_process):
        count += 1
        row = tables.actual_lrps.at(transaction, key[-8:])
        if row is None or key[:-8] != _place_of(row):
            yield f"{key!r} names an instance that is not there"
    if count != transaction.count(tables.actual_lrps.rows):
        yield f"{count} are listed, {transaction.count(tables.actual_lrps.rows)} are there"


def _place_of(row: ActualLrp) -> bytes:
    return row.process_guid.encode() + b"\0" + row.index.to_bytes(4, "big")


def _changes(transaction: ReadTransaction, tables: Tables) -> Iterator[str]:
    counters = _read_counters(transaction, tables)
    for key, stored in transaction.scan(tables.changes):
        change = Change.FromString(stored)
        if change.revision != number_of(key):
            yield f"revision {change.revision} lies under {number_of(key)}"
        if not counters.compacted < change.revision <= counters.revision:
            yield f"revision {change.revision} is not of those that are kept"
    if transaction.count(tables.changes) != counters.changes:
        yield f"{transaction.count(tables.changes)} are there, {counters.changes} are counted"


def _counters(transaction: ReadTransaction, tables: Tables) -> Iterator[str]:
    counters = _read_counters(transaction, tables)
    for rows in (tables.tasks, tables.desired_lrps, tables.actual_lrps):
        last = transaction.last_key(rows.rows)
        if last is not None and number_of(last) > counters.numbers:
            yield f"row number {number_of(last)} was never handed out"
    if counters.compacted > counters.revision:
        yield f"changes up to {counters.compacted} are gone, but it is {counters.revision} now"


def _read_counters(transaction: ReadTransaction, tables: Tables) -> Counters:
    return StateView(tables, transaction).counters()
