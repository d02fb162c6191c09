"""Members compare their states: at each compared index, who has another one than a majority has.

All members apply the same entries with the same rules, so they must come to the same state. What a
state hashes to at an index is said by each member; a hash that a majority of all voters says is
right, and whoever said another one is wrong: a fault of its disk, its memory or its program. Where
no hash has a majority nobody is wrong, but somebody should look. Does not belong here: what is done
with a member that is wrong (`raftbbs.raft.comparing`) and what the hash is made of
(`raftbbs.store.state`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

_INDEXES_KEPT = 8


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a state hashed to when it had applied the entry with this index."""

    index: int
    state_hash: bytes


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is said of one index. `agreed` is None while no hash has a majority."""

    index: int
    agreed: bytes | None
    wrong: tuple[str, ...] = ()
    """Who said another hash than the one that was agreed on."""
    undecided: tuple[str, ...] = ()
    """Who said something, where they differ and none of them has a majority."""


def judge(index: int, said: Mapping[str, bytes], voters: Sequence[str]) -> Judgement:
    """Who is wrong at an index. A majority is one of all voters, whether they spoke or not."""
    votes = Counter(said[voter] for voter in voters if voter in said)
    digest, count = votes.most_common(1)[0] if votes else (b"", 0)
    if 2 * count > len(voters):
        wrong = tuple(sorted(member for member in said if said[member] != digest))
        return Judgement(index, digest, wrong=wrong)
    if len(set(said.values())) > 1:
        return Judgement(index, None, undecided=tuple(sorted(said)))
    return Judgement(index, None)


class Agreement:
    """What members said of the newest indexes."""

    def __init__(self) -> None:
        self._said: dict[int, dict[str, bytes]] = {}

    def says(self, member: str, said: Comparison) -> bool:
        """A member's hash at an index, in place of what it said of it before; whether it is news.

        Of older indexes than are kept there is no news.
        """
        at_index = self._said.setdefault(said.index, {})
        is_news = at_index.get(member) != said.state_hash
        at_index[member] = said.state_hash
        for index in sorted(self._said)[:-_INDEXES_KEPT]:
            del self._said[index]
        return is_news and said.index in self._said

    def has_heard(self, member: str, index: int) -> bool:
        return member in self._said.get(index, {})

    def forget(self, member: str) -> None:
        """A member that comes back may have another store."""
        for said in self._said.values():
            said.pop(member, None)

    def clear(self) -> None:
        self._said.clear()

    def judgements(self, voters: Sequence[str]) -> Iterator[Judgement]:
        """Of every index that is known, the newest first."""
        for index in sorted(self._said, reverse=True):
            yield judge(index, self._said[index], voters)
