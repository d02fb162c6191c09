"""The cells that may run some work, whatever else is on them: as the fixed filters say.

Does not belong here: room, and whether a cell takes work at present.
"""

from collections.abc import Sequence

import numpy as np

from diegod.contracts.strategy import Work
from diegod.scheduler.core.cell_table import CellTable
from diegod.scheduler.core.filters import BUILTIN
from diegod.scheduler.core.snapshot import Load, Snapshot, containers_of
from diegod.v1.record_pb2 import PlacementNeeds

#: Those that ask what a cell is, as opposed to how it is at present.
_FILTERS = ("rootfs", "placement-tags")


def eligible_cells(snapshot: Snapshot, needs: PlacementNeeds) -> Sequence[str]:
    """The ids of the present cells that the work fits, by cell id."""
    cells = snapshot.present_cells()
    if needs.cell_id:
        cells = [cell for cell in cells if cell.cell_id == needs.cell_id]
    if not cells:
        return []
    table = CellTable(cells, [Load()] * len(cells), lambda _: {})
    work = _work(needs)
    columns = table.columns(work)
    admitted = np.ones(len(cells), dtype=np.bool_)
    for name in _FILTERS:
        admitted &= BUILTIN[name].admits(columns, work)
    return [cells[row].cell_id for row in np.flatnonzero(admitted)]


def _work(needs: PlacementNeeds) -> Work:
    return Work(
        kind="lrp",
        guid="",
        index=0,
        memory_mb=needs.resources.memory_mb,
        disk_mb=needs.resources.disk_mb,
        containers=containers_of(needs),
        rootfs_provider=needs.rootfs_provider,
        placement_tags=frozenset(needs.placement_tags),
    )
