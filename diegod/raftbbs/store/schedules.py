"""Schedules: a row, and beside it two definitions, closed: its own and that of its tasks."""

from diegod.raftbbs.core.decision import RowChange
from diegod.raftbbs.store.environment import WriteTransaction
from diegod.raftbbs.store.tables import Tables
from diegod.v1.record_pb2 import TaskSchedule


def write(
    tables: Tables, transaction: WriteTransaction, row: TaskSchedule, decided: RowChange
) -> None:
    name = row.name.encode()
    tables.task_schedules.put(transaction, row.name, row)
    if decided.definition is not None:
        transaction.put(tables.schedule_definitions, name, decided.definition)
    if decided.task_definition is not None:
        transaction.put(tables.schedule_task_definitions, name, decided.task_definition)


def delete(tables: Tables, transaction: WriteTransaction, name: str) -> None:
    tables.task_schedules.delete(transaction, name)
    transaction.delete(tables.schedule_definitions, name.encode())
    transaction.delete(tables.schedule_task_definitions, name.encode())
