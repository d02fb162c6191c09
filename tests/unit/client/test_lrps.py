"""What a client asks of LRPs and cells, as it goes out."""

from diegod.client import Client
from diegod.v1.cell_pb2 import ControlCellReply, ControlCellRequest
from diegod.v1.lrp_pb2 import (
    ControlLrpReply,
    ControlLrpRequest,
    LrpHistoryReply,
    RetireInstanceReply,
)
from diegod.v1.record_pb2 import ActualLrp, DesiredLrp, LrpVersion
from tests.unit.client.fake_cluster import FakeCluster
from tests.unit.client.test_tasks import a_client


def a_cluster() -> tuple[FakeCluster, Client]:
    cluster = FakeCluster(
        calls={
            "LrpService/Control": ControlLrpReply(desired_lrp=DesiredLrp(version=4)),
            "LrpService/Retire": RetireInstanceReply(instance=ActualLrp(instance_guid="i1")),
            "LrpService/History": LrpHistoryReply(versions=[LrpVersion(version=4)]),
            "CellService/Control": ControlCellReply(unchanged=True),
        }
    )
    return cluster, a_client(cluster)


async def test_an_lrp_is_rolled_back() -> None:
    cluster, client = a_cluster()
    verb = ControlLrpRequest.ROLLBACK
    reply = await client.lrps.control("web", verb, to_version=3, expected_revision=7, cause="bad")
    assert reply.desired_lrp.version == 4
    (asked,) = cluster.asked("LrpService/Control")
    assert asked.request_id
    asked.request_id = ""
    assert asked == ControlLrpRequest(
        process_guid="web", verb=verb, to_version=3, expected_revision=7, cause="bad"
    )


async def test_an_index_is_retired_and_a_history_read() -> None:
    cluster, client = a_cluster()
    assert (await client.lrps.retire("web", 2, "slow")).instance_guid == "i1"
    (asked,) = cluster.asked("LrpService/Retire")
    assert (asked.process_guid, asked.index, asked.cause) == ("web", 2, "slow")
    history = await client.lrps.history("web")
    assert [each.version for each in history.versions] == [4]


async def test_a_cell_is_drained() -> None:
    cluster, client = a_cluster()
    reply = await client.cells.control("c1", ControlCellRequest.DRAIN, deadline_ms=5, cause="disk")
    assert reply.unchanged
    (asked,) = cluster.asked("CellService/Control")
    assert asked.request_id
    assert (asked.cell_id, asked.deadline_ms, asked.cause) == ("c1", 5, "disk")
    assert asked.verb == ControlCellRequest.DRAIN
