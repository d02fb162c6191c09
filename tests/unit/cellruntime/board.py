"""A BBS in memory for cells: the real rules over dicts, and the rows that a cell may see.

What a cell says is judged by the very `apply` that members run. A person's and a brain's part
(desire, place, withdraw, retire) are methods.
"""

from collections.abc import Sequence
from typing import Any, cast

from diegod.internal.v1 import command_pb2 as c
from diegod.models.defaults import fill_defaults
from diegod.models.rows import lrp_row, task_row
from diegod.raftbbs import core
from diegod.raftbbs.core.decision import Changed, Refused
from diegod.raftbbs.core.view import Context
from diegod.v1.definition_pb2 import LrpDefinition, TaskDefinition
from diegod.v1.record_pb2 import (
    ActualLrp,
    Cell,
    Change,
    DesiredLrp,
    Domain,
    Lock,
    LrpVersion,
    Resources,
    Task,
    TaskSchedule,
)

_TABLES: dict[type[Any], tuple[str, str]] = {
    Task: ("task", "task_guid"),
    DesiredLrp: ("desired_lrp", "process_guid"),
    ActualLrp: ("actual_lrp", "instance_guid"),
    Cell: ("cell", "cell_id"),
    Domain: ("domain", "domain"),
    Lock: ("lock", "name"),
}
BRAIN = "brain/brain-1"


def _key(row: Any) -> tuple[str, str]:
    kind, field = _TABLES[type(row)]
    return kind, getattr(row, field)


class Board:
    def __init__(self) -> None:
        self.revision = 0
        self.rows: dict[tuple[str, str], Any] = {}
        self.history: list[Change] = []
        self.task_definitions: dict[str, TaskDefinition] = {}
        self.lrp_definitions: dict[str, LrpDefinition] = {}
        self.token = self.do(BRAIN, acquire_lock=c.AcquireLock(name="brain")).lock.token

    # What a rule may read.

    def task(self, guid: str) -> Task | None:
        return cast("Task | None", self._copy("task", guid))

    def task_definition(self, guid: str) -> bytes | None:
        return b""

    def tombstone(self, guid: str) -> int | None:
        return None

    def task_schedule(self, name: str) -> TaskSchedule | None:
        return None

    def schedule_definition(self, name: str) -> bytes | None:
        return None

    def schedule_task_definition(self, name: str) -> bytes | None:
        return None

    def desired_lrp(self, guid: str) -> DesiredLrp | None:
        return cast("DesiredLrp | None", self._copy("desired_lrp", guid))

    def lrp_definition(self, guid: str, definition_revision: int) -> bytes | None:
        return b""

    def actual_lrp(self, guid: str) -> ActualLrp | None:
        return cast("ActualLrp | None", self._copy("actual_lrp", guid))

    def instances(self, process_guid: str) -> Sequence[ActualLrp]:
        rows = [row for (kind, _), row in self.rows.items() if kind == "actual_lrp"]
        return [self._fresh(row) for row in rows if row.process_guid == process_guid]

    def instances_at(self, process_guid: str, index: int) -> Sequence[ActualLrp]:
        return [row for row in self.instances(process_guid) if row.index == index]

    def has_instances(self, process_guid: str) -> bool:
        return bool(self.instances(process_guid))

    def lrp_versions(self, process_guid: str) -> Sequence[LrpVersion]:
        return []

    def removed_incarnation(self) -> int:
        return 0

    def cluster_format(self) -> int:
        return 2

    def cell(self, cell_id: str) -> Cell | None:
        return cast("Cell | None", self._copy("cell", cell_id))

    def domain(self, domain: str) -> Domain | None:
        return cast("Domain | None", self._copy("domain", domain))

    def lock(self, name: str) -> Lock | None:
        return cast("Lock | None", self._copy("lock", name))

    def _copy(self, kind: str, guid: str) -> Any:
        row = self.rows.get((kind, guid))
        return None if row is None else self._fresh(row)

    def _fresh(self, row: Any) -> Any:
        copy = type(row)()
        copy.CopyFrom(row)
        return copy

    # Writing.

    def do(self, by: str, **fields: Any) -> c.Outcome:
        return self.apply(by, c.Command(**fields))

    def apply(self, by: str, command: c.Command) -> c.Outcome:
        if by == BRAIN and command.WhichOneof("command") != "acquire_lock":
            command.lock_name, command.lock_token = "brain", self.token
        context = Context(self.revision + 1, self.revision * 10**9, by, command.cell_incarnation)
        decision = core.apply(self, command, context)
        if isinstance(decision, Refused):
            return c.Outcome(reason=decision.reason, message=decision.message)
        if isinstance(decision, Changed):
            self.revision += 1
            for change in decision.changes:
                self._write(change.verb, change.row, by, command)
        kind, _ = _TABLES[type(decision.row)]
        outcome = c.Outcome(revision=self.revision if isinstance(decision, Changed) else 0)
        getattr(outcome, kind).CopyFrom(self.rows.get(_key(decision.row), decision.row))
        return outcome

    def _write(self, verb: Any, row: Any, by: str, command: c.Command) -> None:
        kind, _ = key = _key(row)
        if verb == Change.REMOVED:
            self.rows.pop(key, None)
        else:
            row.provenance.revision = self.revision
            row.provenance.by, row.provenance.request_id = by, command.request_id
            self.rows[key] = self._fresh(row)
        self.history.append(Change(revision=self.revision, verb=verb, **{kind: row}))

    # What people and brains do.

    def desire_task(self, definition: TaskDefinition) -> None:
        fill_defaults(definition)
        self.task_definitions[definition.task_guid] = definition
        self.do("user/a", desire_task=c.DesireTask(task=task_row(definition)))

    def place_task(self, guid: str, cell_id: str) -> None:
        self._need(
            place_task=c.PlaceTask(
                task_guid=guid,
                row_revision=self.rows["task", guid].provenance.revision,
                cell_id=cell_id,
                cell_incarnation=self.rows["cell", cell_id].incarnation,
            )
        )

    def withdraw_task(self, guid: str) -> None:
        revision = self.rows["task", guid].provenance.revision
        self._need(withdraw_task=c.WithdrawTask(task_guid=guid, row_revision=revision))

    def desire_lrp(self, definition: LrpDefinition) -> None:
        fill_defaults(definition)
        self.lrp_definitions[definition.process_guid] = definition
        self.do("user/a", desire_lrp=c.DesireLrp(desired_lrp=lrp_row(definition)))

    def create_instance(self, process_guid: str, index: int) -> str:
        revision = self.rows["desired_lrp", process_guid].provenance.revision
        outcome = self._need(
            create_instance=c.CreateInstance(
                process_guid=process_guid, index=index, desired_revision=revision
            )
        )
        return outcome.actual_lrp.instance_guid

    def place_instance(self, guid: str, cell_id: str) -> None:
        self._need(
            place_instance=c.PlaceInstance(
                instance_guid=guid,
                row_revision=self.rows["actual_lrp", guid].provenance.revision,
                cell_id=cell_id,
                cell_incarnation=self.rows["cell", cell_id].incarnation,
            )
        )

    def retire_instance(self, guid: str) -> None:
        revision = self.rows["actual_lrp", guid].provenance.revision
        self._need(retire_instance=c.RetireInstance(instance_guid=guid, row_revision=revision))

    def register(self, cell_id: str) -> c.Outcome:
        cell = Cell(cell_id=cell_id, capacity=Resources(memory_mb=9999))
        return self.do(f"cell/{cell_id}", register_cell=c.RegisterCell(cell=cell))

    def _need(self, **fields: Any) -> c.Outcome:
        outcome = self.do(BRAIN, **fields)
        assert not outcome.reason, outcome
        return outcome

    # What a cell may see.

    def rows_of(self, cell_id: str) -> list[Change]:
        return [
            Change(verb=Change.CREATED, revision=row.provenance.revision, **{kind: self._open(row)})
            for (kind, _), row in self.rows.items()
            if kind in ("task", "actual_lrp") and cell_id in (row.cell_id, row.placed_cell_id)
        ]

    def changes_after(self, revision: int) -> list[Change]:
        """All changes of work; a cell ignores what was never its own."""
        return [
            self._open_change(change)
            for change in self.history
            if change.revision > revision
            and (change.HasField("task") or change.HasField("actual_lrp"))
        ]

    def _open_change(self, change: Change) -> Change:
        copy = Change()
        copy.CopyFrom(change)
        kind = "task" if copy.HasField("task") else "actual_lrp"
        getattr(copy, kind).CopyFrom(self._open(getattr(copy, kind)))
        return copy

    def _open(self, row: Any) -> Any:
        row = self._fresh(row)
        if isinstance(row, Task):
            row.definition.CopyFrom(self.task_definitions[row.task_guid])
        else:
            row.definition.CopyFrom(self.lrp_definitions[row.process_guid])
        return row
