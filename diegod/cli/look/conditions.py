"""What `wait --for` waits for: each condition as a function of what has been seen. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field

from diegod.cli.look.subject import CELL, LRP, TASK
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import ActualLrp, Cell, Change, DesiredLrp, Rollout, Task

#: An instance, as `web/0` names it.
INSTANCE = "instance"


@dataclass(frozen=True)
class Answer:
    """Met; or not yet; or `hopeless`: it can't be met any more."""

    met: bool
    text: str
    hopeless: bool = False


@dataclass
class Seen:
    """One thing as the watch shows it. What was removed is None, or no longer in the dictionary."""

    name: str
    index: int | None = None
    task: Task | None = None
    lrp: DesiredLrp | None = None
    cell: Cell | None = None
    instances: dict[str, ActualLrp] = field(default_factory=dict)
    on_cell: set[str] = field(default_factory=set)

    def observe(self, change: Change) -> None:
        removed = change.verb == Change.REMOVED
        match change.WhichOneof("row"):
            case "task":
                self.task = None if removed else change.task
                self._note(change.task.task_guid, change.task, removed)
            case "desired_lrp":
                self.lrp = None if removed else change.desired_lrp
            case "actual_lrp":
                row = change.actual_lrp
                self.instances.pop(row.instance_guid, None)
                if not removed and self.index in (None, row.index):
                    self.instances[row.instance_guid] = row
                self._note(row.instance_guid, row, removed)
            case "cell":
                self.cell = None if removed else change.cell

    def _note(self, guid: str, row: Task | ActualLrp, removed: bool) -> None:
        """Whether it takes room on the cell that is waited for."""
        ended = isinstance(row, Task) and row.state in (Task.COMPLETED, Task.RESOLVING)
        here = self.name in (row.cell_id, row.placed_cell_id) and not ended
        if here and not removed:
            self.on_cell.add(guid)
        else:
            self.on_cell.discard(guid)

    @property
    def ordinary(self) -> list[ActualLrp]:
        return [row for row in self.instances.values() if row.presence == ActualLrp.ORDINARY]


def _task_ended(seen: Seen) -> Answer:
    task = seen.task
    if task is None:
        return Answer(False, f"task {seen.name} was removed", hopeless=True)
    done = task.state in (Task.COMPLETED, Task.RESOLVING)
    return Answer(done, f"task {seen.name} is {Task.State.Name(task.state)}")


def _task_succeeded(seen: Seen) -> Answer:
    ended = _task_ended(seen)
    if ended.met and seen.task is not None and seen.task.failed:
        why = seen.task.failure_reason
        return Answer(False, f"task {seen.name} failed: {why}", hopeless=True)
    return Answer(True, f"task {seen.name} succeeded") if ended.met else ended


def _task_runs(seen: Seen) -> Answer:
    ended = _task_ended(seen)
    if ended.met:
        return Answer(False, f"task {seen.name} has ended", hopeless=True)
    running = seen.task is not None and seen.task.state == Task.RUNNING
    return Answer(running, ended.text, ended.hopeless)


def _healthy(seen: Seen) -> Answer:
    lrp = seen.lrp
    if lrp is None:
        return Answer(False, f"LRP {seen.name} was removed", hopeless=True)
    healthy = len({row.index for row in seen.ordinary if _serves(row)})
    if lrp.mode == LrpDefinition.GLOBAL:
        rows = len(seen.ordinary)
        return Answer(healthy == rows > 0, f"{seen.name}: {healthy} of {rows} healthy")
    text = f"{seen.name}: {healthy} of {lrp.instances} healthy"
    return Answer(healthy >= lrp.instances and not lrp.stopped, text)


def _serves(row: ActualLrp) -> bool:
    return row.state == ActualLrp.RUNNING and row.routable and not row.stopping


def _rolled_out(seen: Seen) -> Answer:
    lrp = seen.lrp
    if lrp is None:
        return Answer(False, f"LRP {seen.name} was removed", hopeless=True)
    state = lrp.rollout.state
    text = f"{seen.name}: version {lrp.version} is {Rollout.State.Name(state)}"
    if state == Rollout.PAUSED and lrp.rollout.reason:
        return Answer(False, f"{text}: {lrp.rollout.reason}", hopeless=True)
    return Answer(state == Rollout.DONE, text)


def _gone(seen: Seen) -> Answer:
    left = len(seen.instances)
    gone = not left and (seen.lrp is None or seen.index is not None)
    return Answer(gone, f"{seen.name}: {left} instance{'' if left == 1 else 's'} left")


def _instance_runs(seen: Seen) -> Answer:
    states = [ActualLrp.State.Name(row.state) for row in seen.ordinary]
    text = f"{seen.name}/{seen.index} is {states[0] if states else 'not there'}"
    return Answer(any(map(_serves, seen.ordinary)), text)


def _present(seen: Seen) -> Answer:
    there = seen.cell is not None and seen.cell.state == Cell.PRESENT
    return Answer(there, f"cell {seen.name} is {'PRESENT' if there else 'not there'}")


def _missing(seen: Seen) -> Answer:
    return Answer(not _present(seen).met, _present(seen).text)


def _empty(seen: Seen) -> Answer:
    left = len(seen.on_cell)
    return Answer(not left, f"cell {seen.name}: {left} left on it")


Condition = Callable[[Seen], Answer]

#: By kind; the first is what is waited for when nothing is said.
CONDITIONS: dict[str, dict[str, Condition]] = {
    TASK: {"completed": _task_ended, "succeeded": _task_succeeded, "running": _task_runs},
    LRP: {"healthy": _healthy, "gone": _gone, "rolled-out": _rolled_out},
    INSTANCE: {"running": _instance_runs, "gone": _gone},
    CELL: {"present": _present, "missing": _missing, "empty": _empty},
}
