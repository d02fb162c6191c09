"""A store of an earlier format becomes one of this format, in one transaction, when it is opened.

Format 1 (the first release) closed rows in an envelope without a checksum and left counters and
indexes bare. Each release reads the format before its own and no older one; the way back is closed:
the birth record then names a format that the earlier release refuses. Does not belong here: what
members of different releases say to one another (`raftbbs.raft.greeting`).
"""

import json
import struct
from dataclasses import dataclass

from diegod.raftbbs.store.counters import Counters
from diegod.raftbbs.store.envelope import FORMAT
from diegod.raftbbs.store.environment import Environment, Table, WriteTransaction

PREVIOUS_FORMAT = 1
_PREVIOUS_HEADER = bytes([PREVIOUS_FORMAT, 0])
_BIRTH_KEY = b"birth"
_PREVIOUS_COUNTERS = struct.Struct(">QqQQQ")

#: Every table of format 1, and whether its values were in envelopes.
_ENVELOPED = {
    "meta": True,
    "log": True,
    "task": True,
    "task_number": False,
    "task_definition": True,
    "desired_lrp": True,
    "desired_number": False,
    "lrp_definition": True,
    "actual_lrp": True,
    "actual_number": False,
    "instance_of_process": False,
    "cell": True,
    "domain": True,
    "lock": True,
    "change": True,
}


@dataclass(frozen=True)
class Migrated:
    """What was done, for the operator's log."""

    from_format: int
    values: int


def is_previous(environment: Environment) -> bool:
    """Whether a store has the format before this one."""
    meta = environment.table("meta")
    with environment.begin_read() as transaction:
        stored = transaction.stored(meta, _BIRTH_KEY)
    return stored is not None and stored[:2] == _PREVIOUS_HEADER


def migrate(environment: Environment) -> Migrated:
    """Rewrite a store of the previous format. All or nothing."""
    tables = {name: environment.table(name) for name in _ENVELOPED}
    counters = environment.table("counters")
    values = 0
    with environment.begin_write() as transaction:
        for name, table in tables.items():
            values += _rewrite(transaction, table, enveloped=_ENVELOPED[name])
        _rewrite_counters(transaction, counters)
        birth = json.loads(transaction.get(tables["meta"], _BIRTH_KEY) or b"{}")
        birth["store_format"] = FORMAT
        record = json.dumps(birth, sort_keys=True).encode()
        transaction.put(tables["meta"], _BIRTH_KEY, record)
    return Migrated(PREVIOUS_FORMAT, values)


def _rewrite(transaction: WriteTransaction, table: Table, *, enveloped: bool) -> int:
    values = list(transaction.scan_stored(table))
    for key, stored in values:
        if enveloped and stored[:2] != _PREVIOUS_HEADER:
            raise ValueError(f"a value in {table.name} is not of format {PREVIOUS_FORMAT}")
        transaction.put(table, key, stored[2:] if enveloped else stored)
    return len(values)


def _rewrite_counters(transaction: WriteTransaction, counters: Table) -> None:
    for key, stored in list(transaction.scan_stored(counters)):
        known = Counters(*_PREVIOUS_COUNTERS.unpack(stored))
        transaction.put(counters, key, known.packed())
