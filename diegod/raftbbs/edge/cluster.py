"""ClusterService: what this member is, how it sees the cluster, and the cluster on one screen."""

from collections.abc import Callable

import diegod
from diegod.contracts import INTERFACE_VERSION
from diegod.raftbbs.core.stamps import stamp
from diegod.raftbbs.edge.access import Access
from diegod.raftbbs.edge.overview import overview
from diegod.rpc.handlers import Handlers
from diegod.security.identity import Principal
from diegod.v1 import cluster_pb2 as api

_SERVICE = "diegod.v1.ClusterService"
API_VERSION = "v1"


class ClusterService:
    def __init__(self, access: Access, connected: Callable[[str], bool]) -> None:
        self._access = access
        self._connected = connected

    def handlers(self) -> Handlers:
        return {
            f"{_SERVICE}/GetVersion": self.get_version,
            f"{_SERVICE}/GetBbsStatus": self.get_bbs_status,
            f"{_SERVICE}/Rekey": self.rekey,
            f"{_SERVICE}/GetStatus": self.get_status,
        }

    async def get_version(
        self, request: api.GetVersionRequest, caller: Principal
    ) -> api.GetVersionReply:
        birth = self._access.member.birth
        return api.GetVersionReply(
            version=diegod.__version__,
            api_version=API_VERSION,
            store_format=birth.store_format,
            plugin_interface=INTERFACE_VERSION,
            cluster_name=birth.cluster_name,
            cluster_id=birth.cluster_id,
        )

    async def get_bbs_status(
        self, request: api.GetBbsStatusRequest, caller: Principal
    ) -> api.GetBbsStatusReply:
        member, leadership = self._access.member, self._access.member.leadership
        with self._access.state() as state:
            counters, comparison = state.counters(), state.last_comparison()
        encryption = member.rekey_progress()
        return api.GetBbsStatusReply(
            member_id=member.birth.member_id,
            cluster_id=member.birth.cluster_id,
            leader_id=leadership.leader_id,
            leader_address=member.leader_address,
            term=leadership.term,
            commit_index=leadership.commit_index,
            applied_index=leadership.applied_index,
            log_first_index=leadership.log_first,
            log_last_index=leadership.log_last,
            revision=counters.revision,
            epoch=member.birth.epoch,
            replicated_time=stamp(counters.at_ns),
            members=self._members(),
            store_bytes=member.environment.used_bytes(),
            watches=len(member.feed),
            clock_offset_s=member.clock_offset_s,
            key_names=encryption.key_names,
            rekey_percent=encryption.percent,
            cluster_format=counters.cluster_format,
            alarms=member.alarms,
            free_disk_bytes=member.free_disk_bytes,
            queued_writes=member.load.queued_writes,
            hash_index=comparison.index if comparison else 0,
            hash=comparison.state_hash if comparison else b"",
        )

    async def rekey(self, request: api.RekeyRequest, caller: Principal) -> api.RekeyReply:
        """How far this member's own re-encryption is. It begins by itself, when a start finds
        values under another key than the active one: keys are read only then."""
        progress = self._access.member.rekey_progress()
        return api.RekeyReply(
            percent=progress.percent,
            active_key=progress.active_key,
            key_names=progress.key_names,
        )

    async def get_status(
        self, request: api.GetStatusRequest, caller: Principal
    ) -> api.GetStatusReply:
        await self._access.read(request.stale)
        async with self._access.moment() as state:
            reply = await overview(state)
        reply.bbs.CopyFrom(await self.get_bbs_status(api.GetBbsStatusRequest(), caller))
        return reply

    def _members(self) -> list[api.BbsMember]:
        birth = self._access.member.birth
        return [
            api.BbsMember(
                member_id=voter.id,
                address=voter.api_address,
                raft_address=voter.raft_address,
                connected=voter.id == birth.member_id or self._connected(voter.id),
            )
            for voter in birth.voters
        ]
