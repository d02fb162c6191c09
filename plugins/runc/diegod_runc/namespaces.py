"""Network namespaces, one a slot, each with its cable to the bridge. Blocking.

A namespace appears under its name (a bind mount in the run folder) only when everything in it is
done. An agent that dies before leaves nothing: the kernel removes what nobody holds.
"""

import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from diegod_runc import netlink, syscalls
from diegod_runc.addresses import Subnet
from diegod_runc.names import Names

_LINKS = Path("/sys/class/net")
_IPV4, _IPV6 = Path("/proc/sys/net/ipv4"), Path("/proc/sys/net/ipv6")
_THIS = Path("/proc/thread-self/ns/net")


class Namespaces:
    def __init__(self, names: Names, subnet: Subnet) -> None:
        self._names = names
        self._subnet = subnet

    def path(self, slot: int) -> Path:
        return self._names.netns / str(slot)

    def all(self) -> list[int]:
        return slots_on(self._names)

    def exists(self, slot: int) -> bool:
        """Whether there is anything in the slot; the kernel takes its time to remove cables."""
        return self.path(slot).exists() or self._has_cable(slot)

    def is_ready(self, slot: int) -> bool:
        """A namespace is mounted there, and its cable is plugged in."""
        name = self.path(slot)
        mounted = name.exists() and name.stat().st_dev != self._names.netns.stat().st_dev
        return mounted and self._has_cable(slot)

    def make(self, slots: Sequence[int]) -> list[int]:
        """Make some; returns which. The calling thread ends up in the last one, for good."""
        made = []
        with netlink.Netlink() as host:
            bridge_index = socket.if_nametoindex(self._names.bridge)
            for slot in slots:
                syscalls.unshare_network()
                with suppress(FileExistsError):  # another agent of this cell was faster
                    self._make(host, bridge_index, slot)
                    made.append(slot)
        return made

    def remove(self, slot: int) -> None:
        remove(self._names, slot)

    def _make(self, host: netlink.Netlink, bridge_index: int, slot: int) -> None:
        """Furnish the thread's new namespace, then give it its name."""
        _write(_IPV6 / "conf/default/disable_ipv6", "1")
        _write(_IPV4 / "ping_group_range", "0 2147483647")  # ping without CAP_NET_RAW
        _write(_IPV4 / "ip_unprivileged_port_start", "0")  # all its ports are its own
        with _THIS.open() as netns:
            cable = self._cable(bridge_index, slot, netns.fileno())
            host.do(cable, netlink.hairpin(self._names.veth(slot)))
        with netlink.Netlink() as inside:
            loopback, eth0 = (socket.if_nametoindex(name) for name in ("lo", "eth0"))
            inside.do(
                netlink.up(loopback),
                netlink.up(eth0),
                netlink.address(eth0, self._subnet.address(slot), self._subnet.prefix_length),
                netlink.default_route(self._subnet.gateway),
            )
        self.path(slot).touch()
        syscalls.bind(_THIS, self.path(slot))

    def _cable(self, bridge_index: int, slot: int, netns: int) -> netlink.Message:
        outer, inner_mac = self._names.veth(slot), self._subnet.mac(slot)
        return netlink.veth(outer, bridge_index, netns, "eth0", inner_mac)

    def _has_cable(self, slot: int) -> bool:
        return (_LINKS / self._names.veth(slot)).exists()


def slots_on(names: Names) -> list[int]:
    """Slots with a namespace, or with what is left of one."""
    if not names.netns.is_dir():
        return []
    return sorted(int(file.name) for file in names.netns.iterdir())


def remove(names: Names, slot: int) -> None:
    """Let the namespace go. With it the kernel removes its cable, some milliseconds later."""
    name = names.netns / str(slot)
    for last_try in (False, False, True):
        syscalls.unmount(name)
        try:
            name.unlink(missing_ok=True)
        except OSError:  # busy: mounted between the two, by a thread of an agent that is leaving
            if last_try:
                raise
        else:
            return


def _write(setting: Path, value: str) -> None:
    """Set a kernel setting; a kernel without it needs no setting either."""
    with suppress(FileNotFoundError):
        setting.write_text(value)
