"""The cells as columns, while an auction goes on: each placement is booked before the next is
decided.

Strategies and filters see the columns through read-only views; only `book` changes them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from diegod.contracts.strategy import CellColumns, Ints, Work
from diegod.scheduler.core.snapshot import TASK, Load, Snapshot
from diegod.v1.record_pb2 import Cell

InstancesByCell = Callable[[str], Mapping[str, int]]


@dataclass(frozen=True)
class _ProcessColumns:
    """Where the instances of one process are, and all columns as work of that process sees them."""

    on_cell: Ints
    in_zone: Ints
    columns: CellColumns


class CellTable:
    """The present cells, in the order they are given: the first among equals wins."""

    def __init__(
        self, cells: Sequence[Cell], loads: Sequence[Load], instances_by_cell: InstancesByCell
    ) -> None:
        self.cells = cells
        self.row_of = {cell.cell_id: row for row, cell in enumerate(cells)}
        self._instances_by_cell = instances_by_cell
        self._zone_of, self._index_in_zone = _zones(cells)
        self._memory_mb_free = _column(c.capacity.memory_mb for c in cells)
        self._disk_mb_free = _column(c.capacity.disk_mb for c in cells)
        self._containers_free = _column(c.capacity.containers for c in cells)
        self._fixed = {
            "cell_ids": tuple(c.cell_id for c in cells),
            "zones": tuple(c.zone for c in cells),
            "rootfs_providers": tuple(frozenset(c.rootfs_providers) for c in cells),
            "placement_tags": tuple(frozenset(c.placement_tags) for c in cells),
            "optional_placement_tags": tuple(frozenset(c.optional_placement_tags) for c in cells),
            "unhealthy_reasons": tuple(c.unhealthy_reason for c in cells),
            "cordons": tuple(cordon(c) for c in cells),
            "memory_mb_total": _read_only(self._memory_mb_free.copy()),
            "disk_mb_total": _read_only(self._disk_mb_free.copy()),
            "containers_total": _read_only(self._containers_free.copy()),
            "index_in_zone": _read_only(self._index_in_zone),
        }
        self._memory_mb_free -= _column(load.memory_mb for load in loads)
        self._disk_mb_free -= _column(load.disk_mb for load in loads)
        self._containers_free -= _column(load.containers for load in loads)
        self._starting = _column(load.starting for load in loads)
        self._tasks = _column(load.tasks for load in loads)
        self._processes: dict[str, _ProcessColumns] = {}

    @classmethod
    def of(cls, snapshot: Snapshot) -> "CellTable":
        cells = snapshot.present_cells()
        loads = [snapshot.load(cell.cell_id) for cell in cells]
        return cls(cells, loads, snapshot.instances_by_cell)

    def columns(self, work: Work) -> CellColumns:
        """What a strategy or filter is shown; stays true as placements are booked."""
        return self._process(work).columns

    def book(self, row: int, work: Work) -> None:
        """The work is on its way to this cell."""
        self._memory_mb_free[row] -= work.memory_mb
        self._disk_mb_free[row] -= work.disk_mb
        self._containers_free[row] -= work.containers
        self._starting[row] += 1
        if work.kind == TASK:
            self._tasks[row] += 1
            return
        process = self._process(work)
        process.on_cell[row] += 1
        process.in_zone[self._zone_of == self._zone_of[row]] += 1

    def _process(self, work: Work) -> _ProcessColumns:
        """A task has no siblings; all tasks share one set of columns."""
        guid = "" if work.kind == TASK else work.guid
        process = self._processes.get(guid)
        if process is None:
            process = self._processes[guid] = self._make_process(guid)
        return process

    def _make_process(self, guid: str) -> _ProcessColumns:
        on_cell = np.zeros(len(self.cells), dtype=np.int64)
        for cell_id, count in (self._instances_by_cell(guid) if guid else {}).items():
            if (row := self.row_of.get(cell_id)) is not None:
                on_cell[row] = count
        in_zone = _sums_by_zone(on_cell, self._zone_of)
        columns = CellColumns(
            **self._fixed,  # type: ignore[arg-type]
            memory_mb_free=_read_only(self._memory_mb_free),
            disk_mb_free=_read_only(self._disk_mb_free),
            containers_free=_read_only(self._containers_free),
            starting=_read_only(self._starting),
            tasks=_read_only(self._tasks),
            same_process=_read_only(on_cell),
            same_process_in_zone=_read_only(in_zone),
        )
        return _ProcessColumns(on_cell, in_zone, columns)


def cordon(cell: Cell) -> str:
    """Why an operator's word keeps new work off this cell; empty: nothing does."""
    return "draining" if cell.HasField("drain") else "cordoned" if cell.cordoned else ""


def _column(values: Iterable[int]) -> Ints:
    return np.fromiter(values, dtype=np.int64)


def _read_only(column: Ints) -> Ints:
    """The same numbers, now and later, through a view that can't be written to."""
    view = column.view()
    view.flags.writeable = False
    return view


def _zones(cells: Sequence[Cell]) -> tuple[Ints, Ints]:
    """The number of each cell's zone, and which one of its zone each cell is."""
    number_of: dict[str, int] = {}
    sizes: dict[str, int] = {}
    zone_of, index_in_zone = [], []
    for cell in cells:
        zone_of.append(number_of.setdefault(cell.zone, len(number_of)))
        index_in_zone.append(sizes.get(cell.zone, 0))
        sizes[cell.zone] = index_in_zone[-1] + 1
    return _column(zone_of), _column(index_in_zone)


def _sums_by_zone(counts: Ints, zone_of: Ints) -> Ints:
    sums = np.zeros(int(zone_of.max(initial=-1)) + 1, dtype=np.int64)
    np.add.at(sums, zone_of, counts)
    return sums[zone_of]
