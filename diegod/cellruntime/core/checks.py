"""The checks of a definition, and what each of them asks for: how often, and how many failures.

What the results come to is `health.py`.
"""

from dataclasses import dataclass
from enum import StrEnum

from diegod.v1.definition_pb2 import Check, CheckDefinition

#: Of a startup check that names none; and how soon whatever has never passed is tried again.
STARTUP_INTERVAL_S = 0.5
_INTERVAL_MS = 30_000
_TIMEOUT_MS = 1000


class Purpose(StrEnum):
    STARTUP = "startup"
    LIVENESS = "liveness"
    READINESS = "readiness"


@dataclass(frozen=True)
class Rule:
    purpose: Purpose
    interval_s: float
    failures_max: int  # in a row


@dataclass(frozen=True)
class Checks:
    """A probe names its check by the position in `every`."""

    liveness: tuple[Check, ...] = ()
    startup: tuple[Check, ...] = ()
    readiness: tuple[Check, ...] = ()

    @classmethod
    def of(cls, definition: CheckDefinition) -> "Checks":
        return cls(
            tuple(definition.checks),
            tuple(definition.startup_checks),
            tuple(definition.readiness_checks),
        )

    @property
    def every(self) -> tuple[Check, ...]:
        return (*self.liveness, *self.startup, *self.readiness)

    def rules(self) -> list[Rule]:
        """One each, in the order of `every`."""
        return [
            *(_rule(check, Purpose.LIVENESS) for check in self.liveness),
            *(_rule(check, Purpose.STARTUP) for check in self.startup),
            *(_rule(check, Purpose.READINESS) for check in self.readiness),
        ]


def timeout_s(check: Check) -> float:
    return (check.timeout_ms if check.HasField("timeout_ms") else _TIMEOUT_MS) / 1000


def _rule(check: Check, purpose: Purpose) -> Rule:
    default_s = STARTUP_INTERVAL_S if purpose is Purpose.STARTUP else _INTERVAL_MS / 1000
    interval_s = check.interval_ms / 1000 if check.HasField("interval_ms") else default_s
    threshold = check.failure_threshold if check.HasField("failure_threshold") else 1
    return Rule(purpose, interval_s, max(1, threshold))
