"""The cluster of a storm before it starts: certificates, settings, stores, places of logs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from diegod.config.load import load_settings
from diegod.node.birth import init_store
from diegod.raftbbs.store.identity import Voter
from diegod.security.authority import Authority, create_authority, issue
from diegod.security.identity import Role
from diegod.world import RandomIds, SystemClock
from tests.chaos.network import API_PORT, RAFT_PORT
from tests.chaos.places import Places
from tests.cluster.roles import Node, write_settings

CLUSTER = "storm"
MEMBERS = ("bbs-1", "bbs-2", "bbs-3")
BRAINS = ("brain-1", "brain-2")
RUNC_CELLS = ("cell-1", "cell-2")
EXEC_CELLS = ("cell-3", "cell-4")
CELLS = (*RUNC_CELLS, *EXEC_CELLS)
PARTS = (*MEMBERS, *BRAINS, *CELLS)
#: Tasks for one kind of cell carry it as a placement tag.
TAGS = {**dict.fromkeys(RUNC_CELLS, "runc"), **dict.fromkeys(EXEC_CELLS, "exec")}
_CELL_MEMORY_MB = 4096
_PORTS = {"bbs": API_PORT, "brain": 9016, "cell": 1801}


def role_of(part: str) -> str:
    return part.partition("-")[0]


@dataclass(frozen=True)
class Site:
    places: Places
    addresses: Mapping[str, str]
    nodes: dict[str, Node] = field(default_factory=dict)

    def found(self) -> None:
        """Everything up to the point where parts can be started."""
        clock, ids = SystemClock(), RandomIds()
        authority = create_authority(CLUSTER, self.places.ca, clock.wall())
        issue(authority, Role.USER, "storm", (), self.places.user, clock.wall())
        for part in self.addresses:
            self._furnish(part, authority, clock.wall())
        voters = [
            Voter(each, self.api(each), f"{self.addresses[each]}:{RAFT_PORT}") for each in MEMBERS
        ]
        cluster_id = ids.new_id()
        for member in MEMBERS:
            settings = load_settings(self.nodes[member].config, {}).settings
            init_store(settings, ids, cluster_id, voters)

    def api(self, member: str) -> str:
        return f"{self.addresses[member]}:{API_PORT}"

    def apis(self) -> list[str]:
        return [self.api(member) for member in MEMBERS]

    def logs_of(self, prefix: str) -> Sequence[Path]:
        """The output of every container whose handle begins so, on any cell, there or gone."""
        found: dict[tuple[str, str], Path] = {}
        for cell in CELLS:
            data = self.nodes[cell].data
            for path in data.glob(f"logs/{prefix}*.log"):
                found[cell, path.stem] = path
            for path in data.glob(f"containers/{prefix}*/container.log"):
                found[cell, path.parent.name] = path  # the same file as a kept one
        return [found[key] for key in sorted(found)]

    def cgroups_of(self, cell: str) -> Sequence[Path]:
        """Where the processes of its runc containers are listed."""
        owners = self.nodes[cell].folder.glob("run/*/owner.json")
        shorts = [path.parent.name for path in owners if json.loads(path.read_text())]
        roots = [Path("/sys/fs/cgroup/pids/diegod"), Path("/sys/fs/cgroup/diegod")]
        return [root / short for root in roots for short in shorts if (root / short).exists()]

    def _furnish(self, part: str, authority: Authority, now: float) -> None:
        role = role_of(part)
        raft_port = RAFT_PORT if role == "bbs" else 0
        node = Node(role, part, self.places.of_member(part), _PORTS[role], raft_port)
        issue(authority, Role(role), part, (self.addresses[part],), node.tls, now)
        write_settings(node, self._settings(node))
        self.nodes[part] = node

    def _settings(self, node: Node) -> dict[str, dict[str, object]]:
        own: dict[str, object] = {"port": node.port}
        if node.role == "bbs":
            own |= {"raft_port": node.raft_port, "min_free_disk_mb": 16}
        if node.role == "cell":
            tag = TAGS[node.id]
            own |= {"backends": [tag], "placement_tags": [tag], "memory_mb": _CELL_MEMORY_MB}
        return {
            "cluster": {"name": CLUSTER, "endpoints": self.apis()},
            "node": {
                "id": node.id,
                "bind": self.addresses[node.id],
                "data_dir": str(node.data),
                "run_dir": str(node.folder / "run"),
            },
            "tls": {"dir": str(node.tls)},
            "telemetry": {"metrics": ""},
            node.role: own,
        }
