"""Convergence and the auction may be interrupted, also within one process, and come to the same."""

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diegod.scheduler.core.auction import hold, holding
from diegod.scheduler.core.batch import ordered, waiting
from diegod.scheduler.core.breaks import ROWS, Steps, in_one_go, in_portions
from diegod.scheduler.core.cell_table import CellTable
from diegod.scheduler.core.convergence import all_keys, converge, converging
from diegod.scheduler.core.decision import RowVersion
from diegod.scheduler.core.in_flight import InFlight
from diegod.scheduler.core.limits import Limits
from diegod.scheduler.core.lrps.places import placed_out
from diegod.scheduler.core.repairs import Sheet
from diegod.scheduler.core.snapshot import Snapshot
from diegod.v1.definition_pb2 import LrpDefinition, UpdatePolicy
from diegod.v1.record_pb2 import ActualLrp, Cell, DesiredLrp, Rollout
from tests.unit.scheduler.core.lots import RULES
from tests.unit.scheduler.core.rows import (
    NOW,
    Row,
    a_cell,
    a_snapshot,
    a_task,
    an_instance,
    an_lrp,
    at,
)

STOP_FIRST = UpdatePolicy(order=UpdatePolicy.STOP_FIRST, max_unavailable=2)
UPDATES = [
    UpdatePolicy(max_in_flight=3, min_healthy_ms=5_000),
    UpdatePolicy(max_in_flight=200, canaries=2),
    STOP_FIRST,
    UpdatePolicy(strategy=UpdatePolicy.RECREATE),
]


def test_portions_leave_nothing_out_and_keep_the_order() -> None:
    assert list(in_portions(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(in_portions(iter(()), 3)) == []


def test_steps_in_one_go_come_to_what_they_return() -> None:
    def work() -> Steps[str]:
        yield
        yield
        return "done"

    assert in_one_go(work()) == "done"


class RandomRows:
    """Any state of four processes and their cells, whoever could bring it about."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.rows: list[Row] = [self._cell(number) for number in range(5)]
        for number in range(4):
            self._process(f"p{number}")
        self.snapshot = a_snapshot(*self.rows)
        for row in self.snapshot.instances.values():
            row.provenance.by = self.random.choice(["brain/brain-1", "user/alice"])
        self.sent = set(self._sent()) if seed % 2 else set()

    def _cell(self, number: int) -> Cell:
        state = self.random.choice([Cell.PRESENT, Cell.PRESENT, Cell.PRESENT, Cell.MISSING])
        cell = a_cell(f"cell-{number}", state)
        if self.random.random() < 0.4:
            cell.drain.deadline_at.CopyFrom(at(NOW + self.random.choice([-5, 50])))
        return cell

    def _process(self, guid: str) -> None:
        chance, count = self.random.random, self.random.choice([0, 1, 12, 150])
        is_global = chance() < 0.25
        lrp = an_lrp(
            guid,
            count,
            update=self.random.choice(UPDATES),
            mode=LrpDefinition.GLOBAL if is_global else LrpDefinition.REPLICATED,
            rollout=Rollout(state=self.random.choice([Rollout.ROLLING, Rollout.DONE])),
            stopped=chance() < 0.1,
            removing=chance() < 0.1,
        )
        if chance() < 0.9:
            self.rows.append(lrp)
        for index in range(count + self.random.choice([0, 2])):
            self.rows += self._instances(guid, index, is_global)

    def _instances(self, guid: str, index: int, is_global: bool) -> Iterator[ActualLrp]:
        for presence, likely in enumerate((0.9, 0.2, 0.1)):
            if self.random.random() < likely:
                yield self._instance(guid, index, presence, is_global)

    def _instance(self, guid: str, index: int, presence: int, is_global: bool) -> ActualLrp:
        state = ActualLrp.RUNNING
        if presence == ActualLrp.ORDINARY:
            others = [ActualLrp.CLAIMED, ActualLrp.UNCLAIMED, ActualLrp.CRASHED]
            state = self.random.choice([ActualLrp.RUNNING] * 4 + others)
        cell_id = f"cell-{self.random.randrange(6)}"
        is_on_cell = state in (ActualLrp.RUNNING, ActualLrp.CLAIMED)
        row = an_instance(
            guid,
            index,
            state,
            presence=presence,
            instance_guid=f"{guid}-{index}-{presence}",
            cell_id=cell_id if is_on_cell else "",
            definition_revision=self.random.choice([2, 3]),
            routable=is_on_cell and self.random.random() < 0.8,
            since=at(NOW - self.random.choice([1, 100])),
        )
        row.needs.cell_id = cell_id if is_global else ""
        return row

    def _sent(self) -> Iterator[RowVersion]:
        for row in self.snapshot.instances.values():
            if self.random.random() < 0.1:
                name = self.random.choice(["EvacuateInstance", "RetireInstance"])
                yield RowVersion(name, row.instance_guid, row.provenance.revision)


@given(st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_with_a_break_at_every_chance_a_pass_comes_to_the_same(seed: int) -> None:
    """Two passes take turns, so that nothing of one is kept where the other would find it."""
    rows = RandomRows(seed)
    keys = list(all_keys(rows.snapshot))
    undivided = converge(rows.snapshot, keys, NOW, sent=rows.sent)
    passes = [converging(rows.snapshot, keys, NOW, sent=rows.sent) for _ in range(2)]
    results = []
    while passes:
        for each in list(passes):
            try:
                next(each)
            except StopIteration as end:
                results.append(end.value)
                passes.remove(each)
    assert results == [undivided, undivided]


@given(st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_what_is_unserved_is_counted_on_as_instances_end(seed: int) -> None:
    """Against looking at every place anew each time."""
    rows = RandomRows(seed)
    for guid, desired in rows.snapshot.desired.items():
        desired.update.CopyFrom(STOP_FIRST)
        sheet = Sheet(rows.snapshot, NOW, Limits(), None, sent=rows.sent)
        process = in_one_go(placed_out(sheet, desired, rows.snapshot.rows_of(guid)))
        in_one_go(process.look_at_all())
        for slot in list(process.slots.values())[:20]:
            assert process.unserved_beside(slot) == unserved(process, slot), guid
            for row in list(slot.rows())[:1]:
                process.end(row, "the test says so")


def unserved(process, beside) -> int:  # type: ignore[no-untyped-def]
    """As it reads: the places, but for this one, that take an instance and where none is up."""
    alone = [
        [row]
        for place, row in process.settled.items()
        if place not in process.slots and process._takes(row.cell_id)
    ]
    slots = [list(slot.rows()) for slot in process.open_slots() if slot is not beside]
    return sum(not any(map(process.is_available, rows)) for rows in alone + slots)


BIG = 10 * ROWS


def running(definition_revision: int = 3, **fields: object) -> list[ActualLrp]:
    fields.setdefault("definition_revision", definition_revision)
    return [an_instance("web", n, since=at(NOW - 100), **fields) for n in range(BIG)]


def the_lrp(**fields: object) -> DesiredLrp:
    fields.setdefault("update", UpdatePolicy(max_in_flight=BIG))
    return an_lrp("web", BIG, **fields)


LARGE = {
    "all are to be made": [the_lrp()],
    "all are updated": [the_lrp(), *running(2)],
    "all are updated, stopped first": [the_lrp(update=STOP_FIRST), *running(2)],
    "all are made anew": [
        the_lrp(update=UpdatePolicy(strategy=UpdatePolicy.RECREATE)),
        *running(2),
    ],
    "all are being moved": [
        the_lrp(),
        *running(presence=ActualLrp.EVACUATING, instance_guid=""),
    ],
    "all are on a lost cell": [the_lrp(), *running(cell_id="cell-2")],
    "all are too many": [an_lrp("web", 0), *running()],
    "all are stopped": [the_lrp(stopped=True), *running()],
    "all are of no LRP": running(),
    "all wait for time": [the_lrp(update=UpdatePolicy(min_healthy_ms=10**7)), *running()],
}


@pytest.mark.parametrize("title", LARGE)
def test_one_process_is_as_many_steps_as_it_has_rows(title: str) -> None:
    """However much is to be done about a process, between two chances for a break it is done about
    so many rows at most: a few decisions each."""
    rows = [*LARGE[title]]
    for number, row in enumerate(rows):
        if isinstance(row, ActualLrp):
            row.instance_guid = f"i-{number}"
    cells = [a_cell("cell-1"), a_cell("cell-2", Cell.MISSING), *map(a_cell, ("a", "b", "c"))]
    snapshot = a_snapshot(*cells, *rows)
    counted = Counted()
    sheet_steps = converging(snapshot, all_keys(snapshot), NOW, sent=counted)
    steps, most = 0, 0
    for _ in sheet_steps:
        steps += 1
        most, counted.asked = max(most, counted.asked), 0
    assert steps >= BIG / ROWS
    assert most <= 4 * ROWS


class Counted(set[RowVersion]):
    """What is under way, which a pass asks about every row that it looks at."""

    asked = 0

    def __bool__(self) -> bool:
        return True

    def __len__(self) -> int:
        return 1

    def __contains__(self, about: object) -> bool:
        self.asked += 1
        return False


class TestAnAuction:
    def snapshot(self) -> Snapshot:
        rows = [
            an_instance(f"p{n % 7}", n // 7, ActualLrp.UNCLAIMED, instance_guid=f"i{n}")
            for n in range(700)
        ]
        lrps = [an_lrp(f"p{n}", 100) for n in range(7)]
        tasks = [a_task(f"t{n}") for n in range(300)]
        return a_snapshot(a_cell("a"), a_cell("b"), *lrps, *rows, *tasks)

    def test_runs_that_were_sorted_apart_are_in_one_order(self) -> None:
        lots = waiting(self.snapshot(), NOW)
        assert len(lots) == 1000
        assert lots == ordered(lots)

    def test_what_replaces_a_suspect_is_held_back_and_nothing_else(self) -> None:
        suspect = an_instance("p0", 3, presence=ActualLrp.SUSPECT, instance_guid="s")
        replacement = an_instance("p0", 3, ActualLrp.UNCLAIMED, instance_guid="r")
        other = an_instance("p0", 4, ActualLrp.UNCLAIMED, instance_guid="o")
        snapshot = a_snapshot(an_lrp("p0", 9), suspect, replacement, other)
        held = waiting(snapshot, NOW, hold_replacements=True)
        assert [lot.row_guid for lot in held] == ["o"]
        assert [lot.row_guid for lot in waiting(snapshot, NOW)] == ["r", "o"]

    def test_with_a_break_at_every_chance_it_comes_to_the_same(self) -> None:
        snapshot = self.snapshot()
        lots = waiting(snapshot, NOW)
        undivided = hold(lots, CellTable.of(snapshot), RULES)
        steps = holding(lots, CellTable.of(snapshot), RULES)
        for _ in lots:
            next(steps)
        assert in_one_go(steps) == undivided
        assert undivided.placements
        assert undivided.refusals

    def test_all_that_is_under_way_is_booked(self) -> None:
        snapshot, in_flight = self.snapshot(), InFlight()
        plan = hold(waiting(snapshot, NOW), CellTable.of(snapshot), RULES)
        for placement in plan.placements:
            in_flight.sent(placement.decision(), placement, NOW)
        cells = CellTable.of(snapshot)
        in_flight.book_into(cells)
        placed = [lot for lot in waiting(snapshot, NOW) if lot.row_guid not in in_flight.rows()]
        assert not hold(placed, cells, RULES).placements
