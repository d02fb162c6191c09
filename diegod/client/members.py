"""Members of the BBS: who there is, who goes, who leads."""

from diegod.client.ports import Cluster
from diegod.v1 import cluster_pb2

_SERVICE = "diegod.v1.ClusterService"


class Members:
    """A node becomes a member by `diegod bbs join` on itself; the rest is asked from anywhere."""

    def __init__(self, cluster: Cluster, timeout_s: float) -> None:
        self._cluster = cluster
        self._timeout_s = timeout_s

    async def remove(self, member_id: str) -> cluster_pb2.RemoveMemberReply:
        """Take a member out for good. The leader itself can't be: transfer first."""
        reply: cluster_pb2.RemoveMemberReply = await self._cluster.call(
            f"{_SERVICE}/RemoveMember",
            cluster_pb2.RemoveMemberRequest(member_id=member_id),
            self._timeout_s,
        )
        return reply

    async def transfer(self, member_id: str = "") -> str:
        """Give the leadership to this voter, or to the one that is furthest; returns who leads."""
        reply: cluster_pb2.TransferLeadershipReply = await self._cluster.call(
            f"{_SERVICE}/TransferLeadership",
            cluster_pb2.TransferLeadershipRequest(member_id=member_id),
            self._timeout_s,
        )
        return reply.leader_id
