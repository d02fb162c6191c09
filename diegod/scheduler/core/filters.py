"""May this cell run this work? The filters that come with diegod, each one question.

They are plugins like anyone else's. A filter that only looks at what does not change while an
auction goes on may say so with `fixed_for`; its answer is then kept for all work that is alike.
"""

from collections.abc import Hashable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from diegod.contracts.strategy import CellColumns, Ints, Mask, PlacementFilter, Work


@runtime_checkable
class FixedFilter(PlacementFilter, Protocol):
    """A filter whose answer is the same all through an auction for work of the same key."""

    def fixed_for(self, work: Work) -> Hashable:
        """Everything of the work that the answer depends on."""


class RootfsFilter:
    """The cell must offer the root file system, under the very name."""

    def fixed_for(self, work: Work) -> Hashable:
        return work.rootfs_provider

    def admits(self, cells: CellColumns, work: Work) -> Mask:
        wanted = work.rootfs_provider
        return _mask([not wanted or wanted in offered for offered in cells.rootfs_providers])

    def explain(self, cells: CellColumns, work: Work, refused: Mask) -> str:
        return f"without rootfs {work.rootfs_provider}"


class PlacementTagsFilter:
    """cell.required ⊆ work.tags ⊆ cell.required ∪ cell.optional, as in Diego's rep/resources.go:
    so work without tags runs only on cells that require none."""

    def fixed_for(self, work: Work) -> Hashable:
        return work.placement_tags

    def admits(self, cells: CellColumns, work: Work) -> Mask:
        pairs = zip(cells.placement_tags, cells.optional_placement_tags, strict=True)
        return _mask(
            [required <= work.placement_tags <= required | optional for required, optional in pairs]
        )

    def explain(self, cells: CellColumns, work: Work, refused: Mask) -> str:
        row = int(np.argmax(refused))
        required = cells.placement_tags[row]
        lacking = work.placement_tags - required - cells.optional_placement_tags[row]
        if lacking:
            return f"placement tags ({cells.cell_ids[row]} has no tag {_listed(lacking)})"
        asked = _listed(required - work.placement_tags)
        return f"placement tags ({cells.cell_ids[row]} takes only work tagged {asked})"


class RoomFilter:
    """The cell must have that much left of one resource."""

    def __init__(self, resource: str) -> None:
        self._resource = resource
        self._free = f"{resource}_free"
        self._noun, _, self._unit = resource.partition("_")

    def admits(self, cells: CellColumns, work: Work) -> Mask:
        return self._free_of(cells) >= self._needed_by(work)

    def explain(self, cells: CellColumns, work: Work, refused: Mask) -> str:
        """The nearest is the one that lacks least."""
        rows = np.flatnonzero(refused)
        nearest = int(rows[np.argmax(self._free_of(cells)[rows])])
        lacks = self._needed_by(work) - int(self._free_of(cells)[nearest])
        unit = f" {self._unit.upper()}" if self._unit else ""
        return f"short of {self._noun} (nearest: {cells.cell_ids[nearest]} lacks {lacks}{unit})"

    def _free_of(self, cells: CellColumns) -> Ints:
        column: Ints = getattr(cells, self._free)
        return column

    def _needed_by(self, work: Work) -> int:
        needed: int = getattr(work, self._resource)
        return needed


BUILTIN: dict[str, PlacementFilter] = {
    "rootfs": RootfsFilter(),
    "placement-tags": PlacementTagsFilter(),
    "memory": RoomFilter("memory_mb"),
    "disk": RoomFilter("disk_mb"),
    "containers": RoomFilter("containers"),
}


def _mask(admitted: Sequence[bool]) -> Mask:
    return np.array(admitted, dtype=np.bool_)


def _listed(tags: frozenset[str]) -> str:
    return ", ".join(sorted(tags))
