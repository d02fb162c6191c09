"""ClusterService: a member's own view."""

from pathlib import Path

import diegod
from diegod.internal.v1.command_pb2 import UpsertDomain
from diegod.raftbbs.edge.cluster import ClusterService
from diegod.raftbbs.feed import Interest
from diegod.raftbbs.store.rekeying import Progress
from diegod.v1 import cluster_pb2 as api
from tests.unit.raftbbs.bbs import ADDRESS, ANN, CLUSTER, MEMBER, running


async def test_a_member_says_who_it_is_and_how_it_sees_the_cluster(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await bbs.done(ANN, upsert_domain=UpsertDomain(domain="d"))
        bbs.member.feed.subscribe(Interest())
        service = ClusterService(bbs.access, lambda peer: False)
        status = await service.get_bbs_status(api.GetBbsStatusRequest(), ANN)
        assert (status.member_id, status.leader_id, status.leader_address) == (
            MEMBER,
            MEMBER,
            ADDRESS,
        )
        assert status.revision == 1
        assert status.applied_index == status.commit_index == status.log_last_index
        assert status.watches == 1
        assert status.store_bytes > 0
        assert abs(status.clock_offset_s) < 5
        assert (status.key_names, status.rekey_percent) == ([], 100)
        (voter,) = status.members
        assert voter.connected  # to itself, always


async def test_a_member_says_how_far_its_store_is_encrypted(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        service = ClusterService(bbs.access, lambda peer: False)
        bbs.member.rekey_progress = lambda: Progress(40, "new", ("old", "new"))
        status = await service.get_bbs_status(api.GetBbsStatusRequest(), ANN)
        assert (status.key_names, status.rekey_percent) == (["old", "new"], 40)
        reply = await service.rekey(api.RekeyRequest(), ANN)
        assert reply == api.RekeyReply(percent=40, active_key="new", key_names=["old", "new"])


async def test_a_member_says_its_versions(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        service = ClusterService(bbs.access, lambda peer: False)
        version = await service.get_version(api.GetVersionRequest(), ANN)
        assert version.version == diegod.__version__
        assert version.cluster_name == CLUSTER
        assert version.cluster_id == "cluster-id"
