"""What moves a rollout, and all that does not."""

from itertools import product

from diegod.models.rollout_lifecycle import TRANSITIONS, allows
from diegod.v1.record_pb2 import Rollout

SAID = ("finish_rollout", "await_promotion", "fail_rollout", "PAUSE", "RESUME", "PROMOTE")


def test_what_is_not_in_the_table_is_not_allowed() -> None:
    states = Rollout.State.values()
    allowed = {(state, said) for state, said in product(states, SAID) if allows(state, said)}
    assert allowed == set(TRANSITIONS)


def test_nothing_but_a_new_version_begins_a_rollout_that_is_done() -> None:
    assert not any(allows(Rollout.DONE, said) for said in SAID)


def test_whatever_is_under_way_may_end_well() -> None:
    """From each state that is not DONE there is a way to DONE."""
    reached = {Rollout.DONE}
    for _ in Rollout.State.values():
        reached |= {state for (state, _), to in TRANSITIONS.items() if to in reached}
    assert reached == set(Rollout.State.values())
