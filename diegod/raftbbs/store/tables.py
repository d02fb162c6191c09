"""The tables of the state: how each kind of row is keyed and found.

Rows with guids live under a short number that is handed out in order, so that bulk inserts append;
a second table maps the guid to the number. Definitions lie beside the rows, closed.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message

from diegod.internal.v1.command_pb2 import Members
from diegod.raftbbs.store.environment import (
    Environment,
    ReadTransaction,
    Table,
    WriteTransaction,
)
from diegod.v1.record_pb2 import ActualLrp, Cell, DesiredLrp, Domain, Lock, Task, TaskSchedule

R = TypeVar("R", bound=Message)

_NUMBER = struct.Struct(">Q")


def number_key(number: int) -> bytes:
    return _NUMBER.pack(number)


def number_of(key: bytes) -> int:
    return int(_NUMBER.unpack(key[:8])[0])


@dataclass(frozen=True)
class KeyedRows(Generic[R]):
    """Few rows, keyed by their own name."""

    message: type[R]
    rows: Table

    def get(self, transaction: ReadTransaction, name: str) -> R | None:
        stored = transaction.get(self.rows, name.encode()) if name else None
        return None if stored is None else self.message.FromString(stored)

    def put(self, transaction: WriteTransaction, name: str, row: R) -> None:
        transaction.put(self.rows, name.encode(), row.SerializeToString(deterministic=True))

    def delete(self, transaction: WriteTransaction, name: str) -> None:
        transaction.delete(self.rows, name.encode())

    def scan(self, transaction: ReadTransaction) -> Iterator[R]:
        for _, stored in transaction.scan(self.rows):
            yield self.message.FromString(stored)


@dataclass(frozen=True)
class NumberedRows(Generic[R]):
    """Many rows, keyed by a number in order of creation, found by guid."""

    message: type[R]
    rows: Table
    numbers: Table

    def number(self, transaction: ReadTransaction, guid: str) -> bytes | None:
        return transaction.get(self.numbers, guid.encode()) if guid else None

    def get(self, transaction: ReadTransaction, guid: str) -> R | None:
        number = self.number(transaction, guid)
        return None if number is None else self.at(transaction, number)

    def at(self, transaction: ReadTransaction, number: bytes) -> R | None:
        stored = transaction.get(self.rows, number)
        return None if stored is None else self.message.FromString(stored)

    def insert(self, transaction: WriteTransaction, number: int, guid: str, row: R) -> bytes:
        """`number` is greater than every one that was handed out before."""
        key = number_key(number)
        transaction.put(self.rows, key, row.SerializeToString(deterministic=True), append=True)
        transaction.put(self.numbers, guid.encode(), key)
        return key

    def update(self, transaction: WriteTransaction, guid: str, row: R) -> bytes:
        """The row is there already. Returns its number."""
        number = self.number(transaction, guid)
        if number is None:
            raise ValueError(f"there is no row of {guid!r} to be changed")
        self.put(transaction, number, row)
        return number

    def put(self, transaction: WriteTransaction, number: bytes, row: R) -> None:
        """The row with this number is this one from now on."""
        transaction.put(self.rows, number, row.SerializeToString(deterministic=True))

    def delete(self, transaction: WriteTransaction, guid: str) -> bytes | None:
        number = self.number(transaction, guid)
        if number is not None:
            transaction.delete(self.rows, number)
            transaction.delete(self.numbers, guid.encode())
        return number

    def scan(self, transaction: ReadTransaction, after: bytes = b"") -> Iterator[tuple[bytes, R]]:
        """Rows in order of creation, those behind `after`."""
        start = after + b"\0" if after else None
        for number, stored in transaction.scan(self.rows, start=start):
            yield number, self.message.FromString(stored)


@dataclass(frozen=True)
class Tables:
    """Every table of the state; opened once, outside any transaction."""

    tasks: NumberedRows[Task]
    task_definitions: Table
    tombstones: Table  # guid of a task that was deleted -> until when it is kept
    tombstones_by_end: Table  # until when, guid -> nothing
    task_schedules: KeyedRows[TaskSchedule]
    schedule_definitions: Table  # name -> definition without its task
    schedule_task_definitions: Table  # name -> definition of its tasks, without a guid
    stories: Table  # see store/stories.py
    desired_lrps: NumberedRows[DesiredLrp]
    lrp_definitions: Table  # number, definition revision -> definition
    lrp_versions: Table  # number, version -> entry of the LRP's history (store/versions.py)
    actual_lrps: NumberedRows[ActualLrp]
    instances_of_process: Table  # process guid, NUL, index, number -> nothing
    cells: KeyedRows[Cell]
    removed_cells: Table  # at most one row: the highest incarnation of those that were removed
    domains: KeyedRows[Domain]
    locks: KeyedRows[Lock]
    members: KeyedRows[Members]  # at most one row (store/members.py)
    changes: Table  # revision, ordinal -> change
    counters: Table
    comparisons: Table  # index of the log -> hash of the state

    @staticmethod
    def open(environment: Environment) -> "Tables":
        def table(name: str) -> Table:
            return environment.table(name, hashed=True)

        return Tables(
            tasks=NumberedRows(Task, table("task"), table("task_number")),
            task_definitions=table("task_definition"),
            tombstones=table("tombstone"),
            tombstones_by_end=table("tombstone_by_end"),
            task_schedules=KeyedRows(TaskSchedule, table("task_schedule")),
            schedule_definitions=table("schedule_definition"),
            schedule_task_definitions=table("schedule_task_definition"),
            stories=table("story"),
            desired_lrps=NumberedRows(DesiredLrp, table("desired_lrp"), table("desired_number")),
            lrp_definitions=table("lrp_definition"),
            lrp_versions=table("lrp_version"),
            actual_lrps=NumberedRows(ActualLrp, table("actual_lrp"), table("actual_number")),
            instances_of_process=table("instance_of_process"),
            cells=KeyedRows(Cell, table("cell")),
            removed_cells=table("removed_cell"),
            domains=KeyedRows(Domain, table("domain")),
            locks=KeyedRows(Lock, table("lock")),
            members=KeyedRows(Members, table("members")),
            changes=environment.table("change"),
            counters=environment.table("counters"),
            comparisons=environment.table("comparison"),
        )
