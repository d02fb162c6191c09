"""The faults of a run: by the seed, one at a time, within the time."""

import pytest

from diegod.node.verify.plan import AWAY, AWAY_S, KILL, PAUSE, blows
from diegod.world.ids import SeededIds

PARTS = ["bbs-1", "bbs-2", "bbs-3", "brain-1", "cell-1", "cell-2"]
CELLS = ["cell-1", "cell-2"]


def test_the_same_seed_gives_the_same_faults() -> None:
    first = blows(SeededIds(7), PARTS, CELLS, 60.0)
    assert first == blows(SeededIds(7), PARTS, CELLS, 60.0)
    assert first != blows(SeededIds(8), PARTS, CELLS, 60.0)


@pytest.mark.parametrize("for_s", [0.1, 5.0, 20.0, 60.0, 600.0])
def test_they_fit_into_the_time(for_s: float) -> None:
    for seed in range(50):
        planned = blows(SeededIds(seed), PARTS, CELLS, for_s)
        assert sum(each.after_s + each.hold_s for each in planned) <= for_s


def test_every_part_is_hit_in_every_way() -> None:
    planned = [each for seed in range(20) for each in blows(SeededIds(seed), PARTS, CELLS, 120.0)]
    hit = {(each.kind, each.part) for each in planned}
    assert hit == {(kind, part) for kind in (KILL, PAUSE) for part in PARTS} | {
        (AWAY, cell) for cell in CELLS
    }


def test_only_a_long_run_takes_a_cell_away_for_its_lease() -> None:
    short = [each for seed in range(50) for each in blows(SeededIds(seed), PARTS, CELLS, 12.0)]
    assert {each.kind for each in short} == {KILL, PAUSE}
    assert all(each.hold_s < AWAY_S[0] for each in short)
