"""Schedules: tasks made from one definition, by the clock or by dispatch."""

from collections.abc import Mapping
from typing import Any

from diegod.client.ports import Cluster, begun_within
from diegod.v1 import definition_pb2, record_pb2, task_pb2
from diegod.world import Ids

_SERVICE = "diegod.v1.TaskScheduleService"
_Verb = task_pb2.ControlScheduleRequest


class Schedules:
    def __init__(self, cluster: Cluster, ids: Ids, timeout_s: float) -> None:
        self._cluster = cluster
        self._ids = ids
        self._timeout_s = timeout_s

    async def desire(
        self,
        definition: definition_pb2.TaskScheduleDefinition,
        *,
        expected_revision: int = 0,
        cause: str = "",
    ) -> task_pb2.DesireScheduleReply:
        """Store or replace a schedule. `expected_revision` refuses what changed meanwhile."""
        request = task_pb2.DesireScheduleRequest(
            request_id=self._ids.new_id(),
            definition=definition,
            expected_revision=expected_revision,
            cause=cause,
        )
        reply: task_pb2.DesireScheduleReply = await self._call("Desire", request)
        return reply

    async def pause(self, name: str, cause: str = "") -> record_pb2.TaskSchedule:
        """No slot is fired until it is resumed; what falls into the pause is not missed."""
        return await self._control(name, _Verb.PAUSE, cause)

    async def resume(self, name: str, cause: str = "") -> record_pb2.TaskSchedule:
        return await self._control(name, _Verb.RESUME, cause)

    async def remove(self, name: str, cause: str = "") -> record_pb2.TaskSchedule:
        """Its tasks stay; the schedule as it was is the answer."""
        return await self._control(name, _Verb.REMOVE, cause)

    async def dispatch(
        self,
        name: str,
        parameters: Mapping[str, str] | None = None,
        *,
        payload: bytes = b"",
        request_id: str = "",
        cause: str = "",
    ) -> task_pb2.DispatchTaskReply:
        """Make a task now. The same `request_id` again answers with the same task."""
        request = task_pb2.DispatchTaskRequest(
            request_id=request_id or self._ids.new_id(),
            name=name,
            parameters=parameters or {},
            payload=payload,
            cause=cause,
        )
        reply: task_pb2.DispatchTaskReply = await self._call("Dispatch", request)
        return reply

    async def get(self, name: str) -> record_pb2.TaskSchedule:
        reply: task_pb2.GetScheduleReply = await self._call(
            "Get", task_pb2.GetScheduleRequest(name=name)
        )
        return reply.schedule

    async def list(self, *, domain: str = "") -> list[record_pb2.TaskSchedule]:
        """Every schedule that matches, as of one revision."""
        request = task_pb2.ListSchedulesRequest(domain=domain)
        replies = self._cluster.stream(f"{_SERVICE}/List", request)
        return [
            schedule
            async for reply in begun_within(replies, self._timeout_s)
            for schedule in reply.schedules
        ]

    async def _control(
        self, name: str, verb: task_pb2.ControlScheduleRequest.Verb.ValueType, cause: str
    ) -> record_pb2.TaskSchedule:
        request = task_pb2.ControlScheduleRequest(
            request_id=self._ids.new_id(), name=name, verb=verb, cause=cause
        )
        reply: task_pb2.ControlScheduleReply = await self._call("Control", request)
        return reply.schedule

    async def _call(self, verb: str, request: Any) -> Any:
        return await self._cluster.call(f"{_SERVICE}/{verb}", request, self._timeout_s)
