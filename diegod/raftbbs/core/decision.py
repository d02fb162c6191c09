"""The only ways a rule speaks: a refusal, 'it is so already', or changes of rows."""

from typing import Any, NamedTuple, TypeAlias

from diegod.internal.v1.command_pb2 import Members
from diegod.models.errors import Reason
from diegod.v1.record_pb2 import (
    ActualLrp,
    Cell,
    Change,
    DesiredLrp,
    Domain,
    Lock,
    LrpVersion,
    Task,
    TaskSchedule,
)

Row: TypeAlias = Task | DesiredLrp | ActualLrp | Cell | Domain | Lock | TaskSchedule


#: What each kind of row is called, also as a field of `Change` and `Outcome`.
KIND_OF: dict[type[Any], str] = {
    Task: "task",
    TaskSchedule: "task_schedule",
    DesiredLrp: "desired_lrp",
    ActualLrp: "actual_lrp",
    Cell: "cell",
    Domain: "domain",
    Lock: "lock",
}


class Refused(NamedTuple):
    reason: Reason
    message: str


class Unchanged(NamedTuple):
    """The row is already what the command wants; a retry ends here."""

    row: Row


class RowChange(NamedTuple):
    verb: Change.Verb.ValueType
    row: Row
    definition: bytes | None = None  # to be stored beside the row, where there is a new one
    left_cell_id: str = ""  # the cell that the row was on and is no more: it must hear of it
    versions: tuple[LrpVersion, ...] = ()  # of a desired LRP: new or changed entries of its history
    task_definition: bytes | None = None  # of a schedule: what its tasks are made from
    guid_free_at_ns: int = 0  # of a task that is removed: until then its guid names no other one


class Changed(NamedTuple):
    """The rows to write, the one to answer with last."""

    changes: tuple[RowChange, ...]

    @property
    def row(self) -> Row:
        return self.changes[-1].row


class NewMembers(NamedTuple):
    """The record of members to go by. It is no row: watchers are not told."""

    members: Members


class FormatRaised(NamedTuple):
    """From this point of the log on, the cluster has this format. No row changes."""

    cluster_format: int


Decision: TypeAlias = Refused | Unchanged | Changed | NewMembers | FormatRaised


def created(
    row: Row, definition: bytes | None = None, versions: tuple[LrpVersion, ...] = ()
) -> Changed:
    return Changed((RowChange(Change.CREATED, row, definition, versions=versions),))


def changed(
    row: Row,
    definition: bytes | None = None,
    left_cell_id: str = "",
    versions: tuple[LrpVersion, ...] = (),
) -> Changed:
    return Changed((RowChange(Change.CHANGED, row, definition, left_cell_id, versions),))


def removed(row: Row, guid_free_at_ns: int = 0) -> Changed:
    return Changed((RowChange(Change.REMOVED, row, guid_free_at_ns=guid_free_at_ns),))


def renewed(old: ActualLrp, new: ActualLrp) -> Changed:
    """An instance gets a new identity: watchers see the old one go and the new one come."""
    return Changed((RowChange(Change.REMOVED, old), RowChange(Change.CREATED, new)))
