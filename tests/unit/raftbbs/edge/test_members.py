"""ClusterService, the part that changes members: who may, what is refused, and in which words."""

from pathlib import Path
from typing import Any

import pytest

from diegod.models.errors import Reason
from diegod.raftbbs.edge.members import MemberService
from diegod.security.identity import Principal, Role
from diegod.v1 import cluster_pb2 as api
from tests.unit.raftbbs.bbs import ANN, CLUSTER, MEMBER, Bbs, refused, running

M2 = Principal(CLUSTER, Role.BBS, "m2")


def add(**fields: Any) -> api.AddMemberRequest:
    given = {"member_id": "m2", "address": "m2:1", "raft_address": "m2:2", "store_id": "s2"}
    return api.AddMemberRequest(**{**given, **fields})


def service_of(bbs: Bbs) -> MemberService:
    return MemberService(bbs.access, lambda peer: False)


async def test_a_node_makes_itself_a_learner_and_hears_who_there_is(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        reply = await service_of(bbs).add_member(add(), M2)
        assert (reply.cluster_id, reply.cluster_name, reply.epoch) == ("cluster-id", CLUSTER, 1)
        assert reply.members_revision == bbs.member.members.revision == 1
        assert [(m.member_id, m.learner, m.store_id) for m in reply.members] == [
            (MEMBER, False, "store-1"),
            ("m2", True, "s2"),
        ]


async def test_what_is_so_already_changes_nothing(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        for _ in range(2):
            reply = await service_of(bbs).add_member(add(), M2)
            assert reply.members_revision == 1
        reply = await service_of(bbs).add_member(add(store_id="s3"), ANN)
        assert reply.members_revision == 2
        assert reply.members[1].store_id == "s3"


async def test_a_node_speaks_for_itself_only(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        error = await refused(service_of(bbs).add_member(add(member_id="m3"), M2))
        assert error.reason is Reason.PERMISSION_DENIED


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"member_id": ""}, "member_id: is missing"),
        ({"store_id": "", "address": ""}, "address: is missing; store_id: is missing"),
        ({"member_id": "x" * 129}, "a member's id has 129 bytes, or a NUL; 1 to 128 are legal"),
    ],
)
async def test_what_can_not_be_a_member_is_refused_with_all_that_is_wrong(
    tmp_path: Path, fields: dict[str, str], problem: str
) -> None:
    async with running(tmp_path / "m1") as bbs:
        error = await refused(service_of(bbs).add_member(add(**fields), ANN))
        assert (error.reason, error.message) == (Reason.INVALID_REQUEST, problem)
        assert bbs.member.members.revision == 0


async def test_a_learner_is_removed_and_then_there_is_none(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await bbs.in_format_2()
        service = service_of(bbs)
        await service.add_member(add(), M2)
        request = api.RemoveMemberRequest(member_id="m2")
        assert (await service.remove_member(request, ANN)).members_revision == 2
        assert [each.member_id for each in bbs.member.members.members] == [MEMBER]
        assert (await refused(service.remove_member(request, ANN))).reason is (
            Reason.RESOURCE_NOT_FOUND
        )


async def test_the_only_voter_stays(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await bbs.in_format_2()
        service = service_of(bbs)
        await service.add_member(add(), M2)
        removal = service.remove_member(api.RemoveMemberRequest(member_id=MEMBER), ANN)
        assert "there is no other voter" in (await refused(removal)).message
        replacing = service.add_member(add(member_id=MEMBER, replace=True), ANN)
        assert "there is no other voter" in (await refused(replacing)).message
        joining = service.add_member(add(member_id=MEMBER), ANN)
        assert "m1 is a voter, with another store" in (await refused(joining)).message
        giving = service.transfer_leadership(api.TransferLeadershipRequest(), ANN)
        assert (await refused(giving)).message == "no other voter is connected"


async def test_giving_the_leadership_to_who_has_it_is_done_already(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        request = api.TransferLeadershipRequest(member_id=MEMBER)
        assert (await service_of(bbs).transfer_leadership(request, ANN)).leader_id == MEMBER
