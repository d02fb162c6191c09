"""Is everything as it is desired? Asked of the machines, by the rows that say what is desired.

The containers that really run are counted; each index of an LRP must run exactly once. Something
may be missing only where no cell that takes work has room for it, or where it waits for an LRP
that is not whole itself.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from diegod.contracts.backend import ContainerSpec
from diegod.v1.definition_pb2 import LrpDefinition, UpdatePolicy
from diegod.v1.record_pb2 import ActualLrp, Cell, DesiredLrp, PlacementNeeds, Rollout, Task
from tests.sim.people_schedules import SLOW, SLOW_S
from tests.sim.rows import Rows, rows_of

if TYPE_CHECKING:
    from tests.sim.ring import Ring
    from tests.sim.roles import SimCell

#: A task that the clock has made has so long to come to its end.
JUST_S = 20.0
#: Which index of a process runs where.
Running = list[tuple[int, str]]


def shortcomings(ring: "Ring") -> Iterator[str]:
    """What is not yet as it is desired."""
    rows = ring.history.rows
    for task in rows.tasks.values():
        if task.state in (Task.PENDING, Task.RUNNING) and not _is_just_made(rows, task):
            name = Task.State.Name(task.state)
            yield f"task {task.task_guid} is {name} ({task.placement_error or task.cell_id})"
    running = _running(ring)
    for cell in ring.living_cells():
        yield from _of_cell(ring, cell)
    for lrp in rows.lrps.values():
        if lrp.removing:
            yield f"{lrp.process_guid} is still being removed"
        yield from _of_lrp(ring, lrp, running.pop(lrp.process_guid, []))
    for process_guid, places in running.items():
        yield f"{process_guid} is not desired, and runs {sorted(places)}"
    yield from ring.slots.overdue()
    yield from ring.standings.overdue()


def _is_just_made(rows: Rows, task: Task) -> bool:
    """By the clock, which does not stop for the end of a story."""
    made_s = task.created_at.ToNanoseconds() / 1e9
    runs_s = SLOW_S if task.schedule_name == SLOW else 0.0
    return bool(task.schedule_name) and made_s > rows.at_s - JUST_S - runs_s


def _running(ring: "Ring") -> dict[str, Running]:
    found: dict[str, Running] = {}
    for cell in ring.living_cells():
        for spec in cell.host.live():
            if is_instance(spec):
                process_guid, index = ring.history.instances[spec.handle.removeprefix("l-")]
                found.setdefault(process_guid, []).append((index, cell.name))
    return found


def is_instance(spec: ContainerSpec) -> bool:
    return spec.handle.startswith("l-")


def _of_cell(ring: "Ring", cell: "SimCell") -> Iterator[str]:
    """Containers of nobody: whatever is there beside instances that run. Nothing, when drained."""
    rows = ring.history.rows
    row = rows.cells.get(cell.name)
    if row is None or row.state != Cell.PRESENT:
        yield f"{cell.name} is not registered"
    live = {spec.handle: None for spec in cell.host.live() if is_instance(spec)}
    due = [task.task_guid for task in rows.tasks.values() if _is_just_made(rows, task)]
    for spec in cell.host.specs():
        if any(spec.handle.startswith(f"t-{guid}-") for guid in due):
            continue
        if spec.handle not in live:
            yield f"{cell.name} still has {spec.handle}"
        elif row is not None and row.HasField("drain"):
            yield f"{cell.name} is drained, and has {spec.handle}"


def _of_lrp(ring: "Ring", lrp: DesiredLrp, running: Running) -> Iterator[str]:
    guid, indexes = lrp.process_guid, sorted(index for index, _ in running)
    is_short = len(indexes) < lrp.instances
    is_rolling = lrp.rollout.state == Rollout.ROLLING and not lrp.stopped
    if lrp.mode == LrpDefinition.GLOBAL:
        waits = _waits_for_room(ring, lrp, running)
    else:
        waits = (is_short or _starts_first(lrp)) and _excused(ring, lrp, indexes)
    if is_rolling and not waits:
        yield f"{guid} still rolls out version {lrp.version}"
    if lrp.stopped or lrp.removing:
        if running:
            yield f"{guid} is stopped, and runs {indexes}"
    elif lrp.mode == LrpDefinition.GLOBAL:
        yield from _of_global(ring, lrp, running)
    elif indexes != list(range(lrp.instances)) and not _excused(ring, lrp, indexes):
        told = rows_of(ring.history.rows, lrp)
        yield f"{guid} runs {indexes}, {lrp.instances} are desired: {told}"


def _starts_first(lrp: DesiredLrp) -> bool:
    """It is updated only while there is room for one more than is desired."""
    is_rolling = lrp.update.strategy == UpdatePolicy.ROLLING
    return is_rolling and lrp.update.order == UpdatePolicy.START_FIRST


def _of_global(ring: "Ring", lrp: DesiredLrp, running: Running) -> Iterator[str]:
    """One on each cell that takes work; none on one that is drained; none twice."""
    cells = sorted(name for _, name in running)
    indexes = {index: None for index, _ in running}
    if len(set(cells)) < len(cells) or len(indexes) < len(running):
        yield f"{lrp.process_guid} runs on {cells} as {sorted(indexes)}"
    for cell in open_cells(ring):
        if cell.name not in cells and has_room(cell, lrp.needs):
            yield f"{lrp.process_guid} does not run on {cell.name}"


def _waits_for_room(ring: "Ring", lrp: DesiredLrp, running: Running) -> bool:
    """Whether a cell that is to have an instance of a GLOBAL one has no room for it."""
    cells = dict.fromkeys(name for _, name in running)
    short = [c for c in open_cells(ring) if c.name not in cells and not has_room(c, lrp.needs)]
    ring.counts["short of room"] += len(short)
    return bool(short)


def _excused(ring: "Ring", lrp: DesiredLrp, indexes: list[int]) -> bool:
    """Some may be missing, none may be there twice or be too many."""
    if len(set(indexes)) < len(indexes) or indexes[-1:] > [lrp.instances - 1]:
        return False
    if lrp.depends_on and not _is_whole(ring, lrp.depends_on[0].lrp):
        return True
    if any(has_room(cell, lrp.needs) for cell in open_cells(ring)):
        return False
    ring.counts["short of room"] += 1
    return True


def _is_whole(ring: "Ring", process_guid: str) -> bool:
    rows = ring.history.rows
    lrp = rows.lrps.get(process_guid)
    if lrp is None or lrp.stopped or lrp.removing:
        return False
    serving = [row for row in rows.instances_of(process_guid) if row.state == ActualLrp.RUNNING]
    return len({row.index for row in serving}) >= lrp.instances


def open_cells(ring: "Ring") -> list["SimCell"]:
    """Those that take new work."""
    rows = ring.history.rows.cells
    return [
        cell
        for cell in ring.living_cells()
        if (row := rows.get(cell.name)) is not None
        and row.state == Cell.PRESENT
        and not (row.cordoned or row.HasField("drain") or row.unhealthy_reason)
    ]


def has_room(cell: "SimCell", needs: PlacementNeeds) -> bool:
    """By what is on the machine."""
    specs = cell.host.specs()
    used_mb = sum(spec.limits.memory_mb for spec in specs)
    fits = used_mb + needs.resources.memory_mb <= cell.plan.memory_mb
    return fits and len(specs) < cell.plan.containers
