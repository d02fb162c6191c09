"""When so many cells are lost at once that the fault is more likely between them and us.

Then nothing is ended and nothing replaced for a while: on a cluster that was cut in two, moving
half of all work to the other half would hurt more than waiting for the cells to come back.
"""

from bisect import bisect_left
from dataclasses import dataclass

from diegod.scheduler.core.snapshot import Snapshot


@dataclass(frozen=True)
class Limits:
    """How long convergence waits for what, in seconds; which loss of cells is a mass loss."""

    take_up_s: float = 10.0  # a placement that its cell has not taken up is withdrawn
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

    @property
    def reason(self) -> str:
        return (
            f"{self.lost} of {self.of} cells were lost at once: "
            "nothing is ended or replaced until they are back or the hold is over"
        )


def mass_loss(snapshot: Snapshot, now: float, limits: Limits) -> MassLoss | None:
    """The mass loss whose hold lasts longest, if one is in force.

    Cells that have come back count as not lost, so the hold ends with the return of enough of
    them. Cells that were missing long before count neither as lost nor as there.
    """
    since = snapshot.missing_since
    for last in reversed(range(len(since))):
        until = since[last] + limits.mass_loss_hold_s
        if now >= until:
            return None
        first = bisect_left(since, since[last] - limits.lease_ttl_s)
        lost = last + 1 - first
        of = snapshot.present_count + len(since) - first
        if _is_mass(lost, of, limits):
            return MassLoss(lost, of, until)
    return None


def _is_mass(lost: int, of: int, limits: Limits) -> bool:
    return of >= limits.mass_loss_cells_min and lost * 100 > of * limits.mass_loss_percent
