"""The parts of a dev cluster, as a fault meets them: killed, paused, and never left so."""

import asyncio
from contextlib import suppress

from diegod.node.dev import control
from diegod.node.dev.layout import Layout
from diegod.node.statuses import StartError
from diegod.node.verify.plan import PAUSE, Blow
from diegod.node.verify.tally import Fault
from diegod.world import Clock

#: A part that was held up by another's fault may need a second try to come up.
_TRIES = 5


class Parts:
    def __init__(self, layout: Layout, clock: Clock) -> None:
        self._layout = layout
        self._clock = clock
        self.faults: list[Fault] = []

    async def require(self) -> None:
        """Raises StartError unless the cluster runs here and answers."""
        for part in (await self._ask("ls", ""))["parts"]:
            if not part["ready"]:
                raise StartError(
                    f"{part['part']} is not running; everything must run to begin with: "
                    f"diegod dev start {part['part']}"
                )

    async def suffer(self, blow: Blow) -> None:
        """One fault from its beginning to its end."""
        began = self._clock.wall()
        try:
            await self._ask("pause" if blow.kind == PAUSE else "kill", blow.part)
            await asyncio.sleep(blow.hold_s)
        finally:
            await self._start(blow.part)
            self.faults.append(Fault(blow.kind, blow.part, began, self._clock.wall()))

    async def mend(self) -> None:
        """Whatever is down, for whatever reason, runs again."""
        for part in (await self._ask("ls", ""))["parts"]:
            if not part["ready"] or part["held"]:
                await self._start(part["part"])

    async def _start(self, part: str) -> None:
        for _ in range(_TRIES - 1):
            with suppress(StartError):
                await self._ask("start", part)
                return
        await self._ask("start", part)

    async def _ask(self, verb: str, part: str) -> dict[str, list[dict[str, str]]]:
        request = {"verb": verb, "part": part}
        try:
            reply = await control.ask(self._layout.control_socket, request)
        except control.NotRunningError as error:
            raise StartError(f"{error}. Start it: diegod dev --name {self._layout.name}") from None
        if "error" in reply:
            raise StartError(str(reply["error"]))
        return reply
