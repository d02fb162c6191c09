"""What goes wrong: chosen by chance, several at a time, each counted only if it took place.

Here are the network and the members; what else there is to strike is in `bbs_faults` and
`ring_faults`, with the proportions.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.sim.roles import SimMember, SimRole

if TYPE_CHECKING:
    from tests.sim.bbs import Bbs
    from tests.sim.ring import Ring

#: Longer than a lease with its grace.
LONG_PAUSE_S = (11.5, 15.0)


@dataclass(frozen=True)
class Weather:
    """Which faults, in which proportion, and how long it is quiet in between."""

    weights: Mapping[str, int]
    pause_s: tuple[float, float] = (0.3, 4.5)
    faults_min: int = 0  # it goes on until so many took place


class Nemesis:
    #: How long each kind of fault lasts.
    cut_s: tuple[float, ...] = (1.0, 3.0, 6.0, 13.0)
    delay_s = (1.0, 6.0)
    stall_s = (0.5, 8.0)
    pause_s = (0.2, 4.0)
    long_pause_s = LONG_PAUSE_S

    def __init__(self, ring: "Ring | Bbs") -> None:
        self._ring: Any = ring
        self._chance = ring.chance("nemesis")
        self._strikes: dict[str, Callable[[], None]] = {
            "delay": self._delay,
            "stall": self._stall,
            "isolate": self._isolate_member,
            "split": self._split,
            "reset": self._reset,
            "crash member": self._crash_member,
            "crash before commit": self._crash_before_commit,
            "crash after commit": self._crash_after_commit,
            "crash leader": self._crash_leader,
            "crash all members": self._crash_all_members,
            "pause member": self._pause_member,
            "jump clock": self._jump_clock,
        }

    async def strike_until(self, end_s: float, weather: Weather) -> None:
        names, weights = list(weather.weights), list(weather.weights.values())
        await asyncio.sleep(self._chance.uniform(1.0, 3.0))
        while self._ring.loop.time() < end_s or self._ring.faults.total() < weather.faults_min:
            name = self._chance.choices(names, weights)[0]
            self._strikes[name]()
            await asyncio.sleep(self._chance.uniform(*weather.pause_s))

    # The network.

    def _delay(self) -> None:
        """Everything from or to one machine takes up to 0.6 s."""
        machine = self._chance.choice(self._ring.machine_names())
        routes = [
            self._ring.network.route(*pair)
            for other in self._ring.machine_names()
            for pair in ((machine, other), (other, machine))
            if other != machine
        ]
        before = sum(route.delayed for route in routes)
        for route in routes:
            route.is_slow = True

        def end() -> None:
            for route in routes:
                route.is_slow = False
            self._count("messages delayed", sum(route.delayed for route in routes) > before)

        self._later(self._chance.uniform(*self.delay_s), end)

    def _stall(self) -> None:
        source, target = self._chance.sample(self._ring.machine_names(), 2)
        self._cut("one-way stall", [(source, target)], self._chance.uniform(*self.stall_s))

    def _isolate_member(self) -> None:
        alone = self._member().name
        others = [name for name in self._ring.machine_names() if name != alone]
        self._cut_both_ways("partition, one member alone", [alone], others)

    def _split(self) -> None:
        """One member with some of the rest, against the others."""
        names = self._ring.machine_names()
        minority = [name for name in names if self._chance.random() < 0.4]
        members = [member.name for member in self._ring.members]
        for name in [name for name in minority if name in members][1:]:
            minority.remove(name)
        others = [name for name in names if name not in minority]
        self._cut_both_ways("partition, majority and minority", minority, others)

    def _cut_both_ways(self, kind: str, some: list[str], others: list[str]) -> None:
        pairs = [pair for one in some for other in others for pair in ((one, other), (other, one))]
        self._cut(kind, pairs, self._chance.choice(self.cut_s))

    def _cut(self, kind: str, pairs: list[tuple[str, str]], seconds: float) -> None:
        network = self._ring.network
        self._ring.note(f"{kind} {pairs}")
        before = network.counts["messages held back"]
        round_ = self._ring.round
        for pair in pairs:
            network.stall(*pair)

        def end() -> None:
            self._count(kind, network.counts["messages held back"] > before)
            if round_ == self._ring.round:
                for pair in pairs:
                    network.end_stall(*pair)

        self._later(seconds, end)

    def _reset(self) -> None:
        """Between two machines, or all connections of one of them."""
        network, names = self._ring.network, self._ring.machine_names()
        if self._chance.random() < 0.5:
            pairs = [tuple(self._chance.sample(names, 2))]
        else:
            one = self._chance.choice(names)
            pairs = [(one, other) for other in names if other != one]
        self._count("connections reset", sum(network.reset(*pair) for pair in pairs) > 0)

    # Members.

    def _member(self) -> SimMember:
        """More often than not the leader."""
        leaders = [member for member in self._ring.members if member.leads]
        if leaders and self._chance.random() < 0.6:
            found: SimMember = leaders[0]
        else:
            found = self._chance.choice(self._ring.members)
        return found

    def _crash_member(self) -> None:
        self._crash(self._member(), "member crash")

    def _crash_leader(self) -> None:
        for member in self._ring.members:
            if member.leads:
                self._crash(member, "leader crash")
                return

    def _crash_before_commit(self) -> None:
        self._member().dies_before_commit = self._chance.randint(1, 5)

    def _crash_after_commit(self) -> None:
        self._member().dies_after_commit = self._chance.randint(1, 8)

    def _crash_all_members(self) -> None:
        self._count("all members crash", all(member.is_up for member in self._ring.members))
        for member in self._ring.members:
            self._crash(member, "")

    def _crash(self, role: SimRole, kind: str) -> None:
        if role.is_up:
            self._count(kind, bool(kind))
            role.kill()
            self._ring.revive_later(role)

    # Pauses and clocks.

    def _pause_member(self) -> None:
        self._pause(self._member(), "member paused")

    def _pause(self, role: SimRole, kind: str) -> None:
        process = role.process
        if process is None or process.is_paused:
            return
        is_long = self._chance.random() < 0.5
        seconds = self._chance.uniform(*(self.long_pause_s if is_long else self.pause_s))
        self._ring.note(f"{kind} {role.name} {seconds:.3f}")
        self._count(kind, True)
        process.pause()

        def resume() -> None:
            if process.is_paused and not process.is_dead:
                self._ring.note(f"resume {role.name}")
                process.resume()

        self._later(seconds, resume)

    def _jump_clock(self) -> None:
        """An hour ahead or back, for good: by which a leader stamps the entries."""
        member = self._member()
        member.machine.wall_error_s += self._chance.choice((-3600.0, 3600.0))
        self._count("wall clock jump", member.is_up)

    # Bookkeeping.

    def _count(self, kind: str, took_place: bool) -> None:
        if took_place:
            self._ring.faults[kind] += 1
            self._ring.note(f"fault: {kind}")

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self._ring.network.at(seconds, action)
