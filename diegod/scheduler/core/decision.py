"""What a brain decides: one action on one version of one row, and why.

The action is the very message that the BBS applies, so a decision is printable, comparable, and
needs no translation.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeAlias

from diegod.internal.v1.command_pb2 import (
    AwaitPromotion,
    ClaimCallback,
    Command,
    CreateInstance,
    EvacuateInstance,
    ExpireTask,
    FailRollout,
    FailTask,
    FinishCallback,
    FinishRollout,
    FireSchedule,
    ForgetLrp,
    PlaceInstance,
    PlaceTask,
    RefuseInstance,
    RefuseTask,
    ReinstateInstance,
    ReopenTask,
    RetireInstance,
    SkipSlots,
    SuspectInstance,
    UnclaimInstance,
    UnsuspectInstance,
    WithdrawInstance,
    WithdrawTask,
)
from diegod.scheduler.core.snapshot import PROCESS, SCHEDULE, TASK, Key

OnTask: TypeAlias = (
    PlaceTask
    | RefuseTask
    | WithdrawTask
    | FailTask
    | ExpireTask
    | ClaimCallback
    | FinishCallback
    | ReopenTask
)
OnSchedule: TypeAlias = FireSchedule | SkipSlots
OnInstance: TypeAlias = (
    PlaceInstance
    | RefuseInstance
    | WithdrawInstance
    | UnclaimInstance
    | SuspectInstance
    | UnsuspectInstance
    | EvacuateInstance
    | ReinstateInstance
    | RetireInstance
)
OnLrp: TypeAlias = FinishRollout | AwaitPromotion | FailRollout | ForgetLrp
Action: TypeAlias = OnTask | OnInstance | OnLrp | OnSchedule | CreateInstance

#: PlaceTask -> place_task: which field of a command carries which message.
_FIELD_OF = {
    field.message_type.name: field.name
    for field in Command.DESCRIPTOR.oneofs_by_name["command"].fields
    if field.message_type is not None
}


class RowVersion(NamedTuple):
    """What a decision was made about, in the words of its action: no two share it unless they
    would do the same thing to the same version of a row."""

    action: str
    guid: str
    revision: int


@dataclass(frozen=True)
class Decision:
    action: Action
    reason: str  # one sentence; it becomes the cause of the change
    key: Key  # the task, process or schedule that it belongs to

    @cached_property
    def about(self) -> RowVersion:
        action = self.action
        name = type(action).__name__
        if isinstance(action, CreateInstance):
            guid = f"{action.process_guid}/{action.index}"
            return RowVersion(name, guid, action.desired_revision)
        if isinstance(action, OnLrp):
            return RowVersion(name, action.process_guid, action.row_revision)
        if isinstance(action, OnSchedule):  # a schedule may be called as some task is
            return RowVersion(name, f"schedule {action.name}", action.row_revision)
        guid = action.task_guid if isinstance(action, OnTask) else action.instance_guid
        return RowVersion(name, guid, action.row_revision)

    def command(self, request_id: str, lock_name: str, lock_token: int) -> Command:
        command = Command(
            cause=self.reason, request_id=request_id, lock_name=lock_name, lock_token=lock_token
        )
        getattr(command, _FIELD_OF[type(self.action).__name__]).CopyFrom(self.action)
        return command

    def __str__(self) -> str:
        return f"{' '.join(map(str, self.about))}: {self.reason}"


def task_key(task_guid: str) -> Key:
    return Key(TASK, task_guid)


def process_key(process_guid: str) -> Key:
    return Key(PROCESS, process_guid)


def schedule_key(name: str) -> Key:
    return Key(SCHEDULE, name)
