"""The life of a rollout: what brings it from which state to which.

Each new definition, restart and rollback begins one anew, in ROLLING, whatever the state was. What
else moves it is here; what is not in the table is refused. Does not belong here: when the brain
says which of these (`scheduler.core`).
"""

from diegod.v1.record_pb2 import Rollout

State = Rollout.State

#: (from, what is said) -> to: commands by their names, a person's verbs by theirs.
TRANSITIONS: dict[tuple[State.ValueType, str], State.ValueType] = {
    (Rollout.ROLLING, "finish_rollout"): Rollout.DONE,
    (Rollout.ROLLING, "await_promotion"): Rollout.CANARIES,
    (Rollout.ROLLING, "fail_rollout"): Rollout.PAUSED,  # or ROLLING, back to what was stable
    (Rollout.CANARIES, "fail_rollout"): Rollout.PAUSED,
    (Rollout.ROLLING, "PAUSE"): Rollout.PAUSED,
    (Rollout.CANARIES, "PAUSE"): Rollout.PAUSED,
    (Rollout.PAUSED, "PAUSE"): Rollout.PAUSED,
    (Rollout.PAUSED, "RESUME"): Rollout.ROLLING,
    (Rollout.ROLLING, "RESUME"): Rollout.ROLLING,
    (Rollout.CANARIES, "PROMOTE"): Rollout.ROLLING,
    (Rollout.ROLLING, "PROMOTE"): Rollout.ROLLING,  # the canaries are not waited for
}


def allows(state: State.ValueType, said: str) -> bool:
    return (state, said) in TRANSITIONS
