"""What everything on the host is called. Every name carries the owner's short id.

Two clusters, or two cells of one cluster, live on one host without touching each other, because
each of them looks only at names that begin with its own short id. Pure.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from diegod.contracts.backend import Owner

CGROUP_ROOT = "/diegod"
BRIDGE_PREFIX = "dg"


def short_id(owner: Owner, run_dir: Path) -> str:
    """Eight hexadecimal digits: interface names have room for 15 characters.

    The run folder is part of it: two agents that were given one name, each with a run folder of
    its own (a test beside another test), are two owners.
    """
    text = f"{owner.cluster_id}\0{owner.cell_id}\0{run_dir}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Names:
    short: str
    run_dir: Path  # of this owner alone; lost when the machine restarts, as are all it points to

    @classmethod
    def of(cls, owner: Owner, run_dir: Path) -> "Names":
        short = short_id(owner, run_dir)
        return cls(short, run_dir / short)

    @property
    def bridge(self) -> str:
        return f"{BRIDGE_PREFIX}{self.short}"

    @property
    def bridge_mac(self) -> str:
        """A bridge without an address of its own takes one of its ports', and changes it."""
        return "02:" + ":".join(self.short[at : at + 2] for at in range(0, 8, 2)) + ":01"

    @property
    def veth_prefix(self) -> str:
        return f"dv{self.short}"

    def veth(self, slot: int) -> str:
        """The host's end of the cable to the container in `slot`."""
        return f"{self.veth_prefix}{slot:04x}"

    @property
    def table(self) -> str:
        return f"diegod_{self.short}"

    @property
    def cgroup(self) -> str:
        return f"{CGROUP_ROOT}/{self.short}"

    @property
    def cgroup_root(self) -> str:
        """Shared by all owners of this host."""
        return CGROUP_ROOT

    def container_cgroup(self, handle: str) -> str:
        return f"{self.cgroup}/{handle}"

    @property
    def runc_root(self) -> Path:
        return self.run_dir / "runc"

    @property
    def sockets(self) -> Path:
        """Where conmon puts its attach sockets."""
        return self.run_dir / "s"

    @staticmethod
    def socket(handle: str) -> str:
        """A container's socket in there. Paths of sockets must be short, and handles are long."""
        return hashlib.sha256(handle.encode()).hexdigest()[:12]

    @property
    def netns(self) -> Path:
        return self.run_dir / "netns"
