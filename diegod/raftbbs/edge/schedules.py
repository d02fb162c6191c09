"""TaskScheduleService: tasks that are made from one definition, by the clock or by dispatch."""

import hashlib
from collections.abc import AsyncIterator, Iterator

from diegod.internal.v1 import command_pb2 as c
from diegod.models import admission, schedule_rules
from diegod.models.errors import DomainError, Problem, Reason
from diegod.raftbbs.edge.access import Access, invalid, unhurried
from diegod.raftbbs.store.state import StateView
from diegod.rpc.handlers import Handlers
from diegod.security.identity import Principal
from diegod.v1 import task_pb2 as api
from diegod.v1.definition_pb2 import TaskDefinition, TaskScheduleDefinition
from diegod.v1.record_pb2 import TaskSchedule

_SERVICE = "diegod.v1.TaskScheduleService"
_DISPATCHED_ID_BYTES = 6


class TaskScheduleService:
    def __init__(self, access: Access) -> None:
        self._access = access

    def handlers(self) -> Handlers:
        return {
            f"{_SERVICE}/Desire": self.desire,
            f"{_SERVICE}/Control": self.control,
            f"{_SERVICE}/Dispatch": self.dispatch,
            f"{_SERVICE}/Get": self.get,
            f"{_SERVICE}/List": self.list,
        }

    async def desire(
        self, request: api.DesireScheduleRequest, caller: Principal
    ) -> api.DesireScheduleReply:
        command = _desired(request.definition, request.expected_revision)
        outcome = await self._access.write(caller, request, command)
        reply = api.DesireScheduleReply(already_there=outcome.unchanged)
        reply.schedule.CopyFrom(outcome.task_schedule)
        return reply

    async def control(
        self, request: api.ControlScheduleRequest, caller: Principal
    ) -> api.ControlScheduleReply:
        control = c.ControlSchedule(name=request.name, verb=request.verb)
        outcome = await self._access.write(caller, request, c.Command(control_schedule=control))
        reply = api.ControlScheduleReply()
        reply.schedule.CopyFrom(outcome.task_schedule)
        return reply

    async def dispatch(
        self, request: api.DispatchTaskRequest, caller: Principal
    ) -> api.DispatchTaskReply:
        """Its guid is made of the request's id: sent twice, it is one task."""
        if not request.request_id:
            raise invalid([Problem("request_id", "is required: the task's guid is made of it")])
        await self._access.read(stale=False)
        with self._access.state() as state:
            schedule = state.task_schedule(request.name)
            if schedule is None:
                raise _missing(request.name)
            definition = _task_definition(state, request.name)
        command = _dispatched(schedule, definition, request)
        outcome = await self._access.write(caller, request, command)
        reply = api.DispatchTaskReply(already_there=outcome.unchanged)
        reply.task.CopyFrom(outcome.task)
        return reply

    async def get(self, request: api.GetScheduleRequest, caller: Principal) -> api.GetScheduleReply:
        await self._access.read(request.stale)
        with self._access.state() as state:
            schedule = state.task_schedule(request.name)
            if schedule is None:
                raise _missing(request.name)
            schedule.definition.CopyFrom(_definition(state, request.name))
            return api.GetScheduleReply(
                schedule=schedule, revision=state.counters().revision
            )

    async def list(
        self, request: api.ListSchedulesRequest, caller: Principal
    ) -> AsyncIterator[api.ListSchedulesReply]:
        pages = self._access.pages(
            lambda state, after: unhurried(_rows(state, after)),
            request,
            lambda schedule: request.domain in ("", schedule.domain),
        )
        async for rows, revision, token in pages:
            yield api.ListSchedulesReply(schedules=rows, revision=revision, page_token=token)


def _desired(definition: TaskScheduleDefinition, expected_revision: int) -> c.Command:
    """The command that stores both definitions, closed, beside the row made of them."""
    if problems := admission.problems(definition):
        raise invalid(problems)
    admission.fill_defaults(definition)
    row = admission.schedule_row(definition)
    task = definition.task.SerializeToString(deterministic=True)
    definition.ClearField("task")
    desire = c.DesireSchedule(
        schedule=row,
        definition=definition.SerializeToString(deterministic=True),
        task_definition=task,
        expected_revision=expected_revision,
    )
    return c.Command(desire_schedule=desire)


def _dispatched(
    schedule: TaskSchedule, definition: TaskDefinition, request: api.DispatchTaskRequest
) -> c.Command:
    variables, found = schedule_rules.given(schedule, request.parameters, request.payload)
    if found:
        raise invalid(found)
    digest = hashlib.blake2b(request.request_id.encode(), digest_size=_DISPATCHED_ID_BYTES)
    definition.task_guid = f"{schedule.name}-dispatched-{digest.hexdigest()}"
    payload = variables.pop(schedule_rules.PAYLOAD_VARIABLE, None)
    definition.environment_variables.update(variables)
    if problems := admission.problems(definition):
        raise invalid(problems)
    if payload is not None:  # of a reserved name: only we may set it
        definition.environment_variables[schedule_rules.PAYLOAD_VARIABLE] = payload
    row = admission.task_row(definition)
    row.schedule_name = schedule.name
    closed = definition.SerializeToString(deterministic=True)
    return c.Command(desire_task=c.DesireTask(task=row, definition=closed))


def _definition(state: StateView, name: str) -> TaskScheduleDefinition:
    definition = TaskScheduleDefinition.FromString(state.schedule_definition(name) or b"")
    definition.task.CopyFrom(_task_definition(state, name))
    return definition


def _task_definition(state: StateView, name: str) -> TaskDefinition:
    return TaskDefinition.FromString(state.schedule_task_definition(name) or b"")


def _rows(state: StateView, after: bytes) -> Iterator[tuple[bytes, TaskSchedule]]:
    for schedule in state.tables.task_schedules.scan(state.transaction):
        key = schedule.name.encode()
        if key > after:
            yield key, schedule


def _missing(name: str) -> DomainError:
    return DomainError(Reason.RESOURCE_NOT_FOUND, f'there is no schedule "{name}"')
