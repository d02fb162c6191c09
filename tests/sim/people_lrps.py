"""People who run LRPs: new versions, good and bad, restarts, rollbacks, canaries, scaling, removal.

One in two seeds has an LRP that runs on every cell; one LRP waits for another; one is in a domain
that is fresh only now and then.
"""

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from diegod.models.errors import DomainError, Reason
from diegod.raftbbs.store.state import StateView
from diegod.v1 import domain_pb2, lrp_pb2
from diegod.v1.definition_pb2 import LrpDefinition, UpdatePolicy

if TYPE_CHECKING:
    from tests.sim.ring import Ring
    from tests.sim.workload import Workload

INSTANCES_MAX = 4
DOMAIN = "shop"
PATIENCE_MS = 600_000
_Control = lrp_pb2.ControlLrpRequest
#: What is done to an LRP that is there, and how often.
_VERBS = {
    "apply": 6, "scale": 6, "remove": 2, "retire": 3,
    "stop": 2, "start": 2, "restart": 3, "pause": 1, "resume": 2, "promote": 3, "rollback": 3,
}  # fmt: skip


@dataclass
class DesiredProcess:
    """How many instances there may be; None: the LRP is not there."""

    acknowledged: int | None = None
    possible: list[int | None] = field(default_factory=list)
    versions: int = 0


class PeopleOfLrps:
    def __init__(self, ring: "Ring", workload: "Workload") -> None:
        self._ring = ring
        self._workload = workload
        self._chance: random.Random = ring.chance("LRPs")
        self.processes: dict[str, DesiredProcess] = {}

    async def run(self, until_s: float) -> None:
        guids = ["web-0", "web-1", "shop-0", "app-0"]
        if self._chance.random() < 0.5:
            guids.append("agent-0")
        await asyncio.gather(self._freshen(until_s), *(self._one(each, until_s) for each in guids))

    async def settle(self) -> None:
        """A version that can't run is replaced by one that can, and nobody gives that up before the
        story ends; what was stopped is started."""
        for guid, process in self.processes.items():
            if any(each is not None for each in (process.acknowledged, *process.possible)):
                await self._apply(guid, process, is_last=True)
                await self._control(guid, "start")
        await self._upsert(0)

    def check(self, state: StateView) -> None:
        for guid, process in self.processes.items():
            desired = state.desired_lrp(guid)
            is_there = desired is not None and not desired.removing
            instances = desired.instances if desired is not None and is_there else None
            if instances not in (process.acknowledged, *process.possible):
                self._ring.complain(
                    f"{guid} has {instances} instances, {process.acknowledged} were acknowledged"
                )

    async def _freshen(self, until_s: float) -> None:
        """For a while it is said that all of the domain is desired, and then not."""
        while self._workload.now() < until_s:
            if self._chance.random() < 0.6:
                await self._upsert(self._chance.choice((2, 5, 20)))
            else:
                request = domain_pb2.RemoveDomainRequest(domain=DOMAIN)
                await self._workload.call("Domain", "Remove", request)
            await asyncio.sleep(self._chance.uniform(4.0, 12.0))

    async def _upsert(self, ttl_s: int) -> None:
        request = domain_pb2.UpsertDomainRequest(domain=DOMAIN, ttl_s=ttl_s)
        await self._workload.call("Domain", "Upsert", request)

    async def _one(self, guid: str, until_s: float) -> None:
        chance = self._chance
        while self._workload.now() < until_s:
            process = self.processes.setdefault(guid, DesiredProcess())
            if process.acknowledged is None:
                await self._apply(guid, process)
            else:
                [verb] = chance.choices(list(_VERBS), list(_VERBS.values()))
                await self._do(verb, guid, process)
            await asyncio.sleep(chance.uniform(1.5, 8.0))

    async def _do(self, verb: str, guid: str, process: DesiredProcess) -> None:
        if verb == "apply":
            await self._apply(guid, process)
        elif verb == "scale":
            instances = self._chance.randint(1, INSTANCES_MAX)
            request = lrp_pb2.ScaleLrpRequest(process_guid=guid, instances=instances)
            await self._write(process, "Scale", request, instances)
        elif verb == "remove":
            removal = lrp_pb2.RemoveLrpRequest(process_guid=guid)
            await self._write(process, "Remove", removal, None)
        elif verb == "retire":
            index = self._chance.randrange(process.acknowledged or 1)
            retirement = lrp_pb2.RetireInstanceRequest(process_guid=guid, index=index)
            await self._workload.call("Lrp", "Retire", retirement)
        else:
            await self._control(guid, verb)

    async def _control(self, guid: str, verb: str) -> None:
        request = _Control(process_guid=guid, verb=_Control.Verb.Value(verb.upper()))
        await self._workload.call("Lrp", "Control", request)

    async def _apply(self, guid: str, process: DesiredProcess, is_last: bool = False) -> None:
        process.versions += 1
        is_good = is_last or self._chance.random() < 0.85
        at_a_time = -(-len(self._ring.cells) // 8)
        definition = _lrp(guid, process.versions, self._chance, at_a_time, is_good=is_good)
        if is_last:
            definition.update.progress_deadline_ms = PATIENCE_MS
        request = lrp_pb2.DesireLrpRequest(definition=definition)
        await self._write(process, "Desire", request, definition.instances)

    async def _write(
        self, process: DesiredProcess, verb: str, request: Any, instances: int | None
    ) -> None:
        reply, is_certain = await self._workload.call("Lrp", verb, request)
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


def _lrp(
    guid: str, version: int, chance: random.Random, at_a_time: int, *, is_good: bool
) -> LrpDefinition:
    """`at_a_time`: on so many cells a GLOBAL one is replaced at once."""
    definition = LrpDefinition(process_guid=guid, rootfs="preloaded:busybox", memory_mb=96)
    definition.instances = chance.randint(1, INSTANCES_MAX)
    definition.action.run.path = "/bin/server"
    crashes = chance.choice((0, 0, 0.5))
    definition.action.run.args.extend([f"version={version}", f"crashes={crashes}"])
    if not is_good:
        definition.action.run.args.append("fails=1")
    definition.stop_timeout_ms = 2000
    policy = definition.crash_policy
    policy.backoff_ms, policy.max_backoff_ms, policy.max_restarts = 500, 4000, 0
    if chance.random() < 0.5:
        check = definition.check_definition.checks.add(interval_ms=10_000)
        check.command_check.path = "/bin/check"
    if chance.random() < 0.3:
        check = definition.check_definition.readiness_checks.add(interval_ms=5000)
        check.command_check.path = "/bin/ready"
    _set_update(definition.update, chance)
    if guid.startswith("agent"):
        definition.mode, definition.memory_mb = LrpDefinition.GLOBAL, 32
        definition.instances = 1
        definition.update.max_in_flight = at_a_time
        definition.update.max_unavailable = at_a_time
    if guid.startswith("shop"):
        definition.domain = DOMAIN
    if guid.startswith("app"):
        definition.depends_on.add(lrp="web-0")
    return definition


def _set_update(update: UpdatePolicy, chance: random.Random) -> None:
    update.strategy = chance.choice((UpdatePolicy.ROLLING,) * 4 + (UpdatePolicy.RECREATE,))
    update.order = chance.choice((UpdatePolicy.START_FIRST,) * 2 + (UpdatePolicy.STOP_FIRST,))
    update.max_in_flight = chance.choice((1, 1, 2))
    if update.strategy == UpdatePolicy.ROLLING:
        update.canaries = chance.choice((0, 0, 1))
    update.min_healthy_ms = chance.choice((0, 300, 1500))
    update.progress_deadline_ms = chance.choice((8000, 15_000))
    update.on_failure = chance.choice((UpdatePolicy.ROLLBACK, UpdatePolicy.PAUSE))
