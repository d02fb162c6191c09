"""The checkers reject a run of the library as it is shipped, and only what faults make of it."""

import pytest

from tests.chaos import raw
from tests.checkers import linearizable, replay
from tests.checkers.replay import Fault
from tests.checkers.search import Verdict

#: Of the first ten seeds, those whose histories are known to be wrong.
SEEDS = (1, 3, 4)


@pytest.mark.parametrize("seed", SEEDS)
def test_both_checkers_reject_it(seed: int) -> None:
    told = raw.history(seed)
    assert len(told.operations) > 200
    assert Fault.REAL_TIME in {each.fault for each in replay.violations(told)}
    assert linearizable.overall(linearizable.judge(told)) is Verdict.NOT_LINEARIZABLE


@pytest.mark.parametrize("seed", [0, 1])
def test_without_faults_nothing_is_wrong(seed: int) -> None:
    told = raw.history(seed, has_faults=False)
    assert len(told.operations) > 400
    assert replay.violations(told) == []
    assert linearizable.overall(linearizable.judge(told)) is Verdict.LINEARIZABLE


def test_a_seed_is_the_same_history_each_time() -> None:
    assert raw.history(3).operations == raw.history(3).operations
