"""Which faults happen, and when: decided before the run, by the seed. Pure, but for the chance."""

from collections.abc import Sequence
from dataclasses import dataclass

from diegod.world import Ids

KILL = "kill"  # SIGKILL, and started again soon
PAUSE = "pause"  # SIGSTOP, and let go on soon
AWAY = "away"  # SIGKILL, and gone for longer than its lease

#: A cell whose lease of 10 s has run out is missing: it must be away for a little longer.
AWAY_S = (11.0, 14.0)
_SHORT_S = (0.2, 2.5)
_CALM_S = (0.3, 2.0)
#: One fault in so many takes a cell away for longer than its lease, where there is time for it.
_ONE_AWAY_IN = 8


@dataclass(frozen=True)
class Blow:
    """One fault to come. They follow one another: never are two parts down at once."""

    kind: str
    part: str
    after_s: float  # since the one before was over
    hold_s: float


def blows(ids: Ids, parts: Sequence[str], cells: Sequence[str], for_s: float) -> list[Blow]:
    """As many as fit; each part is hit as often as any other, on average."""
    planned: list[Blow] = []
    left_s = for_s
    while True:
        after_s = ids.uniform(*_CALM_S)
        blow = _blow(ids, parts, cells, after_s, left_s)
        left_s -= after_s + blow.hold_s
        if left_s < 0:
            return planned
        planned.append(blow)


def _blow(
    ids: Ids, parts: Sequence[str], cells: Sequence[str], after_s: float, left_s: float
) -> Blow:
    if _below(ids, _ONE_AWAY_IN) == 0 and left_s > after_s + AWAY_S[1]:
        return Blow(AWAY, cells[_below(ids, len(cells))], after_s, ids.uniform(*AWAY_S))
    kind = (KILL, PAUSE)[_below(ids, 2)]
    return Blow(kind, parts[_below(ids, len(parts))], after_s, ids.uniform(*_SHORT_S))


def _below(ids: Ids, count: int) -> int:
    return min(int(ids.uniform(0, count)), count - 1)
