"""How long convergence waits for what, in seconds."""

from dataclasses import dataclass

from diegod.models.mass_loss import MassLossLimits
from diegod.v1.record_pb2 import BrainSettings


@dataclass(frozen=True)
class Limits(MassLossLimits):
    take_up_s: float = 10.0  # a placement that its cell has not taken up is withdrawn
    full_pass_s: float = 30.0  # everything is looked at again this often

    def settings(self, strategy: str) -> BrainSettings:
        """For those who explain what the brain does."""
        return BrainSettings(
            strategy=strategy,
            mass_loss_percent=self.mass_loss_percent,
            mass_loss_cells_min=self.mass_loss_cells_min,
            mass_loss_hold_s=round(self.mass_loss_hold_s),
            lease_ttl_s=round(self.lease_ttl_s),
            take_up_s=round(self.take_up_s),
            full_pass_s=round(self.full_pass_s),
        )
