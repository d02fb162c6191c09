"""One member of a simulated cluster: its disk, its clock, and its engine while it lives."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from diegod.internal.v1.raft_pb2 import RaftFrame
from diegod.raftbbs.raft.api import Leadership, Proposal
from diegod.raftbbs.raft.engine import Engine
from diegod.raftbbs.store.environment import Environment, Table

FAST_DISK = Path("/dev/shm")
MAP_SIZE = 64 << 20


@dataclass
class Member:
    """What a member has. Without an engine it is dead."""

    id: str
    folder: Path
    clock_offset: float
    clock_rate: float
    engine: Engine | None = None
    environment: Environment | None = None
    state: Table | None = None
    record: Table | None = None  # of the members, when they change
    life: int = 0
    inbox: list[tuple[str, RaftFrame]] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)
    reads: list[int] = field(default_factory=list)
    busy_until: float = 0.0
    wake_at: float = float("inf")

    def clock(self, true_time: float) -> float:
        return self.clock_offset + self.clock_rate * true_time

    def true_time(self, own_time: float) -> float:
        return (own_time - self.clock_offset) / self.clock_rate

    def leadership(self) -> Leadership:
        assert self.engine is not None
        return self.engine.leadership()

    def applied(self) -> dict[bytes, int]:
        """All commands that are in its state, with their indexes."""
        assert self.environment is not None
        assert self.state is not None
        with self.environment.begin_read() as transaction:
            rows = transaction.scan(self.state)
            return {command: int.from_bytes(index, "big") for command, index in rows}


@contextmanager
def disks() -> Iterator[Path]:
    """A folder for the members' disks, in memory where there is such a place."""
    place = FAST_DISK if FAST_DISK.is_dir() else None
    with TemporaryDirectory(prefix="diegod-raft-", dir=place) as folder:
        yield Path(folder)
