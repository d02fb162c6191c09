"""What goes wrong in a simulated cluster, and what its clients do meanwhile: all by chance."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diegod.raftbbs.raft.api import Limits, Timing

if TYPE_CHECKING:
    from tests.sim.raft_world import World


@dataclass(frozen=True)
class Faults:
    """How often a second, all members together. The chances of crashes are per commit."""

    stalls: float = 1.2
    resets: float = 0.8
    isolations: float = 0.6
    pauses: float = 0.4
    crashes: float = 0.3
    crash_before_commit: float = 0.0007
    crash_after_commit: float = 0.0007
    client_acts: float = 40.0


CALM = Faults(0, 0, 0, 0, 0, 0, 0)

STORM_LIMITS = Limits(
    log_kept_entries=5, log_cut_entries=3, snapshot_chunk_bytes=3000, snapshot_chunks=1
)
STORM_TIMING = Timing(snapshot_kept_s=1.0, snapshot_retry_s=0.3)
"""Whoever was away for a moment is behind the others' logs, and a copy of the state comes in so
many pieces that some are lost."""
STORM_FAULTS = Faults(resets=3.0, crash_before_commit=0.002)


class Mischief:
    """Strikes until it is told to stop."""

    def __init__(self, world: "World", faults: Faults) -> None:
        self._world = world
        self._random = world.random
        self._stopped = False
        pairs = len(world.members) > 1
        for rate, act in (
            (faults.stalls * pairs, self._stall),
            (faults.resets * pairs, self._reset),
            (faults.isolations, self._isolate),
            (faults.pauses, self._pause),
            (faults.crashes, self._crash),
            (faults.client_acts, self._clients),
        ):
            if rate:
                self._again(rate, act)

    def stop(self) -> None:
        self._stopped = True

    def _again(self, rate: float, act: Callable[[], None]) -> None:
        def strike() -> None:
            if not self._stopped:
                act()
                self._again(rate, act)

        self._world.after(self._random.expovariate(rate), strike)

    def _one(self) -> str:
        return self._random.choice(sorted(self._world.members))

    def _stall(self) -> None:
        source, target = self._random.sample(sorted(self._world.members), 2)
        self._world.network.stall(source, target, self._random.uniform(0.05, 2))

    def _reset(self) -> None:
        source, target = self._random.sample(sorted(self._world.members), 2)
        self._world.network.reset(source, target)

    def _isolate(self) -> None:
        self._world.network.isolate(self._one(), self._random.uniform(0.3, 3))

    def _pause(self) -> None:
        self._world.pause(self._one(), self._random.uniform(0.1, 2))

    def _crash(self) -> None:
        self._world.die(self._world.members[self._one()])

    def _clients(self) -> None:
        """Clients write to whoever leads, by mistake to others too; they read everywhere."""
        for member in self._world.living():
            leads = member.leadership().leads
            if leads or self._random.random() < 0.02:
                for _ in range(self._random.choice((1, 1, 1, 3))):
                    self._world.propose(member)
            if self._random.random() < 0.3:
                self._world.read(member)
            if leads and self._random.random() < 0.3:
                self._world.confirm(member)
