"""The life of an instance: which command leads from which state to which.

After Diego's `AllowsTransitionTo` (bbs/models/actual_lrp.go). An instance that becomes UNCLAIMED
again gets a new `instance_guid`, so a cell that still speaks of the old one is refused.
"""

from diegod.v1.record_pb2 import ActualLrp

State = ActualLrp.State

#: (from, command) -> to. An instance that is removed has no state: None.
TRANSITIONS: dict[tuple[State.ValueType, str], State.ValueType | None] = {
    (ActualLrp.UNCLAIMED, "place_instance"): ActualLrp.UNCLAIMED,
    (ActualLrp.UNCLAIMED, "refuse_instance"): ActualLrp.UNCLAIMED,
    (ActualLrp.UNCLAIMED, "withdraw_instance"): ActualLrp.UNCLAIMED,
    (ActualLrp.UNCLAIMED, "reject_instance"): ActualLrp.CRASHED,  # it counts as a crash
    (ActualLrp.UNCLAIMED, "claim_instance"): ActualLrp.CLAIMED,
    (ActualLrp.UNCLAIMED, "retire_instance"): None,
    (ActualLrp.CLAIMED, "start_instance"): ActualLrp.RUNNING,
    (ActualLrp.CLAIMED, "crash_instance"): ActualLrp.CRASHED,
    (ActualLrp.CLAIMED, "reject_instance"): ActualLrp.CRASHED,
    (ActualLrp.CLAIMED, "remove_instance"): None,
    (ActualLrp.CLAIMED, "retire_instance"): ActualLrp.CLAIMED,  # marked `stopping`
    (ActualLrp.CLAIMED, "suspect_instance"): ActualLrp.CLAIMED,
    (ActualLrp.CLAIMED, "unsuspect_instance"): ActualLrp.CLAIMED,
    (ActualLrp.RUNNING, "start_instance"): ActualLrp.RUNNING,  # routable or net_info changed
    (ActualLrp.RUNNING, "crash_instance"): ActualLrp.CRASHED,
    (ActualLrp.RUNNING, "remove_instance"): None,
    (ActualLrp.RUNNING, "retire_instance"): ActualLrp.RUNNING,
    (ActualLrp.RUNNING, "suspect_instance"): ActualLrp.RUNNING,
    (ActualLrp.RUNNING, "unsuspect_instance"): ActualLrp.RUNNING,
    (ActualLrp.RUNNING, "evacuate_instance"): ActualLrp.RUNNING,  # it serves meanwhile
    (ActualLrp.RUNNING, "reinstate_instance"): ActualLrp.RUNNING,
    (ActualLrp.CRASHED, "unclaim_instance"): ActualLrp.UNCLAIMED,
    (ActualLrp.CRASHED, "retire_instance"): None,
}


def allows(state: State.ValueType, command: str) -> bool:
    return (state, command) in TRANSITIONS
