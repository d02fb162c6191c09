"""What several of these tests begin with."""

from collections.abc import Iterator

import pytest

from tests.unit.raftbbs.raft.behind import SMALL, leave_behind
from tests.unit.raftbbs.raft.lab import Lab, lab


@pytest.fixture
def parted() -> Iterator[Lab]:
    """C is far behind, and away."""
    with lab(limits=SMALL) as table:
        leave_behind(table)
        yield table
