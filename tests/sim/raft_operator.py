"""An operator of a simulated cluster, who changes its members by chance and in the worst moments.

Asks the leader to add a node, to make a learner a voter (as a leader does by itself), to replace a
member by one with an empty disk, to remove one, to give its leadership away: whether or not the
last thing came to its end. Disks follow the record, with a delay: until then the old one takes
part, as one that nobody has stopped. Who was removed goes on until the others agree that it was.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diegod.internal.v1.command_pb2 import ChangeMembers, Member, Members
from diegod.raftbbs.core import membership
from diegod.raftbbs.core.decision import NewMembers
from diegod.raftbbs.core.removal import is_removed
from diegod.raftbbs.core.view import Context
from diegod.raftbbs.raft.api import Proposal, Refusal
from diegod.raftbbs.raft.greeting import NO_MEMBER
from diegod.raftbbs.store.identity import Birth, Voter, create
from diegod.v1.cluster_pb2 import BbsMember, GetBbsStatusReply
from tests.sim.raft_member import Member as SimMember

if TYPE_CHECKING:
    from tests.sim.raft_world import World

CHANGE = b"members:"
LOOK_S = 0.1
VOTERS_MAX, VOTERS_MIN = 5, 2


@dataclass(frozen=True)
class Recorded:
    """The one record as of the states of a simulation: what a rule asks of a view."""

    record: Members

    def members(self) -> Members:
        return self.record


def apply_change(record: Members, command: bytes, index: int) -> Members:
    """The record after an entry; as it was, when the rule refuses the change."""
    if not command.startswith(CHANGE):
        return record
    change = ChangeMembers.FromString(command.removeprefix(CHANGE).partition(b":")[2])
    context = Context(index, 0, "bbs/A", 0)
    decision = membership.change_members(Recorded(record), change, context)  # type: ignore[arg-type]
    return decision.members if isinstance(decision, NewMembers) else record


def is_expected(refusal: Refusal) -> bool:
    """Whether a frame may be refused for this while members change."""
    reason = refusal.reason
    return reason == NO_MEMBER or reason.endswith("it must not vote")


class Operator:
    """Acts several times a second until told to stop; then only finishes what was begun."""

    def __init__(self, world: "World", acts_a_second: float = 2.5) -> None:
        self._world = world
        self._random = world.random
        self._rate = acts_a_second
        self._stopped = False
        self._stores = 0
        self._again()
        self._look()

    def stop(self) -> None:
        self._stopped = True

    # What is asked of the leader.

    def _again(self) -> None:
        def strike() -> None:
            if not self._stopped:
                self._act()
                self._again()

        self._world.after(self._random.expovariate(self._rate), strike)

    def _act(self) -> None:
        leader = self._world.leader()
        if leader is None:
            return
        act = self._random.choice(
            (self._add, self._promote, self._promote, self._replace, self._remove, self._transfer)
        )
        act(leader)

    def _propose(self, leader: SimMember, change: ChangeMembers) -> None:
        promises = self._world.promises
        id_, _ = promises.new_command()
        payload = CHANGE + b"%d:" % id_ + change.SerializeToString()
        promises.commands[id_] = payload
        leader.proposals.append(Proposal(id_, payload, changes_members=True))
        self._world.wake(leader, self._world.now)

    def _record(self, leader: SimMember) -> Members:
        assert leader.engine is not None
        return leader.engine.members

    def _add(self, leader: SimMember) -> None:
        record = self._record(leader)
        absent = [each for each in self._world.members if membership.find(record, each) is None]
        if absent and len(record.members) < VOTERS_MAX:
            new = Member(member_id=self._random.choice(absent), learner=True)
            new.store_id = self._new_store()
            self._propose(leader, membership.replaced(record, new.member_id, new))

    def _promote(self, leader: SimMember) -> None:
        for learner in leader.leadership().ready_learners[:1]:
            self._propose(leader, membership.promotion(self._record(leader), learner))

    def _replace(self, leader: SimMember) -> None:
        record = self._record(leader)
        if one := self._another(leader, record):
            new = Member(member_id=one.member_id, learner=True, store_id=self._new_store())
            self._propose(leader, membership.replaced(record, one.member_id, new))

    def _remove(self, leader: SimMember) -> None:
        record = self._record(leader)
        if one := self._another(leader, record):
            self._propose(leader, membership.replaced(record, one.member_id, None))

    def _another(self, leader: SimMember, record: Members) -> Member | None:
        """A member to take away; of voters only as many as an operator in his right mind would."""
        others = [each for each in record.members if each.member_id != leader.id]
        if len(membership.voters(record)) <= VOTERS_MIN:
            others = [each for each in others if each.learner]
        return self._random.choice(others) if others else None

    def _transfer(self, leader: SimMember) -> None:
        assert leader.engine is not None
        to = self._random.choice(["", *self._world.members])
        leader.engine.request_transfer(0, to)
        self._world.wake(leader, self._world.now)

    def _new_store(self) -> str:
        self._stores += 1
        return f"new-{self._stores}"

    # What follows from the record.

    def _look(self) -> None:
        if self._stopped or self._random.random() < 0.3:
            self.follow()
        self._world.after(LOOK_S, self._look)

    def follow(self) -> None:
        """Let one disk follow the record, or end one member that was removed."""
        world, record = self._world, self._world.record
        for member in record.members:
            if member.store_id and world.stores.get(member.member_id) != member.store_id:
                if member.member_id not in world.stores or self._is_over(member.member_id):
                    self._new_disk(member)
                return
        for id_ in sorted(world.stores):
            if membership.find(record, id_) is None and self._is_over(id_):
                self._put_aside(id_)
                return

    def is_settled(self) -> bool:
        """Whether disks and record agree."""
        wanted = {each.member_id: each.store_id for each in self._world.record.members}
        stores = self._world.stores
        return wanted.keys() == stores.keys() and all(
            wanted[each] in ("", stores[each]) for each in wanted
        )

    def _new_disk(self, member: Member) -> None:
        """As `bbs join` makes it, of what the leader answers."""
        world, record = self._world, self._world.record
        self._put_aside(member.member_id)
        listed = [
            (each.learner, Voter(each.member_id, "", "", each.store_id or self._said(each)))
            for each in record.members
        ]
        birth = Birth(
            "cluster",
            "sim",
            member.member_id,
            member.store_id,
            tuple(voter for learner, voter in listed if not learner),
            learners=tuple(voter for learner, voter in listed if learner),
            members_revision=record.revision,
        )
        create(world.members[member.member_id].folder, birth, durable=False)
        world.stores[member.member_id] = member.store_id
        world.boot(member.member_id)

    def _said(self, member: Member) -> str:
        return self._world.stores[member.member_id]

    def _put_aside(self, id_: str) -> None:
        world = self._world
        if id_ in world.stores:
            world.crash(id_)
            folder = world.members[id_].folder
            folder.rename(folder.with_name(f"{id_}-{world.stores.pop(id_)}"))

    def _is_over(self, id_: str) -> bool:
        """Whether a member with its present disk would end, since the others agree."""
        return is_removed(id_, self._world.stores[id_], self._answers(but=id_))

    def _answers(self, but: str) -> Iterator[GetBbsStatusReply]:
        for member in self._world.living():
            if member.id != but:
                record = self._record(member)
                yield GetBbsStatusReply(
                    member_id=member.id,
                    members_revision=record.revision,
                    members=[
                        BbsMember(
                            member_id=each.member_id, store_id=each.store_id, learner=each.learner
                        )
                        for each in record.members
                    ],
                )
