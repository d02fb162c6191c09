"""A virtual network: the routes between machines, and what faults do to them.

A connection behaves as TCP's does. Within it nothing is lost or overtaken; it can be late, for as
long as a direction between two machines is stalled; a reset loses whatever was on its way. What
goes over a connection is `wire`; how the product's code gets at it is `dialer`.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from diegod.rpc.handlers import Handlers
from tests.sim.host import Process
from tests.sim.loop import SIMULATION, VirtualLoop

if TYPE_CHECKING:
    from tests.sim.wire import Call, Wire

#: A client's pings notice a silent connection after 10 to 15 seconds.
KEEPALIVE_S = (10.0, 15.0)


#: A call at the member's door, its request, and how it goes on; whether somebody sees to that.
Ambush: TypeAlias = Callable[["Call", bytes, Callable[[], None]], bool]


@dataclass
class Route:
    """One direction between two machines."""

    low_s: float = 0.0003
    high_s: float = 0.003
    stalls: int = 0  # how many faults hold it back at the moment
    held: list[tuple["Wire", Callable[[], None]]] = field(default_factory=list)
    delayed: int = 0  # messages that a fault made late
    is_slow: bool = False


@dataclass(frozen=True)
class Listener:
    process: Process
    handlers: Handlers


class Network:
    def __init__(self, loop: VirtualLoop, chance: random.Random, trace: Any) -> None:
        self.loop = loop
        self.chance = chance
        self.trace = trace
        self.listeners: dict[str, Listener] = {}
        self.wires: dict[Wire, None] = {}
        self.counts: Counter[str] = Counter()
        self.complaints: list[str] = []
        self.doubling = self.late = 0
        """Under how many faults commands come twice, and answers to them late."""
        self.ambush: Ambush | None = None
        """Somebody waits for commands."""
        self._routes: dict[tuple[str, str], Route] = {}

    def route(self, source: str, target: str) -> Route:
        return self._routes.setdefault((source, target), Route())

    def listen(self, address: str, process: Process, handlers: Handlers) -> None:
        self.listeners[address] = Listener(process, handlers)

    def listener(self, address: str) -> Listener | None:
        found = self.listeners.get(address)
        return None if found is None or found.process.is_dead else found

    # What faults do.

    def stall(self, source: str, target: str) -> None:
        """From now on nothing gets through in this direction; nothing is lost."""
        route = self.route(source, target)
        route.stalls += 1
        for wire in list(self.wires):
            if {wire.client.machine.name, wire.machine} == {source, target}:
                self.at(self.chance.uniform(*KEEPALIVE_S), self._pinger(wire, source, target))

    def _pinger(self, wire: "Wire", source: str, target: str) -> Callable[[], None]:
        return lambda: self._ping(wire, source, target)

    def _ping(self, wire: "Wire", source: str, target: str) -> None:
        if self.route(source, target).stalls and not wire.is_broken:
            self.counts["connections given up"] += 1
            wire.break_off("keepalive watchdog timeout")

    def end_stall(self, source: str, target: str) -> None:
        route = self.route(source, target)
        route.stalls -= 1
        if route.stalls == 0:
            held, route.held = route.held, []
            for wire, deliver in held:
                wire.deliver(deliver)

    def heal(self) -> None:
        """All stalls and all slowness end."""
        self.doubling = self.late = 0
        for (source, target), route in self._routes.items():
            route.is_slow = False
            if route.stalls:
                route.stalls = 1
                self.end_stall(source, target)

    def reset(self, machine: str, other: str) -> int:
        """Break every connection between two machines; how many there were."""
        broken = 0
        for wire in list(self.wires):
            if {wire.client.machine.name, wire.machine} == {machine, other} and not wire.is_broken:
                wire.break_off("Connection reset by peer")
                broken += 1
        return broken

    def process_died(self, process: Process, silently: bool = False) -> None:
        """Its connections end; `silently`, with its machine, nobody hears of it."""
        for wire in list(self.wires):
            if process in (wire.client, wire.server):
                wire.end_of(process, silently)

    # Messages.

    def at(self, delay_s: float, action: Callable[[], None]) -> None:
        self.loop.call_at(self.loop.time() + delay_s, action, context=SIMULATION)

    def delay(self, route: Route) -> float:
        if route.is_slow:
            route.delayed += 1
            return self.chance.uniform(0.05, 0.6)
        return self.chance.uniform(route.low_s, route.high_s)

    def is_doubled(self) -> bool:
        """Whether a command that begins its way now arrives a second time."""
        return self.doubling > 0 and self.chance.random() < 0.4

    def lateness_s(self) -> float:
        """How long an answer to a command waits before it sets out."""
        if self.late <= 0 or self.chance.random() > 0.4:
            return 0.0
        self.counts["answers late"] += 1
        return self.chance.uniform(0.3, 4.0)

    def note(self, what: str, data: bytes = b"") -> None:
        """Everything that gets here is part of the trace, in its order."""
        self.trace.update(b"%.9f " % self.loop.time())
        self.trace.update(what.encode())
        self.trace.update(data)
