"""The pure core of the BBS: `apply` turns a view and a command into a decision.

Deterministic: every member applies the same commands in the same order and must come to the same
rows. So nothing here reads a clock, draws a number, or depends on anything but its arguments; a
refusal is a value, and an exception means that this member must stop.
"""

from collections.abc import Callable
from typing import Any

from diegod.internal.v1.command_pb2 import Command
from diegod.models.errors import Reason
from diegod.raftbbs.core import (
    adoption,
    callbacks,
    cells,
    control,
    desired,
    formats,
    instance_reports,
    instances,
    members,
    membership,
    presences,
    rollouts,
    schedules,
    task_placement,
    task_runs,
    tasks,
)
from diegod.raftbbs.core.decision import Decision, Refused, Unchanged
from diegod.raftbbs.core.guards import lock_held, speaking_cell
from diegod.raftbbs.core.keys import illegal_keys
from diegod.raftbbs.core.requests import answered_before
from diegod.raftbbs.core.view import Context, View

Rule = Callable[[View, Any, Context], Decision]

USER, BRAIN, CELL, BBS = "user", "brain", "cell", "bbs"

#: command -> (the role that may give it, the rule). A test holds this table against the proto.
RULES: dict[str, tuple[str, Rule]] = {
    "desire_task": (USER, tasks.desire),
    "cancel_task": (USER, tasks.cancel),
    "resolve_task": (USER, tasks.resolve),
    "delete_task": (USER, tasks.delete),
    "place_task": (BRAIN, task_placement.place),
    "refuse_task": (BRAIN, task_placement.refuse),
    "withdraw_task": (BRAIN, task_placement.withdraw),
    "fail_task": (BRAIN, task_placement.fail),
    "claim_callback": (BRAIN, callbacks.claim),
    "finish_callback": (BRAIN, callbacks.finish),
    "reopen_task": (BRAIN, callbacks.reopen),
    "expire_task": (BRAIN, tasks.expire),
    "start_task": (CELL, task_runs.start),
    "reject_task": (CELL, task_runs.reject),
    "complete_task": (CELL, task_runs.complete),
    "desire_schedule": (USER, schedules.desire),
    "control_schedule": (USER, schedules.control),
    "fire_schedule": (BRAIN, schedules.fire),
    "skip_slots": (BRAIN, schedules.skip),
    "desire_lrp": (USER, desired.desire),
    "scale_lrp": (USER, desired.scale),
    "remove_lrp": (USER, desired.remove),
    "control_lrp": (USER, control.control),
    "retire_index": (USER, presences.retire_index),
    "finish_rollout": (BRAIN, rollouts.finish),
    "await_promotion": (BRAIN, rollouts.await_promotion),
    "fail_rollout": (BRAIN, rollouts.fail),
    "forget_lrp": (BRAIN, desired.forget),
    "create_instance": (BRAIN, instances.create),
    "place_instance": (BRAIN, instances.place),
    "refuse_instance": (BRAIN, instances.refuse),
    "withdraw_instance": (BRAIN, instances.withdraw),
    "unclaim_instance": (BRAIN, instances.unclaim),
    "suspect_instance": (BRAIN, presences.suspect),
    "unsuspect_instance": (BRAIN, presences.unsuspect),
    "evacuate_instance": (BRAIN, presences.evacuate),
    "reinstate_instance": (BRAIN, presences.reinstate),
    "retire_instance": (BRAIN, presences.retire),
    "claim_instance": (CELL, instance_reports.claim),
    "start_instance": (CELL, instance_reports.start),
    "crash_instance": (CELL, instance_reports.crash),
    "remove_instance": (CELL, instance_reports.remove),
    "reject_instance": (CELL, instance_reports.reject),
    "adopt_instance": (CELL, adoption.adopt),
    "register_cell": (CELL, members.register_cell),
    "expire_cell": (BBS, members.expire_cell),
    "control_cell": (USER, cells.control),
    "acquire_lock": (BRAIN, members.acquire_lock),
    "expire_lock": (BBS, members.expire_lock),
    "release_lock": (BRAIN, members.release_lock),
    "upsert_domain": (USER, members.upsert_domain),
    "remove_domain": (USER, members.remove_domain),
    "change_members": (BBS, membership.change_members),
    "raise_format": (BBS, formats.raise_format),
}

#: Commands that an earlier format does not know. Its members refuse them; so does every other.
FROM_FORMAT = {
    "adopt_instance": 2,
    "change_members": membership.RECORDED_FROM_FORMAT,
    "resolve_task": 2,
    "claim_callback": 2,
    "finish_callback": 2,
    "reopen_task": 2,
    "desire_schedule": 2,
    "control_schedule": 2,
    "fire_schedule": 2,
    "skip_slots": 2,
    "remove_domain": 2,
    **dict.fromkeys(
        (
            *("control_lrp", "retire_index", "forget_lrp", "control_cell"),
            *("finish_rollout", "await_promotion", "fail_rollout"),
            *("evacuate_instance", "reinstate_instance"),
        ),
        desired.VERSIONS_FROM_FORMAT,
    ),
}

#: What a brain may say before it holds the lock.
_WITHOUT_LOCK = ("acquire_lock", "release_lock")


def apply(view: View, command: Command, context: Context) -> Decision:
    """What the command comes to, given the rows. Writes nothing."""
    kind = command.WhichOneof("command")
    if kind is None or kind not in RULES:
        return Refused(Reason.INVALID_REQUEST, "a command without content, or of a newer version")
    role, rule = RULES[kind]
    if context.role != role:
        return Refused(Reason.PERMISSION_DENIED, f"{context.by} may not {kind}: that is a {role}'s")
    if kind in FROM_FORMAT and view.cluster_format() < FROM_FORMAT[kind]:
        return Refused(Reason.INVALID_REQUEST, f"not every member of the cluster knows {kind} yet")
    if role == BRAIN and kind not in _WITHOUT_LOCK:
        name, token = command.lock_name, command.lock_token
        if refusal := lock_held(view.lock(name), name, token, context.by):
            return refusal
    if role == CELL and kind != "register_cell" and (refusal := speaking_cell(view, context)):
        return refusal
    body = getattr(command, kind)
    if refusal := illegal_keys(body):
        return refusal
    if (row := answered_before(view, kind, body, command)) is not None:
        return Unchanged(row)
    return rule(view, body, context)
