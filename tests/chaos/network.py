"""The network of a run: a namespace for each member and one with a bridge, for the clients.

Nothing leads out of it: no route, no link into another namespace. Faults are nft tables, one each,
in the namespace of the member whose packets they count; to end a fault is to remove its table.
"""

import ctypes
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.places import NETNS_FOLDER, Places

HUB = "hub"
HUB_ADDRESS = "10.77.0.1"
API_PORT = 8889
RAFT_PORT = 8892
_CLONE_NEWNET = 0x40000000


def address_of(number: int) -> str:
    """The address of the member with this number, counted from 1."""
    return f"10.77.0.{10 + number}"


@dataclass(frozen=True)
class Rule:
    """`what` happens to the packets of this match; it counts them."""

    match: str
    what: str = "drop"


@dataclass(frozen=True)
class Table:
    """Rules of one fault in one namespace."""

    namespace: str
    name: str

    def packets(self) -> int:
        """How many packets its rules have met."""
        listed = _inside(self.namespace, "nft", "-j", "list", "table", "inet", self.name)
        expressions = [
            expression
            for entry in json.loads(listed)["nftables"]
            for expression in entry.get("rule", {}).get("expr", [])
        ]
        return sum(each["counter"]["packets"] for each in expressions if "counter" in each)

    def remove(self) -> None:
        _inside(self.namespace, "nft", "delete", "table", "inet", self.name)


class Network:
    def __init__(self, places: Places, members: Sequence[str]) -> None:
        self._places = places
        self.addresses = {each: address_of(number) for number, each in enumerate(members, 1)}
        self._tables = 0

    def build(self) -> None:
        hub = self._new_namespace(HUB)
        _ip("-n", hub, "link", "add", "bridge", "type", "bridge")
        _ip("-n", hub, "addr", "add", f"{HUB_ADDRESS}/24", "dev", "bridge")
        _ip("-n", hub, "link", "set", "bridge", "up")
        for number, (member, address) in enumerate(self.addresses.items(), 1):
            inside, cable = self._new_namespace(member), f"member{number}"
            peer = ("peer", "name", "eth0", "netns", inside)
            _ip("link", "add", cable, "netns", hub, "type", "veth", *peer)
            _ip("-n", hub, "link", "set", cable, "master", "bridge", "up")
            _ip("-n", inside, "addr", "add", f"{address}/24", "dev", "eth0")
            _ip("-n", inside, "link", "set", "eth0", "up")

    def enter_hub(self) -> None:
        """From now on this process is in the hub. Only before it has a second thread."""
        path = NETNS_FOLDER / self._places.namespace(HUB)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            library = ctypes.CDLL(None, use_errno=True)
            if library.setns(descriptor, _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"can't enter {path}")
        finally:
            os.close(descriptor)

    def command_in(self, member: str, *command: str) -> list[str]:
        """The command line of a process in a member's namespace; it has the pid of the command."""
        return ["nsenter", f"--net={NETNS_FOLDER / self._places.namespace(member)}", *command]

    def drop(self, member: str, sources: Sequence[str]) -> Table:
        """What comes to this member from these addresses."""
        return self.add(member, "filter", "input", [Rule(f"ip saddr {each}") for each in sources])

    def lose(self, member: str, sources: Sequence[str], percent: int) -> Table:
        """A share of what comes to this member from these addresses."""
        share = f"numgen random mod 100 < {percent}"
        rules = [Rule(f"ip saddr {each} {share}") for each in sources]
        return self.add(member, "filter", "input", rules)

    def detour(self, member: str, target: str, port: int) -> list[Table]:
        """This member's connections to the target's Raft port end, and new ones go to the hub."""
        match = f"ip daddr {self.addresses[target]} tcp dport {RAFT_PORT}"
        there = Rule(match, f"dnat ip to {HUB_ADDRESS}:{port}")
        # Of a connection that was made before, packets still have the old address here.
        reset = Rule(match, "reject with tcp reset")
        return [
            self.add(member, "nat", "output", [there]),
            self.add(member, "filter", "output", [reset]),
        ]

    def add(self, member: str, kind: str, hook: str, rules: Sequence[Rule]) -> Table:
        self._tables += 1
        table = Table(self._places.namespace(member), f"diegod_chaos_{self._tables}")
        priority = -100 if kind == "nat" else 0
        lines = [
            f"table inet {table.name} {{",
            "chain faults {",
            f"type {kind} hook {hook} priority {priority}; policy accept;",
            *(f"{rule.match} counter {rule.what}" for rule in rules),
            "}",
            "}",
        ]
        _inside(table.namespace, "nft", "-f", "-", given="\n".join(lines) + "\n")
        return table

    def _new_namespace(self, name: str) -> str:
        full = self._places.namespace(name)
        _ip("netns", "add", full)
        _ip("-n", full, "link", "set", "lo", "up")
        return full


def _ip(*arguments: str) -> None:
    _output(["ip", *arguments])


def _inside(namespace: str, *command: str, given: str = "") -> str:
    return _output(["nsenter", f"--net={NETNS_FOLDER / namespace}", *command], given)


def _output(command: Sequence[str], given: str = "") -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}\n{given}")
    return done.stdout
