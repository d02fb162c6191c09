"""What a cell remembers of a container through its own death: one record a container.

Each phase is on disk *before* the step it announces, so that an agent that finds a record knows
the furthest that its predecessor can have got:

- `intent`: prepared; the start grant may have been asked for. Nothing was created.
- `granted`: the BBS said yes to this cell. The container may have been created, not started.
- `starting`: the program may have been started.
- `started`: it has been.
- `ending`: what the BBS is to be told is decided and in the record; the container may be gone.

How records reach the disk is `diegod.cellruntime.records`.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from diegod.cellruntime.core.keys import Key
from diegod.contracts.backend import PortSpec
from diegod.v1.record_pb2 import Task


class Phase(StrEnum):
    INTENT = "intent"
    GRANTED = "granted"
    STARTING = "starting"
    STARTED = "started"
    ENDING = "ending"


class Verb(StrEnum):
    """What can be said of a container that has come to its end."""

    COMPLETE = "complete"  # a task ended, well or badly
    REJECT = "reject"  # it never started, and may be placed anew
    CRASH = "crash"  # an instance ended, and nobody had asked it to
    REMOVE = "remove"  # an instance was stopped, as was asked


@dataclass(frozen=True)
class Verdict:
    """What the BBS is told of the end of a container. `failed` and below concern tasks only."""

    verb: Verb
    reason: str = ""
    failed: bool = False
    outcome_unknown: bool = False
    exit_status: int | None = None
    failure: Task.Failure.ValueType = Task.NONE
    result: str = ""


@dataclass(frozen=True)
class StopRule:
    """How a program is asked to end, and how long it may take."""

    signal: str = "TERM"
    timeout_s: float = 10.0


@dataclass(frozen=True)
class Record:
    handle: str
    key: Key
    phase: Phase
    row_revision: int = 0  # of the row as it was known: a list older than this says nothing
    fencing_token: int = 0
    memory_mb: int = 0
    disk_mb: int = 0
    ports: tuple[PortSpec, ...] = ()
    address: str = ""  # where its ports listen
    stop: StopRule = field(default_factory=StopRule)
    started_boottime_s: float = 0.0  # 0: not known to have been started
    result_file: str = ""  # of a task: its row may not be known again when its program ends
    verdict: Verdict | None = None  # all and only in phase `ending`
