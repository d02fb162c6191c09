"""The back-off table of Diego, and what a policy of one's own makes of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diegod.models import restart as m
from diegod.models.defaults import fill_defaults
from diegod.models.restart import NeverAgain, RestartAt, RestartNow, restart
from diegod.v1.definition_pb2 import CrashPolicy, LrpDefinition

CRASHED_AT = 1000.0
DEFAULTS = CrashPolicy()

policies = st.builds(
    CrashPolicy,
    immediate_restarts=st.integers(0, 10),
    backoff_ms=st.integers(0, 100_000),
    max_backoff_ms=st.integers(0, 10_000_000),
    max_restarts=st.integers(0, 300),
)


@pytest.mark.parametrize(
    ("crash_count", "wait_s"),
    [
        (1, 0),
        (2, 0),
        (3, 30),
        (4, 60),
        (5, 120),
        (6, 240),
        (7, 480),
        (8, 960),
        (9, 960),
        (199, 960),
    ],
)
def test_the_wait_is_diegos(crash_count: int, wait_s: float) -> None:
    assert m.backoff_s(DEFAULTS, crash_count) == wait_s
    due = CRASHED_AT + wait_s
    assert restart(DEFAULTS, crash_count, CRASHED_AT, due) == RestartNow()
    if wait_s:
        assert restart(DEFAULTS, crash_count, CRASHED_AT, due - 0.1) == RestartAt(due)


@pytest.mark.parametrize("crash_count", [200, 201, 100_000])
def test_it_gives_up_at_200_crashes(crash_count: int) -> None:
    assert restart(DEFAULTS, crash_count, CRASHED_AT, CRASHED_AT + 1e9) == NeverAgain()


def test_max_restarts_0_never_gives_up() -> None:
    policy = CrashPolicy(max_restarts=0)
    assert restart(policy, 4_000_000_000, 0.0, 960.0) == RestartNow()
    assert restart(policy, 4_000_000_000, 0.0, 959.0) == RestartAt(960.0)


def test_no_immediate_restarts_is_not_the_default() -> None:
    assert restart(CrashPolicy(immediate_restarts=0), 1, 0.0, 0.0) == RestartAt(30.0)


def test_a_back_off_of_its_own() -> None:
    policy = CrashPolicy(immediate_restarts=1, backoff_ms=500, max_backoff_ms=1500)
    assert [m.backoff_s(policy, count) for count in range(1, 6)] == [0, 0.5, 1.0, 1.5, 1.5]


def test_what_is_left_out_here_means_what_admission_writes_down() -> None:
    definition = LrpDefinition()
    fill_defaults(definition)
    written = definition.crash_policy
    for count in range(1, 210):
        assert restart(written, count, 0.0, 0.0) == restart(DEFAULTS, count, 0.0, 0.0)


@given(policies, st.integers(1, 500), st.floats(0, 1e6), st.floats(0, 1e6))
def test_an_instance_that_is_to_wait_is_due_exactly_then(
    policy: CrashPolicy, crash_count: int, crashed_at: float, waited: float
) -> None:
    answer = restart(policy, crash_count, crashed_at, crashed_at + waited)
    if isinstance(answer, RestartAt):
        assert answer.at > crashed_at + waited
        assert restart(policy, crash_count, crashed_at, answer.at) == RestartNow()


@given(policies, st.integers(1, 500))
def test_the_wait_grows_with_the_crashes_up_to_the_ceiling(
    policy: CrashPolicy, crash_count: int
) -> None:
    wait_s = m.backoff_s(policy, crash_count)
    assert wait_s <= m.backoff_s(policy, crash_count + 1)
    assert wait_s <= policy.max_backoff_ms / 1000
