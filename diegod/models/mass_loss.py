"""When so many cells are lost at once that the fault is more likely between them and us.

Then nothing is ended and nothing replaced for a while: on a cluster that was cut in two, moving
half of all work to the other half would hurt more than waiting for the cells to come back. The
brain goes by this, and the BBS says so to people, of the settings that its brain wrote down.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class MassLossLimits:
    """Which loss of cells is a mass loss, and for how long it holds."""

    lease_ttl_s: float = 10.0  # losses this close together count as one
    mass_loss_percent: int = 50  # more than this
    mass_loss_cells_min: int = 3  # of at least so many cells
    mass_loss_hold_s: float = 300.0


@dataclass(frozen=True)
class MassLoss:
    """In force: only what neither ends nor replaces anything is converged."""

    lost: int
    of: int
    until: float
    cell_ids: tuple[str, ...]  # that were lost, the first one first

    @property
    def reason(self) -> str:
        return (
            f"{self.lost} of {self.of} cells were lost at once: "
            "nothing is ended or replaced until they are back or the hold is over"
        )


def mass_loss(
    missing: Sequence[tuple[float, str]], present_count: int, now: float, limits: MassLossLimits
) -> MassLoss | None:
    """The mass loss whose hold lasts longest, if one is in force.

    `missing` is when each missing cell was lost, in the order of loss, without those whose loss an
    operator has accepted. Cells that have come back count as not lost, so the hold ends with the
    return of enough of them. Cells that were missing long before count neither as lost nor as
    there.
    """
    for last in reversed(range(len(missing))):
        lost_at = missing[last][0]
        until = lost_at + limits.mass_loss_hold_s
        if now >= until:
            return None
        first = bisect_left(missing, (lost_at - limits.lease_ttl_s, ""))
        lost = last + 1 - first
        of = present_count + len(missing) - first
        if _is_mass(lost, of, limits):
            return MassLoss(lost, of, until, tuple(c for _, c in missing[first : last + 1]))
    return None


def _is_mass(lost: int, of: int, limits: MassLossLimits) -> bool:
    return of >= limits.mass_loss_cells_min and lost * 100 > of * limits.mass_loss_percent
