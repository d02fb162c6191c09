"""What a placement strategy and a placement filter are.

Both see all cells at once, as columns, and one piece of work; both are pure: the same input gives
the same output, and nothing else is looked at. Two arrays of one table have the same order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Work:
    """One thing to place: a task, or one instance of an LRP."""

    kind: str  # "task" or "lrp"
    guid: str  # task_guid or process_guid
    index: int  # of the instance; 0 for a task
    memory_mb: int
    disk_mb: int
    containers: int
    rootfs_provider: str
    placement_tags: frozenset[str] = frozenset()
    cell_id: str = ""  # this cell and no other; empty: any


@dataclass(frozen=True)
class CellColumns:
    """All cells that may be asked, one row a cell, as they are while the auction goes on."""

    cell_ids: Sequence[str]
    zones: Sequence[str]
    memory_mb_total: Ints
    disk_mb_total: Ints
    containers_total: Ints
    memory_mb_free: Ints
    disk_mb_free: Ints
    containers_free: Ints
    starting: Ints  # containers that are on their way up
    tasks: Ints
    same_process: Ints  # instances of the work's own process on the cell
    same_process_in_zone: Ints  # the same, in the cell's whole zone
    index_in_zone: Ints
    rootfs_providers: Sequence[frozenset[str]] = field(default_factory=tuple)
    placement_tags: Sequence[frozenset[str]] = field(default_factory=tuple)
    optional_placement_tags: Sequence[frozenset[str]] = field(default_factory=tuple)
    unhealthy_reasons: Sequence[str] = field(default_factory=tuple)  # empty: healthy
    cordons: Sequence[str] = field(default_factory=tuple)  # "cordoned", "draining"; empty: open

    def __len__(self) -> int:
        return len(self.cell_ids)


class PlacementStrategy(Protocol):
    def score(self, cells: CellColumns, work: Work) -> Floats:
        """One number a cell; the lowest wins, the first among equals. Finite for every cell."""


class PlacementFilter(Protocol):
    def admits(self, cells: CellColumns, work: Work) -> Mask:
        """True where the cell may run the work."""

    def explain(self, cells: CellColumns, work: Work, refused: Mask) -> str:
        """Why the refused ones were refused, in a few words for a person: "short of memory"."""


class ScalarStrategy:
    """A strategy for people who would rather write one cell at a time."""

    def score_one(self, cells: CellColumns, row: int, work: Work) -> float:
        raise TypeError(f"{type(self).__name__} defines neither score nor score_one")

    def score(self, cells: CellColumns, work: Work) -> Floats:
        scores = [self.score_one(cells, row, work) for row in range(len(cells))]
        return np.array(scores, dtype=np.float64)
