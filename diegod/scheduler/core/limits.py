"""How long convergence waits for what, in seconds."""

from dataclasses import dataclass

from diegod.models.mass_loss import MassLossLimits


@dataclass(frozen=True)
class Limits(MassLossLimits):
    take_up_s: float = 10.0  # a placement that its cell has not taken up is withdrawn
