"""The brain's view of the cluster: the rows of the BBS at one revision, with the indexes that
convergence and the auction read.

It changes only by `apply_changes`, so it is what the change feed said and nothing else. Does not
belong here: what the brain has decided but not yet seen happen (`in_flight`).
"""

from bisect import insort
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from diegod.v1.definition_pb2 import Dependency, LrpDefinition
from diegod.v1.record_pb2 import (
    ActualLrp,
    Cell,
    Change,
    DesiredLrp,
    Domain,
    PlacementNeeds,
    Task,
    TaskSchedule,
)

Occupant: TypeAlias = Task | ActualLrp
_K = TypeVar("_K")
_V = TypeVar("_V")
_NONE: dict[str, ActualLrp] = {}


class Key(NamedTuple):
    """What convergence looks at together: a task, a process with its instances, a schedule, a
    cell, or a domain."""

    kind: str
    guid: str


TASK, PROCESS, CELL, SCHEDULE, DOMAIN = "task", "process", "cell", "schedule", "domain"


@dataclass(frozen=True)
class Touched:
    """What some changes bear upon."""

    keys: tuple[Key, ...]
    room_grew: bool  # some cell can take more than before: refused work may be tried again


@dataclass
class Load:
    """What is placed on a cell or runs there."""

    memory_mb: int = 0
    disk_mb: int = 0
    containers: int = 0
    starting: int = 0
    tasks: int = 0


def seconds(at: Timestamp) -> float:
    return at.seconds + at.nanos / 1e9


def key_of(row: Occupant) -> Key:
    if isinstance(row, Task):
        return Key(TASK, row.task_guid)
    return Key(PROCESS, row.process_guid)


def depended_on(dependency: Dependency) -> Key:
    return Key(PROCESS, dependency.lrp) if dependency.lrp else Key(TASK, dependency.task)


def containers_of(needs: PlacementNeeds) -> int:
    return needs.resources.containers or 1


class Snapshot:
    def __init__(self) -> None:
        self.revision = 0
        self.at = 0.0  # the last replicated stamp seen; 0: none yet
        self.tasks: dict[str, Task] = {}
        self.desired: dict[str, DesiredLrp] = {}
        self.instances: dict[str, ActualLrp] = {}
        self.cells: dict[str, Cell] = {}
        self.domains: dict[str, Domain] = {}
        #: The cells that are present and not drained: what runs there may stay.
        self.steady: dict[str, None] = {}
        #: The LRPs that are to have an instance on every cell that may run one.
        self.everywhere: dict[str, None] = {}
        #: When each missing cell was lost, in the order of loss; without accepted losses.
        self.missing: list[tuple[float, str]] = []
        self.schedules: dict[str, TaskSchedule] = {}
        #: All and only the tasks and instances that wait for a placement.
        self.pending: dict[str, Task] = {}
        self.unclaimed: dict[str, ActualLrp] = {}
        self._instances_of: dict[str, dict[str, ActualLrp]] = {}
        self._occupants: dict[str, dict[Key, int]] = {}
        self._loads: dict[str, Load] = {}
        self._present_count = 0
        #: By domain, the processes with instances in it; and those with adopted instances.
        self._in_domain: dict[str, dict[str, int]] = {}
        self._adopted: dict[str, int] = {}
        #: Of each schedule, the tasks of its slots that have not ended.
        self._unfinished: dict[str, dict[str, None]] = {}
        #: Of each task and process that something waits for: what does.
        self._dependents: dict[Key, dict[Key, None]] = {}

    def apply_changes(self, changes: Iterable[Change]) -> Touched:
        """Rows of the beginning and changes alike; in the order of the feed."""
        keys: dict[Key, None] = {}
        room_grew = False
        for change in changes:
            self.at = max(self.at, seconds(change.at))
            self.revision = max(self.revision, change.revision)
            removed = change.verb == Change.REMOVED
            match change.WhichOneof("row"):
                case "task":
                    key = Key(TASK, change.task.task_guid)
                    keys |= {key: None} | self._dependents.get(key, {})
                    room_grew |= self._set_task(change.task, removed)
                case "actual_lrp":
                    keys[Key(PROCESS, change.actual_lrp.process_guid)] = None
                    room_grew |= self._set_instance(change.actual_lrp, removed)
                case "desired_lrp":
                    keys[Key(PROCESS, change.desired_lrp.process_guid)] = None
                    self._set_desired(change.desired_lrp, removed)
                case "cell":
                    keys[Key(CELL, change.cell.cell_id)] = None
                    self._set_cell(change.cell, removed)
                    room_grew = True
                case "domain":
                    keys[Key(DOMAIN, change.domain.domain)] = None
                    self._set_domain(change.domain, removed)
                case "task_schedule":
                    keys[Key(SCHEDULE, change.task_schedule.name)] = None
                    self._set_schedule(change.task_schedule, removed)
        return Touched(tuple(sorted(keys)), room_grew)

    def instances_of(self, process_guid: str) -> list[ActualLrp]:
        """By index; of one index, the ordinary one first."""
        rows = self.rows_of(process_guid)
        return sorted(rows, key=lambda row: (row.index, row.presence, row.instance_guid))

    def rows_of(self, process_guid: str) -> Collection[ActualLrp]:
        """The instances in the order in which they arrived."""
        return self._instances_of.get(process_guid, _NONE).values()

    def instance_count(self, process_guid: str) -> int:
        return len(self._instances_of.get(process_guid, _NONE))

    def started(self) -> list[str]:
        """The processes that have instances, in the order in which they arrived."""
        return list(self._instances_of)

    def unsure_in(self, domain: str) -> list[Key]:
        """The processes with instances that may be superfluous, if this domain is fresh."""
        return [
            Key(PROCESS, guid)
            for guid in self._in_domain.get(domain, {})
            if guid not in self.desired or guid in self._adopted
        ]

    def unfinished_of(self, schedule_name: str) -> list[str]:
        """The tasks of earlier slots that have not ended; those that people dispatched aside."""
        return sorted(self._unfinished.get(schedule_name, {}))

    def processes(self) -> list[str]:
        """Those that are desired and those that only have instances left."""
        return sorted({*self.desired, *self._instances_of})

    def keys_on(self, cell_id: str) -> list[Key]:
        """The tasks and processes that something on this cell, or on its way to it, belongs to."""
        return sorted(self._occupants.get(cell_id, {}))

    def load(self, cell_id: str) -> Load:
        return self._loads.get(cell_id) or Load()

    def is_present(self, cell_id: str) -> bool:
        cell = self.cells.get(cell_id)
        return cell is not None and cell.state == Cell.PRESENT

    def present_cells(self) -> list[Cell]:
        """By cell id."""
        return [c for _, c in sorted(self.cells.items()) if c.state == Cell.PRESENT]

    def is_given_up(self, cell_id: str) -> bool:
        """Whether it is known of a cell that it does not come back: nothing waits for it."""
        if not cell_id:
            return False
        cell = self.cells.get(cell_id)
        return cell is None or (cell.state != Cell.PRESENT and cell.loss_accepted)

    @property
    def present_count(self) -> int:
        return self._present_count

    @property
    def missing_count(self) -> int:
        return len(self.cells) - self._present_count

    def instances_by_cell(self, process_guid: str) -> Mapping[str, int]:
        """How many instances of the process are on each cell, or on their way to it."""
        counts: dict[str, int] = {}
        for row in self._instances_of.get(process_guid, {}).values():
            if cell_id := _whereabouts(row):
                counts[cell_id] = counts.get(cell_id, 0) + 1
        return counts

    def _set_task(self, task: Task, removed: bool) -> bool:
        before = self.tasks.pop(task.task_guid, None)
        room_grew = self._leave(before)
        self.pending.pop(task.task_guid, None)
        self._index(before, task, removed)
        if removed:
            return room_grew
        self.tasks[task.task_guid] = task
        if task.state == Task.PENDING and not task.placed_cell_id:
            self.pending[task.task_guid] = task
        self._enter(task)
        return room_grew and not _whereabouts(task)

    def _set_instance(self, row: ActualLrp, removed: bool) -> bool:
        guid = row.instance_guid
        old = self.instances.pop(guid, None)
        room_grew = self._leave(old)
        self.unclaimed.pop(guid, None)
        siblings = self._instances_of.setdefault(row.process_guid, {})
        siblings.pop(guid, None)
        if old is not None:
            self._count_in_domain(old, -1)
        if removed:
            if not siblings:
                del self._instances_of[row.process_guid]
            return room_grew
        self.instances[guid] = siblings[guid] = row
        self._count_in_domain(row, 1)
        if row.state == ActualLrp.UNCLAIMED and not row.placed_cell_id:
            self.unclaimed[guid] = row
        self._enter(row)
        return room_grew and not _whereabouts(row)

    def _count_in_domain(self, row: ActualLrp, sign: int) -> None:
        _add(self._in_domain.setdefault(row.domain, {}), row.process_guid, sign)
        if row.adopted_revision:
            _add(self._adopted, row.process_guid, sign)

    def _set_desired(self, desired: DesiredLrp, removed: bool) -> None:
        guid = desired.process_guid
        self.everywhere.pop(guid, None)
        if removed:
            self.desired.pop(guid, None)
            return
        self.desired[guid] = desired
        if desired.mode == LrpDefinition.GLOBAL:
            self.everywhere[guid] = None

    def _set_domain(self, domain: Domain, removed: bool) -> None:
        if removed:
            self.domains.pop(domain.domain, None)
        else:
            self.domains[domain.domain] = domain

    def _set_cell(self, cell: Cell, removed: bool) -> None:
        cell_id, old = cell.cell_id, self.cells.pop(cell.cell_id, None)
        self.steady.pop(cell_id, None)
        if old is not None and old.state == Cell.PRESENT:
            self._present_count -= 1
        elif old is not None and not old.loss_accepted:
            self.missing.remove((seconds(old.since), cell_id))
        if removed:
            return
        self.cells[cell_id] = cell
        if cell.state == Cell.PRESENT:
            self._present_count += 1
            if not cell.HasField("drain"):
                self.steady[cell_id] = None
        elif not cell.loss_accepted:
            insort(self.missing, (seconds(cell.since), cell_id))

    def _set_schedule(self, schedule: TaskSchedule, removed: bool) -> None:
        if removed:
            self.schedules.pop(schedule.name, None)
        else:
            self.schedules[schedule.name] = schedule

    def _index(self, before: Task | None, after: Task, removed: bool) -> None:
        """By what it waits for, and by the schedule whose slot it is."""
        key = Key(TASK, after.task_guid)
        for dependency in before.depends_on if before else ():
            _drop(self._dependents, depended_on(dependency), key)
        if before is not None and before.schedule_name:
            _drop(self._unfinished, before.schedule_name, before.task_guid)
        if removed:
            return
        for dependency in after.depends_on if after.state == Task.PENDING else ():
            self._dependents.setdefault(depended_on(dependency), {})[key] = None
        if after.HasField("slot") and after.state in (Task.PENDING, Task.RUNNING):
            self._unfinished.setdefault(after.schedule_name, {})[after.task_guid] = None

    def _enter(self, row: Occupant) -> None:
        if cell_id := _whereabouts(row):
            self._count(cell_id, row, 1)

    def _leave(self, row: Occupant | None) -> bool:
        if row is None or not (cell_id := _whereabouts(row)):
            return False
        self._count(cell_id, row, -1)
        return True

    def _count(self, cell_id: str, row: Occupant, sign: int) -> None:
        occupants = self._occupants.setdefault(cell_id, {})
        _add(occupants, key_of(row), sign)
        load = self._loads.setdefault(cell_id, Load())
        load.memory_mb += sign * row.needs.resources.memory_mb
        load.disk_mb += sign * row.needs.resources.disk_mb
        load.containers += sign * containers_of(row.needs)
        load.starting += sign * is_starting(row)
        load.tasks += sign * isinstance(row, Task)


def _add(counts: dict[_K, int], key: _K, sign: int) -> None:
    """What is counted down to nothing is forgotten."""
    counts[key] = counts.get(key, 0) + sign
    if not counts[key]:
        del counts[key]


def _drop(index: dict[_K, dict[_V, None]], key: _K, value: _V) -> None:
    """An entry that is left empty goes, so that an index does not grow for ever."""
    if (values := index.get(key)) is not None:
        values.pop(value, None)
        if not values:
            del index[key]


def _whereabouts(row: Occupant) -> str:
    """The cell whose room the row takes; empty: none."""
    if isinstance(row, Task):
        if row.state == Task.RUNNING:
            return row.cell_id
        return row.placed_cell_id if row.state == Task.PENDING else ""
    if row.state == ActualLrp.UNCLAIMED:
        return row.placed_cell_id
    return row.cell_id if row.state in (ActualLrp.CLAIMED, ActualLrp.RUNNING) else ""


def is_starting(row: Occupant) -> bool:
    return row.state != (Task.RUNNING if isinstance(row, Task) else ActualLrp.RUNNING)
