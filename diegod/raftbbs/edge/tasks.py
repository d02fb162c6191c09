"""TaskService."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from diegod.internal.v1 import command_pb2 as c
from diegod.models import admission
from diegod.models.errors import DomainError
from diegod.raftbbs.edge.access import Access, envelope, invalid, raise_refusal, unhurried
from diegod.raftbbs.edge.bulk import Answer, Write, in_bulk
from diegod.rpc.handlers import Handlers
from diegod.security.identity import Principal
from diegod.v1 import task_pb2 as api
from diegod.v1.definition_pb2 import TaskDefinition
from diegod.v1.record_pb2 import Task

_SERVICE = "diegod.v1.TaskService"
#: Of one message. The event loop also carries the heartbeats of the log.
_ADMITTED_A_TURN = 64


class TaskService:
    def __init__(self, access: Access) -> None:
        self._access = access

    def handlers(self) -> Handlers:
        return {
            f"{_SERVICE}/Desire": self.desire,
            f"{_SERVICE}/DesireMany": self.desire_many,
            f"{_SERVICE}/DesireBulk": self.desire_bulk,
            f"{_SERVICE}/Get": self.get,
            f"{_SERVICE}/List": self.list,
            f"{_SERVICE}/Cancel": self.cancel,
            f"{_SERVICE}/Delete": self.delete,
            f"{_SERVICE}/Resolve": self.resolve,
        }

    async def desire(
        self, request: api.DesireTaskRequest, caller: Principal
    ) -> api.DesireTaskReply:
        outcome = await self._access.write(caller, request, _desired(request.definition))
        return _answer(api.DesireTaskReply(), outcome)

    async def desire_many(
        self, requests: AsyncIterator[api.DesireTaskRequest], caller: Principal
    ) -> AsyncIterator[api.DesireTaskReply]:
        async def writes() -> AsyncIterator[Sequence[Write]]:
            async for request in requests:
                yield [_write(request, caller)]

        async for answers in in_bulk(self._access.member.submit, writes()):
            for answer in answers:
                yield _answer(api.DesireTaskReply(), answer)

    async def desire_bulk(
        self, messages: AsyncIterator[api.DesireTasksRequest], caller: Principal
    ) -> AsyncIterator[api.DesireTasksReply]:
        async def writes() -> AsyncIterator[Sequence[Write]]:
            async for message in messages:
                for start in range(0, len(message.requests), _ADMITTED_A_TURN):
                    some = message.requests[start : start + _ADMITTED_A_TURN]
                    yield [_write(request, caller) for request in some]
                    await asyncio.sleep(0)

        async for answers in in_bulk(self._access.member.submit, writes()):
            message = api.DesireTasksReply()
            for answer in answers:
                _answer(message.replies.add(), answer)
            yield message

    async def get(self, request: api.GetTaskRequest, caller: Principal) -> api.GetTaskReply:
        await self._access.read(request.stale)
        with self._access.state() as state:
            task = state.task(request.task_guid)
            if task is None:
                raise_refusal(_missing(request.task_guid))
            reply = api.GetTaskReply(revision=state.counters().revision)
            reply.task.CopyFrom(task or Task())
            closed = state.task_definition(request.task_guid)
            reply.task.definition.CopyFrom(TaskDefinition.FromString(closed or b""))
            return reply

    async def list(
        self, request: api.ListTasksRequest, caller: Principal
    ) -> AsyncIterator[api.ListTasksReply]:
        def matches(task: Task) -> bool:
            return (
                request.domain in ("", task.domain)
                and request.cell_id in ("", task.cell_id, task.placed_cell_id)
                and request.state in (Task.INVALID, task.state)
            )

        pages = self._access.pages(
            lambda state, after: unhurried(state.tables.tasks.scan(state.transaction, after)),
            request,
            matches,
        )
        async for tasks, revision, token in pages:
            yield api.ListTasksReply(tasks=tasks, revision=revision, page_token=token)

    async def cancel(
        self, request: api.CancelTaskRequest, caller: Principal
    ) -> api.CancelTaskReply:
        command = c.Command(cancel_task=c.CancelTask(task_guid=request.task_guid))
        outcome = await self._access.write(caller, request, command)
        reply = api.CancelTaskReply()
        reply.task.CopyFrom(outcome.task)
        return reply

    async def delete(
        self, request: api.DeleteTaskRequest, caller: Principal
    ) -> api.DeleteTaskReply:
        command = c.Command(delete_task=c.DeleteTask(task_guid=request.task_guid))
        outcome = await self._access.write(caller, request, command)
        return api.DeleteTaskReply(revision=outcome.revision)

    async def resolve(
        self, request: api.ResolveTaskRequest, caller: Principal
    ) -> api.ResolveTaskReply:
        command = c.Command(resolve_task=c.ResolveTask(task_guid=request.task_guid))
        outcome = await self._access.write(caller, request, command)
        reply = api.ResolveTaskReply()
        reply.task.CopyFrom(outcome.task)
        return reply


def _write(request: api.DesireTaskRequest, caller: Principal) -> Write:
    try:
        return envelope(caller, request, _desired(request.definition))
    except DomainError as error:
        return error


def _answer(reply: api.DesireTaskReply, answer: Answer) -> api.DesireTaskReply:
    """Fill in what became of it. In a stream, a refusal is a reply as well."""
    if isinstance(answer, DomainError):
        reply.error_reason, reply.error_message = answer.reason.value, answer.message
    elif answer.reason:
        reply.error_reason, reply.error_message = answer.reason, answer.message
    else:
        reply.already_there = answer.unchanged
        reply.task.CopyFrom(answer.task)
    return reply


def _desired(definition: TaskDefinition) -> c.Command:
    """The command that stores the definition, closed, beside the row made of it."""
    if problems := admission.problems(definition):
        raise invalid(problems)
    admission.fill_defaults(definition)
    closed = definition.SerializeToString(deterministic=True)
    row = admission.task_row(definition)
    return c.Command(desire_task=c.DesireTask(task=row, definition=closed))


def _missing(task_guid: str) -> c.Outcome:
    return c.Outcome(reason="ResourceNotFound", message=f'there is no task "{task_guid}"')
