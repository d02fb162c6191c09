"""A mass loss, of plain values. How it holds repairs up: tests/unit/scheduler/core."""

import pytest

from diegod.models.mass_loss import MassLossLimits, mass_loss

LIMITS = MassLossLimits()


def lost_at(*moments: float) -> list[tuple[float, str]]:
    return [(at, f"c{number}") for number, at in enumerate(moments)]


@pytest.mark.parametrize(
    ("missing", "present", "now", "expected"),
    [
        ([], 5, 100, None),
        (lost_at(100, 100), 1, 100, (2, 3, 400, ("c0", "c1"))),
        (lost_at(100, 100), 1, 399.9, (2, 3, 400, ("c0", "c1"))),
        (lost_at(100, 100), 1, 400, None),  # the hold is over
        (lost_at(100, 100), 2, 100, None),  # half of them is not more than half
        (lost_at(100), 0, 100, None),  # of fewer than three
        (lost_at(90, 100), 1, 100, (2, 3, 400, ("c0", "c1"))),  # within one lease
        (lost_at(89, 100), 1, 100, None),  # one after the other
        (lost_at(0, 100, 100), 1, 100, (2, 3, 400, ("c1", "c2"))),  # c0 has long been away
        (lost_at(100, 100, 150), 0, 150, (2, 3, 400, ("c0", "c1"))),  # c2 was there still
    ],
)
def test_which_losses_are_one(
    missing: list[tuple[float, str]],
    present: int,
    now: float,
    expected: tuple[int, int, float, tuple[str, ...]] | None,
) -> None:
    found = mass_loss(missing, present, now, LIMITS)
    assert (found and (found.lost, found.of, found.until, found.cell_ids)) == expected
