"""The connections of a simulated cluster: one a direction, ordered, delayed, stalled, reset."""

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from diegod.internal.v1.raft_pb2 import RaftFrame

if TYPE_CHECKING:
    from tests.sim.raft_world import World

DELAY_MIN_S, DELAY_MAX_S = 0.0002, 0.02


@dataclass
class Connection:
    """Frames from one member to another. What is on its way dies with its generation."""

    up: bool = False
    generation: int = 0
    stalled_until: float = 0.0
    on_its_way: deque[tuple[float, RaftFrame]] = field(default_factory=deque)


class Network:
    """All connections, both directions of each pair apart."""

    def __init__(self, world: "World") -> None:
        self._world = world
        ids = list(world.members)
        self.connections = {(a, b): Connection() for a in ids for b in ids if a != b}

    # What connects.

    def connect(self, source: str, target: str) -> None:
        connection, member = self.connections[source, target], self._world.members[source]
        if connection.up or member.engine is None or self._world.members[target].engine is None:
            return
        connection.up = True
        connection.generation += 1
        member.engine.connected(target)
        self._world.wake(member, self._world.now)

    def connect_soon(self, source: str, target: str, within: float) -> None:
        delay = self._world.random.uniform(0, within)
        self._world.after(delay, lambda: self.connect(source, target))

    def disconnect(self, source: str, target: str) -> None:
        connection, member = self.connections[source, target], self._world.members[source]
        if not connection.up:
            return
        connection.up = False
        connection.generation += 1
        connection.on_its_way.clear()
        if member.engine is not None:
            member.engine.disconnected(target)
            self._world.wake(member, self._world.now)

    # What goes wrong.

    def reset(self, source: str, target: str) -> None:
        """Lose what is on its way; connect again soon."""
        self.disconnect(source, target)
        self.connect_soon(source, target, 0.3)

    def stall(self, source: str, target: str, seconds: float) -> None:
        """Hold back all frames from one member to another for a while."""
        self.connections[source, target].stalled_until = self._world.now + seconds

    def isolate(self, who: str, seconds: float) -> None:
        """Hold back all frames from and to a member for a while."""
        for source, target in self.connections:
            if who in (source, target):
                self.stall(source, target, seconds)

    def end_stalls(self) -> None:
        for source, target in self.connections:
            self.stall(source, target, 0.0)
            self._arrive(source, target)

    # What is sent.

    def lines_from(self, source: str) -> dict[str, int]:
        """The generation of each connection that a member sends into."""
        return {
            target: connection.generation
            for (each, target), connection in self.connections.items()
            if each == source
        }

    def send(self, source: str, target: str, generation: int, frame: RaftFrame) -> None:
        """Send into a connection, if it is still the one that was meant."""
        connection, now = self.connections[source, target], self._world.now
        if not connection.up or connection.generation != generation:
            return
        arrival = now + self._world.random.uniform(DELAY_MIN_S, DELAY_MAX_S)
        connection.on_its_way.append((arrival, frame))
        self._world.at(arrival, lambda: self._arrive(source, target))

    def _arrive(self, source: str, target: str) -> None:
        """Let in what is due, in the order in which it was sent."""
        connection, member = self.connections[source, target], self._world.members[target]
        now, on_its_way = self._world.now, connection.on_its_way
        if connection.stalled_until > now:
            if on_its_way:
                self._world.at(connection.stalled_until, lambda: self._arrive(source, target))
            return
        while on_its_way and on_its_way[0][0] <= now:
            member.inbox.append((source, on_its_way.popleft()[1]))
            self._world.wake(member, now)
