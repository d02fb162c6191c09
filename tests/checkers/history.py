"""What clients did and were told, and what the cluster says it did: the record that is judged.

Rows are registers: a task is created if it is absent, an LRP is created, scaled with or without a
compare-and-set, and both are read. Nothing is judged here, and the file format is in `lines`.

How a record has to be made:

- All times are of one monotonic clock.
- One call is one try. A refusal of a second try says nothing about the first one.
- Each request id is used once. It comes back as the provenance of the row that the write made.
- Reads are linearizable ones. The rows are changed by these clients alone.
- `changes` is the whole feed, of every kind of row, from `base_revision` to `final_revision`, which
  was read once nothing could still be on its way.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from diegod.models.errors import Reason

#: Refusals that say something about the row. Every other one only says: certainly not applied.
DECIDED_BY_ROW = (Reason.RESOURCE_NOT_FOUND, Reason.RESOURCE_EXISTS, Reason.RESOURCE_CONFLICT)


class Verb(StrEnum):
    DESIRE_TASK = "desire_task"  # create if absent; an equal one is answered, another one refused
    DESIRE_LRP = "desire_lrp"  # create or change; with an expected revision, compare-and-set
    SCALE_LRP = "scale_lrp"  # change what is there; with an expected revision, compare-and-set
    READ = "read"

    @property
    def can_compare_and_set(self) -> bool:
        return self in (Verb.DESIRE_LRP, Verb.SCALE_LRP)


@dataclass(frozen=True, slots=True)
class Row:
    """One version of a row: the revision and the request that made it, and what it says."""

    revision: int
    request_id: str
    value: str  # a task's definition, an LRP's number of instances

    def __str__(self) -> str:
        return f"{self.value} (revision {self.revision}, by {self.request_id})"


@dataclass(frozen=True, slots=True)
class Done:
    """The row after a write, also where nothing had to be changed; or the row that was read."""

    row: Row
    read_revision: int = 0  # of a read: what it read is the state after this revision


@dataclass(frozen=True, slots=True)
class Refused:
    """Certainly not applied."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have been applied, and may yet be, at any time after it was asked for."""


Outcome = Done | Refused | Unknown


@dataclass(frozen=True, slots=True)
class Operation:
    request_id: str
    client: int
    key: str  # "task/GUID", "lrp/GUID"
    verb: Verb
    invoked_ns: int
    returned_ns: int  # when the client knew, or gave up
    outcome: Outcome
    value: str = ""  # of a write
    expected_revision: int = 0  # 0: whatever it is

    @property
    def is_write(self) -> bool:
        return self.verb is not Verb.READ

    @property
    def made(self) -> Row | None:
        """The row that this operation is known, from its own answer, to have made."""
        if self.is_write and isinstance(self.outcome, Done):
            row = self.outcome.row
            return row if row.request_id == self.request_id else None
        return None

    @property
    def tells_of_row(self) -> bool:
        """Whether its answer says something about the row."""
        if isinstance(self.outcome, Refused):
            return self.outcome.reason in DECIDED_BY_ROW
        return isinstance(self.outcome, Done)

    def __str__(self) -> str:
        asked = [self.key]
        if self.is_write:
            asked.append(f"value={self.value}")
        if self.expected_revision:
            asked.append(f"expected_revision={self.expected_revision}")
        call = f"client {self.client}: {self.verb}({', '.join(asked)}) as {self.request_id}"
        return f"{call} -> {_told(self.outcome)}"


@dataclass(frozen=True, slots=True)
class Change:
    """One step of the feed. `row` is None where it is no row of a client: a cell, a lock, ..."""

    revision: int
    key: str
    row: Row | None

    def __str__(self) -> str:
        return f"revision {self.revision}: {self.key} is {self.row}"


@dataclass(frozen=True)
class History:
    """A whole run. Raises ValueError if no clients could have recorded this."""

    base_revision: int
    operations: Sequence[Operation]
    changes: Sequence[Change]
    final_revision: int
    initial: Mapping[str, Row] = field(default_factory=dict)  # the rows as they were at the base
    final: Mapping[str, Row] = field(default_factory=dict)  # as they were in the end

    def __post_init__(self) -> None:
        for problem in _problems(self.operations):
            raise ValueError(problem)


def _told(outcome: Outcome) -> str:
    match outcome:
        case Done(row, read_revision):
            return f"{row}, read at revision {read_revision}" if read_revision else str(row)
        case Refused(reason):
            return f"refused, {reason}"
        case Unknown():
            return "unknown"


def _problems(operations: Sequence[Operation]) -> Iterator[str]:
    ids = Counter(operation.request_id for operation in operations)
    yield from (
        f"request id {id_} is used {times} times" for id_, times in ids.items() if times > 1
    )
    free_at: dict[int, int] = {}
    for operation in sorted(operations, key=lambda each: (each.invoked_ns, each.returned_ns)):
        if operation.returned_ns < operation.invoked_ns:
            yield f"operation {operation.request_id} returned before it was invoked"
        if operation.expected_revision and not operation.verb.can_compare_and_set:
            yield f"operation {operation.request_id}: {operation.verb} expects no revision"
        if operation.invoked_ns < free_at.get(operation.client, operation.invoked_ns):
            yield f"client {operation.client} did two things at once: {operation.request_id}"
        free_at[operation.client] = operation.returned_ns
