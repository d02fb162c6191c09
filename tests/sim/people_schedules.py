"""People who have tasks made by the clock, and by dispatch."""

import asyncio
import random
from typing import TYPE_CHECKING

from diegod.v1 import task_pb2
from diegod.v1.definition_pb2 import TaskScheduleDefinition
from tests.sim.people_tasks import START_DEADLINE_MS, task_definition

if TYPE_CHECKING:
    from tests.sim.ring import Ring
    from tests.sim.workload import Workload

#: Name, cron expression and time zone; and every how many seconds that is, from any full hour.
SCHEDULES = {
    "minutely": ("* * * * *", "", 60),
    "often": ("*/1 * * * *", "Europe/Berlin", 60),
    "rarely": ("*/2 * * * *", "Asia/Kolkata", 120),
    "by-hand": ("", "", 0),  # only dispatched
    "slowly": ("* * * * *", "", 60),
}
#: Whose tasks are still under way when the next slot comes; nobody interferes with it.
SLOW, SLOW_S = "slowly", 62.0
_VERBS = ("dispatch", "dispatch", "PAUSE", "RESUME", "RESUME", "REMOVE", "desire", "")
_Control = task_pb2.ControlScheduleRequest


class PeopleOfSchedules:
    def __init__(self, ring: "Ring", workload: "Workload") -> None:
        self._ring = ring
        self._workload = workload
        self._chance: random.Random = ring.chance("schedules")
        self.dispatched = 0

    async def run(self, until_s: float) -> None:
        await asyncio.gather(*(self._one(name, until_s) for name in SCHEDULES))

    async def _one(self, name: str, until_s: float) -> None:
        chance = self._chance
        await asyncio.sleep(chance.uniform(0.5, 4.0))
        await self._desire(name)
        while self._workload.now() < until_s:
            verb = chance.choice(_VERBS if name != SLOW else ("desire", ""))
            if verb == "dispatch":
                await self._dispatch(name)
            elif verb == "desire":
                await self._desire(name)
            elif verb and (verb != "REMOVE" or chance.random() < 0.2):
                request = _Control(name=name, verb=_Control.Verb.Value(verb))
                await self._workload.call("TaskSchedule", "Control", request)
            await asyncio.sleep(chance.uniform(4.0, 15.0))

    async def _desire(self, name: str) -> None:
        cron, time_zone, _ = SCHEDULES[name]
        runs_s = SLOW_S if name == SLOW else self._chance.choice((0.5, 8.0))
        task = task_definition("", f"runs={runs_s}")
        task.start_deadline_ms = START_DEADLINE_MS
        definition = TaskScheduleDefinition(
            name=name,
            cron=cron,
            time_zone=time_zone,
            allow_overlap=name != SLOW and self._chance.random() < 0.3,
            late_ms=self._chance.choice((2000, 20_000)),
            task=task,
        )
        definition.parameters.add(name="WHAT", required=not cron, default_value="")
        if self._chance.random() < 0.3:
            definition.parameters.add(name="HOW", default_value="quickly")
        request = task_pb2.DesireScheduleRequest(definition=definition)
        await self._workload.call("TaskSchedule", "Desire", request)

    async def _dispatch(self, name: str) -> None:
        self.dispatched += 1
        request = task_pb2.DispatchTaskRequest(
            request_id=f"{name}-{self.dispatched}", name=name, payload=b"what to do"
        )
        request.parameters["WHAT"] = "everything"
        await self._workload.call("TaskSchedule", "Dispatch", request)
