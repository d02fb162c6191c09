"""The places of a GLOBAL LRP: one on each cell that may run it.

It stays on a cell that is cordoned or unhealthy, and is not made anew there. On a cell that is
missing it becomes suspect and waits for the cell; no other cell takes its place. It goes where the
cell is drained or removed, or may not run it any more.
"""

from collections.abc import Collection, Iterator

from diegod.scheduler.core.breaks import Steps, in_portions
from diegod.scheduler.core.eligibility import eligible_cells
from diegod.scheduler.core.lrps.process import Place, Process, Slot, is_settled, takes_more
from diegod.scheduler.core.repairs import Sheet
from diegod.scheduler.core.snapshot import Snapshot
from diegod.v1.record_pb2 import ActualLrp, Cell, DesiredLrp


def global_process(
    sheet: Sheet, desired: DesiredLrp, rows: Collection[ActualLrp]
) -> Steps[Process]:
    snapshot = sheet.snapshot
    able = dict.fromkeys(eligible_cells(snapshot, desired.needs))
    yield
    home: dict[str, list[ActualLrp]] = {}
    extra: list[ActualLrp] = []
    for portion in in_portions(sorted(rows, key=_best_first)):
        yield
        for row in portion:
            cell_id = _home_of(row)
            is_able = cell_id in able
            may_stay = cell_id in snapshot.steady if is_able else _is_awaited(snapshot, cell_id)
            is_second = row.presence == ActualLrp.ORDINARY and _has_ordinary(home.get(cell_id, []))
            if may_stay and not is_second:
                home.setdefault(cell_id, []).append(row)
            else:
                extra.append(row)
    yield
    settled, slots = _sorted_out(snapshot, home)
    yield
    _add_missing(snapshot, able, settled, slots, _free_indexes(rows))
    return Process(sheet, desired, settled, slots, extra)


def _sorted_out(
    snapshot: Snapshot, home: dict[str, list[ActualLrp]]
) -> tuple[dict[Place, ActualLrp], dict[Place, Slot]]:
    settled: dict[Place, ActualLrp] = {}
    slots: dict[Place, Slot] = {}
    for cell_id, rows in sorted(home.items()):
        first = rows[0]
        if is_settled(first) and cell_id in snapshot.steady:
            settled[cell_id] = first
            if len(rows) == 1:
                continue
        slots[cell_id] = Slot(first.index, cell_id)
        for row in rows:
            slots[cell_id].add(row)
    return settled, slots


def _add_missing(
    snapshot: Snapshot,
    able: dict[str, None],
    settled: dict[Place, ActualLrp],
    slots: dict[Place, Slot],
    indexes: Iterator[int],
) -> None:
    for cell_id in able:
        if cell_id in settled or cell_id in slots or not takes_more(snapshot, cell_id):
            continue
        slots[cell_id] = Slot(next(indexes), cell_id)


def _is_awaited(snapshot: Snapshot, cell_id: str) -> bool:
    """A cell that is missing, and to be used again when it comes back."""
    cell = snapshot.cells.get(cell_id)
    return cell is not None and cell.state != Cell.PRESENT and not cell.HasField("drain")


def _home_of(row: ActualLrp) -> str:
    return row.needs.cell_id or row.cell_id or row.placed_cell_id or row.last_cell_id


def _has_ordinary(rows: list[ActualLrp]) -> bool:
    return any(row.presence == ActualLrp.ORDINARY for row in rows)


def _best_first(row: ActualLrp) -> tuple[bool, bool, int, str]:
    ordinary = row.presence == ActualLrp.ORDINARY
    return not ordinary, not is_settled(row), row.index, row.instance_guid


def _free_indexes(rows: Collection[ActualLrp]) -> Iterator[int]:
    """The lowest first."""
    taken = {row.index for row in rows}
    index = 0
    while True:
        if index not in taken:
            yield index
        index += 1
