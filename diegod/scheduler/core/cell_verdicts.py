"""What each cell says to one piece of work, and why: the auction, looked at from the side.

It asks the very filters and strategies that the auction asks, about the same columns, so it can't
say anything else than what is decided there. Does not belong here: how it looks (`cli`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from diegod.contracts.strategy import CellColumns, Floats, Mask, PlacementFilter, Work
from diegod.scheduler.core.auction import Rules, hold
from diegod.scheduler.core.batch import Lot
from diegod.scheduler.core.cell_table import CellTable
from diegod.scheduler.core.filters import DetailedFilter
from diegod.scheduler.core.snapshot import Load
from diegod.v1.cell_pb2 import CellStatus
from diegod.v1.record_pb2 import Cell

#: What is asked before any filter: the auction only sees cells that are there.
PRESENCE = "presence"


@dataclass(frozen=True)
class FilterCount:
    """How many cells one filter excludes. `first` counts each cell once, under the first filter
    that refuses it, so those of all filters and the possible cells sum up to all cells."""

    name: str
    refused: int  # whatever other filters say of them
    first: int
    alone: int  # nothing else is wrong with them
    text: str  # as in a placement error: "short of memory (nearest: cell-1 lacks 52400 MB)"


@dataclass(frozen=True)
class CellVerdict:
    cell_id: str
    zone: str
    reasons: tuple[str, ...]  # all: "lacks 52400 MB of memory"; none: it could take the work
    refused_by: tuple[str, ...]  # the filters, in the same order
    shortage: float  # how far from possible it is, beside others that fail as many filters
    score: float | None = None  # of the strategy, the lowest wins; None: it is not possible

    @property
    def is_possible(self) -> bool:
        return not self.reasons


@dataclass(frozen=True)
class PlacementView:
    """All cells as the next auction would see them for one piece of work."""

    cells: tuple[CellVerdict, ...]  # by cell id
    filters: tuple[FilterCount, ...]  # in the order in which they are asked
    strategy: str
    refusal: str  # what the auction would say; empty: it would find a place
    choice: str = ""  # the cell that the strategy would choose

    @property
    def possible(self) -> tuple[CellVerdict, ...]:
        """The best first."""
        possible = [cell for cell in self.cells if cell.is_possible]
        return tuple(sorted(possible, key=_rank))

    @property
    def nearest_miss(self) -> CellVerdict | None:
        """Of those that can't take it, what fails fewest filters, and of these lacks least."""
        missed = [cell for cell in self.cells if not cell.is_possible]
        return min(missed, key=lambda c: (len(c.reasons), c.shortage, c.cell_id), default=None)


def explain(
    cells: Sequence[CellStatus],
    work: Work,
    rules: Rules,
    strategy: str = "",
    instances_by_cell: Mapping[str, int] | None = None,
) -> PlacementView:
    """From what `CellService.List` answers; `instances_by_cell` are those of the work's process."""
    placed = instances_by_cell or {}
    return view([each.cell for each in cells], loads_of(cells), work, rules, strategy, placed)


def view(
    cells: Sequence[Cell],
    loads: Mapping[str, Load],
    work: Work,
    rules: Rules,
    strategy: str,
    instances_by_cell: Mapping[str, int],
) -> PlacementView:
    ordered = sorted(cells, key=lambda cell: cell.cell_id)
    present = [cell for cell in ordered if cell.state == Cell.PRESENT]
    absent = [cell for cell in ordered if cell.state != Cell.PRESENT]
    table = CellTable(
        present,
        [loads.get(cell.cell_id) or Load() for cell in present],
        lambda process_guid: instances_by_cell,
    )
    name = strategy or rules.default_strategy
    columns = table.columns(work)
    rules, refused_by = _asked(columns, work, rules)
    verdicts = _verdicts(present, columns, work, rules, refused_by, name)
    counts = _counts(absent, columns, work, rules, refused_by)
    choice, refusal = _outcome(table, work, rules, name)  # the last: it books
    return PlacementView(
        tuple(sorted([*verdicts, *map(_absent, absent)], key=lambda each: each.cell_id)),
        counts,
        name,
        refusal,
        choice,
    )


@dataclass(frozen=True)
class _Failed:
    """Instead of a plugin that raised: whatever is asked of it, it says why it can't."""

    error: Exception

    def admits(self, cells: CellColumns, work: Work) -> Mask:
        return np.zeros(len(cells), dtype=np.bool_)

    def explain(self, cells: CellColumns, work: Work, refused: Mask) -> str:
        return f"failed: {self.error!r}"


def _asked(columns: CellColumns, work: Work, rules: Rules) -> tuple[Rules, dict[str, Mask]]:
    """Whom each filter refuses. One that fails refuses all, as in the auction, and says so."""
    filters, refused_by = dict(rules.filters), {}
    for name, each in rules.filters.items():
        try:
            refused_by[name] = ~each.admits(columns, work)
            if refused_by[name].any():
                each.explain(columns, work, refused_by[name])
        except Exception as error:  # a plugin's fault is part of the explanation
            filters[name] = _Failed(error)
            refused_by[name] = ~filters[name].admits(columns, work)
    return replace(rules, filters=filters), refused_by


def _outcome(table: CellTable, work: Work, rules: Rules, strategy: str) -> tuple[str, str]:
    """What an auction of this alone comes to: the cell, or the words of the refusal."""
    plan = hold([Lot(work, work.guid, 0, strategy)], table, rules)
    if plan.placements:
        return plan.placements[0].cell_id, ""
    return "", plan.refusals[0].text


def _verdicts(
    present: Sequence[Cell],
    columns: CellColumns,
    work: Work,
    rules: Rules,
    refused_by: Mapping[str, Mask],
    strategy: str,
) -> list[CellVerdict]:
    scores = _scores(columns, work, rules, strategy)
    verdicts = []
    for row, cell in enumerate(present):
        names = [name for name, refused in refused_by.items() if refused[row]]
        filters = [rules.filters[name] for name in names]
        score = float(scores[row]) if scores is not None and not names else None
        verdicts.append(
            CellVerdict(
                cell.cell_id,
                cell.zone,
                tuple(_reason(each, columns, row, work) for each in filters),
                tuple(names),
                sum(_shortage(each, columns, row, work) for each in filters),
                score,
            )
        )
    return verdicts


def _scores(columns: CellColumns, work: Work, rules: Rules, strategy: str) -> Floats | None:
    """Of every cell; None where the auction would not take the strategy's word either."""
    known = rules.strategies.get(strategy)
    if known is None or not len(columns):
        return None
    try:
        scores = known.score(columns, work)
    except Exception:  # the refusal says so, in the words of the auction
        return None
    is_usable = scores.shape == (len(columns),) and bool(np.isfinite(scores).all())
    return scores if is_usable else None


def _counts(
    absent: Sequence[Cell],
    columns: CellColumns,
    work: Work,
    rules: Rules,
    refused_by: Mapping[str, Mask],
) -> tuple[FilterCount, ...]:
    how_many = sum(refused.astype(np.int64) for refused in refused_by.values())
    left = np.ones(len(columns), dtype=np.bool_)
    counts = []
    if absent:
        ids = ", ".join(cell.cell_id for cell in absent[:3]) + (", …" if len(absent) > 3 else "")
        counts.append(
            FilterCount(PRESENCE, len(absent), len(absent), len(absent), f"missing ({ids})")
        )
    for name, refused in refused_by.items():
        first = left & refused
        left &= ~refused
        # The words are those of the auction, where it has any: about the cells left to this filter.
        about = first if first.any() else refused
        text = rules.filters[name].explain(columns, work, about) if refused.any() else ""
        alone = int(np.count_nonzero(refused & (how_many == 1)))
        counts.append(
            FilterCount(
                name, int(np.count_nonzero(refused)), int(np.count_nonzero(first)), alone, text
            )
        )
    return tuple(counts)


def _reason(each: PlacementFilter, columns: CellColumns, row: int, work: Work) -> str:
    if isinstance(each, DetailedFilter):
        return each.explain_one(columns, row, work)
    only = np.zeros(len(columns), dtype=np.bool_)
    only[row] = True
    return each.explain(columns, work, only)


def _shortage(each: PlacementFilter, columns: CellColumns, row: int, work: Work) -> float:
    return each.shortage(columns, row, work) if isinstance(each, DetailedFilter) else 1.0


def _absent(cell: Cell) -> CellVerdict:
    return CellVerdict(cell.cell_id, cell.zone, ("is missing",), (PRESENCE,), 1.0)


def loads_of(cells: Sequence[CellStatus]) -> dict[str, Load]:
    """How many containers are on their way up is not said there: scores may differ a little."""
    return {
        each.cell.cell_id: Load(
            each.used.memory_mb, each.used.disk_mb, each.used.containers, tasks=each.tasks
        )
        for each in cells
    }


def _rank(verdict: CellVerdict) -> tuple[float, str]:
    return (np.inf if verdict.score is None else verdict.score, verdict.cell_id)


def without(load: Load, work: Work, *, is_starting: bool) -> Load:
    """The load of the cell that some work is on, as if that work were still to be placed."""
    return replace(
        load,
        memory_mb=load.memory_mb - work.memory_mb,
        disk_mb=load.disk_mb - work.disk_mb,
        containers=load.containers - work.containers,
        starting=load.starting - is_starting,
        tasks=load.tasks - (work.kind == "task"),
    )
