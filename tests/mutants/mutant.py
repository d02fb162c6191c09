"""What a mutant is."""

from dataclasses import dataclass

from tests.mutants.surgery import Install

_UNIT = "tests/unit/raftbbs/"


@dataclass(frozen=True)
class Chance:
    """A simulation that may run into the mutant, and how many of its seeds are tried.

    `must`: with these seeds it has to be found out. Otherwise it is only counted.
    """

    world: str
    seeds: int
    must: bool = False


@dataclass(frozen=True)
class Mutant:
    """One measure or guard that is taken away."""

    name: str
    of: str
    """The measure of raft.md ("M5"), or what else promises it ("leases", "core")."""
    breaks: str
    install: Install
    tests: tuple[str, ...]
    """Node ids, below tests/unit/raftbbs/ or in full. Each of them has to find it out; of a test
    with parameters, one of its cases."""
    chance: Chance | None = None
    command: str = ""
    """Whose guard it is, where it is that of one command."""

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(node if node.startswith("tests/") else _UNIT + node for node in self.tests)


RAFT = Chance("raft", 20)
STORMS = Chance("storms", 20)
RING = Chance("ring", 6)
BBS = Chance("bbs", 12)
