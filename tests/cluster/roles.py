"""Roles as processes from TOML files, as on machines of their own.

Certificates by `diegod ca`, stores by `diegod bbs init`, readiness by sd_notify, and an end for all
of them whatever a test did.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from diegod.client import Client
from diegod.node.ports import free_ports
from tests.cluster.terminal import PROGRAM, Done, Terminal
from tests.cluster.waiting import until

HOST = "127.0.0.1"
READY_S = 30.0
END_S = 20.0


@dataclass(frozen=True)
class Node:
    """One role on one node: its settings, and where it keeps everything."""

    role: str
    id: str
    folder: Path
    port: int
    raft_port: int = 0

    @property
    def config(self) -> Path:
        return self.folder / "diegod.toml"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def tls(self) -> Path:
        return self.folder / "tls"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def voter(self) -> str:
        """As `bbs init --voter` takes it."""
        return f"{self.id}={HOST}:{self.port}:{self.raft_port}"


@dataclass(frozen=True)
class Site:
    """A cluster's CA and the nodes that have been furnished; below one folder."""

    terminal: Terminal
    cluster: str
    nodes: dict[str, Node] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.terminal.home / self.cluster

    @property
    def ca(self) -> Path:
        return self.folder / "ca"

    def endpoints(self) -> list[str]:
        return [node.address for node in self.nodes.values() if node.role == "bbs"]

    def add(self, role: str, id_: str) -> Node:
        """A node with its certificate; its settings are written by `furnish`."""
        port, raft_port = free_ports(2)
        node = Node(role, id_, self.folder / id_, port, raft_port)
        self.issue(role, id_, node.tls)
        self.nodes[id_] = node
        return node

    def issue(self, role: str, id_: str, out: Path, *options: str) -> None:
        hosts = [] if role == "user" else ["--host", HOST, "--host", "localhost"]
        names = ["ca", "issue", role, id_, "--dir", str(self.ca), "--out", str(out)]
        self.terminal.run(*names, *hosts, *options).succeeded()

    def furnish(self) -> None:
        """Write the settings of every node, now that all are known."""
        for node in self.nodes.values():
            write_settings(node, self.settings(node))

    def settings(self, node: Node) -> dict[str, dict[str, object]]:
        """What stands in the node's file, by section; a test may change it before it is written."""
        sections: dict[str, dict[str, object]] = {
            "cluster": {"name": self.cluster, "endpoints": self.endpoints()},
            "node": {
                "id": node.id,
                "data_dir": str(node.data),
                "run_dir": str(node.folder / "run"),
            },
            "tls": {"dir": str(node.tls)},
            "telemetry": {"metrics": ""},
            node.role: {"port": node.port},
        }
        if node.role == "bbs":
            sections["bbs"] |= {"raft_port": node.raft_port, "min_free_disk_mb": 16}
        if node.role == "cell":
            first = 30_000 + node.port % 20_000
            sections["cell"] |= {"backends": ["exec"], "host_ports": f"{first}-{first + 99}"}
        return sections

    def init_stores(self) -> None:
        """As the operator of three machines does it: the first prints the cluster id."""
        members = [node for node in self.nodes.values() if node.role == "bbs"]
        voters = [word for member in members for word in ("--voter", member.voter)]
        cluster_id: list[str] = []
        for member in members:
            command = ["bbs", "init", "--config", str(member.config), *voters, *cluster_id]
            made = self.terminal.run(*command, "-o", "json").succeeded().record
            cluster_id = ["--cluster-id", made["cluster_id"]]

    def client(self, *addresses: str, timeout_s: float = 10.0) -> Client:
        """As the user alice, who must have been issued a certificate in `alice`."""
        return Client(addresses or self.endpoints(), self.folder / "alice", timeout_s=timeout_s)

    def user(self) -> Terminal:
        """A terminal with a context for this cluster."""
        words = [word for address in self.endpoints() for word in ("--address", address)]
        cert = ["--cert", str(self.folder / "alice")]
        self.terminal.run("context", "add", self.cluster, *words, *cert).succeeded()
        return self.terminal


def new_site(terminal: Terminal, cluster: str = "prod") -> Site:
    site = Site(terminal, cluster)
    site.folder.mkdir(parents=True)
    terminal.run("ca", "init", "--cluster", cluster, "--dir", str(site.ca)).succeeded()
    return site


def write_settings(node: Node, sections: Mapping[str, Mapping[str, object]]) -> Path:
    lines = [f'roles = ["{node.role}"]']
    for name, section in sections.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in section.items()]
    node.folder.mkdir(parents=True, exist_ok=True)
    node.config.write_text("\n".join(lines) + "\n")
    return node.config


class Processes:
    """The roles that a test has started. Ended at the end, with what cells left behind."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.releases: dict[str, Path] = {}
        """Nodes that run another release of diegod than this one: where it is unpacked."""

    def start(self, *ids: str) -> None:
        """Start nodes side by side; returns when all are ready."""
        sockets = {id_: self._start(self.site.nodes[id_]) for id_ in ids}
        for id_, ready in sockets.items():
            with ready:
                self._await_ready(id_, ready)

    def _start(self, node: Node) -> socket.socket:
        path = node.folder / "ready"
        path.unlink(missing_ok=True)
        ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        ready.bind(str(path))
        with node.log.open("ab") as log:
            self._running[node.id] = subprocess.Popen(
                [str(PROGRAM), f"--role={node.role}", "--config", str(node.config)],
                cwd=node.folder,
                env=self._environ(node) | {"NOTIFY_SOCKET": str(path)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return ready

    def _environ(self, node: Node) -> dict[str, str]:
        own = self.site.terminal.environ
        release = self.releases.get(node.id)
        return own if release is None else own | {"PYTHONPATH": str(release)}

    def _await_ready(self, id_: str, ready: socket.socket) -> None:
        ready.settimeout(0.1)
        node = self.site.nodes[id_]

        def told() -> bool:
            try:
                return b"READY=1" in ready.recv(4096)
            except TimeoutError:
                assert not self.has_ended(id_), node.log.read_text()[-2000:]
                return False

        until(f"{id_} is ready", told, READY_S)

    def pid(self, id_: str) -> int:
        return self._running[id_].pid

    def has_ended(self, id_: str) -> bool:
        return self._running[id_].poll() is not None

    def kill(self, *ids: str) -> None:
        """SIGKILL, all at once."""
        for id_ in ids:
            self._running[id_].kill()
        for id_ in ids:
            self._running.pop(id_).wait()

    def stop(self, id_: str) -> int:
        """SIGTERM; its exit status."""
        self._running[id_].terminate()
        return self.ended(id_)

    def ended(self, id_: str) -> int:
        """The exit status of one that is ending."""
        process = self._running.pop(id_)
        try:
            return process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def end(self) -> None:
        for process in self._running.values():
            process.send_signal(signal.SIGCONT)
            process.kill()
        for process in self._running.values():
            process.wait()
        self._running.clear()
        for node in self.site.nodes.values():
            if node.role == "cell" and node.config.exists():
                sweep(self.site.terminal, node)


def sweep(terminal: Terminal, node: Node) -> None:
    """Remove what a cell that has ended left running."""
    command = [sys.executable, "-m", "diegod.node.sweep", str(node.config)]
    done = subprocess.run(
        command, cwd=node.folder, env=terminal.environ, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


def refused_start(terminal: Terminal, command: Sequence[str], timeout_s: float = 20.0) -> Done:
    """A role that is not expected to get anywhere; one that does is ended."""
    process = subprocess.Popen(
        command,
        cwd=terminal.home,
        env=terminal.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        stdout, stderr = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
        raise AssertionError(f"it runs: {stdout!r} {stderr!r}") from None
    return Done(process.returncode, stdout, stderr)
