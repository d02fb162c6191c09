"""The cluster of a run before it starts: its CA, certificates, settings, disks and stores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from diegod.config.load import load_settings
from diegod.node.birth import init_store
from diegod.raftbbs.store.identity import Voter
from diegod.rpc.channel import GrpcDialer
from diegod.security.authority import create_authority, issue
from diegod.security.credentials import channel_credentials, load_identity
from diegod.security.identity import Role
from diegod.world import RandomIds, SystemClock
from tests.chaos.disks import Disk
from tests.chaos.network import API_PORT, RAFT_PORT
from tests.chaos.places import Places
from tests.cluster.roles import Node, write_settings

CLUSTER = "chaos"
USER = "chaos"
#: Shorter than a long SIGSTOP.
LEASE_TTL_S = 3.0
#: So few that a member can be left behind the beginning of the others' logs within seconds.
LOG_KEPT_ENTRIES = 100


@dataclass(frozen=True)
class Site:
    places: Places
    addresses: Mapping[str, str]
    nodes: dict[str, Node] = field(default_factory=dict)
    disks: dict[str, Disk] = field(default_factory=dict)

    def found(self, disk_mb: int) -> None:
        """Everything up to the point where members can be started."""
        clock, ids = SystemClock(), RandomIds()
        authority = create_authority(CLUSTER, self.places.ca, clock.wall())
        issue(authority, Role.USER, USER, (), self.places.user, clock.wall())
        for member, address in self.addresses.items():
            node = Node("bbs", member, self.places.of_member(member), API_PORT, RAFT_PORT)
            issue(authority, Role.BBS, member, (address,), node.tls, clock.wall())
            self.disks[member] = Disk(node.folder / "disk", disk_mb)
            self.disks[member].mount()
            write_settings(node, self._settings(node))
            self.nodes[member] = node
        voters = [
            Voter(each, f"{address}:{API_PORT}", f"{address}:{RAFT_PORT}")
            for each, address in self.addresses.items()
        ]
        cluster_id = ids.new_id()
        for node in self.nodes.values():
            init_store(load_settings(node.config, {}).settings, ids, cluster_id, voters)

    def api(self, member: str) -> str:
        return f"{self.addresses[member]}:{API_PORT}"

    def apis(self) -> Sequence[str]:
        return [self.api(member) for member in self.addresses]

    def dialer(self) -> GrpcDialer:
        """Connections of one user, shared with nobody."""
        identity = load_identity(self.places.user, Role.USER, SystemClock().wall(), CLUSTER)
        return GrpcDialer(lambda: channel_credentials(identity))

    def store(self, member: str) -> Path:
        return self.disks[member].folder / "data"

    def _settings(self, node: Node) -> dict[str, dict[str, object]]:
        return {
            "cluster": {"name": CLUSTER, "endpoints": self.apis()},
            "node": {
                "id": node.id,
                "bind": self.addresses[node.id],
                "data_dir": str(self.store(node.id)),
                "run_dir": str(node.folder / "run"),
            },
            "tls": {"dir": str(node.tls)},
            "telemetry": {"metrics": ""},
            "bbs": {
                "port": API_PORT,
                "raft_port": RAFT_PORT,
                "lease_ttl_s": LEASE_TTL_S,
                "log_kept_entries": LOG_KEPT_ENTRIES,
                "min_free_disk_mb": 0,  # a disk that fills up is one of the faults
            },
        }
