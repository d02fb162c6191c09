"""Leases: one holder a slot, across objects and crashes."""

import tempfile
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from diegod_runc.leases import Leases

SLOTS = st.integers(2, 5)
HANDLES = st.sampled_from(["t-a-1", "t-b-2", "l-c", "..", "x" * 128])


def test_a_lease_outlives_the_object(tmp_path: Path) -> None:
    first = Leases(tmp_path / "leases")
    first.open()
    assert first.take(2, "t-a-1")
    again = Leases(tmp_path / "leases")
    again.open()
    assert again.all() == {2: "t-a-1"}
    assert not again.take(2, "t-b-2")


def test_nothing_is_leased_before_the_first_open(tmp_path: Path) -> None:
    leases = Leases(tmp_path / "leases")
    assert leases.all() == {}
    leases.clear()
    leases.give_back(3)


class LeasesAgainstADict(RuleBasedStateMachine):
    """The folder of links behaves as a dict of slot to handle."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.leases = Leases(Path(self._folder.name) / "leases")
        self.leases.open()
        self.twin: dict[int, str] = {}

    @rule(slot=SLOTS, handle=HANDLES)
    def take(self, slot: int, handle: str) -> None:
        assert self.leases.take(slot, handle) == (slot not in self.twin)
        self.twin.setdefault(slot, handle)

    @rule(slot=SLOTS)
    def give_back(self, slot: int) -> None:
        self.leases.give_back(slot)
        self.twin.pop(slot, None)

    @invariant()
    def same(self) -> None:
        assert self.leases.all() == self.twin

    @rule(handle=HANDLES)
    def slots_of(self, handle: str) -> None:
        held = sorted(slot for slot, holder in self.twin.items() if holder == handle)
        assert self.leases.slots_of(handle) == held

    def teardown(self) -> None:
        self._folder.cleanup()


TestLeasesAgainstADict = LeasesAgainstADict.TestCase
