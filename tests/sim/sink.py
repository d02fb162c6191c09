"""Where callbacks go: an HTTP server that does as chance says, and remembers what it was told.

Which answers a task's URL gives is drawn from the seed and its guid: some never answer well.
"""

import asyncio
import json
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from diegod.scheduler.core.callback_message import Answer

if TYPE_CHECKING:
    from tests.sim.stage import Stage

HOST = "callbacks.example"
#: What may become of a call; a number is an HTTP status.
_ANSWERS = ("200", "200", "404", "503", "503", "refuses", "silence")


@dataclass
class Heard:
    """All calls for one task, in order."""

    bodies: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)  # that were answered
    keys: dict[str, None] = field(default_factory=dict)  # by which it is told that it is the same

    @property
    def is_delivered(self) -> bool:
        return any(200 <= status < 300 or 400 <= status < 500 for status in self.statuses)


class Sink:
    def __init__(self, stage: "Stage") -> None:
        self._stage = stage
        self.heard: dict[str, Heard] = {}
        self._chances: dict[str, random.Random] = {}

    def url(self, guid: str) -> str:
        return f"http://{HOST}/{guid}"

    async def post(self, url: str, body: bytes, timeout_s: float, idempotency_key: str) -> Answer:
        """Implements `scheduler.ports.CallbackSender`."""
        guid = url.rpartition("/")[2]
        chance = self._chances.setdefault(guid, random.Random(f"{self._stage.seed} {url}"))
        heard = self.heard.setdefault(guid, Heard())
        answer = chance.choice(_ANSWERS)
        await asyncio.sleep(chance.uniform(0.001, 0.3))
        self._stage.counts["callbacks sent"] += 1
        self._stage.note(f"callback {guid}: {answer}")
        if answer == "refuses":
            return Answer(error="connection refused")
        heard.bodies.append(json.loads(body))
        heard.keys[idempotency_key] = None
        if answer == "silence":
            await asyncio.sleep(min(timeout_s, chance.choice((1.0, 40.0))))
            return Answer(error="no answer")
        heard.statuses.append(int(answer))
        return Answer(status=int(answer))
