"""Replicated time: forward, steered gently, never at the mercy of a wall clock."""

from hypothesis import given
from hypothesis import strategies as st

from diegod.raftbbs.core.replicated_time import NS, ReplicatedTime

HOUR = 3600.0


def test_the_first_stamp_is_the_wall_clock() -> None:
    assert ReplicatedTime(0, 0.0).next_stamp(5.0, 1000.0) == 1000 * NS


def test_an_hour_ahead_moves_it_one_second_in_ten() -> None:
    time = ReplicatedTime(1000 * NS, 0.0)
    assert time.next_stamp(10.0, 1010.0 + HOUR) == 1011 * NS


def test_an_hour_behind_slows_it_and_never_turns_it_back() -> None:
    time = ReplicatedTime(1000 * NS, 0.0)
    assert time.next_stamp(10.0, 1010.0 - HOUR) == 1009 * NS


def test_a_right_clock_is_followed_exactly() -> None:
    time = ReplicatedTime(1000 * NS, 0.0)
    assert time.next_stamp(7.5, 1007.5) == int(1007.5 * NS)


@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1e9)), max_size=50),
)
def test_stamps_never_go_back(steps: list[tuple[float, float]]) -> None:
    time = ReplicatedTime(1000 * NS, 0.0)
    monotonic = 0.0
    for elapsed, wall in steps:
        monotonic += elapsed
        before = time.last_ns
        time.observe(time.next_stamp(monotonic, wall), monotonic)
        assert before <= time.last_ns <= before + int(elapsed * 1.1 * NS) + 1


def test_time_goes_on_while_entries_are_on_their_way() -> None:
    """Each entry is proposed as the one before it is applied: no moment counts for neither."""
    time = ReplicatedTime(1000 * NS, 0.0)
    under_way: list[int] = []
    for tick in range(1, 1001):
        now = tick / 100
        under_way.append(time.next_stamp(now, 1000 + now))
        if len(under_way) > 3:
            time.observe(under_way.pop(0), now)
    assert abs(under_way[-1] - 1010 * NS) < NS // 100
