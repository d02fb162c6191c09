"""Tasks: one-off work, started at most once."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from diegod.client.bulk import in_bulk
from diegod.client.ports import Cluster, begun_within
from diegod.models.errors import DomainError, Reason
from diegod.v1 import definition_pb2, record_pb2, task_pb2
from diegod.v1.event_pb2 import WatchRequest
from diegod.world import Ids

_SERVICE = "diegod.v1.TaskService"
#: What it comes to after its end: somebody is told of it, or resolves it.
ENDED = (record_pb2.Task.COMPLETED, record_pb2.Task.RESOLVING)


def task_definition(
    guid: str,
    *,
    rootfs: str,
    argv: Sequence[str],
    env: Mapping[str, str] | None = None,
    domain: str = "",
    memory_mb: int | None = None,
    execution_timeout_ms: int | None = None,
) -> definition_pb2.TaskDefinition:
    """The definition of one program and its arguments; everything else is left to the defaults."""
    run = definition_pb2.RunAction(path=argv[0], args=argv[1:])
    return definition_pb2.TaskDefinition(
        task_guid=guid,
        domain=domain,
        rootfs=rootfs,
        action=definition_pb2.Action(run=run),
        environment_variables=env or {},
        memory_mb=memory_mb,
        execution_timeout_ms=execution_timeout_ms,
    )


class Tasks:
    def __init__(self, cluster: Cluster, ids: Ids, timeout_s: float) -> None:
        self._cluster = cluster
        self._ids = ids
        self._timeout_s = timeout_s

    def new_guid(self) -> str:
        """A name for a task that nobody named."""
        return f"task-{self._ids.new_id()[:12]}"

    async def run(
        self,
        *,
        rootfs: str,
        argv: Sequence[str],
        guid: str = "",
        env: Mapping[str, str] | None = None,
        domain: str = "",
        memory_mb: int | None = None,
        execution_timeout_ms: int | None = None,
    ) -> record_pb2.Task:
        """Desire a task and wait for its end, whatever that is."""
        definition = task_definition(
            guid or self.new_guid(),
            rootfs=rootfs,
            argv=argv,
            env=env,
            domain=domain,
            memory_mb=memory_mb,
            execution_timeout_ms=execution_timeout_ms,
        )
        await self.desire(definition)
        return await self.wait(definition.task_guid)

    async def desire(
        self, definition: definition_pb2.TaskDefinition, cause: str = ""
    ) -> task_pb2.DesireTaskReply:
        """Store a task. The same definition again is answered with `already_there`."""
        request = task_pb2.DesireTaskRequest(
            request_id=self._ids.new_id(), definition=definition, cause=cause
        )
        reply: task_pb2.DesireTaskReply = await self._call("Desire", request)
        return reply

    async def desire_many(
        self, definitions: Iterable[definition_pb2.TaskDefinition], cause: str = ""
    ) -> AsyncIterator[task_pb2.DesireTaskReply]:
        """Store many tasks: a reply each, in their order; a refusal is in `error_reason`.

        Goes on by itself after a lost connection or a change of the leader: what was not answered
        is sent again under its request id. Ends when that has not helped for `timeout_s`.
        """
        requests = (
            task_pb2.DesireTaskRequest(
                request_id=self._ids.new_id(), definition=definition, cause=cause
            )
            for definition in definitions
        )
        async for reply in in_bulk(self._cluster, requests, self._timeout_s):
            yield reply

    async def get(self, guid: str) -> record_pb2.Task:
        reply: task_pb2.GetTaskReply = await self._call(
            "Get", task_pb2.GetTaskRequest(task_guid=guid)
        )
        return reply.task

    async def list(
        self,
        *,
        domain: str = "",
        cell_id: str = "",
        state: record_pb2.Task.State.ValueType = record_pb2.Task.INVALID,
    ) -> list[record_pb2.Task]:
        """Every task that matches, as of one revision."""
        request = task_pb2.ListTasksRequest(domain=domain, cell_id=cell_id, state=state)
        replies = self._cluster.stream(f"{_SERVICE}/List", request)
        return [
            task async for reply in begun_within(replies, self._timeout_s) for task in reply.tasks
        ]

    async def cancel(self, guid: str, cause: str = "") -> record_pb2.Task:
        request = task_pb2.CancelTaskRequest(
            request_id=self._ids.new_id(), task_guid=guid, cause=cause
        )
        reply: task_pb2.CancelTaskReply = await self._call("Cancel", request)
        return reply.task

    async def delete(self, guid: str, cause: str = "") -> int:
        """Remove the record of a completed task; the revision of the removal."""
        request = task_pb2.DeleteTaskRequest(
            request_id=self._ids.new_id(), task_guid=guid, cause=cause
        )
        reply: task_pb2.DeleteTaskReply = await self._call("Delete", request)
        return reply.revision

    async def resolve(self, guid: str, cause: str = "") -> record_pb2.Task:
        """Get a completed task for oneself, with its result; `delete` it within 30 s.

        One caller gets it: the others are refused with INVALID_STATE_TRANSITION.
        """
        request = task_pb2.ResolveTaskRequest(
            request_id=self._ids.new_id(), task_guid=guid, cause=cause
        )
        reply: task_pb2.ResolveTaskReply = await self._call("Resolve", request)
        return reply.task

    async def follow(self, guid: str) -> AsyncIterator[record_pb2.Task]:
        """The task as it is, then each time it has changed; ends once it has ended.

        Raises RESOURCE_NOT_FOUND when there is none, or when it is removed meanwhile.
        """
        request = WatchRequest(guid=guid, kinds=["task"])
        found = False
        async for reply in begun_within(self._cluster.watch(request), self._timeout_s):
            for change in [*reply.rows, *reply.changes]:
                if change.verb == record_pb2.Change.REMOVED:
                    raise _no_task(guid)
                found = True
                yield change.task
                if change.task.state in ENDED:
                    return
            if reply.rows_end and not found:
                raise _no_task(guid)

    async def wait(self, guid: str) -> record_pb2.Task:
        """The task once it has ended."""
        last = record_pb2.Task()
        async for task in self.follow(guid):
            last = task
        return last

    async def ends(self, guids: Iterable[str]) -> AsyncIterator[record_pb2.Task]:
        """Each of these tasks as it ends, over one watch.

        Raises RESOURCE_NOT_FOUND for one that is not there, or is removed before its end.
        """
        waiting = set(guids)
        request = WatchRequest(kinds=["task"])
        if len(waiting) == 1:
            request.guid = next(iter(waiting))
        seen: set[str] = set()
        if not waiting:
            return
        async for reply in begun_within(self._cluster.watch(request), self._timeout_s):
            for change in [*reply.rows, *reply.changes]:
                if change.task.task_guid not in waiting:
                    continue
                seen.add(change.task.task_guid)
                if change.verb == record_pb2.Change.REMOVED:
                    raise _no_task(change.task.task_guid)
                if change.task.state in ENDED:
                    waiting.discard(change.task.task_guid)
                    yield change.task
            if not waiting:
                return
            if reply.rows_end and (lost := sorted(waiting - seen)):
                raise _no_task(lost[0])

    async def _call(self, verb: str, request: Any) -> Any:
        return await self._cluster.call(f"{_SERVICE}/{verb}", request, self._timeout_s)


def _no_task(guid: str) -> DomainError:
    return DomainError(Reason.RESOURCE_NOT_FOUND, f'no task "{guid}"')
