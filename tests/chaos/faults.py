"""One fault each: how it begins, how it ends, and what showed that it took place.

A fault that nobody has seen does not count: `seen` stays empty, and so is the report's count. `end`
leaves the members it has touched running and ready, whatever has become of them meanwhile.
"""

import signal
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from tests.chaos.arena import Arena, seen_within
from tests.chaos.members import state_of
from tests.chaos.network import HUB_ADDRESS, RAFT_PORT, Table
from tests.chaos.pressure import pressure
from tests.chaos.proxy import Proxy, Weather

ALL = "all members"
_OBSERVE_S = 2.0
#: A store may have free pages, and goes on until these are used.
_DISK_FULL_S = 30.0
_WRITERS = 16
_NO_SPACE = "No space left on device"


class Fault(ABC):
    """Of one kind, aimed at one member."""

    kind: ClassVar[str]
    #: Whether another one may be there at the same time.
    bears_company: ClassVar[bool] = True
    #: How long it lasts at most and at least.
    lasts_s: ClassVar[tuple[float, float]] = (0.2, 10.0)

    def __init__(self, arena: Arena, target: str) -> None:
        self.arena = arena
        self.target = target
        self.led = arena.tower.leader() == target
        """Whether the target led when it was hit."""
        self.seen = ""

    @abstractmethod
    async def begin(self) -> None: ...

    @abstractmethod
    async def end(self) -> None: ...


# Processes.


class KillOne(Fault):
    kind = "SIGKILL of one"

    async def begin(self) -> None:
        member = self.arena.members[self.target]
        member.held = True
        pid = await member.kill()
        if pid and not state_of(pid):
            self.seen = f"pid {pid} is gone"

    async def end(self) -> None:
        await _revive(self.arena, [self.target])


class KillAll(Fault):
    """At once: nobody is left who could tell the others what was not yet on their disks."""

    kind = "SIGKILL of all at once"
    bears_company = False
    lasts_s = (0.0, 5.0)

    async def begin(self) -> None:
        self.target, self.led = ALL, bool(self.arena.tower.leader())
        members = self.arena.members.values()
        pids = [member.pid for member in members]
        for member in members:
            member.held = True
        for member in members:
            member.signal(signal.SIGKILL)
        for member in members:
            await member.ended(_OBSERVE_S)
        if all(pids) and not any(map(state_of, pids)):
            self.seen = f"pids {', '.join(map(str, pids))} are gone"

    async def end(self) -> None:
        await _revive(self.arena, list(self.arena.members))


class Stop(Fault):
    """Shorter than an election, or longer than any lease: by chance."""

    kind = "SIGSTOP"

    async def begin(self) -> None:
        member = self.arena.members[self.target]
        pid = member.pid
        member.signal(signal.SIGSTOP)
        if pid and await seen_within(lambda: state_of(pid) == "T", _OBSERVE_S):
            self.seen = f"pid {pid} was in state T"

    async def end(self) -> None:
        self.arena.members[self.target].signal(signal.SIGCONT)


class StopPastTheLease(Stop):
    kind = "SIGSTOP past the lease"
    lasts_s = (3.5, 10.0)


async def _revive(arena: Arena, members: Sequence[str]) -> None:
    for each in members:
        await arena.members[each].start()
    for each in members:
        await arena.members[each].ready()
        arena.members[each].held = False


# The network.


class _Cut(Fault):
    """Packets that don't arrive: seen by the counters of the rules that drop them."""

    def __init__(self, arena: Arena, target: str) -> None:
        super().__init__(arena, target)
        self.tables: list[Table] = []

    async def begin(self) -> None:
        self.tables = self.rules()

    async def end(self) -> None:
        packets = sum(table.packets() for table in self.tables)
        for table in self.tables:
            table.remove()
        if packets:
            self.seen = f"{packets} packets dropped"

    @abstractmethod
    def rules(self) -> list[Table]: ...

    def drop(self, at: str, sources: Sequence[str]) -> Table:
        """What comes to this member from those."""
        return self.arena.network.drop(at, self.arena.addresses(sources))


class Partition(_Cut):
    """One member sees no other and is seen by none; half of the time clients still reach it."""

    kind = "full partition of one"
    lasts_s = (0.5, 10.0)

    def rules(self) -> list[Table]:
        others = self.arena.others(self.target)
        tables = [self.drop(self.target, others)]
        tables += [self.drop(other, [self.target]) for other in others]
        if self.arena.chance.random() < 0.5:
            tables.append(self.arena.network.drop(self.target, [HUB_ADDRESS]))
        return tables


class OneWay(_Cut):
    """One member hears no other, or is heard by none.

    Often for longer than a proposal lives (5 s): a leader that is heard, and hears nobody, then has
    to say that it does not know what became of what others may have committed.
    """

    kind = "one-way partition"
    lasts_s = (1.5, 10.0)

    def rules(self) -> list[Table]:
        others = self.arena.others(self.target)
        if self.arena.chance.random() < 0.5:
            return [self.drop(self.target, others)]
        return [self.drop(other, [self.target]) for other in others]


class Bridge(_Cut):
    """One member sees both others, who don't see one another. The target is one of these two, so
    that a leader is cut off from a member that has a majority behind it."""

    kind = "bridge member"

    def rules(self) -> list[Table]:
        other = self.arena.chance.choice(self.arena.others(self.target))
        return [self.drop(self.target, [other]), self.drop(other, [self.target])]


class Loss(_Cut):
    """Of all that comes to one member, and of all that the others get from it."""

    kind = "random loss"
    lasts_s = (1.0, 10.0)

    def rules(self) -> list[Table]:
        percent, others = self.arena.chance.randint(1, 30), self.arena.others(self.target)
        lose, target = self.arena.network.lose, self.arena.addresses([self.target])
        everybody = [HUB_ADDRESS, *self.arena.addresses(others)]
        return [
            lose(self.target, everybody, percent),
            *(lose(other, target, percent) for other in others),
        ]


class SlowLink(Fault):
    """Between the target and one other: their connection goes through a proxy from now on."""

    weather: ClassVar[Weather]
    lasts_s = (2.0, 10.0)

    def __init__(self, arena: Arena, target: str) -> None:
        super().__init__(arena, target)
        self.tables: list[Table] = []
        leader = arena.tower.leader()
        # Between two that don't lead nothing passes.
        other = leader if leader not in ("", target) else arena.chance.choice(arena.others(target))
        # Of two members the one with the lesser id dials.
        self.dials, self.dialled = sorted((target, other))
        address = arena.network.addresses[self.dialled]
        seed = f"{arena.seed}/{self.kind}/{arena.chance.random()}"
        self.proxy = Proxy((address, RAFT_PORT), self.weather, seed)

    async def begin(self) -> None:
        port = await self.proxy.listen(HUB_ADDRESS)
        self.tables = self.arena.network.detour(self.dials, self.dialled, port)

    async def end(self) -> None:
        for table in self.tables:
            table.remove()
        await self.proxy.close()
        self.seen = self.what_was_seen()

    def what_was_seen(self) -> str:
        seen = self.proxy.seen
        return f"{seen.pieces} pieces waited {seen.waited_s:.2f} s" if seen.waited_s else ""


class Latency(SlowLink):
    kind = "slow link: latency and jitter"
    weather = Weather("latency", latency_s=0.05, jitter_s=0.4)


class Stall(SlowLink):
    kind = "slow link: stalls"
    weather = Weather("stall", stall_every_bytes=20_000, stall_s=1.5)

    def what_was_seen(self) -> str:
        stalls = self.proxy.seen.stalls
        return f"{stalls} stalls" if stalls else ""


class CutMidFrame(SlowLink):
    kind = "slow link: cut mid-frame"
    weather = Weather("cut", cut_after_bytes=15_000)

    def what_was_seen(self) -> str:
        cuts = self.proxy.seen.cuts
        return f"{cuts} connections cut" if cuts else ""


class Throttle(SlowLink):
    kind = "slow link: throttled"
    weather = Weather("throttle", bytes_a_second=8_000)


# Disks.


class DiskFull(Fault):
    kind = "disk full"
    lasts_s = (1.0, 10.0)

    def __init__(self, arena: Arena, target: str) -> None:
        super().__init__(arena, target)
        self.log_bytes = 0

    async def begin(self) -> None:
        member = self.arena.members[self.target]
        member.held = True
        self.log_bytes = member.log_bytes()
        async with pressure(self.arena, _WRITERS, cause_bytes=1000):
            is_seen = await seen_within(self._said_so, _DISK_FULL_S)
        if is_seen:
            self.seen = f"{self.target} logged: {_NO_SPACE}"

    def _said_so(self) -> bool:
        self.arena.site.disks[self.target].fill()  # again: a copy of the state may be dropped
        return _NO_SPACE in self.arena.members[self.target].said_since(self.log_bytes)

    async def end(self) -> None:
        member = self.arena.members[self.target]
        if self.seen:  # it is ending, or it has ended
            await member.ended(_DISK_FULL_S)
        self.arena.site.disks[self.target].free()
        await _revive(self.arena, [self.target])


FAULTS: tuple[type[Fault], ...] = (
    KillOne,
    KillAll,
    Stop,
    StopPastTheLease,
    Partition,
    OneWay,
    Bridge,
    Loss,
    Latency,
    Stall,
    CutMidFrame,
    Throttle,
    DiskFull,
)
