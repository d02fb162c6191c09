"""What the brain holds back at this moment, and why: after a mass loss, and in domains that are not
fresh.

It is worked out here from the rows, by the functions that the brain goes by and of the settings
that it wrote beside its lock, so that it can be asked also while no brain is there.
"""

from diegod.models.domain_freshness import is_fresh, waits_for_freshness
from diegod.models.mass_loss import MassLossLimits, mass_loss
from diegod.raftbbs.core.stamps import NS, nanoseconds, stamp
from diegod.raftbbs.store.state import StateView
from diegod.v1.cluster_pb2 import MassLoss
from diegod.v1.record_pb2 import ActualLrp, BrainSettings, Cell, DesiredLrp, Lock

#: How many of the lost cells are named; all are counted.
CELLS_MAX = 100


def mass_loss_of(state: StateView, lock: Lock | None) -> MassLoss | None:
    """The one that is in force, of the settings of the brain that acts or did last."""
    limits = _limits(lock.brain) if lock is not None and lock.HasField("brain") else _DEFAULTS
    missing, present_count = [], 0
    for cell in state.tables.cells.scan(state.transaction):
        if cell.state == Cell.PRESENT:
            present_count += 1
        elif not cell.loss_accepted:
            missing.append((nanoseconds(cell.since) / NS, cell.cell_id))
    found = mass_loss(sorted(missing), present_count, state.counters().at_ns / NS, limits)
    if found is None:
        return None
    until = stamp(round(found.until * NS))
    return MassLoss(
        lost=found.lost, of=found.of, until=until, cell_ids=found.cell_ids[:CELLS_MAX]
    )


class StaleDomains:
    """Collects the domains in which an instance is kept only because they are not fresh."""

    def __init__(self, state: StateView) -> None:
        self._state = state
        self._now_ns = state.counters().at_ns
        self._fresh: dict[str, bool] = {}
        self._desired: dict[str, DesiredLrp | None] = {}
        self._found: dict[str, None] = {}

    @property
    def names(self) -> list[str]:
        return sorted(self._found)

    def note(self, row: ActualLrp) -> None:
        if row.domain in self._found or self._is_fresh(row.domain):
            return
        if waits_for_freshness(row, self._desired_of(row.process_guid)):
            self._found[row.domain] = None

    def _is_fresh(self, name: str) -> bool:
        if name not in self._fresh:
            self._fresh[name] = is_fresh(name, self._state.domain(name), self._now_ns)
        return self._fresh[name]

    def _desired_of(self, process_guid: str) -> DesiredLrp | None:
        if process_guid not in self._desired:
            self._desired[process_guid] = self._state.desired_lrp(process_guid)
        return self._desired[process_guid]


_DEFAULTS = MassLossLimits()


def _limits(settings: BrainSettings) -> MassLossLimits:
    return MassLossLimits(
        lease_ttl_s=settings.lease_ttl_s,
        mass_loss_percent=settings.mass_loss_percent,
        mass_loss_cells_min=settings.mass_loss_cells_min,
        mass_loss_hold_s=settings.mass_loss_hold_s,
    )
