"""Whether and when a crashed instance runs again: Diego's back-off as one function.

| crash_count | wait (defaults) |
|-------------|-----------------|
| 1, 2        | none            |
| 3           | 30 s            |
| 4 … 7       | 60 … 480 s, doubled each time |
| 8 … 199     | 960 s           |
| 200 …       | never again     |

Does not belong here: counting the crashes, which the BBS does when a cell reports one.
"""

from dataclasses import dataclass
from typing import TypeAlias

from diegod.v1.definition_pb2 import CrashPolicy

IMMEDIATE_RESTARTS = 2
BACKOFF_MS = 30_000
MAX_BACKOFF_MS = 960_000
MAX_RESTARTS = 200

#: Doubling beyond this changes nothing: any back-off of 1 ms or more has passed any ceiling.
_DOUBLINGS_MAX = 64


@dataclass(frozen=True)
class RestartNow:
    """Its time has come."""


@dataclass(frozen=True)
class RestartAt:
    """Its time is still to come."""

    at: float


@dataclass(frozen=True)
class NeverAgain:
    """It crashed as often as its policy allows."""


Restart: TypeAlias = RestartNow | RestartAt | NeverAgain


def restart(policy: CrashPolicy, crash_count: int, crashed_at: float, now: float) -> Restart:
    """What becomes of an instance that crashed at `crashed_at`, for the `crash_count`th time."""
    max_restarts = _or(policy, "max_restarts", MAX_RESTARTS)
    if max_restarts and crash_count >= max_restarts:
        return NeverAgain()
    at = crashed_at + backoff_s(policy, crash_count)
    return RestartNow() if now >= at else RestartAt(at)


def backoff_s(policy: CrashPolicy, crash_count: int) -> float:
    """How long the instance stays down after this crash."""
    doublings = crash_count - immediate_restarts(policy) - 1
    if doublings < 0:
        return 0.0
    backoff_ms = _or(policy, "backoff_ms", BACKOFF_MS) << min(doublings, _DOUBLINGS_MAX)
    return min(backoff_ms, _or(policy, "max_backoff_ms", MAX_BACKOFF_MS)) / 1000


def immediate_restarts(policy: CrashPolicy) -> int:
    """How many crashes are followed by a restart without a wait."""
    return _or(policy, "immediate_restarts", IMMEDIATE_RESTARTS)


def _or(policy: CrashPolicy, field: str, default: int) -> int:
    """Left out and zero are different things: `max_restarts: 0` never stops."""
    value: int = getattr(policy, field)
    return value if policy.HasField(field) else default  # type: ignore[arg-type]
