"""Cells and lots for auctions: valid by default, one field to vary."""

from collections.abc import Mapping, Sequence

from diegod.contracts.strategy import Work
from diegod.scheduler.core.auction import Rules
from diegod.scheduler.core.batch import Lot
from diegod.scheduler.core.cell_table import CellTable
from diegod.scheduler.core.filters import BUILTIN
from diegod.scheduler.core.snapshot import Load
from diegod.scheduler.strategies.spread import Spread
from diegod.v1.record_pb2 import Cell, Resources

RULES = Rules({"spread": Spread()}, BUILTIN, "spread")


def a_cell(cell_id: str, zone: str = "z1", memory_mb: int = 1024, **fields: object) -> Cell:
    fields.setdefault("rootfs_providers", ["preloaded:busybox"])
    return Cell(
        cell_id=cell_id,
        zone=zone,
        state=Cell.PRESENT,
        incarnation=7,
        capacity=Resources(memory_mb=memory_mb, disk_mb=10_000, containers=10),
        **fields,
    )


def a_table(
    cells: Sequence[Cell],
    loads: Mapping[str, Load] | None = None,
    placed: Mapping[str, Mapping[str, int]] | None = None,
) -> CellTable:
    loads, placed = loads or {}, placed or {}
    return CellTable(
        cells,
        [loads.get(cell.cell_id, Load()) for cell in cells],
        lambda process_guid: placed.get(process_guid, {}),
    )


def instance(guid: str, index: int = 0, memory_mb: int = 128, **fields: object) -> Lot:
    return a_lot("lrp", guid, index, memory_mb, **fields)


def task(guid: str, memory_mb: int = 128, **fields: object) -> Lot:
    return a_lot("task", guid, 0, memory_mb, **fields)


def a_lot(kind: str, guid: str, index: int, memory_mb: int, **fields: object) -> Lot:
    lot_fields = {k: fields.pop(k) for k in ("strategy", "placement_error") if k in fields}
    fields = {"disk_mb": 100, "containers": 1, "rootfs_provider": "preloaded:busybox"} | fields
    work = Work(kind=kind, guid=guid, index=index, memory_mb=memory_mb, **fields)
    return Lot(work, f"{kind}-{guid}-{index}", 42, **lot_fields)
