"""What a cell may do: the vocabulary that goes out.

The counterpart to instructions are events (`events.py`): each instruction is carried out by the
executor as one task, and what comes of it is the next event (of a Signal only its failure).
"""

from dataclasses import dataclass

from diegod.cellruntime.core.crash_points import Record
from diegod.cellruntime.core.work import Work
from diegod.contracts.backend import PortSpec
from diegod.internal.v1.command_pb2 import Command
from diegod.v1.definition_pb2 import Check


@dataclass(frozen=True)
class Submit:
    """Tell or ask the BBS. Answered by Answered or Unanswered."""

    handle: str
    command: Command


@dataclass(frozen=True)
class Prepare:
    work: Work

    @property
    def handle(self) -> str:
        return self.work.handle


@dataclass(frozen=True)
class WriteRecord:
    """Put it on disk, durably, before anything else is done for this container."""

    record: Record

    @property
    def handle(self) -> str:
        return self.record.handle


@dataclass(frozen=True)
class Create:
    work: Work

    @property
    def handle(self) -> str:
        return self.work.handle


@dataclass(frozen=True)
class Start:
    """`under_lease`: only if the cell's lease is held at the very moment of the start."""

    handle: str
    under_lease: bool


@dataclass(frozen=True)
class AwaitEnd:
    handle: str


@dataclass(frozen=True)
class Inspect:
    handle: str


@dataclass(frozen=True)
class Signal:
    handle: str
    signal: str


@dataclass(frozen=True)
class ReadResult:
    """The beginning of a file of the container, whose program has ended."""

    handle: str
    path: str
    bytes_max: int


@dataclass(frozen=True)
class Destroy:
    """End whatever runs, keep the log, remove everything else."""

    handle: str


@dataclass(frozen=True)
class Forget:
    """Remove the record."""

    handle: str


@dataclass(frozen=True)
class Probe:
    handle: str
    index: int  # of the check
    check: Check
    address: str
    ports: tuple[PortSpec, ...]
    timeout_s: float


Instruction = (
    Submit
    | Prepare
    | WriteRecord
    | Create
    | Start
    | AwaitEnd
    | Inspect
    | Signal
    | ReadResult
    | Destroy
    | Forget
    | Probe
)
