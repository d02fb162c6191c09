"""DomainService: who vouches for what is desired, and what waits for that."""

from collections.abc import Mapping

from diegod.internal.v1 import command_pb2 as c
from diegod.models import domain_freshness
from diegod.models import field_rules as rules
from diegod.models.defaults import DEFAULT_DOMAIN
from diegod.models.errors import Problem
from diegod.models.limits import DOMAIN_TTL_S_MAX
from diegod.raftbbs.edge.access import Access, invalid, unhurried
from diegod.raftbbs.store.state import StateView
from diegod.rpc.handlers import Handlers
from diegod.security.identity import Principal
from diegod.v1 import domain_pb2 as api
from diegod.v1.record_pb2 import ActualLrp, DesiredLrp, Domain

_SERVICE = "diegod.v1.DomainService"
#: Of one domain; the rest is said by how they look.
WOULD_BE_REMOVED_MAX = 100


class DomainService:
    def __init__(self, access: Access) -> None:
        self._access = access

    def handlers(self) -> Handlers:
        return {
            f"{_SERVICE}/Upsert": self.upsert,
            f"{_SERVICE}/List": self.list,
            f"{_SERVICE}/Remove": self.remove,
        }

    async def upsert(
        self, request: api.UpsertDomainRequest, caller: Principal
    ) -> api.UpsertDomainReply:
        if problems := _problems(request):
            raise invalid(problems)
        upsert = c.UpsertDomain(domain=request.domain, ttl_s=request.ttl_s)
        outcome = await self._access.write(caller, request, c.Command(upsert_domain=upsert))
        reply = api.UpsertDomainReply()
        reply.domain.CopyFrom(outcome.domain)
        return reply

    async def list(
        self, request: api.ListDomainsRequest, caller: Principal
    ) -> api.ListDomainsReply:
        await self._access.read(request.stale)
        async with self._access.moment() as state:
            statuses = await statuses_of(state)
            reply = api.ListDomainsReply(revision=state.counters().revision)
        reply.domains.extend(statuses[name] for name in sorted(statuses))
        return reply

    async def remove(
        self, request: api.RemoveDomainRequest, caller: Principal
    ) -> api.RemoveDomainReply:
        command = c.Command(remove_domain=c.RemoveDomain(domain=request.domain))
        outcome = await self._access.write(caller, request, command)
        return api.RemoveDomainReply(revision=outcome.revision)


def _problems(request: api.UpsertDomainRequest) -> list[Problem]:
    return [
        *rules.required("domain", request.domain),
        *rules.domain("domain", request.domain),
        *rules.between("ttl_s", request.ttl_s, 0, DOMAIN_TTL_S_MAX),
    ]


async def statuses_of(state: StateView) -> Mapping[str, api.DomainStatus]:
    """Of every domain that has a row, or in which something is."""
    statuses = {DEFAULT_DOMAIN: _status(state, Domain(domain=DEFAULT_DOMAIN), None)}
    for row in state.tables.domains.scan(state.transaction):
        statuses[row.domain] = _status(state, row, row)

    def of(name: str) -> api.DomainStatus:
        if name not in statuses:
            statuses[name] = _status(state, Domain(domain=name), None)
        return statuses[name]

    async for _, task in unhurried(state.tables.tasks.scan(state.transaction)):
        of(task.domain).tasks += 1
    desired: dict[str, DesiredLrp] = {}
    async for _, lrp in unhurried(state.tables.desired_lrps.scan(state.transaction)):
        of(lrp.domain).lrps += 1
        desired[lrp.process_guid] = lrp
    async for _, instance in unhurried(state.tables.actual_lrps.scan(state.transaction)):
        _note_instance(of(instance.domain), instance, desired.get(instance.process_guid))
    return statuses


def _status(state: StateView, shown: Domain, row: Domain | None) -> api.DomainStatus:
    fresh = domain_freshness.is_fresh(shown.domain, row, state.counters().at_ns)
    return api.DomainStatus(domain=shown, fresh=fresh)


def _note_instance(
    status: api.DomainStatus, instance: ActualLrp, desired: DesiredLrp | None
) -> None:
    """What a fresh domain would remove; where it is fresh, that is under way."""
    if status.fresh or len(status.would_be_removed) == WOULD_BE_REMOVED_MAX:
        return
    if domain_freshness.waits_for_freshness(instance, desired):
        status.would_be_removed.append(instance)
