"""A store that the first release wrote, kept as it was, is read by this one."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diegod.models.json_form import json_form
from diegod.raftbbs.raft.engine import Engine
from diegod.raftbbs.replica import Replica
from diegod.raftbbs.store import migration
from diegod.raftbbs.store.environment import DATA_FILE, Environment
from diegod.raftbbs.store.identity import StoreRefused, load, read
from diegod.raftbbs.store.state import StateView
from diegod.raftbbs.store.tables import Tables
from diegod.world.ids import SeededIds

KEPT = Path(__file__).parents[3] / "releases" / "format-1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A member's store of the first release: seven tasks, an LRP of three, two cells."""
    (tmp_path / DATA_FILE).write_bytes(gzip.decompress((KEPT / "data.mdb.gz").read_bytes()))
    return tmp_path


@pytest.fixture
def environment(folder: Path) -> Iterator[Environment]:
    environment, _ = load(folder, member_id="bbs-1", durable=False)
    yield environment
    environment.close()


def _kept(name: str) -> list[dict[str, Any]]:
    """What that release printed of it."""
    lines = (KEPT / f"{name}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_rows_are_what_the_release_said_they_are(environment: Environment) -> None:
    tables = Tables.open(environment)
    with environment.begin_read() as transaction:
        tasks = [row for _, row in tables.tasks.scan(transaction)]
        instances = [row for _, row in tables.actual_lrps.scan(transaction)]
        state = StateView(tables, transaction)
        assert state.counters().revision == 43
        definition = state.task_definition("kept-1")
        assert definition is not None
        assert b"kept-1" in definition
    assert_same([json_form(row) for row in tasks], _kept("tasks"), "task_guid")
    assert_same([json_form(row) for row in instances], _kept("instances"), "instance_guid")


def assert_same(rows: list[dict[str, Any]], said: list[dict[str, Any]], key: str) -> None:
    """As far as that release knew their fields; what came later is empty in them."""
    now = {row[key]: row for row in rows}
    assert sorted(now) == sorted(row[key] for row in said)
    for row in said:
        expected = {name: value for name, value in row.items() if name != "definition"}
        assert _known(now[row[key]], expected) == expected


def _known(row: Any, expected: Any) -> Any:
    if isinstance(expected, dict) and isinstance(row, dict):
        return {name: _known(row.get(name), value) for name, value in expected.items()}
    return row


def test_the_member_goes_on_with_its_log_and_its_vote(environment: Environment) -> None:
    birth = read(environment)
    tables = Tables.open(environment)
    engine = Engine(environment, birth, Replica(tables).apply_entry, SeededIds(1), 0.0)
    known = engine.leadership()
    assert (known.term, known.log_last, known.applied_index) == (1, 40, 40)
    engine.close()


def test_a_migrated_store_is_of_this_format_and_stays_it(folder: Path) -> None:
    for _ in range(2):
        environment, birth = load(folder, durable=False)
        assert birth.store_format == 2
        assert not migration.is_previous(environment)
        environment.close()


def test_a_crash_in_the_middle_changes_nothing(folder: Path) -> None:
    def crash() -> None:
        raise KeyboardInterrupt

    environment = Environment.open(folder, durable=False)
    environment.before_commit = crash
    with pytest.raises(KeyboardInterrupt):
        migration.migrate(environment)
    environment.close()
    environment = Environment.open(folder, durable=False)
    assert migration.is_previous(environment)
    assert migration.migrate(environment).values > 100
    environment.close()


def test_a_damaged_store_of_the_first_release_is_refused(folder: Path) -> None:
    environment = Environment.open(folder, durable=False)
    log = environment.table("log")
    with environment.begin_write() as transaction:
        key = transaction.last_key(log)
        assert key is not None
        transaction.put_stored(log, key, b"\x07\x00rest")
    environment.close()
    with pytest.raises(StoreRefused, match="a value in log is not of format 1"):
        load(folder, durable=False)
