"""How the instances of an LRP are replaced: its `update` with the defaults filled in.

Admission fills them in too; a row that was written before there were updates has none.
"""

from dataclasses import dataclass

from diegod.v1.definition_pb2 import LrpDefinition, UpdatePolicy
from diegod.v1.record_pb2 import DesiredLrp

_MIN_HEALTHY_MS = 5_000
_PROGRESS_DEADLINE_MS = 600_000


@dataclass(frozen=True)
class UpdateRules:
    starts_first: bool  # a new instance runs before the one it replaces ends
    recreates: bool  # all old ones end before any new one is made
    max_in_flight: int
    max_unavailable: int
    canaries: int
    min_healthy_s: float
    progress_deadline_s: float

    @classmethod
    def of(cls, desired: DesiredLrp) -> "UpdateRules":
        """A GLOBAL LRP never has two instances on a cell, so it stops first."""
        update, is_global = desired.update, desired.mode == LrpDefinition.GLOBAL
        recreates = update.strategy == UpdatePolicy.RECREATE
        starts_first = not (
            recreates or is_global or update.order == UpdatePolicy.STOP_FIRST
        )
        unavailable = update.max_unavailable if update.HasField("max_unavailable") else 0
        return cls(
            starts_first,
            recreates,
            max_in_flight=max(1, update.max_in_flight),
            max_unavailable=unavailable if starts_first else max(1, unavailable),
            canaries=0 if recreates else update.canaries,
            min_healthy_s=_or(update, "min_healthy_ms", _MIN_HEALTHY_MS) / 1000,
            progress_deadline_s=_or(update, "progress_deadline_ms", _PROGRESS_DEADLINE_MS) / 1000,
        )


def _or(update: UpdatePolicy, field: str, default: int) -> int:
    value: int = getattr(update, field)
    return value if update.HasField(field) else default  # type: ignore[arg-type]
