"""The wires between BBS members: one stream to each peer, one from each, over the Raft port.

Who the other side is says its certificate; which store it has, it says in the first frame of the
stream, which is the log's to judge (`raft/greeting.py`). A link is up from the moment the peer has
taken the stream until it breaks; what was on its way then is lost.
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


@dataclass(frozen=True)
class LinkEvents:
    """What a link tells its member. Called on the event loop; none of them may block."""

    received: Callable[[str, RaftFrame], None]
    connected: Callable[[str], None]
    disconnected: Callable[[str], None]


class Links:
    def __init__(self, peers: Mapping[str, str], dialer: Dialer, events: LinkEvents) -> None:
        self._dialer = dialer
        self._events = events
        self._outgoing = {peer: _Outgoing(peer, address) for peer, address in peers.items()}
        #: The number of the newest incoming stream of each peer: what an older one brings is late.
        self._newest: dict[str, int] = dict.fromkeys(peers, 0)

    async def run(self) -> None:
        """Keep a stream to every peer, for ever."""
        await asyncio.gather(*(self._keep(out) for out in self._outgoing.values()))

    def send(self, peer: str, frame: RaftFrame) -> None:
        self._outgoing[peer].put(frame)

    def up(self, peer: str) -> bool:
        return self._outgoing[peer].up

    def refuse(self, peer: str, reason: str) -> None:
        """The log would not take a frame of this peer: its stream ends, and it may try again."""
        _log.error("link.refused", peer=peer, why=reason)
        self._newest[peer] += 1

    async def exchange(
        self, requests: AsyncIterator[RaftFrame], caller: Principal
    ) -> AsyncIterator[RaftFrame]:
        """The handler of a peer's stream to this member."""
        peer = caller.id
        if peer not in self._newest:
            raise DomainError(Reason.PERMISSION_DENIED, f"{peer} is not a member of this cluster")
        self._newest[peer] += 1
        number = self._newest[peer]
        yield RaftFrame()  # the stream is taken
        async for frame in requests:
            if self._newest[peer] != number:
                return
            self._events.received(peer, frame)

    async def _keep(self, out: "_Outgoing") -> None:
        while True:
            try:
                await self._speak(out)
            except DomainError as error:
                _log.debug("link.down", peer=out.peer, why=error.message)
            finally:
                if out.up:
                    out.up = False
                    self._events.disconnected(out.peer)
            await asyncio.sleep(_REDIAL_S)

    async def _speak(self, out: "_Outgoing") -> None:
        """One stream, for as long as it lasts."""
        out.clear()
        replies = self._dialer.duplex(out.address, method(EXCHANGE), out.frames(), None)
        async for _ in replies:
            out.up = True
            self._events.connected(out.peer)


class _Outgoing:
    """Frames on their way to one peer, bounded: a peer that doesn't read loses its link."""

    def __init__(self, peer: str, address: str) -> None:
        self.peer = peer
        self.address = address
        self.up = False
        self._frames: deque[RaftFrame] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()

    def clear(self) -> None:
        self._frames.clear()
        self._bytes = 0

    def put(self, frame: RaftFrame) -> None:
        """To whom there is no link, nothing is sent: Raft repeats what matters."""
        if self.up:
            self._frames.append(frame)
            self._bytes += frame.ByteSize()
            self._filled.set()

    async def frames(self) -> AsyncIterator[RaftFrame]:
        while self._bytes <= _QUEUE_BYTES_MAX:
            while self._frames:
                frame = self._frames.popleft()
                self._bytes -= frame.ByteSize()
                yield frame
            self._filled.clear()
            await self._filled.wait()
