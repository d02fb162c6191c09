"""One term: what a brain does from getting the lock until it loses it.

It keeps nothing that matters: a brain that starts anew decides the same from the same rows.
Does not belong here: any decision (`core`), and the lock itself (`lock`, `brain`).
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import structlog

from diegod.internal.v1.command_pb2 import Command, Outcome
from diegod.models.errors import DomainError, Reason
from diegod.models.mass_loss import MassLoss, mass_loss
from diegod.scheduler.auctioneer import Auctioneer, refusals_to_write
from diegod.scheduler.bulletin import Bulletin
from diegod.scheduler.callbacks import Callbacks
from diegod.scheduler.core.agenda import Agenda
from diegod.scheduler.core.auction import Placement, Rules
from diegod.scheduler.core.batch import Lot
from diegod.scheduler.core.convergence import all_keys, converging, sliced
from diegod.scheduler.core.decision import Decision
from diegod.scheduler.core.in_flight import InFlight
from diegod.scheduler.core.limits import Limits
from diegod.scheduler.core.repairs import Repairs
from diegod.scheduler.core.snapshot import Key
from diegod.scheduler.lock import LOCK_NAME, Lease
from diegod.scheduler.pace import Breaks, Pace
from diegod.scheduler.ports import Bbs, CallbackSender
from diegod.world import Clock, Ids

FULL_PASS_EVERY_S = 30.0
_RETRY_REFUSED_EVERY_S = 1.0
_COMMANDS_MAX = 200

T = TypeVar("T")
Errand = tuple[Decision, Placement | None]

log = structlog.get_logger("diegod.scheduler")


class LockLostError(Exception):
    """The lock is somebody else's, or may be."""


class Term:
    def __init__(
        self,
        bbs: Bbs,
        clock: Clock,
        ids: Ids,
        bulletin: Bulletin,
        lease: Lease,
        rules: Rules,
        limits: Limits,
        sender: CallbackSender | None,
    ) -> None:
        self.in_flight = InFlight()
        self.mass_loss: MassLoss | None = None
        self.callbacks = Callbacks(sender, bulletin.woken.set)
        self._bbs = bbs
        self._bulletin = bulletin
        self._clock = clock
        self._ids = ids
        self._lease = lease
        self._limits = limits
        self._agenda = Agenda()
        self._troubles: set[str] = set()  # those that have been logged
        self._pace = Pace()
        self._breaks = Breaks(clock)
        self._auctioneer = Auctioneer(rules)
        self._full_pass_at = 0.0
        self._began_at: float | None = None  # in replicated time, which the first round knows
        self._retry_refused = False
        self._retry_refused_at = 0.0
        self._overdue: list[Key] = []  # decided, and neither refused nor seen for too long

    async def work(self) -> str:
        """Rounds without end; returns why it had to stop.

        The first begins when the watch has shown that the lock is ours: then everything that
        the brain before us did is seen too, and the present time is known.
        """
        self._bulletin.open()
        try:
            while True:
                await self._until_something_is_due()
                await self._round()
        except LockLostError as lost:
            return str(lost)
        finally:
            self._bulletin.close()
            await self.callbacks.drop()

    async def _until_something_is_due(self) -> None:
        woken = self._bulletin.woken
        await self._bulletin.until_seen(self._lease.token)
        try:
            async with asyncio.timeout(self._idle_s()):
                await woken.wait()
        except TimeoutError:
            pass  # time alone made something due
        woken.clear()

    def _idle_s(self) -> float:
        if self._overdue:
            return 0.0
        elapsed = self._clock.monotonic()
        idle_s = self._full_pass_at - elapsed
        if (at := self._agenda.next_at()) is not None:
            idle_s = min(idle_s, at - self._bulletin.now())
        if (at := self.in_flight.next_at()) is not None:
            idle_s = min(idle_s, at - elapsed)
        if self._retry_refused:
            idle_s = min(idle_s, self._retry_refused_at - elapsed)
        if self.mass_loss is not None:
            idle_s = min(idle_s, self.mass_loss.until - self._bulletin.now())
        return max(0.0, idle_s)

    async def _round(self) -> None:
        """Everything that has arrived and become due meanwhile, at once."""
        bulletin, elapsed = self._bulletin, self._clock.monotonic()
        await self._land()
        overdue, self._overdue = self._overdue, []
        keys = bulletin.take_touched() + self._agenda.take_due(bulletin.now()) + overdue
        keys += self.callbacks.take_postponed()
        self._retry_refused |= bulletin.take_room_grew() or bool(overdue)
        is_full = bulletin.take_began() or elapsed >= self._full_pass_at
        if is_full:
            self._full_pass_at = elapsed + FULL_PASS_EVERY_S
        await self._tell_of_callbacks()
        await self._converge(all_keys(bulletin.snapshot) if is_full else keys)
        await self._hold_auction(is_full)

    async def _land(self) -> None:
        elapsed = self._clock.monotonic()
        with self._bulletin.held():
            landing = self.in_flight.landing(self._bulletin.snapshot, elapsed)
            self._overdue += await self._breaks.over(landing)

    async def _converge(self, keys: Iterable[Key]) -> None:
        for part in sliced(self._bulletin.snapshot, keys, self._pace.rows):
            repairs = await self._repairs(part)
            self._pace.took(self._breaks.worked_s)
            self._agenda.replace(repairs.reviewed, repairs.deadlines)
            self._note_mass_loss(repairs)
            self._note_troubles(repairs)
            await self._carry_out([(each, None) for each in repairs.decisions])
            await asyncio.sleep(0)

    async def _repairs(self, keys: Iterable[Key]) -> Repairs:
        """With breaks, during which the snapshot stays as it is."""
        now = self._bulletin.now()
        if self._began_at is None:
            self._began_at = now
        with self._bulletin.held():
            return await self._breaks.over(
                converging(
                    self._bulletin.snapshot,
                    keys,
                    now,
                    self._limits,
                    self._began_at,
                    self.in_flight,
                )
            )

    async def _tell_of_callbacks(self) -> None:
        answers = self.callbacks.to_tell(self._bulletin.snapshot)
        await self._carry_out([(each, None) for each in answers])

    def _note_troubles(self, repairs: Repairs) -> None:
        for trouble in repairs.troubles:
            if trouble not in self._troubles:
                self._troubles.add(trouble)
                log.error("convergence.trouble", reason=trouble)

    def _note_mass_loss(self, repairs: Repairs) -> None:
        before, self.mass_loss = self.mass_loss, repairs.mass_loss
        if before is None and repairs.mass_loss is not None:
            log.error("mass_loss.began", reason=repairs.mass_loss.reason)
        if before is not None and repairs.mass_loss is None:
            log.warning("mass_loss.ended")
            self._full_pass_at = 0.0  # what was held back is due now

    async def _hold_auction(self, is_full: bool) -> None:
        lots, is_loss = await self._choose(is_full)
        for part in self._auctioneer.slices(lots):
            await self._land()  # what need not be booked any more
            with self._bulletin.held():
                if self._is_mass_loss() and not is_loss:
                    return  # it began meanwhile, and its change begins another round
                snapshot = self._bulletin.snapshot
                auction = self._auctioneer.holding(snapshot, self.in_flight, part)
                plan = await self._breaks.over(auction)
            errands: list[Errand] = [(each.decision(), each) for each in plan.placements]
            refusals = refusals_to_write(plan, with_figures=is_full)
            await self._carry_out(errands + [(each, None) for each in refusals])
            await asyncio.sleep(0)

    async def _choose(self, is_full: bool) -> tuple[list[Lot], bool]:
        """What to put up, and whether a mass loss held some of it back."""
        elapsed = self._clock.monotonic()
        retry = is_full or (self._retry_refused and elapsed >= self._retry_refused_at)
        if retry:
            self._retry_refused = False
            self._retry_refused_at = elapsed + _RETRY_REFUSED_EVERY_S
        with self._bulletin.held():
            is_loss = self._is_mass_loss()
            choice = self._auctioneer.choosing(
                self._bulletin.snapshot,
                self.in_flight,
                self._bulletin.now(),
                retry_refused=retry,
                hold_replacements=is_loss,
            )
            return await self._breaks.over(choice), is_loss

    def _is_mass_loss(self) -> bool:
        """At this moment, whatever the slice of convergence before has seen."""
        snapshot, now = self._bulletin.snapshot, self._bulletin.now()
        return mass_loss(snapshot.missing, snapshot.present_count, now, self._limits) is not None

    async def _carry_out(self, errands: Sequence[Errand]) -> None:
        """In bulk and in order, without what is under way already. After a failure the rest waits:
        it may build on what failed."""
        reached = True
        for chunk in _slices(errands, _COMMANDS_MAX):
            await asyncio.sleep(0)
            placements = {decision.about: placement for decision, placement in chunk}
            new = self.in_flight.new(decision for decision, _ in chunk)
            decisions = self.callbacks.admitted(new)
            for decision in decisions:
                placement = placements[decision.about]
                self.in_flight.sent(decision, placement, self._clock.monotonic())
            if not reached:
                self._not_made(decisions)
            elif decisions:
                reached = await self._submit(decisions)

    async def _submit(self, decisions: Sequence[Decision]) -> bool:
        if self._lease.left_s(self._clock.boottime()) <= 0:
            raise LockLostError("the lease ran out")
        try:
            outcomes = await self._bbs.submit([self._command(each) for each in decisions])
        except DomainError as error:
            log.warning("commands.failed", count=len(decisions), reason=str(error.reason))
            if error.reason is not Reason.UNKNOWN_OUTCOME:
                self._not_made(decisions)
            return False
        for decision, outcome in zip(decisions, outcomes, strict=True):
            self._answered(decision, outcome)
        return True

    def _command(self, decision: Decision) -> Command:
        return decision.command(self._ids.new_id(), LOCK_NAME, self._lease.token)

    def _answered(self, decision: Decision, outcome: Outcome) -> None:
        if outcome.reason == Reason.LOCK_COLLISION:
            raise LockLostError(outcome.message)
        self.in_flight.answered(decision, outcome, self._clock.monotonic())
        self.callbacks.answered(decision, outcome)
        if outcome.reason:
            log.info("command.refused", decision=str(decision), message=outcome.message)
        else:
            log.debug("command.done", decision=str(decision), revision=outcome.revision)

    def _not_made(self, decisions: Iterable[Decision]) -> None:
        for decision in decisions:
            self.in_flight.not_made(decision, self._clock.monotonic())


def _slices(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[at : at + size] for at in range(0, len(items), size))
