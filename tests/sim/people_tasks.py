"""People who run tasks: submit, submit again, cancel, resolve, delete, and try a guid twice."""

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diegod.models.errors import DomainError, Reason
from diegod.raftbbs.store.state import StateView
from diegod.v1 import task_pb2
from diegod.v1.definition_pb2 import TaskDefinition
from tests.sim.containers import RESULT_FILE

if TYPE_CHECKING:
    from tests.sim.ring import Ring
    from tests.sim.workload import Workload

TASKS = 20
#: Not started by then: failed. So every task has ended within the time that a story has for it.
START_DEADLINE_MS = 30_000


@dataclass
class DesiredTask:
    acknowledged: bool = False
    certain: bool = True  # no try of it can still be on its way
    deleting: bool = False
    deleted: bool = False


class PeopleOfTasks:
    def __init__(self, ring: "Ring", workload: "Workload") -> None:
        self._ring = ring
        self._workload = workload
        self._chance: random.Random = ring.chance("workload")
        self.tasks: dict[str, DesiredTask] = {}

    async def run(self, until_s: float) -> None:
        for number in range(TASKS):
            await asyncio.sleep(self._chance.uniform(0.2, 2 * until_s / TASKS - 0.2))
            if self._workload.now() > until_s:
                return
            asyncio.get_running_loop().create_task(self._one(f"task-{number}", until_s))

    async def desire(self, guid: str, definition: TaskDefinition) -> bool:
        task = self.tasks.setdefault(guid, DesiredTask())
        request = task_pb2.DesireTaskRequest(definition=definition)
        reply, is_certain = await self._workload.call("Task", "Desire", request)
        task.acknowledged |= not isinstance(reply, DomainError)
        task.certain &= is_certain
        return task.acknowledged

    def check(self, state: StateView) -> None:
        for guid, task in self.tasks.items():
            is_there = state.task(guid) is not None
            if task.acknowledged and not task.deleting and not is_there:
                self._ring.complain(f"task {guid} was acknowledged, and is not there")
            if task.deleted and task.certain and is_there:
                self._ring.complain(f"task {guid} was deleted, and is there")

    async def _one(self, guid: str, until_s: float) -> None:
        chance, workload = self._chance, self._workload
        definition = self._definition(guid)
        if not await self.desire(guid, definition):
            return
        if chance.random() < 0.3:
            await self.desire(guid, definition)  # an equal retry
        if chance.random() < 0.5:
            await self._read_back(guid)
        await asyncio.sleep(chance.uniform(0.0, 8.0))
        if chance.random() < 0.25 and workload.now() < until_s:
            await workload.call("Task", "Cancel", task_pb2.CancelTaskRequest(task_guid=guid))
        await asyncio.sleep(chance.uniform(0.0, 4.0))
        if chance.random() < 0.15 and workload.now() < until_s:
            await workload.call("Task", "Resolve", task_pb2.ResolveTaskRequest(task_guid=guid))
        if chance.random() < 0.3 and workload.now() < until_s:
            await self._delete(guid)
        if chance.random() < 0.5 and self.tasks[guid].deleted:
            await self._try_again(definition)

    def _definition(self, guid: str) -> TaskDefinition:
        chance = self._chance
        definition = task_definition(
            guid,
            f"runs={chance.choice((0.05, 0.5, 2.0, 6.0))}",
            f"status={chance.choice((0, 0, 0, 3))}",
            f"refuse={chance.choice((0, 0, 0, 0.4, 1))}",
            f"fails={chance.choice((0, 0, 0, 0, 1))}",
            f"leaves=made by {guid}",
        )
        definition.result_file = RESULT_FILE
        definition.start_deadline_ms = START_DEADLINE_MS
        if chance.random() < 0.1:
            definition.execution_timeout_ms = 1000
        if chance.random() < 0.1:
            definition.placement.cell_id = chance.choice(self._ring.cells).name
        if chance.random() < 0.4:
            definition.completion_callback_url = self._ring.sink.url(guid)
            definition.callback_policy.backoff_ms = 300
            definition.callback_policy.max_backoff_ms = 2000
            definition.callback_policy.give_up_after_ms = chance.choice((4000, 600_000))
        if chance.random() < 0.2:
            self._make_dependent(definition)
        return definition

    def _make_dependent(self, definition: TaskDefinition) -> None:
        """On an earlier task, or on an LRP that may never be whole: it has its deadline."""
        if self.tasks and self._chance.random() < 0.7:
            earlier = self._chance.choice(list(self.tasks))
            condition = self._chance.choice((0, 2, 3))
            definition.depends_on.add(task=earlier, condition=condition)
        else:
            definition.depends_on.add(lrp="web-0")

    async def _delete(self, guid: str) -> None:
        """Only where no try to desire it can still arrive: that would be a new task."""
        task = self.tasks[guid]
        if task.certain:
            task.deleting = True
            request = task_pb2.DeleteTaskRequest(task_guid=guid)
            reply, _ = await self._workload.call("Task", "Delete", request)
            task.deleted = not isinstance(reply, DomainError)

    async def _try_again(self, definition: TaskDefinition) -> None:
        """The guid of a task that was deleted is nobody's for a day."""
        request = task_pb2.DesireTaskRequest(definition=definition)
        reply, _ = await self._workload.call("Task", "Desire", request)
        self._ring.counts["guids refused"] += isinstance(reply, DomainError)
        if not isinstance(reply, DomainError):
            self._ring.complain(f"task {definition.task_guid} was deleted, and is desired again")

    async def _read_back(self, guid: str) -> None:
        """Linearizable: what was acknowledged before is seen, on whichever member."""
        task = self.tasks[guid]
        try:
            await self._workload.client.call(
                "diegod.v1.TaskService/Get", task_pb2.GetTaskRequest(task_guid=guid)
            )
        except DomainError as error:
            if error.reason is Reason.RESOURCE_NOT_FOUND and not task.deleting:
                self._ring.complain(f"task {guid} was acknowledged, and a read does not find it")


def task_definition(guid: str, *script: str) -> TaskDefinition:
    definition = TaskDefinition(task_guid=guid, rootfs="preloaded:busybox", memory_mb=64)
    definition.action.run.path = "/bin/program"
    definition.action.run.args.extend(script)
    return definition
