"""The wires between BBS members: one connection a pair, frames both ways, over the Raft port.

Of two members the one with the lesser id dials; the other one does so only when that has not
happened for a while, since the first may not have heard of it yet. Who the other side is says its
certificate; which store it has, it says in its first frame, which is the log's to judge
(`raft/greeting.py`). What was on its way when a connection broke is lost; on the next one both
sides begin anew.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

import structlog

from diegod.internal.v1.raft_pb2 import RaftFrame
from diegod.models.errors import DomainError, Reason
from diegod.rpc.dialer import Dialer
from diegod.rpc.methods import method
from diegod.security.identity import Principal

EXCHANGE = "diegod.internal.v1.RaftService/Exchange"

_log = structlog.get_logger("raft.links")

_QUEUE_BYTES_MAX = 64 * 1024 * 1024
_REDIAL_S = 0.1
_PATIENCE_S = 2.0
_PATIENCE = 10  # looks within that time
_SAID_AGAIN_S = 60.0  # a peer that is refused for the same reason at each attempt


@dataclass(frozen=True)
class LinkEvents:
    """What a link tells its member. Called on the event loop; none of them may block."""

    received: Callable[[str, RaftFrame], None]
    connected: Callable[[str], None]
    disconnected: Callable[[str], None]


class Links:
    def __init__(
        self, member_id: str, peers: Mapping[str, str], dialer: Dialer, events: LinkEvents
    ) -> None:
        self._member_id = member_id
        self._dialer = dialer
        self._events = events
        self._addresses = dict(peers)
        self._changed = asyncio.Event()
        self._wires: dict[str, _Wire] = {}  # of every peer that is connected now
        self._refused: dict[str, tuple[str, float]] = {}  # why, and when that was said

    def set_peers(self, peers: Mapping[str, str]) -> None:
        """Dial these from now on. A connection with another one ends when its next frame comes."""
        self._addresses = dict(peers)
        self._changed.set()

    async def run(self) -> None:
        """Keep dialling, for ever."""
        keeping: dict[str, asyncio.Task[None]] = {}
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    for peer in sorted(self._addresses):
                        if peer not in keeping or keeping[peer].done():
                            keeping[peer] = group.create_task(self._keep(peer))
                    await self._changed.wait()
                    self._changed.clear()
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    def send(self, peer: str, frame: RaftFrame) -> None:
        """To whom there is no connection, nothing is sent: Raft repeats what matters."""
        wire = self._wires.get(peer)
        if wire is not None and not wire.put(frame):
            self._ended(wire)

    def up(self, peer: str) -> bool:
        return peer in self._wires

    def refuse(self, peer: str, reason: str) -> None:
        """The log would not take a frame of this peer: its connection ends, and may begin anew."""
        now = asyncio.get_running_loop().time()
        said, at = self._refused.get(peer, ("", now))
        if said != reason or now - at > _SAID_AGAIN_S:
            self._refused[peer] = reason, now
            _log.error("link.refused", peer=peer, why=reason)
        if peer in self._wires:
            self._ended(self._wires[peer])

    async def exchange(
        self, requests: AsyncIterator[RaftFrame], caller: Principal
    ) -> AsyncIterator[RaftFrame]:
        """The handler of a peer that dials this member, perhaps before this one knows of it."""
        if caller.id == self._member_id:
            raise DomainError(Reason.PERMISSION_DENIED, f"{caller.id} dials itself")
        yield RaftFrame()  # the connection is taken
        wire = self._connected(caller.id)
        reading = asyncio.create_task(self._read(wire, requests))
        try:
            async for frame in wire.frames():
                yield frame
        finally:
            reading.cancel()
            self._ended(wire)

    async def _keep(self, peer: str) -> None:
        """Dial a peer whenever there is no connection with it, for as long as it is one."""
        while peer in self._addresses:
            if await self._is_ours_to_dial(peer):
                wire = _Wire(peer)
                try:
                    await self._speak(wire)
                except DomainError as error:
                    _log.debug("link.down", peer=peer, why=error.message)
                finally:
                    self._ended(wire)
            await asyncio.sleep(_REDIAL_S)

    async def _is_ours_to_dial(self, peer: str) -> bool:
        """The other one dials if its id is less; unless it does not, since it may not know us."""
        if self._member_id < peer:
            return True
        for _ in range(_PATIENCE):
            if peer in self._wires:
                return False
            await asyncio.sleep(_PATIENCE_S / _PATIENCE)
        return peer not in self._wires and peer in self._addresses

    async def _speak(self, wire: "_Wire") -> None:
        """One connection that we dialled, for as long as it lasts."""
        address = self._addresses[wire.peer]
        replies = self._dialer.duplex(address, method(EXCHANGE), wire.frames(), None)
        taken = False
        async for frame in replies:
            if wire.closed:
                return
            if taken:
                self._events.received(wire.peer, frame)
            else:
                taken = True
                self._connected(wire.peer, wire)

    async def _read(self, wire: "_Wire", requests: AsyncIterator[RaftFrame]) -> None:
        try:
            async for frame in requests:
                if wire.closed:
                    return
                self._events.received(wire.peer, frame)
        finally:
            wire.close()

    def _connected(self, peer: str, wire: "_Wire | None" = None) -> "_Wire":
        """This connection is the peer's from now on; an older one ends."""
        if peer in self._wires:
            self._ended(self._wires[peer])
        self._wires[peer] = wire or _Wire(peer)
        self._events.connected(peer)
        return self._wires[peer]

    def _ended(self, wire: "_Wire") -> None:
        wire.close()
        if self._wires.get(wire.peer) is wire:
            del self._wires[wire.peer]
            self._events.disconnected(wire.peer)


class _Wire:
    """Frames on their way to one peer over one connection; bounded: a peer that doesn't read loses
    its connection."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.closed = False
        self._frames: deque[RaftFrame] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()

    def put(self, frame: RaftFrame) -> bool:
        """False: the peer does not read, and the connection is to end."""
        self._frames.append(frame)
        self._bytes += frame.ByteSize()
        self._filled.set()
        return self._bytes <= _QUEUE_BYTES_MAX

    def close(self) -> None:
        """What was not sent yet is lost; who waits in `frames` may do so until the peer reads."""
        self.closed = True
        self._frames.clear()
        self._filled.set()

    async def frames(self) -> AsyncIterator[RaftFrame]:
        """What was put, in order, until the wire is closed."""
        while not self.closed:
            if self._frames:
                frame = self._frames.popleft()
                self._bytes -= frame.ByteSize()
                yield frame
            else:
                self._filled.clear()
                await self._filled.wait()
