"""What is still on a cell that is being drained, and what each of it waits for. Pure.

Does not belong here: asking for it again and again (`control.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from google.protobuf.timestamp_pb2 import Timestamp

from diegod.cli.record.views import instance_ref
from diegod.cli.terminal.errors import DONE, FAILED
from diegod.cli.terminal.quantities import age
from diegod.cli.terminal.verdict import Verdict
from diegod.v1.cell_pb2 import CellStatus
from diegod.v1.record_pb2 import ActualLrp, Cell, Task


@dataclass(frozen=True)
class Look:
    """One look at the cell: `others` are the instances elsewhere of the processes on it."""

    status: CellStatus
    instances: Sequence[ActualLrp]
    others: Sequence[ActualLrp]
    tasks: Sequence[Task]  # on the cell, and not ended

    @property
    def left(self) -> list[str]:
        return [instance_ref(row) for row in self.instances] + [
            f"task {task.task_guid}" for task in self.tasks
        ]


@dataclass
class Drain:
    """One drain, look by look."""

    told: dict[str, str] = field(default_factory=dict)  # by what is there: the line said last
    before: list[str] = field(default_factory=list)  # what was there a look ago

    def observe(self, look: Look, now: float) -> list[str]:
        """Lines to show: what has changed since the last look."""
        lines = {instance_ref(row): blocker(row, look.others) for row in look.instances}
        lines |= {f"task {task.task_guid}": _task_line(task, now) for task in look.tasks}
        gone = [what for what in self.told if what not in lines]
        new = [what for what, line in lines.items() if self.told.get(what) != line]
        self.told, self.before = lines, list(self.told)
        return [f"  {what}  is gone" for what in gone] + [f"  {w}  {lines[w]}" for w in new]

    def verdict(self, look: Look, now: float) -> Verdict | None:
        """None while something is left and there is time."""
        cell = look.status.cell
        is_over = cell.HasField("drain") and now >= _seconds(cell.drain.deadline_at)
        if is_over and (stopped := look.left or self.before):
            what = f"was not empty at its deadline; stopped: {', '.join(stopped)}"
            return Verdict(FAILED, f"{cell.cell_id} {what}")
        if not look.left:
            return Verdict(DONE, f"{cell.cell_id} is empty")
        left = f"left on it: {', '.join(look.left)}"
        if not cell.HasField("drain"):
            return Verdict(FAILED, f"the drain of {cell.cell_id} was ended meanwhile; {left}")
        if cell.state == Cell.MISSING:
            cure = f"diegod cell rm {cell.cell_id}"
            return Verdict(FAILED, f"{cell.cell_id} is missing; {left}. {cure}")
        return None

    def next_look_s(self, look: Look, now: float, longest_s: float) -> float:
        """How long to wait: the deadline itself is worth a look."""
        if not look.status.cell.HasField("drain"):
            return longest_s
        return max(0.0, min(longest_s, _seconds(look.status.cell.drain.deadline_at) - now))


def _seconds(moment: Timestamp) -> float:
    return moment.ToNanoseconds() / 1e9


def blocker(row: ActualLrp, others: Sequence[ActualLrp]) -> str:
    """What has to happen before this instance leaves its cell."""
    if row.stopping:
        return "is being stopped"
    if row.presence != ActualLrp.EVACUATING:
        return "waits for its turn"
    replacements = [
        other
        for other in others
        if (other.process_guid, other.index) == (row.process_guid, row.index)
        and other.presence == ActualLrp.ORDINARY
    ]
    if not replacements:
        return "waits for its replacement to be made"
    return _replacement(replacements[0])


def _replacement(other: ActualLrp) -> str:
    where = other.cell_id or other.placed_cell_id
    if other.state == ActualLrp.CRASHED:
        return f"its replacement has crashed: {other.crash_reason}"
    if other.state == ActualLrp.RUNNING:
        return f"its replacement runs on {where}"
    if where:
        return f"its replacement starts on {where}"
    if not other.placement_error:
        return "its replacement waits to be placed"
    return f"its replacement can't be placed: {other.placement_error}"


def _task_line(task: Task, now: float) -> str:
    if task.state != Task.RUNNING:
        return "is placed on it"
    if not task.HasField("started_at"):
        return "runs"
    if task.execution_timeout_ms:
        return f"runs; at most {age(task.execution_timeout_ms / 1000)} from its start"
    return "runs, and has no time limit"
