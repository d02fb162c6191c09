"""Faults at the steps of persistence: a member ends itself at a failpoint (`raftbbs/failpoints`).

A failpoint belongs to a process from its start, so a member is started again with it; that is part
of the fault. The steps of a copy of the state come about only where a member has fallen behind the
beginning of the others' logs, so it is kept down until it has.
"""

import asyncio
import signal
from typing import ClassVar

from tests.chaos.arena import Arena, seen_within
from tests.chaos.faults import Fault
from tests.chaos.pressure import pressure

_REACHED_S = 30.0
_BEHIND_S = 60.0
_PUSH_S = 1.6  # longer than an election
_PUSHES_MAX = 4
#: Ticks: of a follower about a hundred a second, and a leader has to be elected meanwhile.
_PASSES = (5, 150)
_PASSES_OF_LEADER = (250, 600)
_WRITERS = 4


class AtStep(Fault):
    """A member ends itself at a step of the n-th tick from its start: as a follower, soon; or as
    the leader, which the others are pushed aside for it to become."""

    step: ClassVar[str]
    bears_company = False
    lasts_s = (0.2, 3.0)

    async def begin(self) -> None:
        arena = self.arena
        is_to_lead = self.target == arena.tower.leader()
        if is_to_lead:  # its successor, that is
            self.target = arena.chance.choice(arena.others(self.target))
        member = arena.members[self.target]
        member.held = True
        log_bytes = member.log_bytes()
        passes = arena.chance.randint(*(_PASSES_OF_LEADER if is_to_lead else _PASSES))
        await arena.restart(self.target, f"{self.step}:{passes}")
        if is_to_lead:
            await self._push_others()
        await member.ended(_REACHED_S)
        self.led = arena.tower.leader() == self.target  # as of its last words
        self.seen = died_at(arena, self.target, self.step, log_bytes)

    async def end(self) -> None:
        await disarm(self.arena, [self.target])

    async def _push_others(self) -> None:
        """Whoever else leads is stopped for longer than an election takes."""
        for _ in range(_PUSHES_MAX):
            leader = self.arena.tower.leader()
            if leader == self.target or not self.arena.members[self.target].pid:
                return
            if leader:
                self.arena.members[leader].signal(signal.SIGSTOP)
                await asyncio.sleep(_PUSH_S)
                self.arena.members[leader].signal(signal.SIGCONT)
            await asyncio.sleep(_PUSH_S / 4)


class BeforeCommit(AtStep):
    kind = "failpoint before_commit"
    step = "before_commit"


class AfterCommit(AtStep):
    kind = "failpoint after_commit"
    step = "after_commit"


class AfterRelease(AtStep):
    kind = "failpoint after_release"
    step = "after_release"


class _OfACopy(Fault):
    """A member gets a copy of the state, because the others have cut off what it lacks."""

    step: ClassVar[str]
    bears_company = False
    lasts_s = (0.2, 1.0)

    async def _begin_anew(self, failpoint: str = "") -> None:
        """The target ends; the others are started again, one after the other, and it falls behind.

        A member keeps a copy that it has made, and its log from there on, for ten minutes. It
        forgets it when it is started again.
        """
        arena = self.arena
        for each in arena.members.values():
            each.held = True
        await arena.members[self.target].kill()
        for other in arena.others(self.target):
            await arena.restart(other, failpoint)
            await seen_within(lambda: bool(arena.tower.leader()), _REACHED_S)
        await self._fall_behind(self.target)

    async def _fall_behind(self, behind: str) -> None:
        """The caller holds it, and it is down. Where it does not get behind, nothing is seen."""
        last = self.arena.tower.last(behind)
        index = last.log_last_index if last is not None else 0
        others = self.arena.others(behind)
        async with pressure(self.arena, _WRITERS):
            await seen_within(lambda: self._begins_after(others, index), _BEHIND_S)

    def _begins_after(self, members: list[str], index: int) -> bool:
        """Whether all their logs begin after this entry."""
        seen = [self.arena.tower.last(each) for each in members]
        return all(each is not None and each.log_first_index > index + 1 for each in seen)


class MidSnapshotCopy(_OfACopy):
    """Whoever makes the copy dies; both who could make it are armed."""

    kind = "failpoint mid_snapshot_copy"
    step = "mid_snapshot_copy"

    async def begin(self) -> None:
        arena, others = self.arena, self.arena.others(self.target)
        log_bytes = {each: arena.members[each].log_bytes() for each in others}
        await self._begin_anew(f"{self.step}:1")
        await arena.members[self.target].start()
        await seen_within(lambda: any(not arena.members[each].pid for each in others), _REACHED_S)
        self.led = True  # nobody else makes copies
        for other in others:
            self.seen = self.seen or died_at(arena, other, self.step, log_bytes[other])

    async def end(self) -> None:
        await disarm(self.arena, list(self.arena.members))


class _Receiving(_OfACopy):
    """Whoever takes the copy over dies."""

    async def begin(self) -> None:
        await self._begin_anew()
        member = self.arena.members[self.target]
        log_bytes = member.log_bytes()
        await member.start(f"{self.step}:1")
        await member.ended(_REACHED_S)
        self.seen = died_at(self.arena, self.target, self.step, log_bytes)

    async def end(self) -> None:
        await disarm(self.arena, list(self.arena.members))


class MidInstall(_Receiving):
    kind = "failpoint mid_install"
    step = "mid_install"


class AfterRename(_Receiving):
    kind = "failpoint after_rename"
    step = "after_rename"


def died_at(arena: Arena, target: str, step: str, log_bytes: int) -> str:
    """What shows that it died there, and not in any other way."""
    member = arena.members[target]
    has_said_so = f"failpoint {step}: this process ends here" in member.said_since(log_bytes)
    is_dead = not member.pid and member.status == -signal.SIGKILL
    return f"{target} ended itself at {step}" if has_said_so and is_dead else ""


async def disarm(arena: Arena, targets: list[str]) -> None:
    """All run without a failpoint afterwards."""
    for target in targets:
        member = arena.members[target]
        if member.failpoint and member.pid:
            await member.kill()
        await member.start()
    for target in targets:
        await arena.members[target].ready()
        arena.members[target].held = False


FAULTS: tuple[type[Fault], ...] = (
    BeforeCommit,
    AfterCommit,
    AfterRelease,
    MidSnapshotCopy,
    MidInstall,
    AfterRename,
)
