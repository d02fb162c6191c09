"""The rows of the bulletin board as they are after the newest entry that any member has applied."""

from dataclasses import dataclass, field
from typing import TypeAlias

from diegod.v1.record_pb2 import ActualLrp, Cell, Change, DesiredLrp, Domain, Task, TaskSchedule

Row: TypeAlias = Task | DesiredLrp | ActualLrp | Cell | Domain | TaskSchedule


@dataclass
class Rows:
    at_s: float = 0.0  # replicated time
    tasks: dict[str, Task] = field(default_factory=dict)
    lrps: dict[str, DesiredLrp] = field(default_factory=dict)
    instances: dict[str, ActualLrp] = field(default_factory=dict)
    cells: dict[str, Cell] = field(default_factory=dict)
    domains: dict[str, Domain] = field(default_factory=dict)
    schedules: dict[str, TaskSchedule] = field(default_factory=dict)
    lock_owner: str = ""
    _instances_of: dict[str, dict[str, ActualLrp]] = field(default_factory=dict)

    def row_of(self, change: Change) -> Row | None:
        """What the changed row was before; locks are not looked at."""
        table, key, _ = self._place(change)
        return None if table is None else table.get(key)

    def take(self, change: Change) -> None:
        if change.WhichOneof("row") == "lock":
            self.lock_owner = change.lock.owner
        table, key, row = self._place(change)
        if table is None:
            return
        if change.verb == Change.REMOVED:
            table.pop(key, None)
        else:
            table[key] = row
        if isinstance(row, ActualLrp):
            group = self._instances_of.setdefault(row.process_guid, {})
            group.pop(key, None)
            if change.verb != Change.REMOVED:
                group[key] = row

    def instances_of(self, process_guid: str) -> list[ActualLrp]:
        return list(self._instances_of.get(process_guid, {}).values())

    def is_fresh(self, domain: str) -> bool:
        """Whether what is desired in it is said to be all."""
        row = self.domains.get(domain)
        if domain == "default" or row is None:
            return domain == "default"
        return not row.ttl_s or row.fresh_until.ToNanoseconds() / 1e9 > self.at_s

    def _place(self, change: Change) -> tuple[dict[str, Row] | None, str, Row]:
        kind = change.WhichOneof("row") or ""
        row: Row = getattr(change, kind)
        found = {
            "task": (self.tasks, "task_guid"),
            "desired_lrp": (self.lrps, "process_guid"),
            "actual_lrp": (self.instances, "instance_guid"),
            "cell": (self.cells, "cell_id"),
            "domain": (self.domains, "domain"),
            "task_schedule": (self.schedules, "name"),
        }.get(kind)
        if found is None:
            return None, "", row
        return found[0], getattr(row, found[1]), row  # type: ignore[return-value]


def rows_of(rows: Rows, lrp: DesiredLrp) -> str:
    """Its instances, in a few words."""
    state, presence = ActualLrp.State.Name, ActualLrp.Presence.Name
    return ", ".join(
        f"{row.index} {state(row.state)} {presence(row.presence)}"
        f"{'' if row.routable else ' unroutable'}{' stopping' if row.stopping else ''}"
        f"{' old' if row.definition_revision != lrp.definition_revision else ''} "
        f"{row.cell_id or row.placed_cell_id or row.placement_error or row.crash_reason}"
        for row in rows.instances_of(lrp.process_guid)
    )
