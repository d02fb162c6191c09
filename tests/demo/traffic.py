"""The request loop: one request after the other to each routable instance in turn, none repeated.

A request counts as answered if the right instance answers it with 200. What fails is not forgiven
unless the instance it went to had been killed by then, or was killed while it was on its way.
"""

import asyncio
import itertools
import time
from dataclasses import dataclass

from tests.demo.evidence import ask
from tests.demo.instances import Instances, host_port, name

_PAUSE_S = 0.01


@dataclass(frozen=True)
class Failure:
    at: float
    step: str
    instance: str
    instance_guid: str
    why: str


class Traffic:
    def __init__(self, instances: Instances) -> None:
        self._instances = instances
        self._killed: set[str] = set()
        self._failures: list[Failure] = []
        #: What goes on meanwhile; failures bear its name.
        self.step = ""
        #: Requests that were sent during each step.
        self.sent: dict[str, int] = {}

    def expect_failures_of(self, instance_guid: str) -> None:
        """Called right before the instance is killed."""
        self._killed.add(instance_guid)

    async def run(self) -> None:
        for turn in itertools.count():
            rows = self._instances.routable()
            if rows:
                row = rows[turn % len(rows)]
                await self._request(row.index, name(row), row.instance_guid, host_port(row))
            await asyncio.sleep(_PAUSE_S)

    async def _request(self, index: int, instance: str, guid: str, port: int) -> None:
        step = self.step
        self.sent[step] = self.sent.get(step, 0) + 1
        try:
            answer = await ask(port)
            why = "" if answer.index == index else f'port {port} says "{answer.says}"'
        except (OSError, TimeoutError) as error:
            why = str(error) or "no answer in time"
        if why:
            self._failures.append(Failure(time.monotonic(), step, instance, guid, why))

    @property
    def total(self) -> int:
        return sum(self.sent.values())

    @property
    def of_the_killed(self) -> list[Failure]:
        return [one for one in self._failures if one.instance_guid in self._killed]

    @property
    def unforgiven(self) -> list[Failure]:
        return [one for one in self._failures if one.instance_guid not in self._killed]
