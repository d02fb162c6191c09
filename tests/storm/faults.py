"""What happens to parts: each fault has a kind, a target, and an end after which all is well."""

import asyncio
import os
import random
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.chaos.members import Member
from tests.chaos.network import Network
from tests.chaos.places import NETNS_FOLDER
from tests.storm.site import BRAINS, CELLS, MEMBERS, Site

LEASE_TTL_S = 10.0
#: Weight, and for how long: a lease runs out in about one of six of the longer ones.
KINDS: Mapping[str, tuple[int, tuple[float, float]]] = {
    "SIGKILL of a member": (4, (0.0, 5.0)),
    "SIGKILL of all members": (1, (0.0, 2.0)),
    "SIGKILL of a brain": (3, (0.0, 8.0)),
    "SIGKILL of an agent": (5, (0.0, 5.0)),
    "SIGSTOP of a member": (2, (0.3, 12.0)),
    "SIGSTOP of a brain": (2, (0.3, 14.0)),
    "SIGSTOP of an agent": (3, (0.3, 7.0)),
    "a member cut off": (3, (0.5, 10.0)),
    "a brain cut off": (2, (0.5, 14.0)),
    "a cell cut off": (3, (0.5, 6.5)),
    "a cell cut off for longer than a lease": (1, (14.0, 18.0)),
    "a machine lost": (1, (0.5, 15.0)),
}


@dataclass(frozen=True)
class Event:
    kind: str
    target: str
    began_s: float  # time.time(), as the tasks' own rows say it
    ended_s: float


class Storm:
    """Strikes one fault after the other, now and then two at a time."""

    def __init__(
        self, site: Site, network: Network, parts: Mapping[str, Member], chance: random.Random
    ) -> None:
        self._site = site
        self._network = network
        self._parts = parts
        self._chance = chance
        self._deck: list[str] = []
        self.events: list[Event] = []

    async def strike(self) -> list[Event]:
        """Once; returns when the parts that were struck are well again."""
        await asyncio.sleep(self._chance.uniform(0.3, 3.0))
        kinds = [self._next()]
        if self._chance.random() < 0.25:
            kinds.append(self._next())
        before = len(self.events)
        taken: list[str] = []
        errands = []
        for kind in kinds:
            target = self._target(kind)
            if target in taken or "" in (target, *taken[-1:]):
                continue
            taken.append(target)
            errands.append(self._carry_out(kind, target))
        await asyncio.gather(*errands)
        return self.events[before:]

    def _next(self) -> str:
        """Each kind as often as it weighs before the deck is shuffled anew."""
        if not self._deck:
            self._deck = [kind for kind, (weight, _) in KINDS.items() for _ in range(weight)]
            self._chance.shuffle(self._deck)
        return self._deck.pop()

    def _target(self, kind: str) -> str:
        if "all members" in kind:
            return "bbs"
        if "member" in kind:
            return self._chance.choice(MEMBERS)
        return self._chance.choice(BRAINS if "brain" in kind else CELLS)

    async def _carry_out(self, kind: str, target: str) -> None:
        began = time.time()
        lasts_s = self._chance.uniform(*KINDS[kind][1])
        await self._how(kind)(target, lasts_s)
        self.events.append(Event(kind, target, began, time.time()))

    def _how(self, kind: str) -> Callable[[str, float], Awaitable[None]]:
        if kind.startswith("SIGKILL of all"):
            return self._kill_all
        if kind.startswith("SIGKILL"):
            return self._kill
        if kind.startswith("SIGSTOP"):
            return self._stop
        return self._lose if kind == "a machine lost" else self._cut

    async def _kill(self, target: str, lasts_s: float) -> None:
        part = self._parts[target]
        part.held = True
        await part.kill()
        await asyncio.sleep(lasts_s)
        await self._revive(target)

    async def _kill_all(self, target: str, lasts_s: float) -> None:
        for member in MEMBERS:
            self._parts[member].held = True
        await asyncio.gather(*(self._parts[member].kill() for member in MEMBERS))
        await asyncio.sleep(lasts_s)
        for member in MEMBERS:
            await self._parts[member].start()
        for member in MEMBERS:
            await self._revive(member)

    async def _stop(self, target: str, lasts_s: float) -> None:
        part = self._parts[target]
        part.held = True
        part.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(lasts_s)
        finally:
            part.signal(signal.SIGCONT)
        await self._revive(target)

    async def _cut(self, target: str, lasts_s: float) -> None:
        others = [a for part, a in self._network.addresses.items() if part != target]
        tables = [self._network.drop(target, others)]
        tables += [
            self._network.drop(part, [self._network.addresses[target]])
            for part in MEMBERS
            if part != target
        ]
        try:
            await asyncio.sleep(lasts_s)
        finally:
            for table in tables:
                table.remove()

    async def _lose(self, target: str, lasts_s: float) -> None:
        """The agent first, so that it can't tell of the others' end; then all the others."""
        part = self._parts[target]
        part.held = True
        await part.kill()
        while pids := self.inhabitants(target):
            for pid in pids:
                _kill(pid)
            await asyncio.sleep(0.02)
        await asyncio.sleep(lasts_s)
        await self._revive(target)

    def inhabitants(self, cell: str) -> list[int]:
        """Whoever would be gone with the machine: those in its namespace, and in its containers."""
        inside = _output("ip", "netns", "pids", self._site.places.namespace(cell)).split()
        for folder in self._site.cgroups_of(cell):
            for listed in folder.glob("**/cgroup.procs"):
                inside += _lines(listed)
        return sorted({int(pid) for pid in inside})

    async def _revive(self, target: str) -> None:
        part = self._parts[target]
        if not part.pid:
            await part.start()
        part.held = False
        await part.ready()


def sweep(site: Site, network: Network, cells: Sequence[str], environ: Mapping[str, str]) -> None:
    """Remove what cells that have ended have left; before their namespaces go."""
    for cell in cells:
        if not (NETNS_FOLDER / site.places.namespace(cell)).exists():
            continue
        node = site.nodes[cell]
        command = [environ["DIEGOD_STORM_PYTHON"], "-m", "diegod.node.sweep", str(node.config)]
        done = subprocess.run(
            network.command_in(cell, *command),
            env=dict(environ),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise OSError(f"what {cell} left could not be removed: {done.stderr.strip()}")


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _lines(path: "os.PathLike[str]") -> list[str]:
    try:
        with open(path) as file:
            return file.read().split()
    except OSError:
        return []  # the container went meanwhile


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
