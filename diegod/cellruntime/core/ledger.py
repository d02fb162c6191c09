"""Capacity and host ports: who holds how much of this cell.

Does not know what a container is: a holder is a handle. Ports are handed out in turn, so that a
port just given back, with connections still dying on it, is the last to be used again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from diegod.v1.record_pb2 import Resources


@dataclass(frozen=True)
class Shortage:
    """Why there is no room, for a person."""

    reason: str


@dataclass(frozen=True)
class Holding:
    memory_mb: int
    disk_mb: int
    host_ports: tuple[int, ...]


class Ledger:
    def __init__(self, capacity: Resources, host_ports: range) -> None:
        self._capacity = capacity
        self._host_ports = host_ports
        self._next_port = 0  # position in `_host_ports` at which the search begins
        #: All and only the holders of something.
        self._holdings: dict[str, Holding] = {}
        #: host port -> its one holder; all and only the ports in `_holdings`.
        self._port_holders: dict[int, str] = {}

    @property
    def holdings(self) -> dict[str, Holding]:
        return dict(self._holdings)

    def used(self) -> Resources:
        return Resources(
            memory_mb=sum(holding.memory_mb for holding in self._holdings.values()),
            disk_mb=sum(holding.disk_mb for holding in self._holdings.values()),
            containers=len(self._holdings),
        )

    def reserve(
        self, holder: str, memory_mb: int, disk_mb: int, ports: int
    ) -> tuple[int, ...] | Shortage:
        """Host ports for a new holder, or why there is no room for it. All or nothing."""
        if shortage := self._shortage(memory_mb, disk_mb, ports):
            return shortage
        host_ports = tuple(self._take_port(holder) for _ in range(ports))
        self._holdings[holder] = Holding(memory_mb, disk_mb, host_ports)
        return host_ports

    def adopt(self, holder: str, memory_mb: int, disk_mb: int, host_ports: Sequence[int]) -> None:
        """Enter what a container already holds, also where the cell has shrunk since."""
        self._holdings[holder] = Holding(memory_mb, disk_mb, tuple(host_ports))
        for port in host_ports:
            self._port_holders[port] = holder

    def release(self, holder: str) -> None:
        """Give everything back; nothing happens if it holds nothing."""
        holding = self._holdings.pop(holder, None)
        for port in holding.host_ports if holding else ():
            self._port_holders.pop(port, None)

    def _shortage(self, memory_mb: int, disk_mb: int, ports: int) -> Shortage | None:
        used, capacity = self.used(), self._capacity
        lacks = [
            f"{name}: {wanted} wanted, {total - taken} free"
            for name, wanted, taken, total in (
                ("memory_mb", memory_mb, used.memory_mb, capacity.memory_mb),
                ("disk_mb", disk_mb, used.disk_mb, capacity.disk_mb),
                ("containers", 1, used.containers, capacity.containers),
                ("host ports", ports, len(self._port_holders), len(self._host_ports)),
            )
            if wanted > total - taken
        ]
        return Shortage(f"no room on the cell ({'; '.join(lacks)})") if lacks else None

    def _take_port(self, holder: str) -> int:
        """The next free port; there is one, since `_shortage` has counted them."""
        for step in range(len(self._host_ports)):
            position = (self._next_port + step) % len(self._host_ports)
            port = self._host_ports[position]
            if port not in self._port_holders:
                self._next_port = position + 1
                self._port_holders[port] = holder
                return port
        raise AssertionError("ports were counted as free, and none is")
