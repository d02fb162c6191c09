"""What a cell asks of the world, beyond its backend: tiny protocols, owned by the cell.

Production hands in gRPC, files and threads; the simulation hands in a virtual network and a disk
that loses what was not synced. Does not belong here: the backend and the checks
(`diegod.contracts`), clock and ids (`diegod.world`).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from diegod.cellruntime.core.crash_points import Record
from diegod.internal.v1.command_pb2 import Command, Outcome
from diegod.internal.v1.ring_pb2 import RenewReply, RenewRequest
from diegod.v1.event_pb2 import WatchReply, WatchRequest

T = TypeVar("T")


class Bbs(Protocol):
    """The BBS, whichever member answers."""

    async def submit(self, commands: Sequence[Command]) -> Sequence[Outcome]:
        """One outcome each, in order. Raises DomainError for the whole call."""

    def watch(self, request: WatchRequest) -> AsyncIterator[WatchReply]:
        """Rows first, then changes; ends or raises DomainError when the connection goes."""

    async def renew(self, request: RenewRequest) -> RenewReply:
        """One renewal of a lease. Raises DomainError when it was not answered."""


class Records(Protocol):
    """The crash-point records of this cell. What `write` has returned from survives anything."""

    async def load(self) -> Sequence[Record]:
        """Every record; one that can't be read counts as `started`, so that nothing runs twice."""

    async def write(self, record: Record) -> None: ...

    async def remove(self, handle: str) -> None: ...


class Directories(Protocol):
    """The folders of containers, and the logs that outlive them."""

    async def make(self, handle: str) -> Path:
        """The folder of this container; made if it is not there."""

    async def discard(self, handle: str) -> None:
        """The container is gone: keep its log for a while, remove its folder."""

    async def keep_log(self, handle: str) -> None:
        """Put the log where removing the container's folder does not reach it."""

    async def tell(self, handle: str, lines: bytes) -> None:
        """Append lines to the story of this container, which is kept with its log and as long."""

    async def prune(self, wall_s: float) -> None:
        """Remove kept logs that are too old or too many."""


class Lease(Protocol):
    def held(self) -> bool:
        """Whether the BBS certainly still counts this cell as present, at this moment."""


class RunBlocking(Protocol):
    """Run a function that waits for the disk where it does not stop the loop."""

    def __call__(self, function: Callable[[], T]) -> Awaitable[T]: ...
