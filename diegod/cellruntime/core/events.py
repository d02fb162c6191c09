"""What can happen to a cell: the vocabulary that comes in.

The counterpart to events are instructions (`instructions.py`): nearly every event is the answer to
one. An event about a container that has moved on meanwhile is ignored by the machine.
"""

from dataclasses import dataclass
from enum import StrEnum

from diegod.cellruntime.core.crash_points import Phase, Record
from diegod.contracts.backend import ContainerStatus, Exit
from diegod.internal.v1.command_pb2 import Outcome
from diegod.v1.record_pb2 import ActualLrp, Task

# From the agent and the BBS.


@dataclass(frozen=True)
class Recovered:
    """The agent has started: the records on disk, and every handle that the backend has."""

    records: tuple[Record, ...]
    handles: tuple[str, ...]
    boottime: float


@dataclass(frozen=True)
class HandlesFound:
    """Every handle that the backend has, looked up now and then.

    A call of an agent that died may have been finished only after the next one had looked.
    """

    handles: tuple[str, ...]


@dataclass(frozen=True)
class Registered:
    """The BBS knows this cell under a new incarnation."""

    incarnation: int


@dataclass(frozen=True)
class RowsListed:
    """Every row of this cell, as of one revision."""

    tasks: tuple[Task, ...]
    instances: tuple[ActualLrp, ...]
    revision: int


@dataclass(frozen=True)
class TaskChanged:
    task: Task
    revision: int
    removed: bool = False


@dataclass(frozen=True)
class InstanceChanged:
    instance: ActualLrp
    revision: int
    removed: bool = False


@dataclass(frozen=True)
class WatchedTo:
    """Every change up to this revision has been seen."""

    revision: int


@dataclass(frozen=True)
class Answered:
    handle: str
    request_id: str
    outcome: Outcome


@dataclass(frozen=True)
class Unanswered:
    """The command may or may not have been carried out; or certainly was not. Ask again."""

    handle: str
    request_id: str
    reason: str


@dataclass(frozen=True)
class Due:
    """A deadline of the machine has come."""


# From the backend, the checks and the records: each answers one instruction.


@dataclass(frozen=True)
class Prepared:
    handle: str
    address: str = ""  # of the container, where it is known so early


@dataclass(frozen=True)
class Recorded:
    """The record is on disk, durably."""

    handle: str
    phase: Phase


@dataclass(frozen=True)
class Created:
    handle: str


@dataclass(frozen=True)
class Started:
    handle: str
    address: str
    boottime: float
    pid: int = 0


@dataclass(frozen=True)
class GrantExpired:
    """It was not started, because the lease ran out before it could be."""

    handle: str


@dataclass(frozen=True)
class Inspected:
    handle: str
    status: ContainerStatus | None  # None: the backend has nothing of it


@dataclass(frozen=True)
class Ended:
    """The program has ended, and its output is complete."""

    handle: str
    exit: Exit | None  # None: nobody knows how


@dataclass(frozen=True)
class ResultRead:
    handle: str
    content: bytes | None  # None: there is no such regular file


@dataclass(frozen=True)
class Destroyed:
    handle: str


@dataclass(frozen=True)
class Forgotten:
    handle: str


@dataclass(frozen=True)
class Probed:
    handle: str
    index: int
    problem: str  # empty: healthy


class Step(StrEnum):
    PREPARE = "prepare"
    RECORD = "record"
    CREATE = "create"
    START = "start"
    INSPECT = "inspect"
    WAIT = "wait"
    SIGNAL = "signal"
    READ = "read"
    DESTROY = "destroy"
    FORGET = "forget"


@dataclass(frozen=True)
class StepFailed:
    """An instruction could not be carried out.

    `definite`: whoever refused knows what it did, and did not do it. Otherwise it may have
    happened all the same.
    """

    handle: str
    step: Step
    reason: str
    definite: bool = True
    phase: Phase | None = None  # of the record, where `step` is RECORD


Event = (
    Recovered
    | HandlesFound
    | Registered
    | RowsListed
    | TaskChanged
    | InstanceChanged
    | WatchedTo
    | Answered
    | Unanswered
    | Due
    | Prepared
    | Recorded
    | Created
    | Started
    | GrantExpired
    | Inspected
    | Ended
    | ResultRead
    | Destroyed
    | Forgotten
    | Probed
    | StepFailed
)
