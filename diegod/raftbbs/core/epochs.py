"""What becomes of each row when a new epoch begins: after a restore, or when a quorum was lost.

The state that goes on may be older than what the cluster acknowledged, so nothing in it is taken
for what is so now:

* a task that has not ended may have run meanwhile, also one that is PENDING here: it ends as
  failed, outcome unknown, and is never run again; one that is being resolved has ended, and waits
  for somebody else to resolve it;
* a schedule goes on from now: which slots were fired meanwhile, nobody can say;
* a cell is MISSING until it registers, which it does within a second or two of reaching the BBS;
* every lock is held by the BBS itself. It renews none, so each is free after one lease TTL: the
  time that cells have to register and report what runs, before a brain may decide anything;
* a domain has to be freshened again: its row goes;
* desired LRPs and instances stay what they are;
* what is under way has its full time again: a rollout, and the drain of a cell.

Every row gets a revision of the new epoch: whoever compares revisions takes it for news. Does not
belong here: how rows are read and written (`raftbbs.backup.rebirth`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from diegod.raftbbs.core.decision import Row
from diegod.raftbbs.core.stamps import (
    nanoseconds,
    stamp,
)
from diegod.v1.record_pb2 import (
    ActualLrp,
    Cell,
    DesiredLrp,
    Domain,
    Lock,
    Rollout,
    Task,
    TaskSchedule,
)

RESTORED = "cluster restored"
RECOVERED = "quorum recovered"


R = TypeVar("R", bound=Row)


@dataclass(frozen=True)
class Opening:
    """A new epoch: who began it, why, and when by replicated time."""

    epoch: int
    by: str  # bbs/ID
    cause: str  # RESTORED or RECOVERED
    at_ns: int


def carried_over(row: R, opening: Opening, revision: int) -> R | None:
    """The row as the new epoch has it; None: it goes. The row that is given may be changed."""
    changed = _RULES[type(row)](row, opening, revision)
    if changed is None:
        return None
    row.provenance.revision = revision
    if changed:
        row.provenance.by, row.provenance.cause = opening.by, opening.cause
        row.provenance.request_id = ""
    return row


def _task(task: Task, opening: Opening, revision: int) -> bool:
    if task.state == Task.COMPLETED:
        return False
    task.since.CopyFrom(stamp(opening.at_ns))
    if task.state == Task.RESOLVING:
        task.state = Task.COMPLETED
        return True
    task.state = Task.COMPLETED
    task.failed = True
    task.failure = Task.CLUSTER_RESTORED
    task.failure_reason = f"{opening.cause}, outcome unknown"
    task.outcome_unknown = True
    task.placement_error = ""
    task.completed_at.CopyFrom(stamp(opening.at_ns))
    return True


def _schedule(schedule: TaskSchedule, opening: Opening, revision: int) -> bool:
    schedule.last_slot.CopyFrom(stamp(opening.at_ns))
    return True


def _desired(desired: DesiredLrp, opening: Opening, revision: int) -> bool:
    if desired.rollout.state not in (Rollout.ROLLING, Rollout.CANARIES):
        return False
    desired.rollout.began_at.CopyFrom(stamp(opening.at_ns))
    return True


def _actual(row: ActualLrp, opening: Opening, revision: int) -> bool:
    """A placement that nobody has taken up gets its full time again."""
    if row.state == ActualLrp.UNCLAIMED and row.placed_cell_id:
        row.placed_at.CopyFrom(stamp(opening.at_ns))
    return False


def _cell(cell: Cell, opening: Opening, revision: int) -> bool:
    """All have the same `since`, so that those that stay away count as one loss."""
    cell.state = Cell.MISSING
    cell.loss_accepted = False
    cell.since.CopyFrom(stamp(opening.at_ns))
    if cell.HasField("drain"):
        took_ns = nanoseconds(cell.drain.deadline_at) - nanoseconds(cell.drain.began_at)
        cell.drain.began_at.CopyFrom(stamp(opening.at_ns))
        cell.drain.deadline_at.CopyFrom(stamp(opening.at_ns + took_ns))
    return True


def _domain(domain: Domain, opening: Opening, revision: int) -> None:
    return None


def _lock(lock: Lock, opening: Opening, revision: int) -> bool:
    lock.owner = opening.by
    lock.token = revision
    return True


#: kind of row -> whether it was changed, None when it goes.
_RULES: dict[type[Any], Callable[[Any, Opening, int], bool | None]] = {
    Task: _task,
    TaskSchedule: _schedule,
    DesiredLrp: _desired,
    ActualLrp: _actual,
    Cell: _cell,
    Domain: _domain,
    Lock: _lock,
}
