"""Spread: first over zones, then one app over cells, then by load. Diego's score
(rep/resources.go ComputeScore, auctionrunner/zone_sorter.go).
"""

from diegod.contracts.strategy import CellColumns, Floats, Ints, Work

#: One more instance of the same process on the cell outweighs any load.
_SAME_PROCESS_WEIGHT = 1000.0
#: One more in the zone outweighs 10,000 on the cell: balance between zones goes first.
_ZONE_WEIGHT = _SAME_PROCESS_WEIGHT * 10_000


class Spread:
    """The lowest score wins. A container on its way up weighs something, so that what starts at
    once starts apart; `binpack_weight` makes the first cells of a zone fill up first."""

    def __init__(self, starting_weight: float = 0.25, binpack_weight: float = 0.0) -> None:
        self._starting_weight = starting_weight
        self._binpack_weight = binpack_weight

    def score(self, cells: CellColumns, work: Work) -> Floats:
        load = _used_share(cells, work)
        load += cells.starting * self._starting_weight
        if work.kind == "task":
            load += cells.tasks * _SAME_PROCESS_WEIGHT
            return load
        load += cells.index_in_zone * self._binpack_weight
        load += cells.same_process * _SAME_PROCESS_WEIGHT
        load += _beyond_emptiest_zone(cells) * _ZONE_WEIGHT
        return load


def _used_share(cells: CellColumns, work: Work) -> Floats:
    """How full the cell would be with this work: the mean of memory, disk and containers."""
    share = _used(cells.memory_mb_total, cells.memory_mb_free, work.memory_mb)
    share += _used(cells.disk_mb_total, cells.disk_mb_free, work.disk_mb)
    share += _used(cells.containers_total, cells.containers_free, work.containers)
    share /= 3.0
    return share


def _used(total: Ints, free: Ints, asked: int) -> Floats:
    """A cell that has none of something counts as full, not as an error."""
    share: Floats = 1.0 - (free - asked) / total.clip(min=1)
    return share


def _beyond_emptiest_zone(cells: CellColumns) -> Ints:
    """Counted from the emptiest zone, so that the small terms keep their digits in the sum."""
    counts = cells.same_process_in_zone
    beyond: Ints = counts - counts.min(initial=counts.max(initial=0))
    return beyond
