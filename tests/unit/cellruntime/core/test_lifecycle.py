"""The table of states: complete, connected, and without a way back to a second start."""

from diegod.cellruntime.core.lifecycle import NOT_STARTED, TRANSITIONS, State


def reachable(start: State) -> set[State]:
    found, todo = set[State](), [start]
    while todo:
        for after in TRANSITIONS[todo.pop()]:
            if after not in found:
                found.add(after)
                todo.append(after)
    return found


def test_every_state_has_a_row_and_can_be_reached() -> None:
    assert set(TRANSITIONS) == set(State)
    assert reachable(State.WAITING) | reachable(State.ADOPTING) | {
        State.WAITING,
        State.ADOPTING,
    } == set(State)


def test_from_everywhere_there_is_a_way_to_the_end() -> None:
    for state in State:
        assert state is State.GONE or State.GONE in reachable(state)


def test_nothing_that_was_started_comes_to_a_start_again() -> None:
    assert not reachable(State.STARTING) & {*NOT_STARTED, State.STARTING}
