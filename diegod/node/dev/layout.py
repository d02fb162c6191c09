"""Where a dev cluster keeps what, and which parts it has. Written once, read by every later start.

DIR/cluster.json          the parts, their ports, the backend
DIR/ca/                   its certificate authority
DIR/client/               the user's certificate, for the context
DIR/parts/PART/           diegod.toml, tls/, data/, log
DIR/run/                  sockets
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from diegod.node.ports import free_ports
from diegod.security.authority import Authority, create_authority, issue, load_authority
from diegod.security.identity import Role
from diegod.world import Clock

HOST = "127.0.0.1"
USER = "dev"
#: Above the system's own ephemeral ports; each cluster of a host has one of the ranges.
_HOST_PORTS_FIRST = 61_000
_HOST_PORTS_A_CLUSTER = 500
_RANGES = 9
_CONTAINERS_A_CELL = 125
_FREE_DISK_MB = 32  # somebody's laptop may well be nearly full


@dataclass(frozen=True)
class Part:
    name: str  # bbs-1, brain-1, cell-2
    role: str
    port: int
    raft_port: int = 0  # of a BBS member
    zone: str = ""  # of a cell
    host_ports: str = ""  # of a cell


@dataclass(frozen=True)
class Layout:
    name: str
    directory: Path
    backend: str
    parts: tuple[Part, ...]
    cluster_id: str

    def of_role(self, role: str) -> list[Part]:
        return [part for part in self.parts if part.role == role]

    def part_dir(self, part: Part) -> Path:
        return self.directory / "parts" / part.name

    def config(self, part: Part) -> Path:
        return self.part_dir(part) / "diegod.toml"

    def log(self, part: Part) -> Path:
        return self.part_dir(part) / "log"

    @property
    def run_dir(self) -> Path:
        return self.directory / "run"

    @property
    def client_dir(self) -> Path:
        return self.directory / "client"

    @property
    def control_socket(self) -> Path:
        return self.run_dir / "control"

    @property
    def bbs_addresses(self) -> list[str]:
        return [f"{HOST}:{part.port}" for part in self.of_role("bbs")]


def load(directory: Path) -> Layout | None:
    """The layout of an earlier start; None: there was none, or it did not get that far."""
    try:
        stored = json.loads((directory / "cluster.json").read_text())
    except FileNotFoundError:
        return None
    parts = tuple(Part(**part) for part in stored["parts"])
    return Layout(stored["name"], directory, stored["backend"], parts, stored["cluster_id"])


def create(
    name: str,
    directory: Path,
    backend: str,
    members: int,
    cells: int,
    cluster_id: str,
    clock: Clock,
) -> Layout:
    """Folders, certificates and settings of a new cluster; the file that names them comes last."""
    parts = tuple(_parts(members, cells, _first_host_port(directory)))
    layout = Layout(name, directory, backend, parts, cluster_id)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    layout.run_dir.mkdir(mode=0o700, exist_ok=True)
    authority = _authority(layout, clock)
    now = clock.wall()
    if not layout.client_dir.exists():
        issue(authority, Role.USER, USER, (), layout.client_dir, now)
    for part in layout.parts:
        _furnish(layout, part, authority, now)
    _write(directory / "cluster.json", json.dumps(_stored(layout), indent=1))
    return layout


def _first_host_port(directory: Path) -> int:
    """By the folder, so that clusters beside each other rarely have the same."""
    digest = hashlib.sha256(str(directory).encode()).digest()
    return _HOST_PORTS_FIRST + digest[0] % _RANGES * _HOST_PORTS_A_CLUSTER


def _parts(members: int, cells: int, first_host_port: int) -> Sequence[Part]:
    ports = iter(free_ports(2 * members + 1 + cells))
    parts = [Part(f"bbs-{n}", "bbs", next(ports), next(ports)) for n in range(1, members + 1)]
    parts.append(Part("brain-1", "brain", next(ports)))
    each = _HOST_PORTS_A_CLUSTER // cells
    for n in range(1, cells + 1):
        first = first_host_port + (n - 1) * each
        host_ports = f"{first}-{first + each - 1}"
        parts.append(Part(f"cell-{n}", "cell", next(ports), zone=f"z{n}", host_ports=host_ports))
    return parts


def _authority(layout: Layout, clock: Clock) -> Authority:
    directory = layout.directory / "ca"
    if (directory / "ca.crt").exists():
        return load_authority(directory)
    return create_authority(layout.name, directory, clock.wall())


def _furnish(layout: Layout, part: Part, authority: Authority, now: float) -> None:
    folder = layout.part_dir(part)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (folder / "tls").exists():
        issue(authority, Role(part.role), part.name, (HOST, "localhost"), folder / "tls", now)
    _write(layout.config(part), _settings(layout, part))


def _settings(layout: Layout, part: Part) -> str:
    folder = layout.part_dir(part)
    endpoints = ", ".join(json.dumps(address) for address in layout.bbs_addresses)
    lines = [
        f'roles = ["{part.role}"]',
        "[cluster]",
        f"name = {json.dumps(layout.name)}",
        f"endpoints = [{endpoints}]",
        "[node]",
        f"id = {json.dumps(part.name)}",
        f"zone = {json.dumps(part.zone or 'z1')}",
        f"bind = {json.dumps(HOST)}",
        f"data_dir = {json.dumps(str(folder / 'data'))}",
        f"run_dir = {json.dumps(str(layout.run_dir))}",
        "[tls]",
        f"dir = {json.dumps(str(folder / 'tls'))}",
        "[telemetry]",
        'metrics = ""',
    ]
    if part.role == "bbs":
        lines += ["[bbs]", f"port = {part.port}", f"raft_port = {part.raft_port}"]
        lines += [f"min_free_disk_mb = {_FREE_DISK_MB}"]
    elif part.role == "brain":
        lines += ["[brain]", f"port = {part.port}"]
    else:
        lines += _cell_settings(layout, part)
    return "\n".join(lines) + "\n"


def _cell_settings(layout: Layout, part: Part) -> list[str]:
    cells = len(layout.of_role("cell"))
    return [
        "[cell]",
        f"port = {part.port}",
        f"backends = [{json.dumps(layout.backend)}]",
        f'host_ports = "{part.host_ports}"',
        f"memory_mb = {_host_memory_mb() // (2 * cells)}",
        f"max_containers = {_CONTAINERS_A_CELL}",
    ]


def _host_memory_mb() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1024 * 1024)


def _stored(layout: Layout) -> dict[str, object]:
    return {
        "name": layout.name,
        "backend": layout.backend,
        "cluster_id": layout.cluster_id,
        "parts": [asdict(part) for part in layout.parts],
    }


def _write(path: Path, text: str) -> None:
    aside = path.with_name(path.name + ".new")
    aside.write_text(text)
    aside.chmod(0o600)
    aside.replace(path)
