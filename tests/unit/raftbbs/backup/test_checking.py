"""A store read to the last value: what is wrong is found, and named."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from diegod.raftbbs.backup.checking import check
from diegod.raftbbs.store.environment import Environment, WriteTransaction
from diegod.raftbbs.store.tables import Tables, number_key
from tests.unit.raftbbs.backup.stores import a_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Environment]:
    with a_store(tmp_path / "store") as environment:
        yield environment


def test_a_whole_store_has_no_problems(store: Environment) -> None:
    checked = check(store)
    assert checked.problems == []
    assert checked.counts["task"] == 3
    assert checked.counts["log"] == 11


Damage = Callable[[Tables, Environment, WriteTransaction], None]


def _task_without_number(tables: Tables, store: Environment, t: WriteTransaction) -> None:
    t.delete(tables.tasks.numbers, b"waits")


def _number_without_task(tables: Tables, store: Environment, t: WriteTransaction) -> None:
    t.delete(tables.tasks.rows, t.get(tables.tasks.numbers, b"waits") or b"")


def _swapped_numbers(tables: Tables, store: Environment, t: WriteTransaction) -> None:
    numbers = tables.tasks.numbers
    one, other = t.get(numbers, b"waits") or b"", t.get(numbers, b"runs") or b""
    t.put(numbers, b"waits", other)
    t.put(numbers, b"runs", one)


def _no_task_definition(tables: Tables, store: Environment, t: WriteTransaction) -> None:
    t.delete(tables.task_definitions, t.get(tables.tasks.numbers, b"waits") or b"")


def _a_task_definition_too_many(tables: Tables, store: Environment, t: WriteTransaction) -> None:
    t.put(tables.task_definitions, number_key(999), b"x")


def _no_lrp_definition(tables: Tables, store: Environment, t: WriteTransaction) -> None:
    t.clear(tables.lrp_definitions)


def _an_lrp_definition_of_none(tables: Tables, store: Environment, t: WriteTransaction) -> None:
    t.put(tables.lrp_definitions, number_key(999) + number_key(3), b"x")


def _an_instance_that_is_not_listed(
    tables: Tables, store: Environment, t: WriteTransaction
) -> None:
    t.delete(tables.instances_of_process, t.first_key(tables.instances_of_process) or b"")


def _an_instance_listed_elsewhere(tables: Tables, store: Environment, t: WriteTransaction) -> None:
    key = t.first_key(tables.instances_of_process) or b""
    t.delete(tables.instances_of_process, key)
    t.put(tables.instances_of_process, b"x" + key, b"\0")


def _a_gap_in_the_log(tables: Tables, store: Environment, t: WriteTransaction) -> None:
    t.delete(store.table("log"), number_key(5))


def _a_log_that_ends_too_early(tables: Tables, store: Environment, t: WriteTransaction) -> None:
    t.delete(store.table("log"), number_key(11))


def _an_entry_of_garbage(tables: Tables, store: Environment, t: WriteTransaction) -> None:
    t.put(store.table("log"), number_key(5), bytes(12) + b"\0garbage")


def _a_row_of_garbage(tables: Tables, store: Environment, t: WriteTransaction) -> None:
    t.put(tables.cells.rows, b"c1", b"\xff\xff")


def _a_row_under_another_name(tables: Tables, store: Environment, t: WriteTransaction) -> None:
    t.put(tables.cells.rows, b"c2", t.get(tables.cells.rows, b"c1") or b"")


def _a_value_in_the_wrong_place(tables: Tables, store: Environment, t: WriteTransaction) -> None:
    t.put_stored(tables.locks.rows, b"other", t.stored(tables.locks.rows, b"brain") or b"")


def _a_change_too_many(tables: Tables, store: Environment, t: WriteTransaction) -> None:
    t.put(tables.changes, number_key(999) + b"\0", b"")


def _no_birth_record(tables: Tables, store: Environment, t: WriteTransaction) -> None:
    t.delete(store.table("meta"), b"birth")


def _no_hard_state(tables: Tables, store: Environment, t: WriteTransaction) -> None:
    t.delete(store.table("meta"), b"raft")


def _short_counters(tables: Tables, store: Environment, t: WriteTransaction) -> None:
    t.put(tables.counters, b"counters", b"x")


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (_task_without_number, "the table task_number does not lead to all in task"),
        (_number_without_task, "the table task_number does not lead to all in task"),
        (_swapped_numbers, "the table task_number does not lead to all in task"),
        (_no_task_definition, "the table task_definition is not of the tasks"),
        (_a_task_definition_too_many, "the table task_definition is not of the tasks"),
        (_no_lrp_definition, "the table lrp_definition lacks one of 'web'"),
        (_an_lrp_definition_of_none, "the table lrp_definition has one of no LRP"),
        (_an_instance_that_is_not_listed, "the table instance_of_process is not of the"),
        (_an_instance_listed_elsewhere, "the table instance_of_process is not of the"),
        (_a_gap_in_the_log, "log: entry 5 is missing"),
        (_a_log_that_ends_too_early, "log: entry 11, the last that was applied, is missing"),
        (_an_entry_of_garbage, "log: entry 5 of the log has a wrong checksum"),
        (_a_row_of_garbage, "the table cell has what is none of its rows: "),
        (_a_row_under_another_name, "the table cell has a row under another name"),
        (_a_value_in_the_wrong_place, "a value in lock has a wrong checksum"),
        (_a_change_too_many, "the table change has one under another revision"),
        (_no_birth_record, "birth record: "),
        (_no_hard_state, "log: there are entries, but neither term nor vote"),
        (_short_counters, "the table counters has what is none of its rows: "),
    ],
)
def test_what_is_wrong_is_named(store: Environment, damage: Damage, named: str) -> None:
    with store.begin_write() as transaction:
        damage(Tables.open(store), store, transaction)
    problems = check(store).problems
    assert any(named in problem for problem in problems), problems


def test_of_each_part_one_thing_is_said(store: Environment) -> None:
    tables = Tables.open(store)
    with store.begin_write() as transaction:
        for number in range(100):
            transaction.put(tables.lrp_definitions, number_key(999 + number) + bytes(8), b"x")
        transaction.delete(store.table("log"), number_key(5))
    assert check(store).problems == [
        "the table lrp_definition has one of no LRP",
        "log: entry 5 is missing",
    ]
