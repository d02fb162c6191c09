"""Which addresses there are: a subnet nobody else uses, and a slot's place in it. Pure.

A slot is a small number; it decides the container's address, MAC and interface name, so that one
number is all that has to be kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from diegod.contracts.backend import BackendError

_POOLS = (IPv4Network("10.0.0.0/8"), IPv4Network("172.16.0.0/12"))
_PREFIX_LENGTH = 23
_FIRST_SLOT = 2  # 0 is the network, 1 the bridge


@dataclass(frozen=True)
class Subnet:
    network: IPv4Network

    @property
    def gateway(self) -> str:
        """The bridge's address."""
        return str(self.network[1])

    @property
    def prefix_length(self) -> int:
        return self.network.prefixlen

    @property
    def slots(self) -> range:
        return range(_FIRST_SLOT, self.network.num_addresses - 1)  # the last one is for broadcasts

    def address(self, slot: int) -> str:
        return str(self.network[slot])

    def mac(self, slot: int) -> str:
        """Made from the address: whoever remembers an address' last owner is not misled."""
        return "02:64:" + ":".join(f"{part:02x}" for part in self.network[slot].packed)


def choose(short: str, taken: Sequence[IPv4Network]) -> Subnet:
    """A free /23. Where the search begins depends on the owner, so that two owners who look at the
    same moment hardly choose the same."""
    networks = sum(_count(pool) for pool in _POOLS)
    first = int(short, 16) % networks
    for step in range(networks):
        network = _nth((first + step) % networks)
        if not any(network.overlaps(other) for other in taken):
            return Subnet(network)
    raise BackendError(
        "no free /23 in 10.0.0.0/8 or 172.16.0.0/12: routes of this host cover all of it."
        " Set backends.runc.subnet"
    )


def single(address: str) -> IPv4Network | None:
    """An address as a network of one; None for anything that is not IPv4."""
    try:
        return IPv4Network(IPv4Address(address))
    except ValueError:
        return None


def _count(pool: IPv4Network) -> int:
    return 1 << (_PREFIX_LENGTH - pool.prefixlen)


def _nth(number: int) -> IPv4Network:
    for pool in _POOLS:
        if number < _count(pool):
            start = int(pool.network_address) + (number << (32 - _PREFIX_LENGTH))
            return IPv4Network((start, _PREFIX_LENGTH))
        number -= _count(pool)
    raise IndexError(number)
