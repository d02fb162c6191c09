"""The state on disk: what the rules see of it, and what is written of a decision."""

from pathlib import Path

import pytest

from diegod.internal.v1 import command_pb2 as c
from diegod.raftbbs.core.agreement import Comparison
from diegod.raftbbs.core.decision import Changed, RowChange, changed, created, removed
from diegod.raftbbs.store.environment import Environment
from diegod.raftbbs.store.state import StateView, StateWriter
from diegod.raftbbs.store.tables import Tables
from diegod.v1.record_pb2 import (
    ActualLrp,
    Cell,
    Change,
    DesiredLrp,
    Domain,
    Lock,
    Provenance,
    Task,
)
from tests.unit.raftbbs.core.board import Board, a_task


class Store:
    def __init__(self, folder: Path, history_changes: int = 100) -> None:
        self.environment = Environment.open(folder, create=True, durable=False)
        self.tables = Tables.open(self.environment)
        self.history_changes = history_changes

    def record(self, *decisions: Changed, index: int = 2) -> list[Change]:
        """One entry with these decisions."""
        told: list[Change] = []
        with self.environment.begin_write() as transaction:
            writer = StateWriter(self.tables, transaction, self.history_changes)
            for decision in decisions:
                provenance = Provenance(revision=writer.now.revision + 1, by="user/ann")
                told += writer.record(decision.changes, provenance)
            writer.close(index)
        return told

    def view(self) -> StateView:
        return StateView(self.tables, self.environment.begin_read())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def _instance(guid: str, index: int, process: str = "web", definition: int = 1) -> ActualLrp:
    return ActualLrp(
        instance_guid=guid, process_guid=process, index=index, definition_revision=definition
    )


def test_every_kind_of_row_is_found_by_its_name_and_gone_when_removed(store: Store) -> None:
    rows = (
        Task(task_guid="t1"),
        DesiredLrp(process_guid="web"),
        _instance("i1", 0),
        Cell(cell_id="c1"),
        Domain(domain="d"),
        Lock(name="brain"),
    )
    store.record(*(created(row) for row in rows))
    view = store.view()
    found = (
        view.task("t1"),
        view.desired_lrp("web"),
        view.actual_lrp("i1"),
        view.cell("c1"),
        view.domain("d"),
        view.lock("brain"),
    )
    assert found == rows
    assert [row.provenance.revision for row in found if row is not None] == [1, 2, 3, 4, 5, 6]
    store.record(*(removed(row) for row in rows))
    view = store.view()
    assert view.task("t1") is None
    assert view.desired_lrp("web") is None
    assert view.actual_lrp("i1") is None
    assert view.cell("c1") is None
    assert view.domain("d") is None
    assert view.lock("brain") is None
    assert not view.instances("web")


def test_no_row_has_the_empty_name(store: Store) -> None:
    view = store.view()
    assert view.task("") is None
    assert view.cell("") is None
    assert view.task_definition("") is None


def test_a_task_keeps_its_definition_until_it_is_gone(store: Store) -> None:
    store.record(created(Task(task_guid="t1"), b"closed"))
    store.record(Changed((RowChange(Change.CHANGED, Task(task_guid="t1", domain="d")),)))
    assert store.view().task_definition("t1") == b"closed"
    store.record(removed(Task(task_guid="t1")))
    assert store.view().task_definition("t1") is None
    assert store.view().transaction.count(store.tables.task_definitions) == 0


def test_a_guid_that_is_used_again_is_another_row(store: Store) -> None:
    store.record(created(Task(task_guid="t1", rejection_count=2), b"first"))
    store.record(removed(Task(task_guid="t1")), created(Task(task_guid="t1"), b"second"))
    task = store.view().task("t1")
    assert task is not None
    assert task.rejection_count == 0
    assert store.view().task_definition("t1") == b"second"


def test_rows_are_scanned_in_order_of_creation_from_where_a_page_ended(store: Store) -> None:
    guids = ["z", "a", "m", "b"]
    store.record(*(created(Task(task_guid=guid)) for guid in guids))
    view = store.view()
    rows = list(store.tables.tasks.scan(view.transaction))
    assert [task.task_guid for _, task in rows] == guids
    rest = store.tables.tasks.scan(view.transaction, rows[1][0])
    assert [task.task_guid for _, task in rest] == ["m", "b"]


def test_instances_come_by_index_then_by_age_and_those_of_one_index_alone(store: Store) -> None:
    store.record(
        *(created(_instance(guid, index)) for guid, index in (("i1", 1), ("i2", 0), ("i3", 1))),
        created(_instance("other", 0, process="web2")),
        created(_instance("i256", 256)),
    )
    view = store.view()
    assert [row.instance_guid for row in view.instances("web")] == ["i2", "i1", "i3", "i256"]
    assert [row.instance_guid for row in view.instances_at("web", 1)] == ["i1", "i3"]
    assert [row.instance_guid for row in view.instances_at("web", 0)] == ["i2"]
    assert not view.instances_at("web", 2)


def test_definitions_stay_while_an_instance_runs_them(store: Store) -> None:
    def desired(revision: int) -> DesiredLrp:
        return DesiredLrp(process_guid="web", definition_revision=revision)

    def changed(revision: int, definition: bytes) -> Changed:
        return Changed((RowChange(Change.CHANGED, desired(revision), definition),))

    store.record(created(desired(1), b"v1"), created(_instance("i1", 0, definition=1)))
    store.record(changed(2, b"v2"))
    store.record(changed(3, b"v3"))
    view = store.view()
    assert view.lrp_definition("web", 1) == b"v1"
    assert view.lrp_definition("web", 2) is None
    assert view.lrp_definition("web", 3) == b"v3"
    store.record(removed(desired(3)))
    assert store.view().transaction.count(store.tables.lrp_definitions) == 0


def test_the_feed_is_what_was_written(store: Store) -> None:
    old, new = _instance("i1", 0), _instance("i2", 0)
    store.record(Changed((*created(old).changes, *created(Task(task_guid="t1")).changes)))
    told = store.record(
        Changed((RowChange(Change.REMOVED, old), RowChange(Change.CREATED, new))),
        Changed((RowChange(Change.CHANGED, Task(task_guid="t1"), left_cell_id="c1"),)),
    )
    assert [change.revision for change in told] == [2, 2, 3]
    assert told[2].left_cell_id == "c1"
    assert list(store.view().changes_after(1)) == told
    assert not list(store.view().changes_after(3))


def test_a_row_that_is_not_there_is_not_changed(store: Store) -> None:
    for row in (Task(task_guid="t"), DesiredLrp(process_guid="p"), _instance("i", 0)):
        with pytest.raises(ValueError, match=r"there is no row of '[tpi]' to be changed"):
            store.record(changed(row))


def test_what_is_no_longer_kept_is_said(tmp_path: Path) -> None:
    store = Store(tmp_path, history_changes=3)
    for number in range(5):
        store.record(created(Task(task_guid=f"t{number}")))
    counters = store.view().counters()
    assert (counters.revision, counters.changes, counters.compacted) == (5, 3, 2)
    assert [change.revision for change in store.view().changes_after(2)] == [3, 4, 5]


def test_a_revision_half_of_which_is_gone_counts_as_gone(tmp_path: Path) -> None:
    store = Store(tmp_path, history_changes=2)
    pair = (
        RowChange(Change.CREATED, Task(task_guid="a")),
        RowChange(Change.CREATED, Task(task_guid="b")),
    )
    store.record(Changed(pair))
    store.record(created(Task(task_guid="c")))
    counters = store.view().counters()
    assert (counters.changes, counters.compacted) == (2, 1)
    assert [change.revision for change in store.view().changes_after(1)] == [2]


def test_an_entry_larger_than_the_history_leaves_its_end(tmp_path: Path) -> None:
    store = Store(tmp_path, history_changes=2)
    store.record(*(created(Task(task_guid=f"t{number}")) for number in range(10)))
    assert [change.revision for change in store.view().changes_after(8)] == [9, 10]
    assert store.view().counters().compacted == 8


def test_time_never_goes_back(store: Store) -> None:
    for at_ns, expected in ((50, 50), (40, 50), (60, 60)):
        with store.environment.begin_write() as transaction:
            writer = StateWriter(store.tables, transaction, 10)
            writer.advance_time(at_ns)
            writer.close(2)
        assert store.view().counters().at_ns == expected


def test_two_members_that_apply_the_same_entries_are_equal(tmp_path: Path) -> None:
    boards = [Board.open(tmp_path / name, history_changes=5) for name in ("a", "b")]
    for board in boards:
        board.with_brain().with_cell("c1")
        for number in range(8):
            desire = c.DesireTask(task=a_task(f"t{number}"), definition=b"x")
            board.say("user/ann", desire_task=desire)
        board.say("user/ann", cancel_task=c.CancelTask(task_guid="t3"))
        board.say("user/ann", delete_task=c.DeleteTask(task_guid="t3"))
    first, second = (board.state() for board in boards)
    for name in ("tasks", "actual_lrps"):
        table = getattr(first.tables, name)
        assert [*table.scan(first.transaction)] == [
            *getattr(second.tables, name).scan(second.transaction)
        ]
    assert first.counters() == second.counters()
    assert [*first.changes_after(0)] == [*second.changes_after(0)]


def test_equal_histories_hash_equally_however_much_of_them_is_kept(tmp_path: Path) -> None:
    stores = [Store(tmp_path / name, history) for name, history in (("a", 2), ("b", 100))]
    for store in stores:
        for number in range(5):
            store.record(created(Task(task_guid=f"t{number}")))
        store.record(removed(Task(task_guid="t1")))
    first, second = (store.view().counters() for store in stores)
    assert first.state_hash == second.state_hash != bytes(32)
    assert first.changes != second.changes


@pytest.mark.parametrize("row", [Task(task_guid="t2"), Task(task_guid="t1", domain="d")])
def test_another_row_makes_another_hash_for_ever(store: Store, tmp_path: Path, row: Task) -> None:
    other = Store(tmp_path / "other")
    store.record(created(Task(task_guid="t1")))
    other.record(created(row))
    for each in (store, other):
        each.record(created(Cell(cell_id="c1")))
    assert store.view().counters().state_hash != other.view().counters().state_hash


def test_another_row_that_is_gone_makes_another_hash(store: Store, tmp_path: Path) -> None:
    """Nothing is written but the changes, which are no part of it, and what is deleted."""
    other = Store(tmp_path / "other")
    for each, gone in ((store, "c1"), (other, "c2")):
        each.record(created(Cell(cell_id="c1")), created(Cell(cell_id="c2")))
        each.record(removed(Cell(cell_id=gone)))
    assert store.view().counters().state_hash != other.view().counters().state_hash


def test_states_are_compared_at_round_indexes_and_the_last_few_are_kept(store: Store) -> None:
    hashes = {}
    for index in range(500, 12_001, 500):
        store.record(created(Task(task_guid=f"t{index}")), index=index)
        hashes[index] = store.view().counters().state_hash
    view = store.view()
    last = view.last_comparison()
    assert last is not None
    assert (last.index, last.state_hash) == (12_000, hashes[12_000])
    assert view.comparison(4000) == Comparison(4000, hashes[4000])
    assert view.comparison(3000) is None
    assert view.comparison(11_500) is None
