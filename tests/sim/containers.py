"""What runs on the simulated cells: `FakeHost` on a machine, and programs that do as they say.

A program's arguments are its script: `runs=2.5 status=3 refuse=1 fails=0.2`. What chance decides is
drawn from the seed and the handle, so an agent that asks twice hears the same.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from contextvars import Context
from dataclasses import replace
from typing import Any

from diegod.contracts.backend import ContainerSpec, ContainerState, ContainerStatus, Owner
from diegod.testing.fake_backend import FakeBackend, FakeHost, Script
from tests.sim.host import Process

#: Where a program that is asked for a result leaves it.
RESULT_FILE = "/result"
#: Longer than any simulation.
_FOR_EVER_S = None


class Starts(Counter[str]):
    """A counter of starts that tells somebody of each."""

    def __init__(self, on_start: Callable[[str], None]) -> None:
        super().__init__()
        self._on_start = on_start

    def __setitem__(self, handle: str, count: int) -> None:
        super().__setitem__(handle, count)
        self._on_start(handle)


class CellHost(FakeHost):
    """The containers of one machine, from its boot until it is lost."""

    def __init__(
        self,
        seed: str,
        process: Process,
        crashes_until_s: float,
        on_start: Callable[[str], None],
        on_stop: Callable[[str], None],
        on_starting: Callable[[str], None],
    ) -> None:
        super().__init__(self._script_for)
        self.starts = Starts(on_start)
        self._on_stop = on_stop
        self.on_starting = on_starting
        self._seed = seed
        self._process = process
        self._crashes_until_s = crashes_until_s

    def live(self) -> list[ContainerSpec]:
        """What really runs here now."""
        return [
            container.spec
            for container in self._containers.values()
            if container.state is ContainerState.RUNNING
        ]

    def specs(self) -> list[ContainerSpec]:
        """Whatever is here, in any state."""
        return [container.spec for container in self._containers.values()]

    def slow_down(self, owner: Owner, handle: str, start_s: float) -> None:
        """The start of this one, which is about to begin, takes so long."""
        container = self.find(owner, handle)
        if container is not None:
            container.script = replace(container.script, start_s=start_s)

    def asked_to_end(self, owner: Owner, handle: str) -> None:
        """An agent is about to end it: somebody wants to know, if it runs."""
        container = self.find(owner, handle)
        if container is not None and container.state is ContainerState.RUNNING:
            self._on_stop(handle)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[Any]":
        """Of the machine, not of the agent that asked for it: it outlives the agent."""
        task = self._process.spawn(work)
        self._tasks[task] = None
        task.add_done_callback(self._done, context=Context())
        return task

    def _script_for(self, spec: ContainerSpec) -> Script:
        wants = dict(each.split("=", 1) for each in spec.argv[1:] if "=" in each)
        chance = random.Random(f"{self._seed} {spec.handle}")
        prepare_s = chance.uniform(0.01, 0.4)
        start_s = chance.choice((chance.uniform(0.005, 0.1), chance.uniform(0.1, 1.0)))
        if spec.argv[0] == "true":
            return Script(prepare_s=prepare_s, start_s=start_s, runs_s=0.01)
        return Script(
            prepare_s=prepare_s,
            start_s=start_s,
            runs_s=self._runs_s(wants, chance),
            status=int(wants.get("status", "0")),
            term_s=chance.uniform(0.05, 1.5),
            term_status=143 if chance.random() < 0.9 else None,
            refuse_prepare="no room" if float(wants.get("refuse", "0")) > chance.random() else "",
            leaves={RESULT_FILE: wants["leaves"].encode()} if "leaves" in wants else {},
            refuse_start="no such file" if float(wants.get("fails", "0")) > chance.random() else "",
        )

    def _runs_s(self, wants: dict[str, str], chance: random.Random) -> float | None:
        """A task for as long as it says; an instance crashes now and then, while faults last."""
        if "runs" in wants:
            return float(wants["runs"])
        left_s = self._crashes_until_s - self._process.machine.loop_time()
        runs_s = chance.uniform(0.5, 40.0)
        if float(wants.get("crashes", "0")) > chance.random() and runs_s < left_s:
            return runs_s
        return _FOR_EVER_S


class SimBackend(FakeBackend):
    """Tells the host when an agent begins to start a container, and of each way to end one."""

    def __init__(self, owner: Owner, host: CellHost) -> None:
        super().__init__(owner, host)
        self._told = owner, host

    async def start(self, handle: str) -> ContainerStatus:
        self._told[1].on_starting(handle)
        return await super().start(handle)

    async def signal(self, handle: str, signal: str) -> None:
        owner, host = self._told
        host.asked_to_end(owner, handle)
        await super().signal(handle, signal)

    async def destroy(self, handle: str) -> None:
        owner, host = self._told
        host.asked_to_end(owner, handle)
        await super().destroy(handle)
