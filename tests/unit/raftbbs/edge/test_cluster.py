"""ClusterService: a member's own view."""

from pathlib import Path

import diegod
from diegod.internal.v1.command_pb2 import (
    CancelTask,
    ControlLrp,
    CreateInstance,
    DesireLrp,
    DesireTask,
    ExpireTask,
    FinishRollout,
    UpsertDomain,
)
from diegod.raftbbs.edge.cluster import ClusterService
from diegod.raftbbs.feed import Interest
from diegod.raftbbs.store.rekeying import Progress
from diegod.v1 import cluster_pb2 as api
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.lrp_pb2 import ControlLrpRequest
from diegod.v1.record_pb2 import DesiredLrp
from tests.unit.raftbbs.bbs import ADDRESS, ANN, BRAIN, C1, CLUSTER, MEMBER, running
from tests.unit.raftbbs.core.board import a_task


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


async def test_the_overview_counts_what_is_there_and_names_what_is_short(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await bbs.with_brain()
        await bbs.with_cell(C1)
        for guid in ("t1", "t2", "t3"):
            await bbs.done(ANN, desire_task=DesireTask(task=a_task(guid), definition=b""))
        await bbs.done(ANN, cancel_task=CancelTask(task_guid="t1"))
        lrp = DesiredLrp(process_guid="web", domain="default", instances=2)
        await bbs.done(ANN, desire_lrp=DesireLrp(desired_lrp=lrp, definition=b""))
        service = ClusterService(bbs.access, lambda peer: False)
        reply = await service.get_status(api.GetStatusRequest(), ANN)
        assert dict(reply.tasks) == {"PENDING": 2, "COMPLETED": 1}
        assert dict(reply.cells) == {"PRESENT": 1}
        (short,) = reply.short_lrps
        assert (short.process_guid, short.desired, short.running) == ("web", 2, 0)
        assert (reply.lrps, reply.short_lrps_total, reply.collected_tasks) == (1, 1, 0)
        assert reply.oldest_ended_task.seconds > 0
        assert reply.bbs.leader_id == MEMBER
        with bbs.access.state() as state:
            task = state.task("t1")
        assert task is not None
        expire = ExpireTask(task_guid="t1", row_revision=task.provenance.revision)
        await bbs.done(BRAIN, expire_task=expire)
        reply = await service.get_status(api.GetStatusRequest(), ANN)
        assert dict(reply.tasks) == {"PENDING": 2}
        assert reply.collected_tasks == 1
        assert not reply.HasField("oldest_ended_task")


async def test_the_overview_names_updates_and_the_brain(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await bbs.in_format_2()
        service = ClusterService(bbs.access, lambda peer: False)
        for guid in ("done", "rolling", "stopped"):
            lrp = DesiredLrp(process_guid=guid, domain="default", instances=1)
            await bbs.done(ANN, desire_lrp=DesireLrp(desired_lrp=lrp, definition=b""))
        assert not (await service.get_status(api.GetStatusRequest(), ANN)).brain_id
        await bbs.with_brain()
        with bbs.access.state() as state:
            done = state.desired_lrp("done")
        assert done is not None
        finish = FinishRollout(process_guid="done", row_revision=done.provenance.revision)
        await bbs.done(BRAIN, finish_rollout=finish)
        stop = ControlLrp(process_guid="stopped", verb=ControlLrpRequest.STOP)
        await bbs.done(ANN, control_lrp=stop)
        reply = await service.get_status(api.GetStatusRequest(), ANN)
        assert reply.brain_id == BRAIN.id
        assert list(reply.rollouts) == ["rolling", "stopped"]
        assert [each.process_guid for each in reply.short_lrps] == ["done", "rolling"]


async def test_one_on_each_cell_is_short_of_what_it_has_a_row_for(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await bbs.in_format_2()
        await bbs.with_brain()
        mode = LrpDefinition.GLOBAL
        lrp = DesiredLrp(process_guid="logs", domain="default", instances=1, mode=mode)
        desired = await bbs.done(ANN, desire_lrp=DesireLrp(desired_lrp=lrp, definition=b""))
        service = ClusterService(bbs.access, lambda peer: False)
        assert not (await service.get_status(api.GetStatusRequest(), ANN)).short_lrps
        for index, cell_id in enumerate(("c1", "c2")):
            create = CreateInstance(
                process_guid="logs", index=index, desired_revision=desired.revision, cell_id=cell_id
            )
            await bbs.done(BRAIN, create_instance=create)
        (short,) = (await service.get_status(api.GetStatusRequest(), ANN)).short_lrps
        assert (short.desired, short.running) == (2, 0)
