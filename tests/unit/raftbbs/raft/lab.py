"""Our engines, driven by hand: frames arrive and steps happen only when a test says so.

Whatever a step sends waits in an ordered queue a direction until it is pumped. The disks are real
LMDB environments in memory; `crash` keeps what was committed, `start` goes on from it.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from diegod.internal.v1.command_pb2 import Member as MemberRow
from diegod.internal.v1.command_pb2 import Members
from diegod.internal.v1.raft_pb2 import RaftFrame
from diegod.raftbbs.raft.api import (
    Answer,
    Confirmation,
    Leadership,
    Proposal,
    ReadAnswer,
    Refusal,
    Replaced,
    StepResult,
    TransferAnswer,
)
from diegod.raftbbs.raft.elections import _PreVote
from diegod.raftbbs.raft.engine import Engine
from diegod.raftbbs.store.environment import ReadTransaction, Table, WriteTransaction
from diegod.raftbbs.store.identity import Birth, Voter, create, load
from diegod.security.at_rest import NO_KEYS, Keyring
from diegod.world.ids import SeededIds
from tests.sim.raft_member import MAP_SIZE, disks

NEVER = 1e9
CHANGE = b"members:"
"""Begins a payload that is a new record of members; its index becomes the record's revision."""


class Member:
    """An engine and its disk. Its state: index -> payload."""

    def __init__(self, lab: "Lab", who: str) -> None:
        keyring = lab.keyrings.get(who, NO_KEYS)
        self.environment, birth = load(
            lab.folder / who, durable=False, map_size=MAP_SIZE, keyring=keyring
        )
        self.state: Table = self.environment.table("state")
        self.record: Table = self.environment.table("members")
        self.inbox: list[tuple[str, RaftFrame]] = []
        self.engine = lab.engine_class(
            self.environment,
            birth,
            self.apply,
            SeededIds(who),
            lab.now,
            members_of=self.members_of,
            **lab.options,
        )

    def apply(self, transaction: WriteTransaction, index: int, payload: bytes) -> object:
        transaction.put(self.state, index.to_bytes(8, "big"), payload)
        if payload.startswith(CHANGE):
            members = Members.FromString(payload.removeprefix(CHANGE))
            members.revision = index
            transaction.put(self.record, CHANGE, members.SerializeToString())
        return payload

    def members_of(self, transaction: ReadTransaction) -> Members:
        return Members.FromString(transaction.get(self.record, CHANGE) or b"")


class Lab:
    """A cluster on a table. Nobody campaigns unless a test says so."""

    def __init__(
        self,
        folder: Path,
        ids: str = "ABC",
        *,
        engine_class: type[Engine] = Engine,
        member_class: type[Member] = Member,
        born: str = "",
        keyrings: Mapping[str, Keyring] | None = None,
        **options: Any,
    ) -> None:
        """`born`: those that there are from the beginning, if not all."""
        self.keyrings = dict(keyrings or {})
        self.folder, self.ids, self.options = folder, ids, options
        self.engine_class, self.member_class = engine_class, member_class
        self.now = 1000.0
        self.members: dict[str, Member] = {}
        self.queues: dict[tuple[str, str], deque[RaftFrame]] = {
            (a, b): deque() for a in ids for b in ids if a != b
        }
        self.up: set[tuple[str, str]] = set()
        self.answers: dict[int, Answer] = {}
        self.reads: dict[int, ReadAnswer] = {}
        self.confirmations: dict[int, Confirmation] = {}
        self.refused: list[tuple[str, Refusal]] = []
        self.notices: list[str] = []
        self.transfers: list[TransferAnswer] = []
        self.replaced: list[str] = []
        self._numbers = count(1)
        born = born or ids
        voters = tuple(Voter(each, "", "") for each in born)
        for each in born:
            birth = Birth("cluster", "lab", each, f"store-{each}", voters)
            create(folder / each, birth, durable=False)
        self.start(*born)

    def __getitem__(self, who: str) -> Engine:
        return self.members[who].engine

    # Members.

    def start(self, *who: str) -> None:
        """Start members from their disks, and connect them with all that live."""
        for each in who:
            self.members[each] = self.member_class(self, each)
        self.freeze()
        for a, b in self.queues:
            if a in self.members and b in self.members:
                self.link(a, b)
        for _ in range(2):
            for each in self.members:
                self.step(each)
            self.pump_all()

    def crash(self, *who: str) -> None:
        for each in who:
            for a, b in self.queues:
                if each in (a, b):
                    self.cut(a, b)
            member = self.members.pop(each)
            member.engine.close()
            member.environment.close()

    def bear(self, who: str, by: str, store_id: str = "") -> None:
        """Make the store of a member as its record on another one says, and start it."""
        record = self[by].members
        voters, learners = (
            tuple(
                Voter(each.member_id, "", "", each.store_id or f"store-{each.member_id}")
                for each in record.members
                if each.learner == learner
            )
            for learner in (False, True)
        )
        store_id = store_id or f"store-{who}"
        birth = Birth(
            "cluster", "lab", who, store_id, voters,
            learners=learners, members_revision=record.revision,
        )
        create(self.folder / who, birth, durable=False)
        self.start(who)

    def lose_disk(self, who: str) -> None:
        """End a member; its store is put aside as that of "WHO-old"."""
        self.crash(who)
        (self.folder / who).rename(self.folder / f"{who}-old")

    def change(self, who: str, voters: str, learners: str = "", **stores: str) -> Answer | None:
        """Propose a record of members; the answer, if there is one at once."""
        members = [
            MemberRow(member_id=each, learner=each in learners, store_id=stores.get(each, ""))
            for each in sorted(voters + learners)
        ]
        payload = CHANGE + Members(members=members).SerializeToString()
        number = next(self._numbers)
        self.step(who, proposals=[Proposal(number, payload, changes_members=True)])
        return self.answers.get(number)

    def voters(self, who: str) -> str:
        """Who votes in the eyes of a member."""
        return "".join(each.member_id for each in self[who].members.members if not each.learner)

    def freeze(self) -> None:
        """Keep everybody from campaigning, except a member that is alone."""
        for member in self.members.values():
            if len(self.ids) > 1:
                member.engine._library.election_deadline = self.now + NEVER

    def leadership(self, who: str) -> Leadership:
        return self[who].leadership()

    def applied(self, who: str) -> list[bytes]:
        """The payloads in a member's state, in the order of their indexes."""
        member = self.members[who]
        with member.environment.begin_read() as transaction:
            return [payload for _, payload in transaction.scan(member.state)]

    def log(self, who: str) -> list[tuple[int, int]]:
        """(index, term) of each entry of a member's log."""
        journal = self[who]._journal
        indexes = range(journal.first_index, journal.last_index + 1)
        return [(index, journal.term_at(index)) for index in indexes]

    # Connections.

    def link(self, a: str, b: str) -> None:
        """Let frames go from one member to another, from now on."""
        if (a, b) not in self.up:
            self.up.add((a, b))
            self[a].connected(b)

    def cut(self, a: str, b: str) -> None:
        """Lose what is on its way from one member to another, and let nothing more go."""
        if (a, b) in self.up:
            self.up.remove((a, b))
            self.queues[a, b].clear()
            if a in self.members:
                self[a].disconnected(b)

    def isolate(self, who: str) -> None:
        for a, b in self.queues:
            if who in (a, b):
                self.cut(a, b)

    def join(self, who: str) -> None:
        for a, b in self.queues:
            if who in (a, b) and a in self.members and b in self.members:
                self.link(a, b)

    def pump(self, a: str, b: str, frames: int = 10**9) -> None:
        """Let frames arrive; they are taken with the next step."""
        queue = self.queues[a, b]
        while queue and frames:
            frames -= 1
            self.members[b].inbox.append((a, queue.popleft()))

    def pump_all(self) -> None:
        for a, b in self.queues:
            if b in self.members:
                self.pump(a, b)

    def kinds(self, a: str, b: str) -> list[str | None]:
        """What is on its way from one member to another."""
        return [frame.WhichOneof("frame") for frame in self.queues[a, b]]

    # Steps.

    def step(
        self,
        who: str,
        *payloads: bytes,
        reads: int = 0,
        seconds: float = 0.0,
        proposals: Sequence[Proposal] = (),
    ) -> StepResult:
        """One step of a member; what it sends waits, what it answers is kept."""
        self.now += seconds
        member = self.members[who]
        inbox, member.inbox = member.inbox, []
        proposed = [Proposal(next(self._numbers), payload) for payload in payloads]
        read_ids = [next(self._numbers) for _ in range(reads)]
        result = member.engine.step(inbox, [*proposed, *proposals], read_ids, self.now)
        for peer, frame in result.outbox:
            if (who, peer) in self.up:
                self.queues[who, peer].append(frame)
        self.transfers += result.transfers
        self.answers.update((answer.id, answer) for answer in result.answers)
        self.reads.update((read.id, read) for read in result.reads)
        self.confirmations.update((each.id, each) for each in result.confirmations)
        self.refused += [(who, refusal) for refusal in result.refused]
        self.notices += result.notices
        return result

    def settle(self, who: str | None = None, rounds: int = 8) -> None:
        """Heartbeats and all that follows from them, among some members."""
        chosen = [each for each in who or self.ids if each in self.members]
        for _ in range(rounds):
            self.now += 0.1
            for each in chosen:
                self.freeze()
                self._step_or_begin_again(each)
            for a, b in self.queues:
                if a in chosen and b in chosen:
                    self.pump(a, b)
        for each in chosen:
            self._step_or_begin_again(each)

    def _step_or_begin_again(self, who: str) -> None:
        """A member whose store was replaced is started again, as its supervisor would do."""
        try:
            self.step(who)
        except Replaced:
            self.replaced.append(who)
            self.crash(who)
            self.start(who)

    def expire(self, who: str) -> None:
        """Let a member's election deadline pass, long after it heard a leader."""
        self.now += 2.0
        self[who]._library.election_deadline = self.now

    def campaign(self, who: str) -> Leadership:
        """Let a member campaign as if all others had promised their votes."""
        self.expire(who)
        supporters = set(self.ids) - {who}
        term = self.leadership(who).term
        self[who]._elections._pre_vote = _PreVote(term, self.now + 1, supporters)
        return self.step(who).leadership

    def elect(self, who: str, voters: str) -> None:
        """Make a member leader with the votes of some others; they hear nothing else."""
        self.expire(who)
        for _ in range(3):
            self.step(who)
            for voter in voters:
                self.pump(who, voter)
                self.step(voter)
                self.pump(voter, who)
        self.freeze()
        assert self.leadership(who).leads, self.leadership(who)


@contextmanager
def lab(ids: str = "ABC", **options: Any) -> Iterator[Lab]:
    """A lab, closed at the end."""
    with disks() as folder:
        table = Lab(folder, ids, **options)
        try:
            yield table
        finally:
            table.crash(*list(table.members))
