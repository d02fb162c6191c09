"""The incremental view against one made from scratch."""

from hypothesis import given, settings
from hypothesis import strategies as st

from diegod.scheduler.core.snapshot import CELL, PROCESS, TASK, Key, Load, Snapshot
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import ActualLrp, Change, Resources, Task
from tests.unit.scheduler.board import as_created, needs
from tests.unit.scheduler.core.worlds import World


def task_change(revision: int, state: int, placed: str = "", cell: str = "") -> Change:
    row = Task(
        task_guid="backup", state=state, placed_cell_id=placed, cell_id=cell, needs=needs(128)
    )
    return Change(revision=revision, verb=Change.CHANGED, task=row)


def test_a_task_takes_room_from_its_placement_to_its_end() -> None:
    snapshot = Snapshot()
    free, starting = Load(), Load(128, 256, 1, starting=1, tasks=1)
    running = Load(128, 256, 1, starting=0, tasks=1)
    for change, expected in [
        (task_change(1, Task.PENDING), free),
        (task_change(2, Task.PENDING, placed="cell-1"), starting),
        (task_change(3, Task.RUNNING, placed="cell-1", cell="cell-1"), running),
        (task_change(4, Task.COMPLETED, placed="cell-1", cell="cell-1"), free),
    ]:
        snapshot.apply_changes([change])
        assert snapshot.load("cell-1") == expected


def test_only_what_frees_room_says_so() -> None:
    snapshot = Snapshot()
    grew = [
        snapshot.apply_changes([change]).room_grew
        for change in [
            task_change(1, Task.PENDING),
            task_change(2, Task.PENDING, placed="cell-1"),
            task_change(3, Task.RUNNING, placed="cell-1", cell="cell-1"),
            task_change(4, Task.COMPLETED, placed="cell-1", cell="cell-1"),
        ]
    ]
    assert grew == [False, False, False, True]


def test_a_change_touches_the_task_the_process_or_the_cell_it_is_of() -> None:
    world = World()
    world.people.cell("cell-1")
    world.people.lrp("web")
    world.people.task("backup")
    touched = Snapshot().apply_changes(world.board.history)
    assert touched.keys == (Key(CELL, "cell-1"), Key(PROCESS, "web"), Key(TASK, "backup"))


def test_a_cell_leads_to_what_is_on_it() -> None:
    world = World()
    world.people.cell("cell-1")
    world.people.cell("cell-2")
    world.people.lrp("web", 4)
    world.people.task("backup")
    world.settle()
    snapshot = world.snapshot()
    assert Key(PROCESS, "web") in snapshot.keys_on("cell-1")
    assert sum(len(snapshot.keys_on(c)) for c in ("cell-1", "cell-2")) == 3
    world.people.remove_lrp("web")
    world.settle()
    keys = snapshot.keys_on("cell-1") + snapshot.keys_on("cell-2")
    assert keys == [Key(TASK, "backup")]


def test_a_suspect_instance_keeps_its_room_on_the_missing_cell() -> None:
    world = World()
    world.people.cell("cell-1")
    world.people.lrp("web")
    world.settle()
    world.people.lose("cell-1")
    world.converge()
    assert world.snapshot().load("cell-1").containers == 1
    assert world.snapshot().instances_by_cell("web") == {"cell-1": 1}


STEPS = st.lists(st.tuples(st.sampled_from("tlcrxsowduamg"), st.integers(0, 2)), max_size=25)


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_change_by_change_it_comes_to_what_a_new_brain_would_see(
    steps: list[tuple[str, int]],
) -> None:
    world = World()
    for step, number in steps:
        _step(world, step, number)
    incremental = world.snapshot()
    fresh = Snapshot()
    fresh.apply_changes([as_created(row) for row in world.board.rows.values()])
    assert visible(incremental) == visible(fresh)


def visible(snapshot: Snapshot) -> tuple[object, ...]:
    cells = sorted(snapshot.cells)
    return (
        sorted(snapshot.tasks),
        sorted(snapshot.instances),
        snapshot.processes(),
        sorted(snapshot.pending),
        sorted(snapshot.unclaimed),
        [snapshot.load(cell) for cell in cells],
        [snapshot.keys_on(cell) for cell in cells],
        [snapshot.is_present(cell) for cell in cells],
        snapshot.missing,
        (snapshot.present_count, snapshot.missing_count),
        (sorted(snapshot.steady), sorted(snapshot.everywhere)),
        sorted(snapshot.unsure_in("default")),
        [snapshot.instance_count(p) for p in snapshot.processes()],
        [[row.instance_guid for row in snapshot.instances_of(p)] for p in snapshot.processes()],
    )


def _step(world: World, step: str, number: int) -> None:
    match step:
        case "t":
            world.people.task(f"task-{number}")
        case "l":
            world.people.lrp(f"web-{number}", number)
        case "c":
            world.people.cell(f"cell-{number}")
        case "x" if world.board.cell(f"cell-{number}"):
            world.people.lose(f"cell-{number}")
        case "r" if world.board.desired_lrp(f"web-{number}"):
            world.people.remove_lrp(f"web-{number}")
        case "s":
            world.converge()
            world.auction()
        case "o":
            world.people.obey()
        case "w":
            world.wait(20)
        case "d" if world.board.cell(f"cell-{number}"):
            world.people.cell_is("DRAIN", f"cell-{number}")
        case "u" if world.board.cell(f"cell-{number}"):
            world.people.cell_is("UNCORDON", f"cell-{number}")
        case "a" if not world.snapshot().is_present(f"cell-{number}"):
            if world.board.cell(f"cell-{number}"):
                world.people.cell_is("ACCEPT_LOSS", f"cell-{number}")
        case "m" if not world.snapshot().is_present(f"cell-{number}"):
            if world.board.cell(f"cell-{number}"):
                world.people.cell_is("REMOVE", f"cell-{number}")
        case "g":
            world.people.lrp("agent", mode=LrpDefinition.GLOBAL)


def test_rows_come_in_one_order_whatever_order_they_arrived_in() -> None:
    rows = [
        ActualLrp(process_guid="web", index=index, instance_guid=guid, presence=presence)
        for index, guid, presence in [(1, "b", 0), (0, "d", 2), (0, "c", 0), (1, "a", 2)]
    ]
    orders = []
    for arrival in (rows, rows[::-1]):
        snapshot = Snapshot()
        snapshot.apply_changes([Change(verb=Change.CREATED, actual_lrp=row) for row in arrival])
        orders.append([row.instance_guid for row in snapshot.instances_of("web")])
    assert orders == [["c", "d", "b", "a"]] * 2


def test_work_without_a_container_count_takes_one() -> None:
    change = task_change(1, Task.PENDING, placed="cell-1")
    change.task.needs.resources.CopyFrom(Resources(memory_mb=1))
    snapshot = Snapshot()
    snapshot.apply_changes([change])
    assert snapshot.load("cell-1").containers == 1
