"""A store begins a new epoch: one transaction, everything in it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from diegod.internal.v1 import command_pb2 as c
from diegod.models.epochs import first_revision
from diegod.raftbbs.backup.checking import check
from diegod.raftbbs.backup.rebirth import Reborn, begin_epoch, sole_voter
from diegod.raftbbs.core.epochs import RECOVERED, RESTORED
from diegod.raftbbs.core.leases import LeaseTable
from diegod.raftbbs.raft.engine import Engine
from diegod.raftbbs.raft.journal import LOG_TABLE, last_index, read_hard_state
from diegod.raftbbs.replica import Replica
from diegod.raftbbs.store import identity
from diegod.raftbbs.store.environment import Environment
from diegod.raftbbs.store.identity import META_TABLE, Voter
from diegod.raftbbs.store.tables import Tables
from diegod.raftbbs.ticking import Inbox, Ticking
from diegod.v1.record_pb2 import Cell, Change, Task, TaskSchedule
from diegod.world.ids import SeededIds
from tests.unit.raftbbs.backup.stores import (
    BEGIN,
    BIRTH,
    COMMANDS,
    SECOND,
    a_store,
    command,
    state_of,
)

ME = Voter("n1", "n1:1", "n1:2")
REBORN = sole_voter(BIRTH, ME, "store-9", 2)
NOW = BEGIN + 1000 * SECOND


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Environment]:
    with a_store(tmp_path / "store") as environment:
        yield environment


def _begin(store: Environment, cause: str = RESTORED, *, finish_log: bool = False) -> Reborn:
    return begin_epoch(store, REBORN, cause, NOW, finish_log=finish_log)


def test_one_member_votes_in_a_store_of_its_own(store: Environment) -> None:
    reborn = _begin(store)
    birth = identity.read(store)
    assert birth == reborn.birth
    assert (birth.cluster_id, birth.member_id, birth.store_id) == ("cluster-1", "n1", "store-9")
    assert (birth.voters, birth.epoch) == ((replace(ME, store_id="store-9"),), 2)
    with store.begin_read() as transaction:
        keys = [key for key, _ in transaction.scan(store.table(META_TABLE))]
    assert keys == [b"birth", b"raft"]  # whose stores the others had is forgotten


def test_a_new_cluster_has_an_id_of_its_own() -> None:
    assert sole_voter(BIRTH, ME, "s", 2, "cluster-2").cluster_id == "cluster-2"


def test_revisions_begin_anew_and_nobody_can_resume(store: Environment) -> None:
    _begin(store)
    with state_of(store) as state:
        counters = state.counters()
        assert counters.revision == first_revision(2) + 8  # rows that stay: all but the domain
        assert counters.compacted == counters.revision
        assert (counters.changes, list(state.changes_after(0))) == (0, [])
        assert counters.at_ns == NOW
        assert not any(counters.state_hash)
        assert state.last_comparison() is None


def test_every_row_is_carried_over(store: Environment) -> None:
    reborn = _begin(store)
    assert reborn.failed_tasks == 2
    with state_of(store) as state:
        tasks = {guid: state.task(guid) for guid in ("waits", "runs", "ended")}
        assert all(task is not None and task.state == Task.COMPLETED for task in tasks.values())
        assert {g: t.outcome_unknown for g, t in tasks.items() if t} == {
            "waits": True,
            "runs": True,
            "ended": False,
        }
        assert state.task_definition("waits") == b"waits"
        cell, lock = state.cell("c1"), state.lock("brain")
        assert cell is not None
        assert lock is not None
        assert cell.state == Cell.MISSING
        assert lock.owner == "bbs/n1"
        assert state.domain("d") is None
        desired = state.desired_lrp("web")
        assert desired is not None
        assert state.lrp_definition("web", desired.definition_revision) == b"lrp"
        revisions = [
            row.provenance.revision
            for row in (*tasks.values(), cell, lock, desired, *state.instances("web"))
            if row is not None
        ]
    assert len(set(revisions)) == len(revisions) == 8
    assert min(revisions) > first_revision(2)


def test_the_log_is_one_entry_and_the_term_a_later_one(store: Environment) -> None:
    _begin(store)
    with store.begin_read() as transaction:
        state = read_hard_state(transaction, store.table(META_TABLE))
        assert state is not None
        assert transaction.count(store.table(LOG_TABLE)) == 1
        assert last_index(transaction, store.table(LOG_TABLE)) == len(COMMANDS) + 1
    assert (state.term, state.voted_for) == (5, None)
    assert state.applied_index == state.commit_index == len(COMMANDS) + 1
    assert check(store).problems == []


def test_a_recovery_applies_what_was_in_the_log(tmp_path: Path) -> None:
    """What a majority that is gone may have acknowledged is not given up."""
    with a_store(tmp_path / "store", applied=3) as store:
        reborn = _begin(store, RECOVERED, finish_log=True)
        assert reborn.entries_applied == len(COMMANDS) - 3
        with state_of(store) as state:
            task = state.task("waits")
            assert task is not None
            assert task.failure_reason == "quorum recovered, outcome unknown"
        assert check(store).problems == []


def test_a_restore_takes_what_was_applied(tmp_path: Path) -> None:
    with a_store(tmp_path / "store", applied=3) as store:
        assert _begin(store).entries_applied == 0
        with state_of(store) as state:
            assert state.task("waits") is None
        with store.begin_read() as transaction:
            assert last_index(transaction, store.table(LOG_TABLE)) == 4


def test_replicated_time_does_not_go_back(store: Environment) -> None:
    begin_epoch(store, REBORN, RESTORED, 7, finish_log=False)
    with state_of(store) as state:
        assert state.counters().at_ns == BEGIN + len(COMMANDS) + 1


def test_all_or_nothing(store: Environment) -> None:
    class Died(Exception):  # noqa: N818 - it names an event
        pass

    def die() -> None:
        raise Died

    before = identity.read(store)
    store.before_commit = die
    with pytest.raises(Died):
        _begin(store)
    store.before_commit = None
    assert identity.read(store) == before
    with state_of(store) as state:
        assert state.counters().revision == len(COMMANDS)
    assert check(store).problems == []


def test_the_same_epoch_is_not_begun_twice(store: Environment) -> None:
    _begin(store)
    with pytest.raises(ValueError, match="of this epoch or a later one"):
        _begin(store)


def test_a_store_that_never_took_part_begins_like_a_new_one(tmp_path: Path) -> None:
    identity.create(tmp_path / "store", BIRTH, durable=False)
    store = Environment.open(tmp_path / "store", durable=False)
    try:
        reborn = _begin(store)
        assert reborn.revision == first_revision(2)
        _lead(store)
    finally:
        store.close()


def _lead(store: Environment) -> tuple[Ticking, Engine]:
    """A member on this store, alone: it leads, and has applied what there was."""
    birth, tables = identity.read(store), Tables.open(store)
    log = Engine(store, birth, Replica(tables).apply_entry, SeededIds(1), 100.0)
    ticking = Ticking(birth.member_id, log, store, tables, LeaseTable(10.0))
    for n in range(5):
        ticking.tick(Inbox(), 100.0 + n / 10, NOW / SECOND)
    leadership = log.leadership()
    assert leadership.leads
    assert leadership.noop_applied
    return ticking, log


def test_a_member_leads_on_it_alone_and_frees_the_lock_after_a_lease(store: Environment) -> None:
    _begin(store)
    ticking, _ = _lead(store)
    for n in range(200):  # in ticks of less than what counts as a pause
        ticking.tick(Inbox(), 101.0 + n / 20, NOW / SECOND + n / 20)
        with state_of(store) as state:
            lock = state.lock("brain")
            assert lock is not None
            assert lock.owner == "bbs/n1"
    for n in range(40):
        ticking.tick(Inbox(), 111.0 + n / 20, NOW / SECOND + 10 + n / 20)
    with state_of(store) as state:
        lock = state.lock("brain")
        assert lock is not None
        assert not lock.owner
        assert lock.provenance.revision > first_revision(2)


def test_what_the_new_epoch_made_of_a_row_is_told_in_its_story(store: Environment) -> None:
    """Of those that it changed, and of no others; a schedule goes on from now."""
    schedule = TaskSchedule(name="nightly", domain="d", cron="@daily")
    desire = c.DesireSchedule(schedule=schedule, definition=b"s", task_definition=b"t")
    commands = [
        command("bbs/m1", raise_format=c.RaiseFormat(cluster_format=2)),
        command("user/ann", desire_schedule=desire),
    ]
    batch = c.Batch(at_ns=BEGIN, commands=commands).SerializeToString()
    with store.begin_write() as transaction:
        Replica(Tables.open(store)).apply_entry(transaction, len(COMMANDS) + 2, batch)
    _begin(store)
    with state_of(store) as state:
        created, failed = state.story(Task(task_guid="waits"))
        assert (created.state, created.verb) == ("PENDING", Change.CREATED)
        assert (failed.state, failed.by, failed.cause) == ("COMPLETED", "bbs/n1", RESTORED)
        assert failed.revision > first_revision(2)
        assert state.story(Task(task_guid="ended")) == []
        assert [line.state for line in state.story(Cell(cell_id="c1"))] == ["PRESENT", "MISSING"]
        row = state.task_schedule("nightly")
        assert row is not None
        assert row.last_slot.seconds == NOW // SECOND
        assert state.schedule_task_definition("nightly") == b"t"
    assert check(store).problems == []
