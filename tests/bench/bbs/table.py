"""The rows of a run: ours, etcd's, their ratio, and whether a goal was met."""

from dataclasses import asdict, dataclass
from typing import Any

_WIDTHS = (64, 11, 11, 11, 9, 22)
_HEAD = ("", "ours", "etcd", "etcd, seen", "ratio", "goal")


@dataclass(frozen=True)
class Row:
    """`seen`: what a C client saw of etcd on such cores; the ratio takes the better of both."""

    part: str
    name: str
    unit: str
    ours: float | None
    theirs: float | None = None
    seen: float | None = None
    more_is_better: bool = False
    goal_ratio: float | None = None
    goal: float | None = None

    @property
    def reference(self) -> float | None:
        known = [value for value in (self.theirs, self.seen) if value is not None]
        return (max if self.more_is_better else min)(known, default=None)

    @property
    def ratio(self) -> float | None:
        if self.ours is None or not self.reference:
            return None
        return self.ours / self.reference

    @property
    def met(self) -> bool | None:
        """None: there is no goal, or nothing to hold against it."""
        bounds = ((self.ratio, self.goal_ratio), (self.ours, self.goal))
        held = [
            value >= bound if self.more_is_better else value <= bound
            for value, bound in bounds
            if value is not None and bound is not None
        ]
        return all(held) if held else None

    def record(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio, "met": self.met}


def head() -> str:
    return _line(_HEAD)


def line(row: Row) -> str:
    figures = (_figure(row.ours), _figure(row.theirs), _figure(row.seen))
    ratio = "" if row.ratio is None else f"{row.ratio:.2f} ×"
    name = f"{row.name}, {row.unit}" if row.unit else row.name
    return _line((name, *figures, ratio, _verdict(row)))


def _line(cells: tuple[str, ...]) -> str:
    first, *others = cells
    width, *widths = _WIDTHS
    aligned = [each.rjust(room) for each, room in zip(others, widths, strict=True)]
    return first.ljust(width) + " ".join(aligned)


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _verdict(row: Row) -> str:
    sign = "≥" if row.more_is_better else "≤"
    goals = []
    if row.goal_ratio is not None:
        goals.append(f"{sign} {row.goal_ratio:g} ×")
    if row.goal is not None:
        goals.append(f"{sign} {row.goal:g}")
    if not goals:
        return ""
    found = {True: "met", False: "MISSED", None: "?"}[row.met]
    return f"{', '.join(goals)}: {found}"
