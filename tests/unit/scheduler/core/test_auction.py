"""Who gets which cell, and what those are told who get none."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diegod.contracts.strategy import CellColumns, Floats, Mask, ScalarStrategy, Work
from diegod.scheduler.core.auction import Plan, Refusal, Rules, hold
from diegod.scheduler.core.batch import Lot, ordered
from diegod.scheduler.core.filters import BUILTIN
from diegod.scheduler.core.snapshot import Load
from diegod.scheduler.strategies.spread import Spread
from diegod.v1.record_pb2 import Cell, Drain
from tests.unit.scheduler.core.lots import RULES, a_cell, a_lot, a_table, instance, task


def cells_of(plan: Plan) -> list[str]:
    return [placement.cell_id for placement in plan.placements]


def refusal_of(lot: Lot, *cells: Cell, rules: Rules = RULES) -> str:
    (refusal,) = hold([lot], a_table(cells), rules).refusals
    return refusal.text


class TestSpread:
    def test_instances_of_one_app_go_to_different_zones_then_cells(self) -> None:
        cells = [a_cell("a1", "a"), a_cell("a2", "a"), a_cell("b1", "b"), a_cell("b2", "b")]
        plan = hold([instance("web", n) for n in range(4)], a_table(cells), RULES)
        assert cells_of(plan) == ["a1", "b1", "a2", "b2"]

    def test_the_balance_of_zones_goes_before_a_crowded_cell(self) -> None:
        cells = [a_cell("a1", "a"), a_cell("a2", "a"), a_cell("b1", "b")]
        placed = {"web": {"a1": 2, "b1": 1}}
        plan = hold([instance("web", 3)], a_table(cells, placed=placed), RULES)
        assert cells_of(plan) == ["b1"]

    def test_a_cell_without_the_app_goes_before_an_emptier_one(self) -> None:
        cells = [a_cell("a1"), a_cell("a2")]
        table = a_table(cells, {"a2": Load(800, 9000, 8)}, {"web": {"a1": 1}})
        assert cells_of(hold([instance("web", 1)], table, RULES)) == ["a2"]

    def test_of_zones_with_equal_counts_the_emptier_cell_wins(self) -> None:
        cells = [a_cell("a1", "a"), a_cell("b1", "b")]
        table = a_table(cells, {"a1": Load(memory_mb=512)}, {"web": {"a1": 1, "b1": 1}})
        assert cells_of(hold([instance("web", 2)], table, RULES)) == ["b1"]

    def test_a_zone_without_room_is_passed_over(self) -> None:
        cells = [a_cell("a1", "a", memory_mb=64), a_cell("b1", "b")]
        plan = hold([instance("web", n) for n in range(2)], a_table(cells), RULES)
        assert cells_of(plan) == ["b1", "b1"]

    def test_tasks_ignore_zones_and_avoid_tasks(self) -> None:
        cells = [a_cell("a1", "a"), a_cell("a2", "a"), a_cell("b1", "b")]
        table = a_table(cells, {"a1": Load(tasks=1), "b1": Load(tasks=2)})
        assert cells_of(hold([task("t1"), task("t2")], table, RULES)) == ["a2", "a1"]

    def test_what_starts_at_once_starts_apart(self) -> None:
        cells = [a_cell("a1"), a_cell("a2", memory_mb=2048)]
        table = a_table(cells, {"a2": Load(starting=4)})
        assert cells_of(hold([instance("web")], table, RULES)) == ["a1"]

    def test_binpack_weight_fills_the_first_cells_of_a_zone(self) -> None:
        cells = [a_cell("a1"), a_cell("a2")]
        rules = Rules({"spread": Spread(binpack_weight=1.0)}, BUILTIN, "spread")
        lots = [instance(f"app-{n}") for n in range(3)]
        assert cells_of(hold(lots, a_table(cells), rules)) == ["a1"] * 3

    def test_the_first_among_equals_wins(self) -> None:
        cells = [a_cell("a"), a_cell("b")]
        assert cells_of(hold([instance("web")], a_table(cells), RULES)) == ["a"]


class TestPlacements:
    def test_a_placement_names_row_cell_and_incarnation(self) -> None:
        plan = hold([instance("web"), task("backup")], a_table([a_cell("cell-1")]), RULES)
        on_instance, on_task = (placement.decision() for placement in plan.placements)
        action = on_instance.action
        assert (action.instance_guid, action.row_revision) == ("lrp-web-0", 42)
        assert (action.cell_id, action.cell_incarnation) == ("cell-1", 7)
        assert on_instance.reason == "web/0: cell-1 is the only possible cell"
        assert on_task.action.task_guid == "task-backup-0"

    def test_each_placement_is_booked_before_the_next(self) -> None:
        plan = hold([task(f"t{n}", 400) for n in range(3)], a_table([a_cell("c")]), RULES)
        assert cells_of(plan) == ["c", "c"]
        assert [refusal.lot.title for refusal in plan.refusals] == ["t2"]

    def test_a_lot_may_name_its_strategy(self) -> None:
        rules = Rules({"spread": Spread(), "last": Last()}, BUILTIN, "spread")
        cells = [a_cell("a"), a_cell("b")]
        plan = hold([task("t", strategy="last")], a_table(cells), rules)
        assert cells_of(plan) == ["b"]
        assert plan.placements[0].reason == "t: b is last's choice of 2 possible cells"


class Last(ScalarStrategy):
    def score_one(self, cells: CellColumns, row: int, work: Work) -> float:
        return float(-row)


class TestRefusals:
    def test_short_of_memory(self) -> None:
        text = refusal_of(instance("big", memory_mb=53_424), a_cell("cell-1"), a_cell("cell-2"))
        assert text == "2 cells: 2 short of memory (nearest: cell-1 lacks 52400 MB)"

    def test_the_nearest_is_the_one_that_lacks_least(self) -> None:
        cells = [a_cell("cell-1"), a_cell("cell-2", memory_mb=2000)]
        assert "(nearest: cell-2 lacks 500 MB)" in refusal_of(task("t", 2500), *cells)

    def test_each_cell_is_counted_once_under_its_first_reason(self) -> None:
        cells = [
            a_cell("cell-1"),
            a_cell("cell-2", placement_tags=["gold"]),
            a_cell("cell-3", rootfs_providers=["preloaded:jammy"], memory_mb=1),
            a_cell("cell-4", unhealthy_reason="no runc"),
            a_cell("cell-5", cordoned=True),
        ]
        assert refusal_of(instance("web", memory_mb=2000), *cells) == (
            "5 cells: 1 unhealthy (cell-4: no runc), "
            "1 closed to new work (cell-5 is cordoned), "
            "1 without rootfs preloaded:busybox, "
            "1 placement tags (cell-2 takes only work tagged gold), "
            "1 short of memory (nearest: cell-1 lacks 976 MB)"
        )

    def test_disk_and_containers(self) -> None:
        text = refusal_of(task("t", disk_mb=10_001), a_cell("c"))
        assert text == "1 cell: 1 short of disk (nearest: c lacks 1 MB)"
        text = refusal_of(task("t", containers=12), a_cell("c"))
        assert text == "1 cell: 1 short of containers (nearest: c lacks 2)"

    def test_a_cell_that_is_being_drained_takes_nothing(self) -> None:
        draining = a_cell("cell-1", cordoned=True, drain=Drain())
        assert refusal_of(task("t"), draining) == (
            "1 cell: 1 closed to new work (cell-1 is draining)"
        )

    def test_work_that_names_its_cell_goes_there_or_nowhere(self) -> None:
        cells = [a_cell("cell-1"), a_cell("cell-2", memory_mb=256)]
        plan = hold([task("t", cell_id="cell-2"), task("u")], a_table(cells), RULES)
        assert cells_of(plan) == ["cell-2", "cell-1"]
        assert refusal_of(task("t", 512, cell_id="cell-2"), *cells) == (
            "2 cells: 1 other than cell-2, 1 short of memory (nearest: cell-2 lacks 256 MB)"
        )
        assert refusal_of(task("t", cell_id="cell-9"), *cells) == (
            "2 cells: 2 other than cell-9 (cell-9 is not present)"
        )

    def test_what_waits_for_something_is_told_so_and_books_nothing(self) -> None:
        waits = replace(task("t", 1024), waits_for="waits for lrp db: 0 of 1 healthy")
        plan = hold([waits, task("u", 1024)], a_table([a_cell("cell-1")]), RULES)
        assert [refusal.text for refusal in plan.refusals] == [waits.waits_for]
        assert [placement.lot.title for placement in plan.placements] == ["u"]

    def test_no_cell_at_all(self) -> None:
        assert refusal_of(task("t")) == "no cell is present"

    def test_a_strategy_that_the_brain_does_not_have(self) -> None:
        text = refusal_of(task("t", strategy="magic"), a_cell("c"))
        assert text == 'the brain has no placement strategy "magic" (it has: spread)'

    def test_only_a_new_text_is_news(self) -> None:
        text = "1 cell: 1 short of memory (nearest: c lacks 976 MB)"
        assert not Refusal(task("t", placement_error=text), text).is_news
        older = text.replace("976", "10")
        refusal = Refusal(task("t", placement_error=older), text)
        assert refusal.is_news
        assert not refusal.is_news_in_kind
        assert Refusal(task("t"), text).is_news_in_kind

    def test_a_refusal_is_written_into_its_own_row(self) -> None:
        on_task = Refusal(task("t"), "no room").decision().action
        assert (on_task.task_guid, on_task.placement_error) == ("task-t-0", "no room")
        on_instance = Refusal(instance("web"), "no room").decision().action
        assert (on_instance.instance_guid, on_instance.row_revision) == ("lrp-web-0", 42)


class Broken:
    def __init__(self, answer: Floats | None) -> None:
        self.answer = answer

    def score(self, cells: CellColumns, work: Work) -> Floats:
        if self.answer is None:
            raise KeyError("gpu")
        return self.answer


class Meddling:
    def admits(self, cells: CellColumns, work: Work) -> Mask:
        cells.memory_mb_free[0] = 10**9
        return np.ones(len(cells), dtype=np.bool_)

    def explain(self, cells: CellColumns, work: Work, refused: Mask) -> str:
        return "never"


class TestPluginsAtFault:
    @pytest.mark.parametrize(
        ("answer", "text"),
        [
            (None, "strategy \"bad\" or a filter failed: KeyError('gpu')"),
            (np.array([np.nan]), 'strategy "bad" did not give a finite score for every cell'),
            (np.array([1.0, 2.0]), 'strategy "bad" did not give a finite score for every cell'),
        ],
    )
    def test_it_costs_its_own_work_only(self, answer: Floats | None, text: str) -> None:
        rules = Rules({"bad": Broken(answer), "spread": Spread()}, BUILTIN, "spread")
        plan = hold([task("a", strategy="bad"), task("b")], a_table([a_cell("c")]), rules)
        assert [refusal.text for refusal in plan.refusals] == [text]
        assert [placement.lot.title for placement in plan.placements] == ["b"]

    def test_a_plugin_can_not_change_what_it_is_shown(self) -> None:
        rules = Rules({"spread": Spread()}, {"meddling": Meddling()}, "spread")
        assert "read-only" in refusal_of(task("t"), a_cell("c"), rules=rules)


# A second auction, written as plainly as possible, for small clusters.

ZONES, TAGS = ("a", "b", "c"), ("gold", "gpu")
tag_sets = st.lists(st.sampled_from(TAGS), max_size=2, unique=True)
clusters = st.lists(
    st.builds(
        dict,
        zone=st.sampled_from(ZONES),
        memory_mb=st.sampled_from([0, 128, 256, 1024]),
        placement_tags=tag_sets,
        optional_placement_tags=tag_sets,
        unhealthy_reason=st.sampled_from(["", "", "", "ill"]),
        cordoned=st.sampled_from([False, False, False, True]),
    ),
    max_size=6,
)
batches = st.lists(
    st.builds(
        lambda kind, guid, index, memory_mb, tags, cell_id: a_lot(
            kind,
            f"{kind}-{guid}",
            index if kind == "lrp" else 0,
            memory_mb,
            placement_tags=frozenset(tags),
            cell_id=cell_id,
        ),
        st.sampled_from(["lrp", "lrp", "task"]),
        st.integers(0, 2),
        st.integers(0, 3),
        st.sampled_from([0, 32, 64, 128]),
        tag_sets,
        st.sampled_from(["", "", "", "cell-1", "cell-9"]),
    ),
    max_size=12,
)


def make(cluster: list[dict[str, object]]) -> list[Cell]:
    return [a_cell(f"cell-{number}", **fields) for number, fields in enumerate(cluster)]


@settings(max_examples=200, deadline=None)
@given(clusters, batches)
def test_it_decides_as_a_plain_search_would(
    cluster: list[dict[str, object]], batch: list[Lot]
) -> None:
    cells, lots = make(cluster), ordered(batch)
    plan = hold(lots, a_table(cells), RULES)
    expected = PlainAuction(cells).hold(lots)
    assert [(p.lot, p.cell_id) for p in plan.placements] == expected
    assert len(plan.placements) + len(plan.refusals) == len(lots)


@settings(max_examples=100, deadline=None)
@given(clusters, batches)
def test_no_cell_is_ever_overfilled_and_every_refusal_counts_every_cell(
    cluster: list[dict[str, object]], batch: list[Lot]
) -> None:
    cells = make(cluster)
    plan = hold(ordered(batch), a_table(cells), RULES)
    for cell in cells:
        works = [p.lot.work for p in plan.placements if p.cell_id == cell.cell_id]
        assert sum(work.memory_mb for work in works) <= cell.capacity.memory_mb
        assert sum(work.disk_mb for work in works) <= cell.capacity.disk_mb
        assert sum(work.containers for work in works) <= cell.capacity.containers
    for refusal in plan.refusals:
        assert counted(refusal.text) == len(cells)


def counted(text: str) -> int:
    head, _, reasons = text.partition(": ")
    if not reasons:
        return 0
    assert head.split()[0] == str(sum(map(int, re.findall(r"(?:^|, )(\d+) ", reasons))))
    return int(head.split()[0])


@settings(max_examples=50, deadline=None)
@given(clusters, batches)
def test_the_same_input_gives_the_same_plan(
    cluster: list[dict[str, object]], batch: list[Lot]
) -> None:
    cells, lots = make(cluster), ordered(batch)
    assert hold(lots, a_table(cells), RULES) == hold(lots, a_table(cells), RULES)


class PlainAuction:
    def __init__(self, cells: Sequence[Cell]) -> None:
        self.cells = cells
        self.on: dict[str, list[Work]] = {cell.cell_id: [] for cell in cells}

    def hold(self, lots: Sequence[Lot]) -> list[tuple[Lot, str]]:
        placed = []
        for lot in lots:
            possible = [cell for cell in self.cells if self.can_run(cell, lot.work)]
            if possible:
                best = min(possible, key=lambda cell: self.rank(cell, lot.work))
                self.on[best.cell_id].append(lot.work)
                placed.append((lot, best.cell_id))
        return placed

    def can_run(self, cell: Cell, work: Work) -> bool:
        required, optional = set(cell.placement_tags), set(cell.optional_placement_tags)
        tags_match = required <= work.placement_tags <= required | optional
        works = [*self.on[cell.cell_id], work]
        fits = all(
            sum(getattr(w, name) for w in works) <= getattr(cell.capacity, name)
            for name in ("memory_mb", "disk_mb", "containers")
        )
        is_open = not cell.unhealthy_reason and not cell.cordoned
        return tags_match and fits and is_open and work.cell_id in ("", cell.cell_id)

    def rank(self, cell: Cell, work: Work) -> tuple[float, ...]:
        """By zone, then by siblings, then by load: no weights. Rounded, since sums of floats in
        another order are not the same to the last digit."""
        works = [*self.on[cell.cell_id], work]
        shares = [
            self.share(sum(getattr(w, name) for w in works), getattr(cell.capacity, name))
            for name in ("memory_mb", "disk_mb", "containers")
        ]
        load = round(sum(shares) / 3 + len(self.on[cell.cell_id]) * 0.25, 6)
        if work.kind == "task":
            return (sum(w.kind == "task" for w in self.on[cell.cell_id]), load)
        zone = [other for other in self.cells if other.zone == cell.zone]
        in_zone = sum(self.siblings(other, work) for other in zone)
        return (in_zone, self.siblings(cell, work), load)

    def share(self, used: int, total: int) -> float:
        return used / total if total else 1.0

    def siblings(self, cell: Cell, work: Work) -> int:
        return sum(w.kind == "lrp" and w.guid == work.guid for w in self.on[cell.cell_id])
