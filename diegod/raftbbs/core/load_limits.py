"""What a leader takes on: decided before a write is proposed, never while it is applied.

A write that would not fit is refused whole and by its reason, so that nothing of it was done. Work
that goes on (a task that ends, an instance that moves) and whatever makes room is still served when
only new work no longer is; at the very end, only what makes room. Does not belong here: what a
single request may contain (`models.admission`), and how big one entry is (`raftbbs.ticking`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from diegod.internal.v1.command_pb2 import Command

MB = 1 << 20

#: These add rows, so they are refused first.
NEW_WORK = frozenset({"desire_task", "desire_lrp", "create_instance"})
#: These take rows away, or lead to it: a member that is short of everything still serves them.
MAKES_ROOM = frozenset(
    {
        "cancel_task",
        "complete_task",
        "delete_task",
        "expire_task",
        "fail_task",
        "forget_lrp",
        "remove_lrp",
        "remove_instance",
        "retire_instance",
    }
)


@dataclass(frozen=True, slots=True)
class LoadLimits:
    """Bounds of one member; sizes in bytes."""

    queued_writes: int = 10_000
    queued_bytes: int = 64 * MB
    backlog_entries: int = 4_000  # in the leader's log, and not applied yet
    free_disk_bytes: int = 0  # below it no new work; below a quarter, only what makes room


@dataclass(frozen=True, slots=True)
class Load:
    """How much one member has on its hands."""

    queued_writes: int
    queued_bytes: int
    backlog_entries: int
    free_disk_bytes: int


def refusal(commands: Sequence[Command], load: Load, limits: LoadLimits) -> str:
    """Why these commands are not taken now; "" when they are."""
    if load.queued_writes >= limits.queued_writes:
        return f"{load.queued_writes} writes are waiting already: try later"
    if load.queued_bytes >= limits.queued_bytes:
        return f"writes of {load.queued_bytes // MB} MB are waiting already: try later"
    kinds: set[str] = {command.WhichOneof("command") or "" for command in commands}
    if kinds <= MAKES_ROOM:
        return ""
    if load.backlog_entries >= limits.backlog_entries:
        return f"{load.backlog_entries} entries of the log are not applied yet: try later"
    return _no_disk(kinds, load, limits)


def short_of_disk(load: Load, limits: LoadLimits) -> bool:
    """Whether new work is refused because the disk of this member is nearly full."""
    return load.free_disk_bytes < limits.free_disk_bytes


def _no_disk(kinds: set[str], load: Load, limits: LoadLimits) -> str:
    is_refused = not kinds.isdisjoint(NEW_WORK) and short_of_disk(load, limits)
    if not is_refused and load.free_disk_bytes >= limits.free_disk_bytes // 4:
        return ""
    return (
        f"the leader has {load.free_disk_bytes // MB} MB of free disk, new work needs "
        f"{limits.free_disk_bytes // MB} MB: make room, or delete what has ended"
    )
