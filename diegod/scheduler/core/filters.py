"""May this cell run this work? The filters that come with diegod, each one question.

They are plugins like anyone else's. A filter that only looks at what does not change while an
auction goes on may say so with `fixed_for`; its answer is then kept for all work that is alike.
One that can say more about a single cell has `explain_one`, and `shortage` if it is a matter of
degree.
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


@runtime_checkable
class DetailedFilter(PlacementFilter, Protocol):
    """A filter that says of one refused cell what it lacks."""

    def explain_one(self, cells: CellColumns, row: int, work: Work) -> str:
        """In a few words: "lacks 52400 MB of memory"."""

    def shortage(self, cells: CellColumns, row: int, work: Work) -> float:
        """How far from admitting it this cell is; 1 where there is no more or less."""


class _YesOrNo:
    """What is so or is not so: no cell is nearer than another."""

    def shortage(self, cells: CellColumns, row: int, work: Work) -> float:
        return 1.0


class CellFilter(_YesOrNo):
    """Work may name the one cell that it is for."""

    def fixed_for(self, work: Work) -> Hashable:
        return work.cell_id

    def admits(self, cells: CellColumns, work: Work) -> Mask:
        wanted = work.cell_id
        return _mask([not wanted or cell_id == wanted for cell_id in cells.cell_ids])

    def explain(self, cells: CellColumns, work: Work, refused: Mask) -> str:
        wanted = work.cell_id
        absent = "" if wanted in cells.cell_ids else f" ({wanted} is not present)"
        return f"other than {wanted}{absent}"

    def explain_one(self, cells: CellColumns, row: int, work: Work) -> str:
        return f"is not {work.cell_id}"


class HealthFilter(_YesOrNo):
    """A cell that has said that it is unhealthy takes no new work."""

    def fixed_for(self, work: Work) -> Hashable:
        return ()

    def admits(self, cells: CellColumns, work: Work) -> Mask:
        return _mask([not reason for reason in cells.unhealthy_reasons])

    def explain(self, cells: CellColumns, work: Work, refused: Mask) -> str:
        row = int(np.argmax(refused))
        return f"unhealthy ({cells.cell_ids[row]}: {cells.unhealthy_reasons[row]})"

    def explain_one(self, cells: CellColumns, row: int, work: Work) -> str:
        return f"is unhealthy: {cells.unhealthy_reasons[row]}"


class CordonFilter(_YesOrNo):
    """An operator has taken the cell out, for a while or to empty it."""

    def fixed_for(self, work: Work) -> Hashable:
        return ()

    def admits(self, cells: CellColumns, work: Work) -> Mask:
        return _mask([not cordon for cordon in cells.cordons])

    def explain(self, cells: CellColumns, work: Work, refused: Mask) -> str:
        row = int(np.argmax(refused))
        return f"closed to new work ({cells.cell_ids[row]} is {cells.cordons[row]})"

    def explain_one(self, cells: CellColumns, row: int, work: Work) -> str:
        return f"is {cells.cordons[row]}"


class RootfsFilter(_YesOrNo):
    """The cell must offer the root file system, under the very name."""

    def fixed_for(self, work: Work) -> Hashable:
        return work.rootfs_provider

    def admits(self, cells: CellColumns, work: Work) -> Mask:
        wanted = work.rootfs_provider
        return _mask([not wanted or wanted in offered for offered in cells.rootfs_providers])

    def explain(self, cells: CellColumns, work: Work, refused: Mask) -> str:
        return f"without rootfs {work.rootfs_provider}"

    def explain_one(self, cells: CellColumns, row: int, work: Work) -> str:
        return f"has no rootfs {work.rootfs_provider}"


class PlacementTagsFilter(_YesOrNo):
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
        return f"placement tags ({cells.cell_ids[row]} {self.explain_one(cells, row, work)})"

    def explain_one(self, cells: CellColumns, row: int, work: Work) -> str:
        required = cells.placement_tags[row]
        lacking = work.placement_tags - required - cells.optional_placement_tags[row]
        if lacking:
            return f"has no tag {_listed(lacking)}"
        return f"takes only work tagged {_listed(required - work.placement_tags)}"


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
        lacks = f"{self._lacking(cells, nearest, work)}{self._unit_text()}"
        return f"short of {self._noun} (nearest: {cells.cell_ids[nearest]} lacks {lacks})"

    def explain_one(self, cells: CellColumns, row: int, work: Work) -> str:
        amount = f"{self._lacking(cells, row, work)}{self._unit_text()}"
        return f"lacks {amount} of {self._noun}" if self._unit else f"lacks {amount} {self._noun}"

    def shortage(self, cells: CellColumns, row: int, work: Work) -> float:
        """As a share of what is asked for: between 0 and 1, unless the cell is overbooked."""
        return self._lacking(cells, row, work) / max(self._needed_by(work), 1)

    def _lacking(self, cells: CellColumns, row: int, work: Work) -> int:
        return self._needed_by(work) - int(self._free_of(cells)[row])

    def _unit_text(self) -> str:
        return f" {self._unit.upper()}" if self._unit else ""

    def _free_of(self, cells: CellColumns) -> Ints:
        column: Ints = getattr(cells, self._free)
        return column

    def _needed_by(self, work: Work) -> int:
        needed: int = getattr(work, self._resource)
        return needed


BUILTIN: dict[str, PlacementFilter] = {
    "cell": CellFilter(),
    "health": HealthFilter(),
    "cordon": CordonFilter(),
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
