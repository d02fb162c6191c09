"""What is said about cells equals what a plain count says, on 500 random clusters."""

import random
from collections.abc import Callable, Mapping

import pytest

from diegod.contracts.strategy import CellColumns, Floats, Mask, Work
from diegod.scheduler.core.auction import Rules, hold
from diegod.scheduler.core.cell_verdicts import PRESENCE, PlacementView, explain
from diegod.scheduler.core.filters import BUILTIN
from diegod.scheduler.core.snapshot import Load
from diegod.scheduler.strategies.spread import Spread
from diegod.v1.cell_pb2 import CellStatus
from diegod.v1.record_pb2 import Cell, Drain, Resources
from tests.unit.scheduler.core.lots import RULES, a_cell, a_lot, a_table

CLUSTERS = 500
TAGS = ("gold", "gpu", "eu")


def a_status(cell: Cell, memory_mb: int = 0, disk_mb: int = 0, containers: int = 0) -> CellStatus:
    used = Resources(memory_mb=memory_mb, disk_mb=disk_mb, containers=containers)
    return CellStatus(cell=cell, used=used)


def a_work(**fields: object) -> Work:
    return a_lot("lrp", "web", 0, fields.pop("memory_mb", 128), **fields).work


class Case:
    """A cluster and a work, all of it by chance."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.cells = [self._cell(number) for number in range(self._chance.randint(0, 12))]
        self._chance.shuffle(self.cells)
        self.work = a_work(
            memory_mb=self._chance.choice([0, 64, 512, 2000]),
            disk_mb=self._chance.choice([0, 100, 9_999]),
            containers=self._chance.choice([1, 1, 4]),
            placement_tags=self._tags(),
            cell_id=self._chance.choice(["", "", "", "cell-3", "cell-99"]),
        )

    def _cell(self, number: int) -> CellStatus:
        pick = self._chance.choice
        cell = a_cell(
            f"cell-{number}",
            pick("abc"),
            memory_mb=pick([256, 1024, 2048]),
            rootfs_providers=pick([["preloaded:busybox"], ["preloaded:busybox"], ["dir"]]),
            placement_tags=self._tags(),
            optional_placement_tags=self._tags(),
            unhealthy_reason=pick(["", "", "", "no runc"]),
            cordoned=pick([False, False, False, True]),
            drain=pick([None, None, None, Drain()]),
        )
        cell.state = pick([Cell.PRESENT, Cell.PRESENT, Cell.PRESENT, Cell.MISSING])
        return a_status(cell, pick([0, 128, 500]), pick([0, 50, 9_000]), pick([0, 3, 9]))

    def _tags(self) -> frozenset[str]:
        return frozenset(self._chance.sample(TAGS, self._chance.choice([0, 0, 0, 1, 2])))


def is_short(name: str) -> Callable[[CellStatus, Work], bool]:
    def short(s: CellStatus, w: Work) -> bool:
        return getattr(s.cell.capacity, name) - getattr(s.used, name) < getattr(w, name)

    return short


def tags_differ(s: CellStatus, w: Work) -> bool:
    required, allowed = set(s.cell.placement_tags), set(s.cell.optional_placement_tags)
    return bool(required - w.placement_tags or w.placement_tags - required - allowed)


#: Each filter once more, of one cell, as plainly as possible; in the order in which they are asked.
REFUSES: Mapping[str, Callable[[CellStatus, Work], bool]] = {
    "cell": lambda s, w: w.cell_id not in ("", s.cell.cell_id),
    "health": lambda s, w: s.cell.unhealthy_reason != "",
    "cordon": lambda s, w: s.cell.cordoned or s.cell.HasField("drain"),
    "rootfs": lambda s, w: w.rootfs_provider not in s.cell.rootfs_providers,
    "placement-tags": tags_differ,
    "memory": is_short("memory_mb"),
    "disk": is_short("disk_mb"),
    "containers": is_short("containers"),
}


def refused_by(status: CellStatus, work: Work) -> list[str]:
    """By all filters that refuse it; a cell that is missing is asked nothing."""
    if status.cell.state != Cell.PRESENT:
        return [PRESENCE]
    return [name for name, refuses in REFUSES.items() if refuses(status, work)]


@pytest.mark.parametrize("block", range(10))
def test_every_count_is_what_a_plain_count_says(block: int) -> None:
    seen = set()
    for seed in range(block * CLUSTERS // 10, (block + 1) * CLUSTERS // 10):
        case = Case(seed)
        view = explain(case.cells, case.work, RULES)
        check_against_plain_count(view, case)
        seen |= {count.name for count in view.filters if count.alone}
    assert len(seen) >= 5  # the cases differ


def check_against_plain_count(view: PlacementView, case: Case) -> None:
    plain = {each.cell.cell_id: refused_by(each, case.work) for each in case.cells}
    assert {each.cell_id: list(each.refused_by) for each in view.cells} == plain
    assert [each.cell_id for each in view.cells] == sorted(plain)
    for count in view.filters:
        named = [names for names in plain.values() if count.name in names]
        assert count.refused == len(named)
        assert count.first == sum(names[0] == count.name for names in named)
        assert count.alone == sum(names == [count.name] for names in named)
        assert bool(count.text) == bool(named)
    assert len(view.possible) == sum(not names for names in plain.values())
    assert sum(count.first for count in view.filters) + len(view.possible) == len(case.cells)
    if missed := [names for names in plain.values() if names]:
        assert len(view.nearest_miss.reasons) == min(map(len, missed))


def test_it_chooses_what_the_auction_chooses_and_says_what_it_says() -> None:
    chosen, refused = 0, 0
    for seed in range(200):
        case = Case(seed)
        present = sorted(
            (each for each in case.cells if each.cell.state == Cell.PRESENT),
            key=lambda each: each.cell.cell_id,
        )
        loads = {
            each.cell.cell_id: Load(
                each.used.memory_mb, each.used.disk_mb, each.used.containers
            )
            for each in present
        }
        table = a_table([each.cell for each in present], loads)
        lot = a_lot("lrp", "web", 0, 0)
        plan = hold([type(lot)(case.work, "web-0", 1)], table, RULES)
        view = explain(case.cells, case.work, RULES)
        if plan.placements:
            chosen += 1
            assert view.choice == plan.placements[0].cell_id == view.possible[0].cell_id
            assert view.refusal == ""
        else:
            refused += 1
            assert (view.choice, view.refusal) == ("", plan.refusals[0].text)
            for count in view.filters:
                said = f"{count.first} {count.text}"
                assert count.name == PRESENCE or not count.first or said in view.refusal
    assert chosen > 20
    assert refused > 20


class TestNearestMiss:
    def test_it_fails_fewest_filters(self) -> None:
        cells = [
            a_status(a_cell("a", memory_mb=1000, cordoned=True)),
            a_status(a_cell("b", memory_mb=100)),
        ]
        miss = explain(cells, a_work(memory_mb=1024), RULES).nearest_miss
        assert (miss.cell_id, miss.reasons) == ("b", ("lacks 924 MB of memory",))

    def test_of_those_it_lacks_least(self) -> None:
        cells = [a_status(a_cell(name), memory_mb=used) for name, used in [("a", 600), ("b", 550)]]
        miss = explain(cells, a_work(memory_mb=512), RULES).nearest_miss
        assert (miss.cell_id, miss.reasons) == ("b", ("lacks 38 MB of memory",))

    def test_there_is_none_where_all_are_possible(self) -> None:
        assert explain([a_status(a_cell("a"))], a_work(), RULES).nearest_miss is None


def test_every_cell_says_all_its_reasons() -> None:
    cell = a_cell(
        "c",
        memory_mb=100,
        placement_tags=["gold"],
        rootfs_providers=["dir"],
        unhealthy_reason="no runc",
        drain=Drain(),
    )
    work = a_work(memory_mb=128, cell_id="d", disk_mb=10_001, containers=12)
    (verdict,) = explain([a_status(cell)], work, RULES).cells
    assert verdict.reasons == (
        "is not d",
        "is unhealthy: no runc",
        "is draining",
        "has no rootfs preloaded:busybox",
        "takes only work tagged gold",
        "lacks 28 MB of memory",
        "lacks 1 MB of disk",
        "lacks 2 containers",
    )
    assert verdict.score is None


def test_possible_cells_come_with_their_scores_the_best_first() -> None:
    cells = [a_status(a_cell("a"), memory_mb=512), a_status(a_cell("b"))]
    view = explain(cells, a_work(), RULES, instances_by_cell={"b": 1})
    assert [each.cell_id for each in view.possible] == ["a", "b"]
    assert view.possible[1].score - view.possible[0].score > 900
    assert view.choice == "a"


class Odd:
    """A third party's filter, which says no more than it must."""

    def admits(self, cells: CellColumns, work: Work) -> Mask:
        return cells.index_in_zone % 2 == 0

    def explain(self, cells: CellColumns, work: Work, refused: Mask) -> str:
        return "odd"


def test_a_filter_that_says_no_more_than_it_must_is_explained_too() -> None:
    rules = Rules({"spread": Spread()}, BUILTIN | {"even": Odd()}, "spread")
    cells = [a_status(a_cell("a")), a_status(a_cell("b"))]
    view = explain(cells, a_work(), rules)
    assert [each.reasons for each in view.cells] == [(), ("odd",)]
    assert (view.filters[-1].name, view.filters[-1].alone) == ("even", 1)


class Broken:
    def admits(self, cells: CellColumns, work: Work) -> Mask:
        raise KeyError("gpu")

    def explain(self, cells: CellColumns, work: Work, refused: Mask) -> str:
        raise KeyError("gpu")

    def score(self, cells: CellColumns, work: Work) -> Floats:
        raise KeyError("gpu")


def test_a_plugin_that_fails_is_part_of_the_explanation() -> None:
    cells = [a_status(a_cell("a"))]
    view = explain(cells, a_work(), Rules({"spread": Spread()}, {"broken": Broken()}, "spread"))
    assert view.cells[0].reasons == ("failed: KeyError('gpu')",)
    assert (view.choice, view.filters[0].alone) == ("", 1)
    view = explain(cells, a_work(), Rules({"bad": Broken()}, BUILTIN, "bad"))
    assert view.refusal == "strategy \"bad\" or a filter failed: KeyError('gpu')"
    assert [each.score for each in view.possible] == [None]


def test_a_strategy_that_is_not_there() -> None:
    view = explain([a_status(a_cell("a"))], a_work(), RULES, "magic")
    assert view.refusal == 'the brain has no placement strategy "magic" (it has: spread)'
    assert view.possible[0].score is None


def test_no_cell_at_all() -> None:
    view = explain([], a_work(), RULES)
    assert (view.cells, view.refusal) == ((), "no cell is present")
