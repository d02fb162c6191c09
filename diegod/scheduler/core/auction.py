"""`hold`: which cell gets which work, and why some gets none.

One lot after the other in the order of the batch: filters, score, the lowest wins, booked. Each
step looks at all cells at once. Does not belong here: what a score is made of (`strategies`).
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from diegod.contracts.strategy import CellColumns, Mask, PlacementFilter, PlacementStrategy
from diegod.internal.v1.command_pb2 import PlaceInstance, PlaceTask, RefuseInstance, RefuseTask
from diegod.scheduler.core.batch import Lot
from diegod.scheduler.core.breaks import Steps, in_one_go
from diegod.scheduler.core.cell_table import CellTable
from diegod.scheduler.core.decision import Decision
from diegod.scheduler.core.filters import FixedFilter
from diegod.scheduler.core.snapshot import TASK


@dataclass(frozen=True)
class Rules:
    """By what the auction is decided. Filters are asked in their order."""

    strategies: Mapping[str, PlacementStrategy]
    filters: Mapping[str, PlacementFilter]
    default_strategy: str


@dataclass(frozen=True)
class Placement:
    lot: Lot
    cell_id: str
    cell_incarnation: int
    reason: str

    def decision(self) -> Decision:
        lot, cell_id, incarnation = self.lot, self.cell_id, self.cell_incarnation
        if lot.work.kind == TASK:
            return Decision(
                PlaceTask(
                    task_guid=lot.row_guid,
                    row_revision=lot.row_revision,
                    cell_id=cell_id,
                    cell_incarnation=incarnation,
                ),
                self.reason,
                lot.key,
            )
        action = PlaceInstance(
            instance_guid=lot.row_guid,
            row_revision=lot.row_revision,
            cell_id=cell_id,
            cell_incarnation=incarnation,
        )
        return Decision(action, self.reason, lot.key)


@dataclass(frozen=True)
class Refusal:
    lot: Lot
    text: str  # "2 cells: 1 short of memory (nearest: cell-1 lacks 52400 MB), 1 unhealthy (…)"

    @property
    def is_news(self) -> bool:
        """Whether the row does not say so already."""
        return self.text != self.lot.placement_error

    @property
    def is_news_in_kind(self) -> bool:
        """The same, figures aside: they change with every placement anywhere."""
        return _without_figures(self.text) != _without_figures(self.lot.placement_error)

    def decision(self) -> Decision:
        lot = self.lot
        reason = f"{lot.title} could not be placed"
        if lot.work.kind == TASK:
            on_task = RefuseTask(
                task_guid=lot.row_guid, row_revision=lot.row_revision, placement_error=self.text
            )
            return Decision(on_task, reason, lot.key)
        on_instance = RefuseInstance(
            instance_guid=lot.row_guid, row_revision=lot.row_revision, placement_error=self.text
        )
        return Decision(on_instance, reason, lot.key)


@dataclass(frozen=True)
class Plan:
    placements: tuple[Placement, ...]
    refusals: tuple[Refusal, ...]


def hold(batch: Sequence[Lot], cells: CellTable, rules: Rules) -> Plan:
    """Places the batch in its order; `cells` is changed in place as it goes."""
    return in_one_go(holding(batch, cells, rules))


def holding(batch: Sequence[Lot], cells: CellTable, rules: Rules) -> Steps[Plan]:
    """The same, step by step: a lot is looked at beside all cells."""
    auction = _Auction(cells, rules)
    results: list[Placement | Refusal] = []
    for lot in batch:
        yield
        results.append(auction.place(lot))
    return Plan(
        tuple(result for result in results if isinstance(result, Placement)),
        tuple(result for result in results if isinstance(result, Refusal)),
    )


@dataclass
class _Auction:
    cells: CellTable
    rules: Rules
    _kept: dict[tuple[str, Hashable], Mask] = field(default_factory=dict)

    def place(self, lot: Lot) -> Placement | Refusal:
        if lot.waits_for:
            return Refusal(lot, lot.waits_for)
        if not self.cells.cells:
            return Refusal(lot, "no cell is present")
        name = lot.strategy or self.rules.default_strategy
        if (strategy := self.rules.strategies.get(name)) is None:
            known = ", ".join(self.rules.strategies) or "none"
            return Refusal(lot, f'the brain has no placement strategy "{name}" (it has: {known})')
        columns = self.cells.columns(lot.work)
        try:
            return self._place(lot, columns, name, strategy)
        except Exception as error:  # a plugin's fault must cost its own work only
            return Refusal(lot, f'strategy "{name}" or a filter failed: {error!r}')

    def _place(
        self, lot: Lot, columns: CellColumns, name: str, strategy: PlacementStrategy
    ) -> Placement | Refusal:
        admitted, refused_by = self._filtered(lot, columns)
        if not admitted.any():
            return Refusal(lot, self._explanation(lot, columns, refused_by))
        scores = strategy.score(columns, lot.work)
        if scores.shape != admitted.shape or not np.isfinite(scores).all():
            return Refusal(lot, f'strategy "{name}" did not give a finite score for every cell')
        row = int(np.argmin(np.where(admitted, scores, np.inf)))
        self.cells.book(row, lot.work)
        cell = self.cells.cells[row]
        count = int(np.count_nonzero(admitted))
        reason = (
            f"{lot.title}: {cell.cell_id} is {name}'s choice of {count} possible cells"
            if count > 1
            else f"{lot.title}: {cell.cell_id} is the only possible cell"
        )
        return Placement(lot, cell.cell_id, cell.incarnation, reason)

    def _filtered(self, lot: Lot, columns: CellColumns) -> tuple[Mask, dict[str, Mask]]:
        """The cells that are left, and whom each filter refused of those that were left to it."""
        admitted = np.ones(len(columns), dtype=np.bool_)
        refused_by: dict[str, Mask] = {}
        for name, placement_filter in self.rules.filters.items():
            answer = self._answer(name, placement_filter, lot, columns)
            refused_by[name] = admitted & ~answer
            admitted = admitted & answer
        return admitted, refused_by

    def _answer(
        self, name: str, placement_filter: PlacementFilter, lot: Lot, columns: CellColumns
    ) -> Mask:
        if not isinstance(placement_filter, FixedFilter):
            return placement_filter.admits(columns, lot.work)
        key = (name, placement_filter.fixed_for(lot.work))
        if (kept := self._kept.get(key)) is None:
            kept = self._kept[key] = placement_filter.admits(columns, lot.work)
        return kept

    def _explanation(self, lot: Lot, columns: CellColumns, refused_by: Mapping[str, Mask]) -> str:
        count = len(self.cells.cells)
        parts = [
            f"{np.count_nonzero(refused)} {self._filter_text(name, lot, columns, refused)}"
            for name, refused in refused_by.items()
            if refused.any()
        ]
        return f"{count} {'cell' if count == 1 else 'cells'}: {', '.join(parts)}"

    def _filter_text(self, name: str, lot: Lot, columns: CellColumns, refused: Mask) -> str:
        return self.rules.filters[name].explain(columns, lot.work, refused)


def _without_figures(text: str) -> str:
    return "".join(c for c in text if not c.isdigit())
