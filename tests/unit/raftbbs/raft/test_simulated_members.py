"""Seeded histories in which an operator changes the members all the time.

Every promise of the log holds as it does without him; and in the end, when he stops, whatever he
began has come to its end, a majority of the voters makes progress, and all agree.
"""

import pytest

from diegod.raftbbs.raft.api import Limits
from diegod.raftbbs.raft.elections import Elections
from tests.sim.raft_faults import STORM_FAULTS, STORM_LIMITS, STORM_TIMING, Faults
from tests.sim.raft_member import disks
from tests.sim.raft_operator import CHANGE
from tests.sim.raft_world import World

SECONDS = 15.0
SEEDS = [range(first, first + 4) for first in range(0, 16, 4)]
SLOW = Limits(apply_entries=2)
"""Whoever was away for a moment knows for a while of changes that it has not applied."""


def _story(seed: int) -> World:
    """One to four first members and as many spare ones as make five; some in storms, some slow."""
    members = 3 if seed % 3 else 1 + seed % 4
    is_storm = seed % 4 == 3
    limits = {1: SLOW, 3: STORM_LIMITS}.get(seed % 4)
    with disks() as folder:
        world = World(
            f"members-{seed}",
            folder,
            members=members,
            spares=5 - members,
            limits=limits,
            timing=STORM_TIMING if is_storm else None,
        )
        return world.change_members().run(SECONDS, STORM_FAULTS if is_storm else Faults())


@pytest.mark.parametrize("seeds", SEEDS, ids=lambda seeds: f"{seeds[0]}..{seeds[-1]}")
def test_changing_members_keep_the_promises(seeds: range) -> None:
    changes = 0
    for seed in seeds:
        world = _story(seed)
        assert world.violations == [], f"seed {seed}"
        assert world.promises.acknowledged, f"seed {seed}"
        assert world.record.revision, f"seed {seed}"
        changes += sum(each.startswith(CHANGE) for each in world.promises.history.values())
    assert changes >= 2 * len(seeds)


def test_a_calm_cluster_grows_and_its_members_change_all_the_time() -> None:
    with disks() as folder:
        world = World("grow", folder, members=1, spares=4).change_members()
        world.run(SECONDS, Faults(0, 0, 0, 0, 0, 0, 0))
    assert world.violations == []
    assert world.record.revision > 0
    assert len({store for store in world.stores.values() if store.startswith("new-")}) >= 2


def test_a_seed_is_a_history() -> None:
    first, second = _story(3), _story(3)
    assert first.promises == second.promises
    assert (first.record, first.stores, first.now) == (second.record, second.stores, second.now)


def test_a_cluster_that_waits_for_a_change_that_is_not_committed_may_wait_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Why only what is known to be committed keeps a member from campaigning."""
    allowed = Elections._may_campaign

    def with_no_change_in_its_log(elections: Elections) -> bool:
        journal, applied_index = elections._journal, elections._library.applied_index
        waiting = range(applied_index + 1, journal.last_index + 1)
        is_free = not any(journal.entry(index)[0][1:].startswith(CHANGE) for index in waiting)
        return is_free and allowed(elections)

    monkeypatch.setattr(Elections, "_may_campaign", with_no_change_in_its_log)
    assert any("members do not settle" in each for each in _story(0).violations)
