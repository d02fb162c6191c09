"""Histories under faults in which one member's state goes wrong: it leaves, and only it.

The state of a member is that of the simulation, with a chain of hashes over it as the bulletin
board has one. At a moment chosen by chance one member's chain is altered on its disk, which stands
for whatever could make a state differ. After the faults a majority of the others must make
progress, and all of them agree, as in every history.
"""

import hashlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from diegod.raftbbs.core.agreement import Comparison
from diegod.raftbbs.raft.engine import Engine
from diegod.raftbbs.store.environment import Environment, ReadTransaction, WriteTransaction
from diegod.raftbbs.store.identity import Birth
from tests.sim.raft_faults import Faults
from tests.sim.raft_member import Member, disks
from tests.sim.raft_world import World

SECONDS = 15.0
EVERY = 20
_LAST = b"last"


class Chain:
    """A `ReplicatedState`: each entry's hash is of the one before it and of the entry."""

    def __init__(self, environment: Environment) -> None:
        self._table = environment.table("chain")

    def goes_on(self, transaction: WriteTransaction, index: int, command: bytes) -> None:
        before = transaction.get(self._table, _LAST) or b""
        digest = hashlib.blake2b(before + b"%d " % index + command, digest_size=32).digest()
        transaction.put(self._table, _LAST, digest)
        if index // EVERY > self._index(transaction) // EVERY:
            transaction.put(self._table, index.to_bytes(8, "big"), digest)

    def alter(self, environment: Environment) -> None:
        with environment.begin_write() as transaction:
            transaction.put(self._table, _LAST, b"altered")

    def cluster_format(self, transaction: ReadTransaction) -> int:
        return 2

    def last_comparison(self, transaction: ReadTransaction) -> Comparison | None:
        index = self._index(transaction)
        return self.comparison(transaction, index) if index else None

    def comparison(self, transaction: ReadTransaction, index: int) -> Comparison | None:
        found = transaction.get(self._table, index.to_bytes(8, "big"))
        return Comparison(index, found) if found is not None else None

    def _index(self, transaction: ReadTransaction) -> int:
        keys = [key for key, _ in transaction.scan(self._table, stop=_LAST)]
        return int.from_bytes(keys[-1], "big") if keys else 0


class Compared(World):
    """A world whose members compare their states."""

    def __init__(self, seed: int, folder: Path, members: int = 3) -> None:
        self.chains: dict[Environment, Chain] = {}
        super().__init__(seed, folder, members=members, engine_class=self._engine)  # type: ignore[arg-type]

    def _engine(self, environment: Environment, birth: Birth, *rest: Any, **options: Any) -> Engine:
        chain = self.chains[environment] = Chain(environment)
        return Engine(environment, birth, *rest, state=chain, **options)

    def _applier(self, member: Member) -> Callable[[WriteTransaction, int, bytes], bytes]:
        apply = super()._applier(member)

        def applied(transaction: WriteTransaction, index: int, command: bytes) -> bytes:
            assert member.environment is not None
            self.chains[member.environment].goes_on(transaction, index, command)
            return apply(transaction, index, command)

        return applied

    def check_agreement(self) -> None:
        """All have applied the same; a few heartbeats later all have said to what it came."""
        super().check_agreement()
        self.run_for(1.0)

    def alter(self, who: str) -> None:
        """Now, or as soon as it lives."""
        environment = self.members[who].environment
        if environment is None:
            self.after(0.05, lambda: self.alter(who))
        else:
            self.chains[environment].alter(environment)


@pytest.fixture
def folder() -> Iterator[Path]:
    with disks() as folder:
        yield folder


@pytest.mark.parametrize("seed", range(20))
def test_the_member_whose_state_goes_wrong_leaves_and_only_it(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    world = Compared(seed, folder, members=chance.choice((3, 5)))
    wrong = chance.choice(sorted(world.members))
    world.at(chance.uniform(1.0, SECONDS / 2), lambda: world.alter(wrong))
    world.run(SECONDS)
    assert world.violations == []
    assert list(world.quarantined) == [wrong]
    assert len(world.promises.acknowledged) >= 20


@pytest.mark.parametrize("seed", range(100, 106))
def test_members_that_apply_the_same_never_leave(folder: Path, seed: int) -> None:
    world = Compared(seed, folder)
    world.run(SECONDS, Faults())
    assert world.violations == []
    assert world.quarantined == {}
    assert world.chains
