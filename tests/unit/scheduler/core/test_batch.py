"""The order of the auction, and who takes part in it."""

from hypothesis import given
from hypothesis import strategies as st

from diegod.contracts.strategy import Work
from diegod.scheduler.core.batch import Lot, ordered, waiting
from tests.unit.scheduler.core.worlds import World


def lot(kind: str, guid: str, index: int = 0, memory_mb: int = 128) -> Lot:
    work = Work(kind, guid, index, memory_mb, 256, 1, "preloaded:busybox")
    return Lot(work, f"{guid}-{index}", 1)


def titles(lots: list[Lot]) -> list[str]:
    return [lot.title for lot in lots]


def test_every_app_gets_one_instance_before_any_gets_its_second() -> None:
    lots = [
        lot("lrp", "web", 2, 4096),
        lot("lrp", "web", 1, 64),
        lot("task", "pebble", memory_mb=1),
        lot("task", "boulder", memory_mb=9999),
        lot("lrp", "api", 1, 512),
        lot("lrp", "api", 0, 64),
        lot("lrp", "web", 0, 512),
    ]
    order = ["web/0", "api/0", "boulder", "pebble", "api/1", "web/1", "web/2"]
    assert titles(ordered(lots)) == order


@given(st.permutations([lot("lrp", f"p{n}", n % 3, 128) for n in range(8)]))
def test_the_order_does_not_depend_on_who_came_first(lots: list[Lot]) -> None:
    assert ordered(lots) == ordered(lots[::-1])


def test_what_waits_is_what_is_wanted_and_has_no_place() -> None:
    world = World()
    world.people.lrp("web", 2)
    world.people.lrp("old", 1)
    world.people.task("backup")
    world.converge()
    world.people.scale("web", 1)
    world.people.lrp("old", 1, definition="v2")
    assert titles(waiting(world.snapshot(), world.board.now)) == ["web/0", "backup"]


def test_what_is_placed_does_not_wait() -> None:
    world = World()
    world.people.cell("cell-1")
    world.people.lrp("web")
    world.people.task("backup")
    world.converge()
    world.auction()
    assert waiting(world.snapshot(), world.board.now) == []


def test_replacements_can_be_held_back() -> None:
    world = World()
    world.people.cell("cell-1")
    world.people.lrp("web", 1)
    world.settle()
    world.people.lose("cell-1")
    world.people.lrp("new", 1)
    world.converge()
    snapshot, now = world.snapshot(), world.board.now
    assert titles(waiting(snapshot, now)) == ["new/0", "web/0"]
    assert titles(waiting(snapshot, now, hold_replacements=True)) == ["new/0"]
