"""What a health check does: one probe of one target, answered with healthy or with a reason.

When to probe, how often and what a failure means is decided by the cell
(`diegod.cellruntime.core.health`), not by a check.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from diegod.contracts.backend import ExecResult


@dataclass(frozen=True)
class Unhealthy:
    reason: str  # "connection refused on port 8080", "404 from http://…/healthz"


#: Run a command in the container that is probed: argv, timeout_s.
RunInContainer = Callable[[Sequence[str], float], Awaitable[ExecResult]]


@dataclass(frozen=True)
class Target:
    """One container, as a probe sees it."""

    address: str
    ports: Mapping[int, int]  # container port -> the port to dial at `address`
    run: RunInContainer


class HealthCheck(Protocol):
    async def probe(self, target: Target, timeout_s: float) -> Unhealthy | None:
        """None is healthy. Must end within `timeout_s`; any exception counts as unhealthy."""
