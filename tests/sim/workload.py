"""What people do meanwhile: tasks and LRPs, desired, repeated, cancelled, scaled, removed.

Each client keeps a list of what it was told. A write that was acknowledged must be there in the
end. One whose outcome is unknown, or that was tried for so long that an earlier try may still be on
its way, may take effect at any time: it is one of the states that are possible.
"""

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from diegod.models.errors import DomainError, Reason
from diegod.raftbbs.store.state import StateView
from diegod.rpc.client import ClusterClient
from diegod.v1 import lrp_pb2, task_pb2
from diegod.v1.definition_pb2 import LrpDefinition, TaskDefinition

if TYPE_CHECKING:
    from tests.sim.ring import Ring

#: A call that took this long may have been tried more than once.
_ONE_TRY_S = 2.9
LRPS = 3
INSTANCES_MAX = 4
TASKS = 20


@dataclass
class DesiredTask:
    acknowledged: bool = False
    certain: bool = True  # no try of it can still be on its way
    deleting: bool = False
    deleted: bool = False


@dataclass
class DesiredProcess:
    """How many instances there may be; None: the LRP is not there."""

    acknowledged: int | None = None
    possible: list[int | None] = field(default_factory=list)


class Workload:
    def __init__(self, ring: "Ring", client: ClusterClient) -> None:
        self._ring = ring
        self.client = client
        self._chance: random.Random = ring.chance("workload")
        self.tasks: dict[str, DesiredTask] = {}
        self.processes: dict[str, DesiredProcess] = {}
        self.acknowledged = 0
        self.unknown = 0

    async def run(self, until_s: float) -> None:
        """Everything, until the faults end."""
        lrps = [self._one_process(f"web-{number}", until_s) for number in range(LRPS)]
        await asyncio.gather(self._many_tasks(until_s), *lrps)

    async def probe(self) -> float:
        """One write; how long it took."""
        began = self._now()
        await self._desire_task("probe", task_definition("probe", "runs=0.1"))
        return self._now() - began

    def check(self, state: StateView) -> None:
        """Whether everything that was acknowledged is there."""
        for guid, task in self.tasks.items():
            is_there = state.task(guid) is not None
            if task.acknowledged and not task.deleting and not is_there:
                self._ring.complain(f"task {guid} was acknowledged, and is not there")
            if task.deleted and task.certain and is_there:
                self._ring.complain(f"task {guid} was deleted, and is there")
        for guid, process in self.processes.items():
            desired = state.desired_lrp(guid)
            instances = None if desired is None else desired.instances
            if instances not in (process.acknowledged, *process.possible):
                self._ring.complain(
                    f"{guid} has {instances} instances, {process.acknowledged} were acknowledged"
                )

    # Tasks.

    async def _many_tasks(self, until_s: float) -> None:
        for number in range(TASKS):
            await asyncio.sleep(self._chance.uniform(0.2, 2 * until_s / TASKS - 0.2))
            if self._now() > until_s:
                return
            asyncio.get_running_loop().create_task(self._one_task(f"task-{number}", until_s))

    async def _one_task(self, guid: str, until_s: float) -> None:
        chance = self._chance
        definition = task_definition(
            guid,
            f"runs={chance.choice((0.05, 0.5, 2.0, 6.0))}",
            f"status={chance.choice((0, 0, 0, 3))}",
            f"refuse={chance.choice((0, 0, 0, 0.4, 1))}",
            f"fails={chance.choice((0, 0, 0, 0, 1))}",
        )
        if not await self._desire_task(guid, definition):
            return
        if chance.random() < 0.3:
            await self._desire_task(guid, definition)  # an equal retry
        if chance.random() < 0.5:
            await self._read_back(guid)
        await asyncio.sleep(chance.uniform(0.0, 8.0))
        if chance.random() < 0.25 and self._now() < until_s:
            await self._call("Task", "Cancel", task_pb2.CancelTaskRequest(task_guid=guid))
        await asyncio.sleep(chance.uniform(0.0, 4.0))
        if chance.random() < 0.3 and self._now() < until_s:
            await self._delete_task(guid)

    async def _desire_task(self, guid: str, definition: TaskDefinition) -> bool:
        task = self.tasks.setdefault(guid, DesiredTask())
        request = task_pb2.DesireTaskRequest(definition=definition)
        reply, is_certain = await self._call("Task", "Desire", request)
        task.acknowledged |= not isinstance(reply, DomainError)
        task.certain &= is_certain
        return task.acknowledged

    async def _delete_task(self, guid: str) -> None:
        """Only where no try to desire it can still arrive: that would be a new task."""
        task = self.tasks[guid]
        if task.certain:
            task.deleting = True
            reply, _ = await self._call(
                "Task", "Delete", task_pb2.DeleteTaskRequest(task_guid=guid)
            )
            task.deleted = not isinstance(reply, DomainError)

    async def _read_back(self, guid: str) -> None:
        """Linearizable: what was acknowledged before is seen, on whichever member."""
        task = self.tasks[guid]
        try:
            await self.client.call(
                "diegod.v1.TaskService/Get", task_pb2.GetTaskRequest(task_guid=guid)
            )
        except DomainError as error:
            if error.reason is Reason.RESOURCE_NOT_FOUND and not task.deleting:
                self._ring.complain(f"task {guid} was acknowledged, and a read does not find it")

    # LRPs.

    async def _one_process(self, guid: str, until_s: float) -> None:
        chance, version = self._chance, 0
        while self._now() < until_s:
            process = self.processes.setdefault(guid, DesiredProcess())
            instances = chance.randint(1, INSTANCES_MAX)
            if process.acknowledged is None or chance.random() < 0.2:
                version += 1
                definition = _lrp(guid, version, instances, chance)
                request: Any = lrp_pb2.DesireLrpRequest(definition=definition)
                await self._write(process, "Desire", request, instances)
            elif chance.random() < 0.15:
                request = lrp_pb2.RemoveLrpRequest(process_guid=guid)
                await self._write(process, "Remove", request, None)
            else:
                request = lrp_pb2.ScaleLrpRequest(process_guid=guid, instances=instances)
                await self._write(process, "Scale", request, instances)
            await asyncio.sleep(chance.uniform(2.0, 9.0))

    async def _write(
        self, process: DesiredProcess, verb: str, request: Any, instances: int | None
    ) -> None:
        reply, is_certain = await self._call("Lrp", verb, request)
        if isinstance(reply, DomainError) and reply.reason is Reason.RESOURCE_NOT_FOUND:
            self._not_there(process, verb)
        elif not isinstance(reply, DomainError):
            process.acknowledged = instances
        if not is_certain:
            process.possible.append(instances)

    def _not_there(self, process: DesiredProcess, verb: str) -> None:
        """A removal that is repeated finds nothing to remove; nothing else may find nothing."""
        if verb != "Remove" and None not in (process.acknowledged, *process.possible):
            self._ring.complain(f"{verb} finds no LRP, {process.acknowledged} were acknowledged")
        process.acknowledged = None

    async def _call(self, service: str, verb: str, request: Any) -> tuple[Any, bool]:
        """The reply or the refusal; and whether nothing of it can still be on its way."""
        began = self._now()
        try:
            reply = await self.client.call(f"diegod.v1.{service}Service/{verb}", request)
        except DomainError as error:
            self.unknown += error.reason is Reason.UNKNOWN_OUTCOME
            is_certain = error.applied == "no" and self._now() - began < _ONE_TRY_S
            return error, is_certain
        self.acknowledged += 1
        return reply, self._now() - began < _ONE_TRY_S

    def _now(self) -> float:
        return self._ring.loop.time()


def task_definition(guid: str, *script: str) -> TaskDefinition:
    definition = TaskDefinition(task_guid=guid, rootfs="preloaded:busybox", memory_mb=64)
    definition.action.run.path = "/bin/program"
    definition.action.run.args.extend(script)
    return definition


def _lrp(guid: str, version: int, instances: int, chance: random.Random) -> LrpDefinition:
    definition = LrpDefinition(
        process_guid=guid, rootfs="preloaded:busybox", memory_mb=96, instances=instances
    )
    definition.action.run.path = "/bin/server"
    definition.action.run.args.extend([f"version={version}", f"crashes={chance.choice((0, 0.5))}"])
    definition.stop_timeout_ms = 2000
    policy = definition.crash_policy
    policy.backoff_ms, policy.max_backoff_ms, policy.max_restarts = 500, 4000, 0
    if chance.random() < 0.5:
        check = definition.check_definition.checks.add(interval_ms=10_000)
        check.command_check.path = "/bin/check"
    return definition
