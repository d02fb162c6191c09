"""The brain as a role: it stands by for the lock, and works for as long as it holds it.

Runs on any asyncio loop, also one of virtual time: no threads, no clock of its own.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from diegod.contracts.strategy import PlacementFilter, PlacementStrategy
from diegod.scheduler.bulletin import Bulletin
from diegod.scheduler.core.auction import Rules
from diegod.scheduler.core.limits import Limits
from diegod.scheduler.lock import TTL_S, BrainLock, Lease
from diegod.scheduler.ports import Bbs, CallbackSender
from diegod.scheduler.term import FULL_PASS_EVERY_S, Term
from diegod.v1.record_pb2 import BrainSettings
from diegod.world import Clock, Ids

_DEFAULT_LIMITS = Limits()

log = structlog.get_logger("diegod.scheduler")


@dataclass(frozen=True)
class BrainStatus:
    """For the health endpoint: is it the active one, and does it keep up?"""

    name: str
    active: bool
    why: str  # of a brain that stands by: why it has not got the lock; of an active one: its alarm
    lock_token: int = 0
    lease_left_s: float = 0.0
    revision: int = 0  # of what it has seen
    in_flight: int = 0
    waiting: int = 0  # tasks and instances without a placement
    present_cells: int = 0
    missing_cells: int = 0
    posting: int = 0  # callbacks that are being posted
    schedules: int = 0


class Brain:
    def __init__(
        self,
        bbs: Bbs,
        clock: Clock,
        ids: Ids,
        name: str,
        strategies: Mapping[str, PlacementStrategy],
        filters: Mapping[str, PlacementFilter],
        default_strategy: str,
        limits: Limits = _DEFAULT_LIMITS,
        sender: CallbackSender | None = None,
        on_settled: Callable[[], None] = lambda: None,
    ) -> None:
        """Without a `sender` no callback is claimed: they wait for a brain that has one.
        `on_settled` is called whenever many rows have come that will stay."""
        if default_strategy not in strategies:
            known = ", ".join(strategies) or "none"
            raise ValueError(f'no placement strategy "{default_strategy}"; there are: {known}')
        self._bbs = bbs
        self._clock = clock
        self._ids = ids
        self._name = name
        self._rules = Rules(strategies, filters, default_strategy)
        self._limits = limits
        self._sender = sender
        self._lock = BrainLock(bbs, clock, ids, settings_of(default_strategy, limits))
        self._lease: Lease | None = None
        self._term: Term | None = None
        self._bulletin = Bulletin(bbs, clock, on_settled)
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Until `stop`. Cancelling it instead is like killing it: the lock is not given back."""
        await _first_of(self._serve_terms(), self._bulletin.follow())

    def stop(self) -> None:
        """`run` gives the lock back and returns."""
        self._stopping.set()

    def status(self) -> BrainStatus:
        term, lease = self._term, self._lease
        snapshot = self._bulletin.snapshot
        is_active = term is not None and lease is not None and self._lock.is_held(lease)
        alarm = term.mass_loss.reason if term and term.mass_loss else ""
        return BrainStatus(
            self._name,
            active=is_active,
            why=alarm if is_active else self._lock.why_not,
            lock_token=lease.token if lease else 0,
            lease_left_s=lease.left_s(self._clock.boottime()) if lease else 0.0,
            revision=snapshot.revision,
            in_flight=len(term.in_flight) if term else 0,
            waiting=len(snapshot.pending) + len(snapshot.unclaimed),
            present_cells=snapshot.present_count,
            missing_cells=snapshot.missing_count,
            posting=len(term.callbacks) if term else 0,
            schedules=len(snapshot.schedules),
        )

    async def _serve_terms(self) -> None:
        while not self._stopping.is_set():
            lease = await _first_of(self._stand_by(), self._stopping.wait())
            if isinstance(lease, Lease):
                await self._lead(lease)

    async def _stand_by(self) -> Lease:
        """A brain that can't see the cluster does not ask for the lock."""
        await self._bulletin.until_seen(0)
        return await self._lock.acquire()

    async def _lead(self, lease: Lease) -> None:
        term = Term(
            self._bbs,
            self._clock,
            self._ids,
            self._bulletin,
            lease,
            self._rules,
            self._limits,
            self._sender,
        )
        self._lease, self._term = lease, term
        log.info("lock.acquired", brain=self._name, token=lease.token)
        try:
            why = await _first_of(self._lock.keep(lease), term.work(), self._stopping.wait())
        finally:
            self._lease = self._term = None
        if self._stopping.is_set():
            await self._lock.release(lease)
        else:
            self._lock.why_not = str(why)
            log.warning("lock.lost", brain=self._name, token=lease.token, why=why)


def settings_of(default_strategy: str, limits: Limits) -> BrainSettings:
    """What a brain goes by, as it is written beside its lock."""
    return BrainSettings(
        strategy=default_strategy,
        mass_loss_percent=limits.mass_loss_percent,
        mass_loss_cells_min=limits.mass_loss_cells_min,
        mass_loss_hold_s=int(limits.mass_loss_hold_s),
        lease_ttl_s=int(TTL_S),
        take_up_s=int(limits.take_up_s),
        full_pass_s=int(FULL_PASS_EVERY_S),
    )


async def _first_of(*coroutines: Coroutine[Any, Any, Any]) -> Any:
    """What the first of them that ends returns or raises; the others are cancelled, and over."""
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return next(task for task in tasks if not task.cancelled()).result()
