"""What the counting came to: how often each task was started, and how the cluster says it ended.

Pure. The starts are counted by others (`witness`); of the cluster's own word only the ends are
taken, and every end that the starts contradict is named.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from diegod.v1.record_pb2 import Task

#: The clock of the bulletin board is stamped at most so much beside the time of a fault.
_SLACK_S = 2.0
#: Failures that say: no program of it ever ran.
_NEVER_STARTED = (Task.NOT_STARTED_IN_TIME, Task.REJECTED, Task.DEPENDENCY)


@dataclass(frozen=True)
class Start:
    """One line that a task has written as it began."""

    guid: str
    attempt: str
    cell: str
    boot: str
    at: str

    @classmethod
    def of_line(cls, line: str) -> "Start | None":
        """None: not a line of ours, or one that was cut off."""
        words = line.split()
        return cls(*words) if len(words) == 5 else None


@dataclass(frozen=True)
class Fault:
    """What was done to a part, and when; by the wall clock of this machine."""

    kind: str
    part: str
    began: float
    ended: float

    def concerns(self, began: float, ended: float) -> bool:
        return self.began - _SLACK_S <= ended and began <= self.ended + _SLACK_S

    def text(self, since: float) -> str:
        """Seconds are counted from the beginning of the run."""
        words = {"kill": "killed", "pause": "paused", "away": "killed for longer than its lease"}
        return f"{self.part} {words[self.kind]} from {self.began - since:.1f} s to " + (
            f"{self.ended - since:.1f} s"
        )


@dataclass(frozen=True)
class Unknown:
    """A task of which nobody can say how it ended."""

    guid: str
    cell: str
    failure: str
    failure_reason: str
    fault: str  # empty: none explains it


@dataclass(frozen=True)
class Tally:
    tasks: int
    started_twice: Mapping[str, Sequence[Start]]
    done: int
    failed: Mapping[str, int]  # by reason
    unknown: Sequence[Unknown]
    rejected: int  # placements that a cell refused before any start
    not_ended: Sequence[str]
    contradicted: Mapping[str, str]  # the record says one thing, the lines another

    @property
    def holds(self) -> bool:
        """Whether the promise was kept."""
        broken = self.started_twice or self.not_ended or self.contradicted
        return not broken and all(each.fault for each in self.unknown)

    def form(self) -> dict[str, Any]:
        return {**asdict(self), "holds": self.holds}


def tally(
    tasks: Iterable[Task], starts: Iterable[Start], faults: Sequence[Fault], since: float
) -> Tally:
    """`tasks` are all that were stored; `since` is when the run began."""
    by_guid: dict[str, list[Start]] = {}
    for start in starts:
        by_guid.setdefault(start.guid, []).append(start)
    rows = sorted(tasks, key=lambda task: task.task_guid)
    ended = [task for task in rows if task.state in (Task.COMPLETED, Task.RESOLVING)]
    known = [task for task in ended if not task.outcome_unknown]
    contradictions = {task.task_guid: _contradiction(task, by_guid) for task in known}
    return Tally(
        tasks=len(rows),
        started_twice={guid: each for guid, each in sorted(by_guid.items()) if len(each) > 1},
        done=sum(not task.failed for task in known),
        failed=dict(sorted(Counter(t.failure_reason for t in known if t.failed).items())),
        unknown=[_unknown(task, faults, since) for task in ended if task.outcome_unknown],
        rejected=sum(task.rejection_count for task in rows),
        not_ended=[task.task_guid for task in rows if task not in ended],
        contradicted={guid: why for guid, why in contradictions.items() if why},
    )


def _contradiction(task: Task, starts: Mapping[str, Sequence[Start]]) -> str:
    lines = len(starts.get(task.task_guid, ()))
    if not task.failed and not lines:
        return "succeeded, but nothing of it ever ran"
    if task.failed and task.failure in _NEVER_STARTED and lines:
        return f"never started, it says ({task.failure_reason}), but it ran"
    return ""


def _unknown(task: Task, faults: Sequence[Fault], since: float) -> Unknown:
    return Unknown(
        task.task_guid,
        task.cell_id,
        Task.Failure.Name(task.failure),
        task.failure_reason,
        _explanation(task, faults, since),
    )


def _explanation(task: Task, faults: Sequence[Fault], since: float) -> str:
    """The fault that overlaps its life: one of its own cell before any other."""
    began = task.started_at.ToNanoseconds() / 1e9
    ended = task.completed_at.ToNanoseconds() / 1e9
    near = [fault for fault in faults if fault.concerns(began, ended)]
    own = [fault for fault in near if fault.part == task.cell_id]
    chosen = own or near
    return chosen[0].text(since) if chosen else ""
