"""ClusterService: what this member is, and how it sees the cluster."""

from collections.abc import Callable

import diegod
from diegod.contracts import INTERFACE_VERSION
from diegod.raftbbs.core.stamps import stamp
from diegod.raftbbs.edge.access import Access
from diegod.rpc.handlers import Handlers
from diegod.security.identity import Principal
from diegod.v1 import cluster_pb2 as api

_SERVICE = "diegod.v1.ClusterService"
API_VERSION = "v1"
_CLOCK_OFF_S = 5.0


class ClusterService:
    def __init__(self, access: Access, connected: Callable[[str], bool]) -> None:
        self._access = access
        self._connected = connected

    def handlers(self) -> Handlers:
        return {
            f"{_SERVICE}/GetVersion": self.get_version,
            f"{_SERVICE}/GetBbsStatus": self.get_bbs_status,
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
        member = self._access.member
        counters = member.counters()
        compared = member.last_comparison()
        leadership = member.leadership
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
            cluster_format=counters.cluster_format,
            alarms=[*leadership.alarms, *_clock_alarms(member.clock_offset_s)],
            hash_index=compared.index if compared is not None else 0,
            hash=compared.state_hash if compared is not None else b"",
        )

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


def _clock_alarms(offset_s: float) -> list[str]:
    """Nothing depends on a member's clock but the cluster's time, which follows slowly."""
    if abs(offset_s) < _CLOCK_OFF_S:
        return []
    where = "ahead of" if offset_s > 0 else "behind"
    return [
        f"this machine's clock is {abs(offset_s):.0f} s {where} the cluster's time: set it right "
        "(after a standstill the cluster's time comes after by itself, a second in ten)"
    ]
