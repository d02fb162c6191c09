"""The cell's bridge and the subnet behind it. Blocking."""

import json
import socket
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path

from diegod_runc import addresses, netlink
from diegod_runc.addresses import Subnet
from diegod_runc.names import BRIDGE_PREFIX, Names

_LINKS = Path("/sys/class/net")
_CONF4, _CONF6 = Path("/proc/sys/net/ipv4/conf"), Path("/proc/sys/net/ipv6/conf")


def kept_subnet(file: Path) -> IPv4Network | None:
    """The subnet of the agent before, from its file."""
    try:
        return IPv4Network(json.loads(file.read_text())["subnet"])
    except (FileNotFoundError, json.JSONDecodeError, KeyError, ValueError):
        return None


def keep_subnet(file: Path, subnet: IPv4Network) -> None:
    aside = file.with_suffix(".new")
    aside.write_text(json.dumps({"subnet": str(subnet)}))
    aside.rename(file)


def free_subnet(names: Names, servers: Sequence[str]) -> IPv4Network:
    """A subnet that nothing of this host uses.

    Name servers are asked for apart: they often are behind the default route, which says nothing
    of their network.
    """
    with netlink.Netlink() as kernel:
        routes = kernel.routes()
    hidden = [network for server in servers if (network := addresses.single(server))]
    return addresses.choose(names.short, [*routes, *hidden]).network


def make(names: Names, subnet: Subnet) -> None:
    """Make the bridge, or find it; containers' ports can be reached at 127.0.0.1 through it."""
    with netlink.Netlink() as kernel:
        with suppress(FileExistsError):
            kernel.do(netlink.bridge(names.bridge, names.bridge_mac))
        index = socket.if_nametoindex(names.bridge)
        with suppress(FileExistsError):
            kernel.do(netlink.address(index, subnet.gateway, subnet.prefix_length))
    (_CONF4 / names.bridge / "route_localnet").write_text("1")
    with suppress(FileNotFoundError):  # a kernel without IPv6
        (_CONF6 / names.bridge / "disable_ipv6").write_text("1")


def exists(short: str) -> bool:
    """Whether an owner, by its short id, has a bridge on this host."""
    return (_LINKS / f"{BRIDGE_PREFIX}{short}").exists()


def links(names: Names) -> list[str]:
    """The bridge and all cables of this owner, the bridge first."""
    ours = (names.bridge, names.veth_prefix)
    return sorted(link.name for link in _LINKS.iterdir() if link.name.startswith(ours))


def remove_links(names: Names) -> None:
    with netlink.Netlink() as kernel:
        for name in links(names):
            with suppress(OSError):  # it has gone by itself, with its namespace
                kernel.do(netlink.delete_link(socket.if_nametoindex(name)))
