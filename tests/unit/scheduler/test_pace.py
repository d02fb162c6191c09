"""How much is taken on at a time follows how long it took."""

from diegod.scheduler.pace import Pace


def test_a_slice_that_took_too_long_makes_the_next_one_as_much_smaller() -> None:
    pace = Pace(slice_s=0.010)
    before = pace.rows()
    pace.took(0.040)
    assert pace.rows() == before // 4


def test_quick_ones_make_it_larger_step_by_step_and_not_without_end() -> None:
    pace = Pace(slice_s=0.010)
    sizes = [pace.rows()]
    for _ in range(100):
        pace.took(0.001)
        sizes.append(pace.rows())
    assert sizes == sorted(sizes)
    assert sizes[1] < 2 * sizes[0]
    assert sizes[-1] == sizes[-2] <= 5_000


def test_it_never_stands_still() -> None:
    pace = Pace(slice_s=0.010)
    for _ in range(20):
        pace.took(10.0)
    assert pace.rows() >= 50
    pace.took(0.007)  # about right: as it is
    assert pace.rows() == 50
