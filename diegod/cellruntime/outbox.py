"""Commands on their way to the BBS: whatever waits goes in one call, one call at a time.

One at a time keeps the order in which they were said. What becomes of each is an event; whether
and when it is said again is the machine's to decide.
"""

import asyncio
from collections.abc import Callable, Sequence

from diegod.cellruntime.core import events as e
from diegod.cellruntime.core import instructions as i
from diegod.cellruntime.ports import Bbs
from diegod.cellruntime.registration import Registration
from diegod.internal.v1.command_pb2 import Command
from diegod.models.errors import DomainError, Reason

BATCH_MAX = 256
_ANSWER_MAX_S = 30.0
#: The BBS does not take this cell for who it says it is: it has to register anew.
_UNREGISTERED = (Reason.STALE_INCARNATION, Reason.CELL_MISSING)


class Outbox:
    def __init__(
        self, bbs: Bbs, registration: Registration, tell: Callable[[e.Event], None]
    ) -> None:
        self._bbs = bbs
        self._registration = registration
        self._tell = tell
        self._waiting: list[i.Submit] = []
        self._something = asyncio.Event()

    def put(self, submit: i.Submit) -> None:
        self._waiting.append(submit)
        self._something.set()

    async def keep_sending(self) -> None:
        """For as long as the agent lives."""
        while True:
            await self._something.wait()
            await self._registration.registered.wait()
            batch, self._waiting = self._waiting[:BATCH_MAX], self._waiting[BATCH_MAX:]
            if not self._waiting:
                self._something.clear()
            await self._send(batch)

    async def _send(self, batch: Sequence[i.Submit]) -> None:
        incarnation = self._registration.incarnation
        commands = [_under(submit.command, incarnation) for submit in batch]
        try:
            async with asyncio.timeout(_ANSWER_MAX_S):
                outcomes = await self._bbs.submit(commands)
        except (DomainError, TimeoutError) as error:
            for submit in batch:
                why = str(error) or "no answer"
                self._tell(e.Unanswered(submit.handle, submit.command.request_id, why))
            return
        for submit, outcome in zip(batch, outcomes, strict=True):
            self._tell(e.Answered(submit.handle, submit.command.request_id, outcome))
        is_current = self._registration.incarnation == incarnation
        if is_current and any(outcome.reason in _UNREGISTERED for outcome in outcomes):
            self._registration.renounce()


def _under(command: Command, incarnation: int) -> Command:
    sent = Command()
    sent.CopyFrom(command)
    sent.cell_incarnation = incarnation
    return sent
