"""Histories under faults in which one member's state goes wrong: it leaves, and only it.

The state of a member is that of the simulation, with a chain of hashes over it as the bulletin
board has one. From a moment chosen by chance one member applies every entry wrongly, also to a
state that it takes over from another. After the faults a majority of the others must make
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
        self.wrong = ""
        """Who applies wrongly by now."""
        super().__init__(seed, folder, members=members, engine_class=self._engine)  # type: ignore[arg-type]

    def _engine(self, environment: Environment, birth: Birth, *rest: Any, **options: Any) -> Engine:
        chain = self.chains[environment] = Chain(environment)
        return Engine(environment, birth, *rest, state=chain, **options)

    def _applier(self, member: Member) -> Callable[[WriteTransaction, int, bytes], bytes]:
        apply = super()._applier(member)

        def applied(transaction: WriteTransaction, index: int, command: bytes) -> bytes:
            assert member.environment is not None
            is_wrong = member is self.members.get(self.wrong)
            seen = command + b"altered" if is_wrong else command
            self.chains[member.environment].goes_on(transaction, index, seen)
            return apply(transaction, index, command)

        return applied

    def go_wrong(self, who: str) -> None:
        self.wrong = who

    def check_agreement(self) -> None:
        """Whoever was dead all the time has not applied enough yet to be found out."""
        self.heal(tuple(sorted(self.members)))
        self._try_until(lambda: bool(self.quarantined), self._propose_to_leader)
        super().check_agreement()


@pytest.fixture
def folder() -> Iterator[Path]:
    with disks() as folder:
        yield folder


@pytest.mark.parametrize("seed", range(10))
def test_the_member_whose_state_goes_wrong_leaves_and_only_it(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    world = Compared(seed, folder, members=chance.choice((3, 5)))
    wrong = chance.choice(sorted(world.members))
    world.at(chance.uniform(1.0, SECONDS / 2), lambda: world.go_wrong(wrong))
    world.run(SECONDS)
    assert world.violations == []
    assert list(world.quarantined) == [wrong]
    assert len(world.promises.acknowledged) >= 20


@pytest.mark.parametrize("seed", range(100, 106))
def test_members_that_apply_the_same_never_leave(folder: Path, seed: int) -> None:
    world = Compared(seed, folder).run(SECONDS, Faults())
    assert world.violations == []
    assert world.quarantined == {}
    assert world.chains
