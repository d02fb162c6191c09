"""Ports of this host: who has one, and which are free."""

import errno
import os
import socket
from collections.abc import Sequence
from pathlib import Path

from diegod.node.statuses import StartError

_LISTEN = "0A"


def unusable(host: str, port: int) -> StartError:
    """Why nobody can listen there: gRPC, which was refused, does not tell."""
    error = _bind_error(host, port)
    if error is None or error.errno == errno.EADDRINUSE:
        return _busy(port)
    if error.errno == errno.EADDRNOTAVAIL:
        return StartError(f"this machine has no address {host}. Correct bind in [node].")
    return StartError(f"can't listen on {host}:{port} ({error.strerror}). Choose another port.")


def _bind_error(host: str, port: int) -> OSError | None:
    """What the system says, asked by itself."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.bind(address)
    except OSError as error:
        return error
    return None


def _busy(port: int) -> StartError:
    """Somebody else has the port; who it is, where that shows."""
    holder = _holder(port)
    by = f" by pid {holder[0]} ({holder[1]})" if holder else ""
    return StartError(f"port {port} is in use{by}. Stop that process, or choose another port.")


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Ports that nobody has at this moment; all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((host, 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _holder(port: int) -> tuple[int, str] | None:
    inodes = _listening_inodes(port)
    for pid in _pids():
        try:
            if any(_link(each) in inodes for each in Path(f"/proc/{pid}/fd").iterdir()):
                return pid, Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            continue  # ended meanwhile, or not ours to see
    return None


def _link(descriptor: Path) -> str:
    """What it is open on; "" for one that was closed meanwhile: the others may still tell."""
    try:
        return os.readlink(descriptor)
    except OSError:
        return ""


def _listening_inodes(port: int) -> Sequence[str]:
    found = []
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if not table.exists():
            continue
        for line in table.read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == _LISTEN and int(columns[1].rpartition(":")[2], 16) == port:
                found.append(f"socket:[{columns[9]}]")
    return found


def _pids() -> list[int]:
    proc = Path("/proc")
    if not proc.exists():
        return []
    return sorted(int(each.name) for each in proc.iterdir() if each.name.isdigit())
