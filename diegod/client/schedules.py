"""Task schedules: tasks made from one definition, by the clock or by dispatch."""

from collections.abc import Mapping
from typing import Any

from diegod.client.ports import Cluster, begun_within
from diegod.v1 import definition_pb2, record_pb2, task_pb2
from diegod.world import Ids

_SERVICE = "diegod.v1.TaskScheduleService"
Verb = task_pb2.ControlScheduleRequest.Verb


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
        """Create a schedule or replace it. An equal one is answered `already_there`."""
        request = task_pb2.DesireScheduleRequest(
            request_id=self._ids.new_id(),
            definition=definition,
            expected_revision=expected_revision,
            cause=cause,
        )
        reply: task_pb2.DesireScheduleReply = await self._call("Desire", request)
        return reply

    async def control(
        self, name: str, verb: Verb.ValueType, cause: str = ""
    ) -> record_pb2.TaskSchedule:
        """PAUSE, RESUME or REMOVE."""
        request = task_pb2.ControlScheduleRequest(
            request_id=self._ids.new_id(), name=name, verb=verb, cause=cause
        )
        reply: task_pb2.ControlScheduleReply = await self._call("Control", request)
        return reply.schedule

    async def dispatch(
        self,
        name: str,
        parameters: Mapping[str, str] | None = None,
        payload: bytes = b"",
        cause: str = "",
    ) -> record_pb2.Task:
        """Make one task of it, now; the request id makes a repeated call the same task."""
        request = task_pb2.DispatchTaskRequest(
            request_id=self._ids.new_id(),
            name=name,
            parameters=parameters or {},
            payload=payload,
            cause=cause,
        )
        reply: task_pb2.DispatchTaskReply = await self._call("Dispatch", request)
        return reply.task

    async def get(self, name: str) -> record_pb2.TaskSchedule:
        reply: task_pb2.GetScheduleReply = await self._call(
            "Get", task_pb2.GetScheduleRequest(name=name)
        )
        return reply.schedule

    async def list(self, *, domain: str = "") -> list[record_pb2.TaskSchedule]:
        """Every schedule, as of one revision."""
        request = task_pb2.ListSchedulesRequest(domain=domain)
        replies = self._cluster.stream(f"{_SERVICE}/List", request)
        return [
            schedule
            async for reply in begun_within(replies, self._timeout_s)
            for schedule in reply.schedules
        ]

    async def _call(self, verb: str, request: Any) -> Any:
        return await self._cluster.call(f"{_SERVICE}/{verb}", request, self._timeout_s)
