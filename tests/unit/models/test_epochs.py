"""Which life of the cluster a revision is of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diegod.models.epochs import EPOCH_MAX, EPOCH_REVISIONS, epoch_of, first_revision


@pytest.mark.parametrize(
    ("revision", "epoch"),
    [(0, 1), (1, 1), (EPOCH_REVISIONS - 1, 1), (EPOCH_REVISIONS, 2), (5 * EPOCH_REVISIONS + 7, 6)],
)
def test_the_epoch_is_in_the_revision(revision: int, epoch: int) -> None:
    assert epoch_of(revision) == epoch


@given(st.integers(1, EPOCH_MAX))
def test_an_epoch_begins_behind_the_end_of_the_one_before(epoch: int) -> None:
    first = first_revision(epoch)
    assert epoch_of(first) == epoch
    assert epoch == 1 or epoch_of(first - 1) == epoch - 1
    assert first < 2**64
