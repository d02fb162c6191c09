"""The cell's registration with the BBS and its lease: who it is, and that it is here.

A lease is counted from the *send* of the last answered renewal, on the clock that runs through a
suspend: so the cell gives it up before the BBS can have. Losing it ends no container.
"""

import asyncio
from collections.abc import Callable

import structlog

from diegod.cellruntime.core import events as e
from diegod.cellruntime.ports import Bbs
from diegod.internal.v1.command_pb2 import Command, RegisterCell
from diegod.internal.v1.ring_pb2 import RenewRequest
from diegod.models.errors import DomainError
from diegod.v1.record_pb2 import Cell
from diegod.world import Clock, Ids

RENEW_EVERY_S = 3.0
_RETRY_LOW_S, _RETRY_HIGH_S = 0.3, 1.0
_ANSWER_MAX_S = 10.0

_log = structlog.get_logger(__name__)


class Registration:
    """Registers, renews, and registers anew when the lease was lost. Implements `ports.Lease`."""

    def __init__(
        self, cell: Cell, bbs: Bbs, clock: Clock, ids: Ids, tell: Callable[[e.Event], None]
    ) -> None:
        self._cell = cell
        self._bbs = bbs
        self._clock = clock
        self._ids = ids
        self._tell = tell
        self._lease_until = float("-inf")  # boottime
        self._renounced = asyncio.Event()
        #: Set while the BBS is believed to know this incarnation.
        self.registered = asyncio.Event()
        self.incarnation = 0

    def held(self) -> bool:
        return self._clock.boottime() < self._lease_until

    def renounce(self) -> None:
        """The BBS does not know this incarnation (any more): register anew, at once."""
        self._lease_until = float("-inf")
        self.registered.clear()
        self._renounced.set()

    async def keep(self) -> None:
        """For as long as the agent lives."""
        while True:
            await self._register()
            await self._renew_until_lost()

    async def _register(self) -> None:
        """The same request until it is answered: an unknown outcome is asked for again."""
        self._renounced.clear()
        command = Command(
            request_id=self._ids.new_id(),
            cause="the cell's agent registers",
            register_cell=RegisterCell(cell=self._cell),
        )
        while True:
            if await self._try_register(command):
                return
            await asyncio.sleep(self._ids.uniform(_RETRY_LOW_S, _RETRY_HIGH_S))

    async def _try_register(self, command: Command) -> bool:
        try:
            async with asyncio.timeout(_ANSWER_MAX_S):
                (outcome,) = await self._bbs.submit([command])
        except (DomainError, TimeoutError) as error:
            _log.info("cell.not_registered", why=str(error) or "no answer")
            return False
        if outcome.reason:
            _log.warning("cell.registration_refused", reason=outcome.reason, why=outcome.message)
            return False
        self.incarnation = outcome.cell.incarnation
        self.registered.set()
        self._tell(e.Registered(self.incarnation))
        _log.info("cell.registered", incarnation=self.incarnation)
        return True

    async def _renew_until_lost(self) -> None:
        nonce = 0
        while not self._renounced.is_set():
            nonce += 1
            if await self._renew(nonce):
                await self._pause(RENEW_EVERY_S)
            else:
                await self._pause(self._ids.uniform(_RETRY_LOW_S, _RETRY_HIGH_S))

    async def _renew(self, nonce: int) -> bool:
        sent_at = self._clock.boottime()
        request = RenewRequest(cell_id=self._cell.cell_id, sequence=self.incarnation, nonce=nonce)
        try:
            async with asyncio.timeout(_ANSWER_MAX_S):
                reply = await self._bbs.renew(request)
        except (DomainError, TimeoutError) as error:
            _log.info("lease.not_renewed", why=str(error) or "no answer")
            return False
        if not reply.held:
            _log.warning("lease.lost", incarnation=self.incarnation)
            self.renounce()
            return False
        self._lease_until = sent_at + reply.ttl_ms / 1000
        return True

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._renounced.wait()
        except TimeoutError:
            pass
