"""What became of each task, and whether it is what was promised.

Starts are counted by the lines that the tasks have written, read from the cells' disks; the
cluster's own word is only compared with them. Pure, but for the reading of logs that is handed in.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from diegod.v1.record_pb2 import Task
from tests.storm.faults import LEASE_TTL_S, Event
from tests.storm.work import Wish

SUCCEEDED_SHARE = 0.95
UNKNOWN_SHARE = 0.02
TERMINAL_WITHIN_S = 60.0
#: From a fault's end until its consequences have been heard of everywhere.
_AFTERMATH_S = LEASE_TTL_S + 10.0


@dataclass
class Verdict:
    tasks: int
    as_wished: int = 0  # ended with the very status that its program was to end with
    unknown: dict[str, str] = field(default_factory=dict)  # guid -> the fault that explains it
    failed: Counter[str] = field(default_factory=Counter)  # by reason, outcome known
    lines: Counter[int] = field(default_factory=Counter)  # so many lines -> so many tasks
    problems: list[str] = field(default_factory=list)

    @property
    def as_wished_share(self) -> float:
        return self.as_wished / self.tasks

    @property
    def unknown_share(self) -> float:
        return len(self.unknown) / self.tasks


def judge(
    wishes: Sequence[Wish],
    rows: Mapping[str, Task],
    events: Sequence[Event],
    lines_of: Callable[[str], Sequence[str]],
) -> Verdict:
    verdict = Verdict(len(wishes))
    for wish in wishes:
        lines = lines_of(wish.guid)
        verdict.lines[len(lines)] += 1
        if lines not in ([], [wish.guid]):
            verdict.problems.append(f"{wish.guid} was started {len(lines)} times: {lines}")
        task = rows.get(wish.guid)
        if task is None:
            verdict.problems.append(f"{wish.guid} was acknowledged, and is not there")
        elif task.state != Task.COMPLETED:
            verdict.problems.append(f"{wish.guid} is {Task.State.Name(task.state)}")
        else:
            _ended(verdict, wish, task, lines, events)
    _require_shares(verdict, without_faults=not events)
    return verdict


def _ended(
    verdict: Verdict, wish: Wish, task: Task, lines: Sequence[str], events: Sequence[Event]
) -> None:
    if task.exit_status_known and len(lines) != 1:
        verdict.problems.append(f"{wish.guid} has an exit status, and {len(lines)} lines")
    if task.outcome_unknown:
        explained = _explanation(task, events)
        verdict.unknown[wish.guid] = f"{task.failure_reason} ({task.cell_id}): {explained or '?'}"
        if not explained:
            verdict.problems.append(
                f"{wish.guid} is of unknown outcome, and no fault explains it: "
                f"{task.failure_reason}, on {task.cell_id}"
            )
    elif task.exit_status_known:
        verdict.as_wished += task.exit_status == wish.status
        if task.exit_status != wish.status:
            verdict.failed[f"status {task.exit_status} instead of {wish.status}"] += 1
    else:
        verdict.failed[task.failure_reason] += 1
        if lines:
            verdict.problems.append(f"{wish.guid} wrote a line, and failed: {task.failure_reason}")


def _explanation(task: Task, events: Sequence[Event]) -> str:
    """The fault at its cell, or at all members, between its start and its end."""
    for event in events:
        touches = event.target in (task.cell_id, "bbs")
        is_over = event.ended_s + _AFTERMATH_S < task.started_at.seconds
        if touches and not is_over and event.began_s <= task.completed_at.seconds + 1:
            return f"{event.kind} ({event.target}, {event.ended_s - event.began_s:.1f} s)"
    return ""


def _require_shares(verdict: Verdict, *, without_faults: bool) -> None:
    succeeded = 1.0 if without_faults else SUCCEEDED_SHARE
    if verdict.as_wished_share < succeeded:
        verdict.problems.append(f"only {verdict.as_wished_share:.2%} ended as they were to")
    if verdict.unknown_share > (0.0 if without_faults else UNKNOWN_SHARE):
        verdict.problems.append(f"{verdict.unknown_share:.2%} are of unknown outcome")
