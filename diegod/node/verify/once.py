"""`verify once`: many tasks, parts that are killed meanwhile, and the counting afterwards."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from diegod.client import Client
from diegod.client.tasks import task_definition
from diegod.models.errors import DomainError, Reason
from diegod.node.dev.layout import Layout
from diegod.node.statuses import StartError
from diegod.node.verify.parts import Parts
from diegod.node.verify.plan import Blow, blows
from diegod.node.verify.tally import Fault, Tally, tally
from diegod.node.verify.witness import witness_of
from diegod.v1.definition_pb2 import TaskDefinition
from diegod.v1.record_pb2 import Task
from diegod.world import Clock, Ids

DOMAIN = "verify"
_ROOTFS = "preloaded:busybox"
_MEMORY_MB = 16
_WORK_S = (0.0, 2.0)
_EXECUTION_TIMEOUT_MS = 60_000
#: Tasks are stored during this share of the time: the last ones meet faults too.
_STORING = 0.9
#: After the last fault everything must have ended within this.
_SETTLE_S = 60.0
_TRY_AGAIN_S = 0.2
_LOOK_EVERY_S = 1.0
_CURED_BY_TRYING = (Reason.UNAVAILABLE, Reason.UNKNOWN_OUTCOME, Reason.NOT_LEADER)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    tasks: int
    for_s: float
    seed: int


@dataclass(frozen=True)
class Verified:
    run: str  # what the guids begin with
    began: float
    tally: Tally
    faults: Sequence[Fault]


class Once:
    """One run. Whatever happens, it leaves no part dead and no task of its own under way."""

    def __init__(
        self, layout: Layout, client: Client, clock: Clock, chance: Ids, run: str, say: Say
    ) -> None:
        self._layout = layout
        self._client = client
        self._clock = clock
        self._chance = chance
        self._say = say
        self._run = run
        self._parts = Parts(layout, clock)
        self._stored = 0

    async def verify(self, options: Options) -> Verified:
        """Raises StartError when the cluster is not there, or goes."""
        await self._parts.require()
        self._witness = witness_of(self._layout, self._run)
        self._began = self._clock.wall()
        definitions = [self._definition(number) for number in range(options.tasks)]
        names = [part.name for part in self._layout.parts]
        cells = [part.name for part in self._layout.of_role("cell")]
        plan = blows(self._chance, names, cells, options.for_s)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._store(definitions, options.for_s * _STORING))
                group.create_task(self._strike(plan))
            tasks = await self._ended(options.tasks)
            counted = tally(tasks, self._witness.starts(), self._parts.faults, self._began)
            return Verified(self._run, self._began, counted, self._parts.faults)
        except BaseExceptionGroup as group_error:
            raise _first(group_error) from None
        finally:
            await self._clean_up()

    async def _store(self, definitions: Sequence[TaskDefinition], within_s: float) -> None:
        """One after the other, evenly; what is not answered is asked again under the same guid."""
        start = self._clock.monotonic()
        for number, definition in enumerate(definitions):
            due = start + within_s * number / len(definitions)
            await asyncio.sleep(max(0.0, due - self._clock.monotonic()))
            await self._answered(definition)
            self._stored += 1

    async def _answered(self, definition: TaskDefinition) -> None:
        while True:
            try:
                await self._client.tasks.desire(definition, cause="diegod verify once")
                return
            except DomainError as error:
                if error.reason not in _CURED_BY_TRYING:
                    raise
            await asyncio.sleep(_TRY_AGAIN_S)

    async def _strike(self, plan: Sequence[Blow]) -> None:
        for blow in plan:
            await asyncio.sleep(blow.after_s)
            at = self._clock.wall() - self._began
            what = f"{blow.kind} {blow.part} for {blow.hold_s:.1f} s"
            self._say(f"{at:5.1f} s  {self._stored} stored; {what}")
            await self._parts.suffer(blow)

    async def _ended(self, count: int) -> list[Task]:
        """All of them once they have ended; as they are, when that takes too long."""
        until = self._clock.monotonic() + _SETTLE_S
        tasks: list[Task] = []
        said = -1
        while self._clock.monotonic() < until:
            with suppress(DomainError):
                tasks = await self._ours()
                if len(tasks) == count and not any(_goes_on(task) for task in tasks):
                    return tasks
            ended = sum(not _goes_on(task) for task in tasks)
            if ended != said:
                self._say(f"all parts run again; {ended} of {count} have ended")
            said = ended
            await asyncio.sleep(_LOOK_EVERY_S)
        return tasks

    async def _ours(self) -> list[Task]:
        tasks = await self._client.tasks.list(domain=DOMAIN)
        return [task for task in tasks if task.task_guid.startswith(f"{self._run}-")]

    def _definition(self, number: int) -> TaskDefinition:
        return task_definition(
            f"{self._run}-{number:04d}",
            rootfs=_ROOTFS,
            argv=["sh", "-c", self._witness.script(self._chance.uniform(*_WORK_S))],
            domain=DOMAIN,
            memory_mb=_MEMORY_MB,
            execution_timeout_ms=_EXECUTION_TIMEOUT_MS,
        )

    async def _clean_up(self) -> None:
        """Every part runs; what goes on is cancelled; the records of what ended well go."""
        try:
            await self._parts.mend()
            for task in await self._ours():
                with suppress(DomainError):
                    await self._put_away(task)
        except (StartError, DomainError) as error:
            self._say(f"not everything could be put away: {error}")
        finally:
            self._witness.close()

    async def _put_away(self, task: Task) -> None:
        """What failed stays, for `diegod story`, until its retention is over."""
        if _goes_on(task):
            await self._client.tasks.cancel(task.task_guid, "diegod verify once has ended")
        elif not task.failed:
            await self._client.tasks.delete(task.task_guid, "diegod verify once has counted it")


def _goes_on(task: Task) -> bool:
    return task.state in (Task.PENDING, Task.RUNNING)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first, without the wrapping."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
