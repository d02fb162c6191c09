"""The picture of the cluster, frame by frame."""

import os
import re

import pytest

from diegod.cli.look.picture import COLORS, Scene, color_of, frame, glyph, plain
from diegod.cli.look.visualize import World, painted
from diegod.v1.event_pb2 import WatchReply
from diegod.v1.record_pb2 import ActualLrp, Cell, Change, Drain, PlacementNeeds, Resources, Task
from tests.unit.cli.conftest import GOLDEN, Run
from tests.unit.cli.records import ago
from tests.unit.client.fake_cluster import FakeCluster


def cell(number: int, zone: str = "z1", **more: object) -> Cell:
    fields = {"state": Cell.PRESENT, "capacity": Resources(memory_mb=1024)} | more
    return Cell(cell_id=f"cell-{number}", zone=zone, **fields)  # type: ignore[arg-type]


def instance(
    name: str, index: int, where: str = "", state: int = ActualLrp.RUNNING, **more: object
) -> ActualLrp:
    place = "placed_cell_id" if state == ActualLrp.UNCLAIMED else "cell_id"
    fields = {place: where, "needs": PlacementNeeds(resources=Resources(memory_mb=128))} | more
    return ActualLrp(process_guid=name, index=index, state=state, **fields)  # type: ignore[arg-type]


def scene(cells: list[Cell], rows: list[ActualLrp], tasks: list[Task] | None = None) -> Scene:
    return Scene(
        {each.cell_id: each for each in cells},
        {f"{n}": row for n, row in enumerate(rows)},
        {task.task_guid: task for task in tasks or []},
    )


def a_bit_of_everything() -> Scene:
    return scene(
        [
            cell(1),
            cell(2, cordoned=True),
            cell(3, "z2", state=Cell.MISSING),
            cell(4, "z2", cordoned=True, drain=Drain(began_at=ago(1))),
            cell(5, "z2", unhealthy_reason="disk"),
        ],
        [
            instance("web", 0, "cell-1"),
            instance("web", 1, "cell-2", ActualLrp.CLAIMED),
            instance("web", 2, "cell-3", presence=ActualLrp.SUSPECT),
            instance("web", 2, "cell-1", ActualLrp.UNCLAIMED),
            instance("db", 0, "cell-4", presence=ActualLrp.EVACUATING),
            instance("db", 0, "", ActualLrp.UNCLAIMED),
            instance("oops", 0, "", ActualLrp.CRASHED, last_cell_id="cell-1"),
        ],
        [
            Task(task_guid="t-1", state=Task.RUNNING, cell_id="cell-1"),
            Task(task_guid="t-2", state=Task.PENDING),
            Task(task_guid="t-3", state=Task.COMPLETED, cell_id="cell-1"),
        ],
    )


def hundred_cells() -> Scene:
    cells = [cell(n, f"z{n % 3}") for n in range(100)]
    rows = [instance(f"app-{n % 17}", n // 17, f"cell-{n * 7 % 100}") for n in range(400)]
    return scene(cells, rows)


@pytest.mark.parametrize("width", [100, 60, 30])
def test_golden_frames(width: int) -> None:
    _same_as(f"picture-{width}.txt", plain(frame(a_bit_of_everything(), width)))


def test_a_hundred_cells_on_one_screen() -> None:
    _same_as("picture-100-cells.txt", plain(frame(hundred_cells(), 80, 40)))


def _same_as(golden: str, text: str) -> None:
    file = GOLDEN / golden
    if os.environ.get("DIEGOD_UPDATE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [*range(20, 60), 79, 80, 200])
@pytest.mark.parametrize("height", [None, 1, 5, 24])
def test_nothing_is_wider_or_higher_than_the_terminal(width: int, height: int | None) -> None:
    for each in (a_bit_of_everything(), hundred_cells(), scene([], [])):
        lines = plain(frame(each, width, height)).splitlines()
        assert max(map(len, lines)) <= width
        assert height is None or len(lines) <= height


def test_each_instance_has_exactly_one_box() -> None:
    text = plain(frame(hundred_cells(), 40))
    assert text.count("●") == 400 + 1  # and once in the legend


def test_a_process_keeps_its_colour() -> None:
    colors = [color_of(f"app-{n}") for n in range(200)]
    assert colors == [color_of(f"app-{n}") for n in range(200)]
    assert set(colors) == set(range(COLORS))
    first = frame(scene([cell(1)], [instance("web", 0, "cell-1")]), 80)
    boxes = [span for line in first for span in line if span.text == "●"]
    assert [span.style for span in boxes] == [color_of("web")]


def test_every_state_and_presence_has_a_glyph() -> None:
    states = [state for state in ActualLrp.State.values() if state != ActualLrp.INVALID]
    ordinary = {glyph(instance("web", 0, state=state)) for state in states}
    others = {
        glyph(instance("web", 0, presence=presence))
        for presence in (ActualLrp.SUSPECT, ActualLrp.EVACUATING)
    }
    assert len(ordinary | others) == 6


def test_what_a_stranger_wrote_does_not_steer_the_terminal() -> None:
    text = plain(frame(scene([cell(1, "z\x1b[2J")], [instance("a\nb", 0, "cell-1")]), 80))
    assert "\x1b" not in text
    assert "a b" in text


def test_painting_changes_nothing_but_colours() -> None:
    lines = frame(a_bit_of_everything(), 100)
    bare = re.sub(r"\x1b\[[0-9;]*m", "", painted(lines))
    assert [line.rstrip() for line in bare.splitlines()] == plain(lines).splitlines()


def test_the_world_follows_the_watch() -> None:
    world = World()
    row = instance("web", 0, "cell-1", instance_guid="i-1", domain="shop")
    world.observe(Change(verb=Change.CREATED, cell=cell(1)))
    world.observe(Change(verb=Change.CREATED, actual_lrp=row))
    world.observe(Change(verb=Change.CREATED, task=Task(task_guid="t", domain="other")))
    assert list(world.scene("shop").instances) == ["i-1"]
    assert list(world.scene("shop").tasks) == []
    assert list(world.scene().tasks) == ["t"]
    world.observe(Change(verb=Change.REMOVED, actual_lrp=row))
    assert not world.scene().instances


@pytest.mark.parametrize("flags", [[], ["--once"]])
def test_a_pipe_gets_one_plain_picture_of_everything(
    flags: list[str], cluster: FakeCluster, run: Run
) -> None:
    rows = [
        Change(verb=Change.CREATED, cell=cell(1)),
        Change(verb=Change.CREATED, actual_lrp=instance("web", 0, "cell-1", instance_guid="i")),
    ]
    late = Change(verb=Change.CREATED, cell=cell(2))
    cluster.watched = [
        WatchReply(rows=rows),
        WatchReply(rows=[late], rows_end=True),
        WatchReply(changes=[Change(verb=Change.REMOVED, cell=cell(1))]),
    ]
    result = run("visualize", *flags)
    assert (result.status, result.err) == (0, "")
    assert [line.split()[0] for line in result.text.splitlines()[:3]] == ["z1", "cell-1", "cell-2"]
    assert "\x1b" not in result.text
