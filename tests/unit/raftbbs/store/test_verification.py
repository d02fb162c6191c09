"""Rows that do not fit together are found before they are served."""

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from diegod.raftbbs.backup.checking import check
from diegod.raftbbs.store import identity, quarantine, structure, verification
from diegod.raftbbs.store.environment import DATA_FILE, Environment, Table, WriteTransaction
from diegod.raftbbs.store.identity import StoreRefused
from diegod.raftbbs.store.key_registry import finished, read_registry, write_registry
from diegod.raftbbs.store.opening import open_verified
from diegod.raftbbs.store.quarantine import Mark
from diegod.raftbbs.store.state import StateView
from diegod.raftbbs.store.tables import Tables, number_key, number_of
from diegod.raftbbs.store.verification import RowsDamaged
from diegod.raftbbs.store.versions import (
    version_key,
)
from diegod.v1.record_pb2 import (
    DesiredLrp,
    LrpVersion,
    Task,
    Transition,
)
from tests.unit.raftbbs.store.keyrings import ring
from tests.unit.raftbbs.store.stores import MAP_SIZE, write_store

KEPT = Path(__file__).parents[3] / "releases" / "format-1" / "data.mdb.gz"

Damage = Callable[[Tables, WriteTransaction], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_store(tmp_path / "store", lrps=7)
    return tmp_path / "store"


def _first(transaction: WriteTransaction, table: Table) -> tuple[bytes, bytes]:
    return next(iter(transaction.scan(table)))


def _guid_lost(tables: Tables, transaction: WriteTransaction) -> None:
    transaction.delete(tables.tasks.numbers, _first(transaction, tables.tasks.numbers)[0])


def _guid_of_another(tables: Tables, transaction: WriteTransaction) -> None:
    numbers = tables.desired_lrps.numbers
    (one, first), (other, second) = list(transaction.scan(numbers))[:2]
    transaction.put(numbers, one, second)
    transaction.put(numbers, other, first)


def _row_lost(tables: Tables, transaction: WriteTransaction) -> None:
    rows = tables.actual_lrps.rows
    transaction.delete(rows, _first(transaction, rows)[0])


def _row_under_another_number(tables: Tables, transaction: WriteTransaction) -> None:
    rows = tables.tasks.rows
    key, row = _first(transaction, rows)
    transaction.delete(rows, key)
    transaction.put(rows, number_key(10**6), row)


def _process_lost(tables: Tables, transaction: WriteTransaction) -> None:
    index = tables.instances_of_process
    transaction.delete(index, _first(transaction, index)[0])


def _task_definition_lost(tables: Tables, transaction: WriteTransaction) -> None:
    definitions = tables.task_definitions
    transaction.delete(definitions, _first(transaction, definitions)[0])


def _lrp_definition_lost(tables: Tables, transaction: WriteTransaction) -> None:
    definitions = tables.lrp_definitions
    transaction.delete(definitions, _first(transaction, definitions)[0])


def _lrp_definition_of_nobody(tables: Tables, transaction: WriteTransaction) -> None:
    transaction.put(tables.lrp_definitions, number_key(10**6) + number_key(1), b"x")


def _first_version_lost(tables: Tables, transaction: WriteTransaction) -> None:
    """Of the first LRP, which then has none."""
    versions = tables.lrp_versions
    transaction.delete(versions, _first(transaction, versions)[0])


def _version_of_nobody(tables: Tables, transaction: WriteTransaction) -> None:
    _, stored = _first(transaction, tables.lrp_versions)
    transaction.put(tables.lrp_versions, version_key(number_key(10**6), 1), stored)


def _version_under_another_number(tables: Tables, transaction: WriteTransaction) -> None:
    key, stored = _first(transaction, tables.lrp_versions)
    transaction.put(tables.lrp_versions, version_key(key[:8], 2), stored)


def _version_without_definition(tables: Tables, transaction: WriteTransaction) -> None:
    key, stored = _first(transaction, tables.lrp_versions)
    version = LrpVersion.FromString(stored)
    version.definition_revision = 4711
    transaction.put(tables.lrp_versions, key, version.SerializeToString())


def _versions_fewer_than_the_row_says(tables: Tables, transaction: WriteTransaction) -> None:
    number, stored = _first(transaction, tables.desired_lrps.rows)
    row = DesiredLrp.FromString(stored)
    row.version = 2
    tables.desired_lrps.put(transaction, number, row)
    version = LrpVersion(version=2, definition_revision=row.definition_revision)
    key = version_key(number, 2)
    transaction.put(tables.lrp_versions, key, version.SerializeToString())
    transaction.delete(tables.lrp_versions, version_key(number, 1))


def _removed_cells_cut_short(tables: Tables, transaction: WriteTransaction) -> None:
    transaction.put(tables.removed_cells, b"incarnation", b"1")


def _cell_under_another_name(tables: Tables, transaction: WriteTransaction) -> None:
    _, row = _first(transaction, tables.cells.rows)
    transaction.put(tables.cells.rows, b"other", row)


def _change_lost(tables: Tables, transaction: WriteTransaction) -> None:
    transaction.delete(tables.changes, _first(transaction, tables.changes)[0])


def _counters_behind(tables: Tables, transaction: WriteTransaction) -> None:
    counters = StateView(tables, transaction).counters()
    transaction.put(tables.counters, b"counters", replace(counters, revision=3).packed())


def _compacted_ahead(tables: Tables, transaction: WriteTransaction) -> None:
    counters = StateView(tables, transaction).counters()
    ahead = replace(counters, compacted=counters.revision + 1)
    transaction.put(tables.counters, b"counters", ahead.packed())


def _change_that_was_compacted(tables: Tables, transaction: WriteTransaction) -> None:
    counters = StateView(tables, transaction).counters()
    gone = number_of(_first(transaction, tables.changes)[0])
    transaction.put(tables.counters, b"counters", replace(counters, compacted=gone).packed())


def _numbers_behind(tables: Tables, transaction: WriteTransaction) -> None:
    counters = StateView(tables, transaction).counters()
    transaction.put(tables.counters, b"counters", replace(counters, numbers=3).packed())


def _counters_cut_short(tables: Tables, transaction: WriteTransaction) -> None:
    counters = StateView(tables, transaction).counters()
    transaction.put(tables.counters, b"counters", counters.packed()[:-1])


def _no_row(tables: Tables, transaction: WriteTransaction) -> None:
    key, _ = _first(transaction, tables.tasks.rows)
    transaction.put(tables.tasks.rows, key, b"\xff\xff\xff")


def _row_of_an_earlier_day(tables: Tables, transaction: WriteTransaction) -> None:
    """Whole, in its place, and not what its last change made of it."""
    number, stored = _first(transaction, tables.tasks.rows)
    row = Task.FromString(stored)
    row.provenance.revision -= 1
    tables.tasks.put(transaction, number, row)


def _kept_guid_without_an_end(tables: Tables, transaction: WriteTransaction) -> None:
    ends = tables.tombstones_by_end
    transaction.delete(ends, _first(transaction, ends)[0])


def _schedule_without_a_task(tables: Tables, transaction: WriteTransaction) -> None:
    transaction.delete(tables.schedule_task_definitions, b"nightly")


def _schedule_under_another_name(tables: Tables, transaction: WriteTransaction) -> None:
    _, row = _first(transaction, tables.task_schedules.rows)
    transaction.put(tables.task_schedules.rows, b"other", row)


def _definition_of_no_schedule(tables: Tables, transaction: WriteTransaction) -> None:
    transaction.put(tables.schedule_definitions, b"other", b"x")


def _story_of_what_is_to_come(tables: Tables, transaction: WriteTransaction) -> None:
    key, _ = _first(transaction, tables.stories)
    line = Transition(revision=10**9).SerializeToString()
    transaction.put(tables.stories, key, line)


def _wrong_checksum(tables: Tables, transaction: WriteTransaction) -> None:
    definitions = tables.task_definitions
    key, _ = _first(transaction, definitions)
    stored = transaction.stored(definitions, key)
    assert stored is not None
    transaction.put_stored(definitions, key, stored[:-1] + bytes([stored[-1] ^ 1]))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_guid_lost, "the table task_number does not lead to all in task"),
        (_guid_of_another, "the table desired_number does not lead to all in desired_lrp"),
        (_row_lost, "the table actual_number does not lead to all in actual_lrp"),
        (_row_under_another_number, "the table task_number does not lead to all in task"),
        (_process_lost, "the table instance_of_process is not of the instances that are"),
        (_task_definition_lost, "the table task_definition is not of the tasks that are"),
        (_lrp_definition_lost, "the table lrp_definition lacks one of 'lrp-0000'"),
        (_lrp_definition_of_nobody, "the table lrp_definition has one of no LRP"),
        (_first_version_lost, "the table lrp_version lacks one of 'lrp-0000'"),
        (_version_of_nobody, "the table lrp_version has one of no LRP"),
        (_version_under_another_number, "lrp_version has one that is not the next of its LRP"),
        (_version_without_definition, "lrp_version names a definition that is not kept"),
        (_versions_fewer_than_the_row_says, "has one that is not the next of its LRP"),
        (_removed_cells_cut_short, "removed_cell has what is none of its rows"),
        (_cell_under_another_name, "the table cell has a row under another name"),
        (_change_lost, r"the table change has \d+, not \d+"),
        (_counters_behind, "the table change is ahead of the counters"),
        (_compacted_ahead, "the table counters has compacted what is to come"),
        (_change_that_was_compacted, "the table change has one that was compacted"),
        (_numbers_behind, "the table task goes beyond the last number"),
        (_counters_cut_short, "unpack requires a buffer"),
        (_row_of_an_earlier_day, r"the task 't\S*' is as revision \d+ left it, and its last"),
        (_no_row, "Error parsing message"),
        (_kept_guid_without_an_end, "the table tombstone_by_end is not of the guids that are kept"),
        (
            _schedule_without_a_task,
            "the table schedule_task_definition is not of the schedules that are",
        ),
        (_schedule_under_another_name, "the table task_schedule has a row under another name"),
        (
            _definition_of_no_schedule,
            "the table schedule_definition is not of the schedules that are",
        ),
        (_story_of_what_is_to_come, "the table story tells what has not been"),
        (_wrong_checksum, "a value in task_definition has a wrong checksum"),
    ],
)
def test_what_does_not_fit_together_is_refused(folder: Path, damage: Damage, says: str) -> None:
    _damage(folder, damage)
    environment = Environment.open(folder, durable=False, map_size=MAP_SIZE)
    try:
        with pytest.raises(RowsDamaged, match=says):
            verification.verify(environment)
    finally:
        environment.close()
    with pytest.raises(StoreRefused, match="is damaged") as refusal:
        open_verified(folder)
    assert "\n" not in str(refusal.value)


def _damage(folder: Path, damage: Damage) -> None:
    environment = Environment.open(folder, durable=False, map_size=MAP_SIZE)
    tables = Tables.open(environment)
    with environment.begin_write() as transaction:
        damage(tables, transaction)
    environment.close()


@pytest.mark.parametrize("name", ["log", "meta"])
def test_a_value_of_the_log_counts_too(folder: Path, name: str) -> None:
    environment = Environment.open(folder, durable=False, map_size=MAP_SIZE)
    table = environment.table(name)
    with environment.begin_write() as transaction:
        transaction.put_stored(table, _first(transaction, table)[0], b"\2\0rubbish")
    environment.close()
    with pytest.raises(StoreRefused, match=f"a value in {name} has a wrong checksum"):
        open_verified(folder)


def test_a_store_that_is_whole_is_opened(folder: Path) -> None:
    entries = structure.check(folder).entries
    environment, birth = open_verified(folder, member_id="m1")
    assert birth.member_id == "m1"
    assert verification.verify(environment, tuple(entries)) == sum(entries.values())
    environment.close()


def test_a_store_of_the_first_release_is_whole(tmp_path: Path) -> None:
    (tmp_path / DATA_FILE).write_bytes(gzip.decompress(KEPT.read_bytes()))
    environment, birth = open_verified(tmp_path, member_id="bbs-1")
    assert birth.store_format == 2
    environment.close()
    environment, _ = open_verified(tmp_path, member_id="bbs-1")
    environment.close()


def test_a_quarantined_store_is_not_even_looked_at(folder: Path) -> None:
    quarantine.put(folder, Mark.of(1000, b"a" * 32, b"b" * 32, 0.0))
    (folder / DATA_FILE).write_bytes(b"")
    with pytest.raises(StoreRefused, match="is quarantined"):
        open_verified(folder)


def test_a_file_that_can_not_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / DATA_FILE).mkdir()
    with pytest.raises(StoreRefused, match=r"can't be read \(Is a directory\)"):
        open_verified(tmp_path)


def test_an_encrypted_store_is_verified_with_what_is_never_encrypted_in_it(folder: Path) -> None:
    """Birth, term and the names of keys stay plain where nothing else does."""
    keyring = ring("A")
    environment, _ = identity.load(folder, durable=False, map_size=MAP_SIZE, keyring=keyring)
    registry, table = read_registry(environment), environment.table("keys")
    names = [name for name in environment.table_names() if name not in ("keys", "meta")]
    tables = [environment.table(name) for name in names]
    with environment.begin_write() as transaction:
        for each in tables:
            for key, stored in list(transaction.scan_stored(each)):
                transaction.rewrap(each, key, stored)
        assert registry.walk is not None
        write_registry(transaction, table, finished(registry, registry.walk.target))
    environment.close()
    with pytest.raises(StoreRefused, match='encrypted with the key "A"'):
        open_verified(folder)
    environment, _ = open_verified(folder, keyring=keyring)
    assert check(environment).problems == []
    environment.close()
    _damage(folder, lambda tables, t: t.put(tables.counters, b"counters", b""))
    with pytest.raises(StoreRefused, match="is not encrypted, as all others are"):
        open_verified(folder, keyring=keyring)
