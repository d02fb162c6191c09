"""How an explanation looks. Pure: what is explained was found out before."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diegod.cli.terminal.quantities import age
from diegod.cli.terminal.render import Column, View
from diegod.models.standing import Standing

if TYPE_CHECKING:
    from diegod.scheduler.core.cell_verdicts import CellVerdict, FilterCount, PlacementView

_ENDED = ("COMPLETED", "RESOLVING")


@dataclass(frozen=True)
class Explained:
    """One row: where it is, how it stands, and what the cells say of it if it has no place."""

    name: str
    state: str
    cell: str
    standing: Standing
    placed_because: str = ""
    depends_on: tuple[str, ...] = ()
    due: tuple[str, ...] = ()  # what a brain would do about it at this moment
    placement: "PlacementView | None" = None
    summary: str = ""  # of what has instances: how many of them serve

    def form(self) -> dict[str, Any]:
        """Every key always; times in seconds since 1970."""
        form: dict[str, Any] = {
            "name": self.name,
            "state": self.state,
            "summary": self.summary,
            "cell_id": self.cell,
            "at_rest": self.standing.at_rest,
            "reason": self.standing.reason,
            "deadline": self.standing.deadline,
            "placed_because": self.placed_because,
            "depends_on": list(self.depends_on),
            "due": list(self.due),
        }
        view = self.placement
        if view is not None:
            form["placement"] = {
                "strategy": view.strategy,
                "possible": len(view.possible),
                "refusal": view.refusal,
                "choice": view.choice,
                "filters": [vars(each) for each in view.filters],
                "cells": [vars(each) for each in view.cells],
            }
        return form


def when(deadline: float | None, now: float) -> str:
    """`in 12s`, `now`; empty where nothing happens by itself."""
    if deadline is None:
        return ""
    return f"in {age(deadline - now)}" if deadline > now else "now"


def headline(explained: Explained) -> str:
    if explained.cell:
        verb = "ran" if explained.state in _ENDED else "is"
        return f"{explained.name} {verb} on {explained.cell}"
    if explained.summary:
        return f"{explained.name}: {explained.summary}"
    view = explained.placement
    if view is None:
        return f"{explained.name} is {explained.state}"
    count = len(view.cells)
    cells = f"{count} cell{'' if count == 1 else 's'}"
    return f"{explained.name} is nowhere: {cells}, {len(view.possible)} of them possible"


def fields(explained: Explained, now: float) -> Iterator[tuple[str, str]]:
    """What is said of every row."""
    standing = explained.standing
    view = explained.placement
    if view is not None and view.choice:
        yield "would be placed", _choice(view)
    if view is not None and view.possible and view.refusal:
        yield "refused", view.refusal
    if view is not None and view.nearest_miss is not None and not view.possible:
        yield "nearest miss", miss(view.nearest_miss)
    for each in explained.depends_on:
        yield "depends on", each
    if explained.cell or view is not None:  # else the headline says it
        yield "state", explained.state
    yield "placed because", explained.placed_because
    yield "at rest" if standing.at_rest else "because", standing.reason
    yield ("until" if standing.at_rest else "next"), when(standing.deadline, now)
    for each in explained.due:
        yield "due now", each


def _choice(view: "PlacementView") -> str:
    return f"{view.choice}, by strategy {view.strategy}, of {len(view.possible)} possible cells"


def miss(cell: "CellVerdict") -> str:
    return f"{cell.cell_id} {', '.join(cell.reasons)}"


def filter_view() -> "View[FilterCount]":
    """EXCLUDES counts each cell once, under the first filter that refuses it."""
    return View(
        columns=[
            Column("FILTER", lambda each: each.name),
            Column("EXCLUDES", lambda each: str(each.first)),
            Column("REFUSES", lambda each: str(each.refused), wide=True),
            Column("ALONE", lambda each: str(each.alone)),
            Column("WHY", lambda each: each.text),
        ],
        name=lambda each: each.name,
        form=vars,
    )


def verdict_view() -> "View[CellVerdict]":
    return View(
        columns=[
            Column("CELL", lambda each: each.cell_id),
            Column("ZONE", lambda each: each.zone),
            Column("SCORE", lambda each: "" if each.score is None else f"{each.score:.3f}"),
            Column("REASONS", lambda each: ", ".join(each.reasons) or "possible"),
        ],
        name=lambda each: each.cell_id,
        form=vars,
    )


def explained_view(now: float) -> View[Explained]:
    """Several rows at once: one line each."""
    return View(
        columns=[
            Column("WHAT", lambda each: each.name),
            Column("STATE", lambda each: each.state),
            Column("CELL", lambda each: each.cell),
            Column("NEXT", lambda each: when(each.standing.deadline, now)),
            Column("REASON", lambda each: each.standing.reason),
        ],
        name=lambda each: each.name,
        form=Explained.form,
        nothing="nothing is there",
    )
