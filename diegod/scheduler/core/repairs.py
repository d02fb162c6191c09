"""What a pass of convergence comes to, and the sheet on which it is written down."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from diegod.models.mass_loss import MassLoss
from diegod.scheduler.core.decision import Action, Decision, RowVersion
from diegod.scheduler.core.limits import Limits
from diegod.scheduler.core.snapshot import Key, Snapshot


@dataclass(frozen=True)
class Deadline:
    """Time alone makes this key worth looking at again."""

    at: float
    key: Key


@dataclass(frozen=True)
class Repairs:
    """To be carried out in order: a replacement may need the row before it to be gone."""

    decisions: tuple[Decision, ...]
    deadlines: tuple[Deadline, ...]
    reviewed: tuple[Key, ...]
    mass_loss: MassLoss | None
    troubles: tuple[str, ...] = ()  # what can't be done, and would not be noticed otherwise

    @property
    def next_deadline(self) -> float | None:
        return min((deadline.at for deadline in self.deadlines), default=None)


@dataclass
class Sheet:
    """One pass: what it sees, and what it has written down so far."""

    snapshot: Snapshot
    now: float
    limits: Limits
    mass_loss: MassLoss | None
    tended_since: float = 0.0  # before that there may have been no brain to do anything
    sent: Collection[RowVersion] = ()  # decided before, and not yet seen to have happened
    decisions: list[Decision] = field(default_factory=list)
    deadlines: list[Deadline] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    def decide(self, key: Key, action: Action, reason: str) -> None:
        self.decisions.append(Decision(action, reason, key))

    def decide_unless_held(
        self, key: Key, steps: Sequence[tuple[Action, str]], cell_id: str = ""
    ) -> bool:
        """Steps that end or replace something: all of them, or none while a mass loss holds.

        They concern what is on `cell_id`; nothing waits for a cell that never comes back.
        """
        if self.mass_loss is not None and not self.snapshot.is_given_up(cell_id):
            self.deadlines.append(Deadline(self.mass_loss.until, key))
            return False
        for action, reason in steps:
            self.decide(key, action, reason)
        return True

    def is_due(self, key: Key, at: float) -> bool:
        """Whether that moment has come; if not, it is a deadline."""
        if self.now >= at:
            return True
        self.deadlines.append(Deadline(at, key))
        return False
