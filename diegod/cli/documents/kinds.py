"""Documents of any kind against a cluster: planned, and applied one after the other."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from diegod.cli.lrp.planning import lrp_plan_of
from diegod.cli.lrp.store import store
from diegod.cli.terminal.errors import REFUSED, USAGE, CliError
from diegod.cli.terminal.session import Session
from diegod.models.admission import fill_defaults
from diegod.models.apply_order import CycleError, Document, in_apply_order, ref_of
from diegod.models.errors import DomainError, Reason
from diegod.models.plan import Plan
from diegod.models.plan_others import plan_domain, plan_schedule, plan_task
from diegod.v1.definition_pb2 import (
    DomainDefinition,
    LrpDefinition,
    TaskDefinition,
    TaskScheduleDefinition,
)
from diegod.v1.record_pb2 import DesiredLrp, Task, TaskSchedule

if TYPE_CHECKING:
    from diegod.client import Client

D = TypeVar("D", TaskDefinition, TaskScheduleDefinition)
_CAUSE = "diegod apply"


def ordered(documents: Sequence[Document]) -> list[Document]:
    """As they have to be applied; CliError if two are of one name, or wait for one another."""
    refs = [ref_of(each) for each in documents]
    twice = sorted({f"{kind} {name}" for kind, name in refs if refs.count((kind, name)) > 1})
    if twice:
        raise CliError("nothing was stored", USAGE, [f"{each} is given twice" for each in twice])
    try:
        return in_apply_order(documents)
    except CycleError as error:
        raise CliError(str(error), USAGE) from None


async def plan_of(client: "Client", document: Document) -> Plan:
    """What `apply` would make of it as things are now."""
    if isinstance(document, LrpDefinition):
        return await lrp_plan_of(client, document)
    if isinstance(document, TaskDefinition):
        return plan_task(await _task(client, document.task_guid), _filled(document))
    if isinstance(document, TaskScheduleDefinition):
        return plan_schedule(await _schedule(client, document.name), _filled(document))
    domains = {each.domain.domain: each.domain for each in await client.domains.list()}
    current = domains.get(document.domain)
    has_row = current is not None and current.provenance.revision > 0
    return plan_domain(current if has_row else None, document)


def _filled(document: D) -> D:
    """As the BBS stores it."""
    filled = type(document)()
    filled.CopyFrom(document)
    fill_defaults(filled)
    return filled


async def _task(client: "Client", guid: str) -> Task | None:
    try:
        return await client.tasks.get(guid)
    except DomainError as error:
        if error.reason is Reason.RESOURCE_NOT_FOUND:
            return None
        raise


async def _schedule(client: "Client", name: str) -> TaskSchedule | None:
    try:
        return await client.schedules.get(name)
    except DomainError as error:
        if error.reason is Reason.RESOURCE_NOT_FOUND:
            return None
        raise


async def apply_one(session: Session, client: "Client", document: Document) -> DesiredLrp | None:
    """Store it and say so; an LRP is handed back, to be seen coming up."""
    if isinstance(document, LrpDefinition):
        return await store(session, client, document, at=None, cause=_CAUSE)
    if isinstance(document, TaskDefinition):
        reply = await client.tasks.desire(document, cause=_CAUSE)
        there = "is already there" if reply.already_there else "is stored"
        session.say(f"task {document.task_guid} {there} ({Task.State.Name(reply.task.state)})")
    elif isinstance(document, TaskScheduleDefinition):
        answer = await client.schedules.desire(document, cause=_CAUSE)
        there = "no change" if answer.already_there else "stored"
        session.say(f"schedule {document.name}: {there}")
    else:
        await client.domains.upsert(document.domain, document.ttl_s, _CAUSE)
        session.say(f"domain {document.domain} is fresh{_how_long(document)}")
    return None


def _how_long(domain: DomainDefinition) -> str:
    return f" for {domain.ttl_s} s" if domain.ttl_s else ", always"


def refused(error: DomainError, document: Document, done: int, count: int) -> CliError:
    """What is stored stays: the message says how far it got."""
    kind, name = ref_of(document)
    stored = f"{done} of {count} documents were applied"
    details = [str(each) for each in error.problems]
    message = f"{kind} {name}: {error.message}. {stored}; apply again when it is put right"
    return CliError(message, USAGE if error.reason is Reason.INVALID_REQUEST else REFUSED, details)
