"""ClusterService, the part that changes things: members come and go, the leadership moves.

Each handler looks at the record of members as the leader goes by it, decides on one change
(`raftbbs/core/membership.py`), and submits it as a compare-and-set on that record. A change that
came between, a promotion perhaps, makes it look again.
"""

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from diegod.internal.v1 import command_pb2 as c
from diegod.models.errors import DomainError, Problem, Reason
from diegod.raftbbs.core import membership
from diegod.raftbbs.core.decision import Refused
from diegod.raftbbs.edge.access import Access, invalid, raise_refusal
from diegod.raftbbs.edge.cluster import described
from diegod.raftbbs.member import Member
from diegod.rpc.handlers import Handlers
from diegod.security.identity import Principal, Role
from diegod.v1 import cluster_pb2 as api

_SERVICE = "diegod.v1.ClusterService"
_TRIES = 40
_PAUSE_S = 0.1
#: Another change was faster, or is on its way.
_WORTH_LOOKING_AGAIN = (Reason.RESOURCE_CONFLICT, Reason.RESOURCE_EXHAUSTED)

#: What to do about a record: change it, nothing, or refuse.
Plan: TypeAlias = c.ChangeMembers | Refused | None


class MemberService:
    def __init__(self, access: Access, connected: Callable[[str], bool]) -> None:
        self._access = access
        self._connected = connected

    @property
    def _member(self) -> Member:
        return self._access.member

    def handlers(self) -> Handlers:
        return {
            f"{_SERVICE}/AddMember": self.add_member,
            f"{_SERVICE}/RemoveMember": self.remove_member,
            f"{_SERVICE}/TransferLeadership": self.transfer_leadership,
        }

    async def add_member(
        self, request: api.AddMemberRequest, caller: Principal
    ) -> api.AddMemberReply:
        """Make a node a learner; as soon as it has caught up, the leader makes it a voter."""
        if caller.role is Role.BBS and caller.id != request.member_id:
            raise DomainError(
                Reason.PERMISSION_DENIED, f"{caller} may not make {request.member_id} a member"
            )
        _check(request)
        wanted = c.Member(
            member_id=request.member_id,
            address=request.address,
            raft_address=request.raft_address,
            store_id=request.store_id,
        )
        await self._change(
            lambda: self._admission(wanted, replace=request.replace),
            f"{caller} adds {request.member_id}",
        )
        birth = self._member.birth
        return api.AddMemberReply(
            cluster_id=birth.cluster_id,
            cluster_name=birth.cluster_name,
            epoch=birth.epoch,
            members_revision=self._member.members.revision,
            members=described(self._member),
        )

    async def remove_member(
        self, request: api.RemoveMemberRequest, caller: Principal
    ) -> api.RemoveMemberReply:
        member_id = request.member_id
        await self._change(lambda: self._removal(member_id), f"{caller} removes {member_id}")
        return api.RemoveMemberReply(members_revision=self._member.members.revision)

    async def transfer_leadership(
        self, request: api.TransferLeadershipRequest, caller: Principal
    ) -> api.TransferLeadershipReply:
        """Give the leadership to a voter; returns who leads then."""
        member = self._member
        if not member.leadership.leads:
            raise member.not_leader()
        own_id = member.birth.member_id
        if request.member_id != own_id:
            await member.transfer(request.member_id)
            await self._led_by_another(own_id)
        return api.TransferLeadershipReply(leader_id=member.leadership.leader_id)

    async def _led_by_another(self, own_id: str) -> None:
        for _ in range(_TRIES):
            if member_id := self._member.leadership.leader_id:
                if member_id != own_id:
                    return
                raise DomainError(Reason.INVALID_STATE_TRANSITION, f"{own_id} leads again")
            await asyncio.sleep(_PAUSE_S)
        raise self._member.no_leader()

    def _admission(self, wanted: c.Member, *, replace: bool) -> Plan:
        member, id_ = self._member, wanted.member_id
        plan = membership.admitted(
            member.members, wanted, member.store_of(id_), replace=replace
        )
        if isinstance(plan, c.ChangeMembers) and id_ not in _voters(plan):
            return self._refused_removal(id_) or plan
        return plan

    def _removal(self, member_id: str) -> Plan:
        members = self._member.members
        if membership.find(members, member_id) is None:
            return Refused(Reason.RESOURCE_NOT_FOUND, f'there is no member "{member_id}"')
        return self._refused_removal(member_id) or membership.replaced(members, member_id, None)

    def _refused_removal(self, member_id: str) -> Refused | None:
        """Why this member may not cease to vote; None when it may, or does not vote anyway."""
        member = self._member
        there = [each for each in membership.voters(member.members) if self._connected(each)]
        there.append(member.birth.member_id)
        if refusal := membership.too_few(member.members, member_id, there):
            return refusal
        if member_id != member.birth.member_id:
            return None
        return membership.leads_now(member_id)

    async def _change(self, plan: Callable[[], Plan], cause: str) -> None:
        """Carry out what is planned on the record as it is; again, when it was another by then."""
        for _ in range(_TRIES - 1):
            try:
                await self._change_once(plan, cause)
                return
            except DomainError as error:
                if error.reason not in _WORTH_LOOKING_AGAIN:
                    raise
            await asyncio.sleep(_PAUSE_S)
        await self._change_once(plan, cause)

    async def _change_once(self, plan: Callable[[], Plan], cause: str) -> None:
        member = self._member
        if not member.leadership.leads:
            raise member.not_leader()
        await member.barrier()
        with self._access.state() as state:
            if not membership.can_change_members(state):
                raise DomainError(
                    Reason.INVALID_STATE_TRANSITION,
                    "not every member of this cluster can read a changed record of members yet",
                )
        planned = plan()
        if isinstance(planned, Refused):
            raise DomainError(planned.reason, planned.message)
        if planned is None:
            return
        if why := membership.not_one_change(member.members.members, planned.members):
            raise DomainError(Reason.INVALID_STATE_TRANSITION, why)
        command = c.Command(by=f"bbs/{member.birth.member_id}", cause=cause)
        command.change_members.CopyFrom(planned)
        raise_refusal((await member.submit([command]))[0])


def _voters(plan: c.ChangeMembers) -> list[str]:
    return [each.member_id for each in plan.members if not each.learner]


def _check(request: api.AddMemberRequest) -> None:
    problems = [
        Problem(field, "is missing")
        for field in ("member_id", "address", "raft_address", "store_id")
        if not getattr(request, field)
    ]
    new = c.Member(
        member_id=request.member_id,
        address=request.address,
        raft_address=request.raft_address,
        store_id=request.store_id,
    )
    if not problems and (why := membership.illegal([new])):
        problems.append(Problem("", why))
    if problems:
        raise invalid(problems)
