"""Seeded histories of whole clusters: every promise of the log, under faults and after them.

A seed that fails is repeated by its number alone; `World(seed, …).run(…)` is the whole story.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from diegod.raftbbs.raft import journal
from diegod.raftbbs.raft.api import Limits
from tests.sim.raft_faults import STORM_FAULTS, STORM_LIMITS, STORM_TIMING, Faults
from tests.sim.raft_member import disks
from tests.sim.raft_world import World

SECONDS = 15.0
SEEDS_OF_3, SEEDS_OF_5, SEEDS_WITH_NARROW_BOUNDS = range(6), range(3), range(100, 106)
STORMS = [range(first, first + 10) for first in range(200, 260, 10)]


@pytest.fixture
def folder() -> Iterator[Path]:
    with disks() as folder:
        yield folder


def _check(world: World, at_least: int) -> None:
    promises = world.promises
    assert world.violations == []
    assert len(promises.acknowledged) >= at_least
    assert promises.reads_ok > 0
    assert promises.confirmations_ok > 0


@pytest.mark.parametrize("seed", SEEDS_OF_3)
def test_three_members_keep_their_promises(folder: Path, seed: int) -> None:
    _check(World(seed, folder).run(SECONDS), at_least=20)


@pytest.mark.parametrize("seed", SEEDS_OF_5)
def test_five_members_keep_their_promises(folder: Path, seed: int) -> None:
    _check(World(seed, folder, members=5).run(SECONDS), at_least=20)


@pytest.mark.parametrize("seed", SEEDS_WITH_NARROW_BOUNDS)
def test_narrow_bounds_keep_the_promises(
    folder: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Everything in small portions: what is read, remembered, sent and applied at once."""
    monkeypatch.setattr(journal, "_READ_ENTRIES_MAX", 6)
    monkeypatch.setattr(journal, "_RECENT_ENTRIES_MAX", 12)
    limits = Limits(in_flight_bytes=150, apply_entries=3)
    _check(World(seed, folder, limits=limits).run(SECONDS), at_least=20)


@pytest.mark.parametrize("seeds", STORMS, ids=lambda seeds: f"{seeds[0]}..{seeds[-1]}")
def test_storms_of_compaction_and_snapshots_keep_the_promises(seeds: range) -> None:
    """Whoever is away for a moment needs the state of another; and its transfers break off."""
    snapshots = resumed = 0
    for seed in seeds:
        faults = STORM_FAULTS if seed % 2 else Faults()
        with disks() as folder:
            world = World(seed, folder, limits=STORM_LIMITS, timing=STORM_TIMING)
            world.run(SECONDS, faults)
        assert world.violations == [], f"seed {seed}"
        assert len(world.promises.acknowledged) >= 20
        assert world.cut_logs == set(world.members)
        snapshots += world.snapshots
        resumed += world.resumed
    assert snapshots >= 10
    assert resumed > 0


@pytest.mark.parametrize("seed", range(4))
def test_storms_among_five_members_keep_the_promises(folder: Path, seed: int) -> None:
    world = World(seed, folder, members=5, limits=STORM_LIMITS, timing=STORM_TIMING)
    _check(world.run(SECONDS, STORM_FAULTS), at_least=20)
    assert world.snapshots > 0


@pytest.mark.parametrize("members", [1, 2, 4])
def test_other_numbers_of_members_keep_their_promises(folder: Path, members: int) -> None:
    world = World(members, folder, members=members).run(SECONDS)
    assert world.violations == []
    assert world.promises.acknowledged


def test_crashes_alone_lose_nothing(folder: Path) -> None:
    """Half of them before the commit of a step, half after it with everything unsent."""
    faults = Faults(0, 0, 0, 0, 0, crash_before_commit=0.02, crash_after_commit=0.02)
    world = World("crashes", folder).run(SECONDS, faults)
    _check(world, at_least=20)
    assert world.crashes > 20


def test_in_a_calm_a_leader_stays_and_everything_is_answered(folder: Path) -> None:
    world = World("calm", folder).run(SECONDS, Faults(0, 0, 0, 0, 0, 0, 0))
    promises = world.promises
    assert world.violations == []
    # Both phases at the end may add terms; in the calm itself there is one leader.
    assert min(since for _, since in promises.leaders.values()) < 3
    assert sum(1 for _, since in promises.leaders.values() if since < SECONDS) == 1
    assert len(promises.acknowledged) > 200


def test_a_seed_is_a_history() -> None:
    """The same seed gives the same history, whatever the order in which sets are walked."""
    stories = []
    for _ in range(2):
        with disks() as folder:
            world = World(3, folder, limits=STORM_LIMITS, timing=STORM_TIMING).run(5.0)
            stories.append((world.promises, world.crashes, world.snapshots, world.now))
    assert stories[0] == stories[1]
