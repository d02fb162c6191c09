"""The packet filter: one nft table an owner, with mapped ports as one map.

Nobody else's table is touched. A new container is one element of the map; elements of several
containers that come at the same moment go into one transaction. The rules are in nft's own
language, which people can read; all that is put into them are names and numbers of ours.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from textwrap import dedent

from diegod.contracts.backend import BackendError

from diegod_runc import processes

Target = tuple[str, int]  # address and port of a container


@dataclass(frozen=True)
class Rules:
    """What the table depends on besides mapped ports."""

    table: str
    bridge: str
    subnet: IPv4Network
    deny: Sequence[IPv4Network]
    host_access: bool

    def text(self, ports: Mapping[int, Target]) -> str:
        """The whole table, replacing what is there in one transaction.

        `early` comes before everything: what a container sends to 127.0.0.1 must never get
        through, as the bridge has route_localnet (that is how the host's own 127.0.0.1:PORT
        reaches a container), and nobody may use another's address.
        """
        return dedent(f"""\
            add table inet {self.table}
            delete table inet {self.table}
            table inet {self.table} {{
              map ports {{ type inet_service : ipv4_addr . inet_service; {_elements(ports)} }}
              chain early {{
                type filter hook prerouting priority -300;
                iifname "{self.bridge}" ip daddr 127.0.0.0/8 drop
                iifname "{self.bridge}" ip saddr != {self.subnet} drop
              }}
              chain arriving {{
                type nat hook prerouting priority -100;
                fib daddr type local dnat ip to tcp dport map @ports
              }}
              chain local {{
                type nat hook output priority -100;
                fib daddr type local dnat ip to tcp dport map @ports
              }}
              chain leaving {{
                type nat hook postrouting priority 100;
                ip saddr {self.subnet} ip daddr != {self.subnet} masquerade
                ip saddr {self.subnet} ip daddr {self.subnet} ct status dnat masquerade
                ip saddr 127.0.0.0/8 oifname "{self.bridge}" masquerade
              }}
              chain passing {{
                type filter hook forward priority 0;
                {self._denied()}
                iifname "{self.bridge}" accept
                oifname "{self.bridge}" ct state new ct status ! dnat drop
              }}
              chain to_host {{
                type filter hook input priority 0;
                {self._host_rules()}
              }}
            }}
            """)

    def _denied(self) -> str:
        if not self.deny:
            return ""
        return f'iifname "{self.bridge}" ip daddr {{ {", ".join(map(str, self.deny))} }} drop'

    def _host_rules(self) -> str:
        if self.host_access:
            return ""
        bridge = f'iifname "{self.bridge}"'
        return (
            f"{bridge} ct state established,related accept; "
            f"{bridge} ip protocol icmp accept; "
            f"{bridge} meta l4proto {{ tcp, udp }} th dport 53 accept; "
            f"{bridge} drop"
        )


def _elements(ports: Mapping[int, Target]) -> str:
    if not ports:
        return ""
    pairs = (f"{port} : {address} . {inner}" for port, (address, inner) in sorted(ports.items()))
    return f"elements = {{ {', '.join(pairs)} }}"


def changes(table: str, before: Mapping[int, Target], after: Mapping[int, Target]) -> str:
    """Commands that make the map `after` from `before`: deletions first, a port may move."""
    gone = [port for port in sorted(before) if after.get(port) != before[port]]
    new = [port for port in sorted(after) if after[port] != before.get(port)]
    lines = []
    if gone:
        lines.append(f"delete element inet {table} ports {{ {', '.join(map(str, gone))} }}")
    if new:
        pairs = (f"{port} : {after[port][0]} . {after[port][1]}" for port in new)
        lines.append(f"add element inet {table} ports {{ {', '.join(pairs)} }}")
    return "".join(f"{line}\n" for line in lines)


class MappedPorts:
    """The table in the kernel, kept equal to what is wanted."""

    def __init__(self, nft: str, rules: Rules) -> None:
        self._nft = nft
        self._rules = rules
        self._wanted: dict[int, Target] = {}
        self._applied: dict[int, Target] = {}
        self._applying = asyncio.Lock()

    async def open(self, ports: Mapping[int, Target]) -> None:
        """Make the table anew with these ports. Connections that are open stay open."""
        self._wanted = dict(ports)
        async with self._applying:
            await self._rebuild()

    async def map(self, ports: Mapping[int, Target]) -> None:
        self._wanted.update(ports)
        await self._apply()

    async def unmap(self, target_address: str) -> None:
        """Forget every port that leads to an address."""
        for port in [port for port, (to, _) in self._wanted.items() if to == target_address]:
            del self._wanted[port]
        await self._apply()

    def taken(self, ports: Iterable[int], address: str) -> int | None:
        """A port that leads to another address already."""
        held = (port for port in ports if self._wanted.get(port, (address, 0))[0] != address)
        return next(held, None)

    async def remove(self) -> None:
        await remove_table(self._nft, self._rules.table)

    async def _apply(self) -> None:
        """Whoever gets the lock first does the work of all who wait for it."""
        async with self._applying:
            after = dict(self._wanted)
            commands = changes(self._rules.table, self._applied, after)
            if not commands:
                return
            if (await processes.run([self._nft, "-f", "-"], commands)).status == 0:
                self._applied = after
            else:  # somebody has flushed the ruleset: make the whole table again
                await self._rebuild()

    async def _rebuild(self) -> None:
        after = dict(self._wanted)
        made = await processes.run([self._nft, "-f", "-"], self._rules.text(after))
        if made.status != 0:
            first = next(iter(made.output.splitlines()), "no message")
            raise BackendError(f"nft refused the table {self._rules.table}: {first}")
        self._applied = after


async def remove_table(nft: str, table: str) -> None:
    """Remove a table, also when it isn't there."""
    await processes.run([nft, "-f", "-"], f"add table inet {table}\ndelete table inet {table}\n")
