"""One storm from its first process to its judgement."""

import asyncio
import json
import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from diegod.client import Client
from diegod.models.errors import DomainError
from diegod.v1.record_pb2 import Task
from tests.chaos.members import ChaosError, Member
from tests.chaos.network import Network
from tests.chaos.places import RUN_VARIABLE, Places
from tests.storm import faults, verdict
from tests.storm.faults import Event, Storm
from tests.storm.site import CELLS, PARTS, Site
from tests.storm.verdict import Verdict
from tests.storm.work import Work

#: A complete line of standard output in the log format of conmon.
_LOG_LINE = re.compile(r"^\S+ stdout F (.*)$", re.MULTILINE)
_LOOK_S = 0.5


@dataclass(frozen=True)
class Plan:
    seed: int
    tasks: int
    rate: float
    calm: bool
    keep: Path
    say: Callable[[str], None] = print


@dataclass
class Report:
    plan: Plan
    events: Sequence[Event]
    verdict: Verdict
    terminal_after_s: float
    seconds: float

    @property
    def problems(self) -> list[str]:
        return self.verdict.problems

    def lines(self) -> list[str]:
        told = self.verdict
        kinds = Counter(event.kind for event in self.events)
        return [
            f"{told.tasks} tasks, seed {self.plan.seed}, {self.seconds:.0f} s",
            *(f"  {kind:<40} {count:>6}" for kind, count in sorted(kinds.items())),
            f"  {'faults':<40} {len(self.events):>6}",
            f"  {'ended as they were to':<40} {told.as_wished:>6}   {told.as_wished_share:.2%}",
            f"  {'of unknown outcome':<40} {len(told.unknown):>6}   {told.unknown_share:.2%}",
            *(f"  {reason[:60]:<60} {count:>6}" for reason, count in told.failed.most_common()),
            *(f"  {f'wrote {n} lines':<40} {told.lines[n]:>6}" for n in sorted(told.lines)),
            f"  {'all terminal after the last fault':<40} {self.terminal_after_s:>6.1f} s",
            *(f"  unknown: {guid} {why}" for guid, why in list(told.unknown.items())[:20]),
        ]

    def as_json(self) -> dict[str, object]:
        return {
            "seed": self.plan.seed,
            "tasks": self.verdict.tasks,
            "as_wished": self.verdict.as_wished,
            "unknown": self.verdict.unknown,
            "failed": dict(self.verdict.failed),
            "lines": dict(self.verdict.lines),
            "events": [asdict(event) for event in self.events],
            "terminal_after_s": self.terminal_after_s,
            "problems": self.problems,
        }


class Run:
    def __init__(self, plan: Plan, places: Places) -> None:
        self._plan = plan
        self._places = places
        self._network = Network(places, PARTS)
        self._site = Site(places, self._network.addresses)
        self.complaints: list[str] = []
        self._parts: dict[str, Member] = {}

    def build(self) -> None:
        """All that needs no cluster; afterwards this process is in the hub."""
        self._network.build()
        self._site.found()
        self._network.enter_hub()

    async def carry_out(self) -> Report:
        self._parts = {
            name: Member(node, self._network, self._places.run, self.complaints.append)
            for name, node in self._site.nodes.items()
        }
        client = Client(self._site.apis(), self._places.user, timeout_s=8.0)
        try:
            await self._start()
            return await self._storm(client)
        finally:
            await client.close()
            for part in self._parts.values():
                await part.end()

    def clean(self) -> None:
        """Remove the containers. The processes have ended, and the namespaces are still there."""
        faults.sweep(self._site, self._network, CELLS, self._environment())

    def keep_logs(self) -> None:
        for name, node in self._site.nodes.items():
            if node.log.exists():
                (self._plan.keep / f"{name}.log").write_bytes(node.log.read_bytes())

    def _environment(self) -> Mapping[str, str]:
        path = os.pathsep.join(filter(None, sys.path))
        own = {"PYTHONPATH": path, RUN_VARIABLE: self._places.run}
        return {**os.environ, **own, "DIEGOD_STORM_PYTHON": sys.executable}

    async def _start(self) -> None:
        for part in self._parts.values():
            await part.start()
        for part in self._parts.values():
            await part.ready()

    async def _storm(self, client: Client) -> Report:
        plan, began = self._plan, time.monotonic()
        work = Work(client, plan.tasks, plan.rate, random.Random(f"{plan.seed}/work"))
        chance = random.Random(f"{plan.seed}/faults")
        storm = Storm(self._site, self._network, self._parts, chance)
        submitting = asyncio.create_task(work.submit_all())
        while not submitting.done():
            if plan.calm:
                await asyncio.wait([submitting])
                break
            for event in await storm.strike():
                at = event.began_s - time.time() + time.monotonic() - began
                lasted = event.ended_s - event.began_s
                plan.say(f"{at:7.1f} s  {event.kind}: {event.target}, {lasted:.1f} s")
        await submitting
        calm_since = time.monotonic()
        rows = await self._ended(client, work, calm_since)
        terminal_after_s = time.monotonic() - calm_since
        told = verdict.judge(work.wishes, rows, storm.events, self._lines_of)
        told.problems += [*self.complaints, *(f"{g}: {why}" for g, why in work.failed.items())]
        report = Report(plan, storm.events, told, terminal_after_s, time.monotonic() - began)
        (plan.keep / "report.json").write_text(json.dumps(report.as_json(), indent=1))
        return report

    async def _ended(self, client: Client, work: Work, since: float) -> dict[str, Task]:
        """All tasks once they are terminal, or when that has taken too long."""
        while True:
            try:
                rows = {task.task_guid: task for task in await client.tasks.list()}
            except DomainError as error:
                raise ChaosError(f"the end could not be read: {error}") from error
            open_ = [g for g in work.acknowledged if rows[g].state != Task.COMPLETED]
            if not open_ or time.monotonic() - since > verdict.TERMINAL_WITHIN_S:
                return rows
            await asyncio.sleep(_LOOK_S)

    def _lines_of(self, guid: str) -> list[str]:
        return [
            line
            for log in self._site.logs_of(f"t-{guid}-")
            for line in _LOG_LINE.findall(log.read_text(errors="replace"))
        ]


