"""What a rule may know: the rows at this point of the log, and the command's context."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from diegod.internal.v1.command_pb2 import Members
from diegod.v1.record_pb2 import (
    ActualLrp,
    Cell,
    DesiredLrp,
    Domain,
    Lock,
    LrpVersion,
    Task,
    TaskSchedule,
)


class View(Protocol):
    """Reads of one moment. Rows are the caller's own copies and may be changed freely."""

    def task(self, task_guid: str) -> Task | None: ...

    def task_definition(self, task_guid: str) -> bytes | None: ...

    def tombstone(self, task_guid: str) -> int | None:
        """Until when, in replicated time, the guid of a deleted task is kept; None: it is free."""

    def task_schedule(self, name: str) -> TaskSchedule | None: ...

    def schedule_definition(self, name: str) -> bytes | None:
        """Closed, and without its task."""

    def schedule_task_definition(self, name: str) -> bytes | None:
        """What its tasks are made from: closed, and without a guid."""

    def desired_lrp(self, process_guid: str) -> DesiredLrp | None: ...

    def lrp_definition(self, process_guid: str, definition_revision: int) -> bytes | None: ...

    def lrp_versions(self, process_guid: str) -> Sequence[LrpVersion]:
        """The history that is kept, the oldest first."""

    def actual_lrp(self, instance_guid: str) -> ActualLrp | None: ...

    def instances(self, process_guid: str) -> Sequence[ActualLrp]:
        """By index, then by age."""

    def instances_at(self, process_guid: str, index: int) -> Sequence[ActualLrp]:
        """Those of one index, by age; it costs the same however many others there are."""

    def has_instances(self, process_guid: str) -> bool:
        """Whether there is any; it costs the same however many there are."""

    def cell(self, cell_id: str) -> Cell | None: ...

    def removed_incarnation(self) -> int:
        """The highest incarnation of all cells that were ever removed."""

    def domain(self, domain: str) -> Domain | None: ...

    def lock(self, name: str) -> Lock | None: ...

    def members(self) -> Members:
        """The record of members; with revision 0, and empty, as long as nothing was changed."""
    def cluster_format(self) -> int:
        """What every member could read when it was last raised."""



class Context(NamedTuple):
    """Who asks, when, and which revision the change will have if there is one."""

    revision: int
    at_ns: int  # replicated time, never a clock
    by: str  # role/ID
    cell_incarnation: int
    cause: str = ""  # as the caller gave it

    @property
    def role(self) -> str:
        return self.by.partition("/")[0]

    @property
    def caller_id(self) -> str:
        return self.by.partition("/")[2]
