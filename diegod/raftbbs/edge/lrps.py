"""LrpService."""

from collections.abc import AsyncIterator, Iterable, Iterator

from diegod.internal.v1 import command_pb2 as c
from diegod.models import admission, limits
from diegod.models.errors import DomainError, Problem, Reason
from diegod.raftbbs.core.versions import history
from diegod.raftbbs.edge.access import Access, invalid, unhurried
from diegod.raftbbs.store.state import StateView
from diegod.rpc.handlers import Handlers
from diegod.security.identity import Principal
from diegod.v1 import lrp_pb2 as api
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import ActualLrp, DesiredLrp, InstanceCounts

_SERVICE = "diegod.v1.LrpService"


class LrpService:
    def __init__(self, access: Access) -> None:
        self._access = access

    def handlers(self) -> Handlers:
        return {
            f"{_SERVICE}/Desire": self.desire,
            f"{_SERVICE}/Scale": self.scale,
            f"{_SERVICE}/Remove": self.remove,
            f"{_SERVICE}/Get": self.get,
            f"{_SERVICE}/List": self.list,
            f"{_SERVICE}/ListInstances": self.list_instances,
            f"{_SERVICE}/Control": self.control,
            f"{_SERVICE}/Retire": self.retire,
            f"{_SERVICE}/History": self.history,
        }

    async def desire(self, request: api.DesireLrpRequest, caller: Principal) -> api.DesireLrpReply:
        row, closed = _closed(request.definition)
        desire = c.DesireLrp(
            desired_lrp=row,
            definition=self._as_stored(row.process_guid, closed),
            expected_revision=request.expected_revision,
        )
        command = c.Command(desire_lrp=desire)
        outcome = await self._access.write(caller, request, command)
        reply = api.DesireLrpReply(already_there=outcome.unchanged)
        reply.desired_lrp.CopyFrom(outcome.desired_lrp)
        return reply

    async def scale(self, request: api.ScaleLrpRequest, caller: Principal) -> api.ScaleLrpReply:
        if request.instances > limits.INSTANCES_MAX:
            raise invalid([Problem("instances", f"at most {limits.INSTANCES_MAX} are possible")])
        scale = c.ScaleLrp(
            process_guid=request.process_guid,
            instances=request.instances,
            expected_revision=request.expected_revision,
        )
        outcome = await self._access.write(caller, request, c.Command(scale_lrp=scale))
        reply = api.ScaleLrpReply()
        reply.desired_lrp.CopyFrom(outcome.desired_lrp)
        return reply

    async def remove(self, request: api.RemoveLrpRequest, caller: Principal) -> api.RemoveLrpReply:
        command = c.Command(remove_lrp=c.RemoveLrp(process_guid=request.process_guid))
        outcome = await self._access.write(caller, request, command)
        return api.RemoveLrpReply(revision=outcome.revision)

    async def control(
        self, request: api.ControlLrpRequest, caller: Principal
    ) -> api.ControlLrpReply:
        if problems := [*_wrong_control(request)]:
            raise invalid(problems)
        control = c.ControlLrp(
            process_guid=request.process_guid,
            verb=request.verb,
            to_version=request.to_version,
            expected_revision=request.expected_revision,
        )
        outcome = await self._access.write(caller, request, c.Command(control_lrp=control))
        reply = api.ControlLrpReply(unchanged=outcome.unchanged)
        reply.desired_lrp.CopyFrom(outcome.desired_lrp)
        return reply

    async def retire(
        self, request: api.RetireInstanceRequest, caller: Principal
    ) -> api.RetireInstanceReply:
        retire = c.RetireIndex(process_guid=request.process_guid, index=request.index)
        outcome = await self._access.write(caller, request, c.Command(retire_index=retire))
        reply = api.RetireInstanceReply()
        reply.instance.CopyFrom(outcome.actual_lrp)
        return reply

    async def history(
        self, request: api.LrpHistoryRequest, caller: Principal
    ) -> api.LrpHistoryReply:
        """The latest first. What was desired before there were versions is the first of them."""
        await self._access.read(request.stale)
        with self._access.state() as state:
            desired = _existing(state, request.process_guid)
            past = history(state, desired)
            for version in past:
                version.definition.CopyFrom(
                    _definition(state, desired, version.definition_revision)
                )
            return api.LrpHistoryReply(
                versions=reversed(past), revision=state.counters().revision
            )

    async def get(self, request: api.GetLrpRequest, caller: Principal) -> api.GetLrpReply:
        await self._access.read(request.stale)
        with self._access.state() as state:
            desired = _existing(state, request.process_guid)
            instances = state.instances(request.process_guid)
            desired.counts.CopyFrom(_counts(instances))
            desired.definition.CopyFrom(_definition(state, desired, desired.definition_revision))
            return api.GetLrpReply(
                desired_lrp=desired, instances=instances, revision=state.counters().revision
            )

    async def list(
        self, request: api.ListLrpsRequest, caller: Principal
    ) -> AsyncIterator[api.ListLrpsReply]:
        pages = self._access.pages(
            lambda state, after: unhurried(_with_counts(state, after)),
            request,
            lambda desired: request.domain in ("", desired.domain),
        )
        async for rows, revision, token in pages:
            yield api.ListLrpsReply(desired_lrps=rows, revision=revision, page_token=token)

    async def list_instances(
        self, request: api.ListInstancesRequest, caller: Principal
    ) -> AsyncIterator[api.ListInstancesReply]:
        def matches(row: ActualLrp) -> bool:
            return (
                request.process_guid in ("", row.process_guid)
                and request.cell_id in ("", row.cell_id, row.placed_cell_id)
                and request.domain in ("", row.domain)
            )

        pages = self._access.pages(
            lambda state, after: unhurried(state.tables.actual_lrps.scan(state.transaction, after)),
            request,
            matches,
        )
        async for rows, revision, token in pages:
            yield api.ListInstancesReply(actual_lrps=rows, revision=revision, page_token=token)

    def _as_stored(self, process_guid: str, closed: bytes) -> bytes:
        """The definition as the cluster has it, if it is the same but for what has a default now.

        An earlier release knew fewer fields. To desire the same again is no new version.
        """
        with self._access.state() as state:
            row = state.desired_lrp(process_guid)
            revision = row.definition_revision if row is not None else 0
            stored = state.lrp_definition(process_guid, revision)
        if stored is None or stored == closed:
            return closed
        before = LrpDefinition.FromString(stored)
        admission.fill_defaults(before)
        before.ClearField("instances")
        return stored if before.SerializeToString(deterministic=True) == closed else closed


def _with_counts(state: StateView, after: bytes) -> Iterator[tuple[bytes, DesiredLrp]]:
    for key, desired in state.tables.desired_lrps.scan(state.transaction, after):
        desired.counts.CopyFrom(_counts(state.instances(desired.process_guid)))
        yield key, desired


def _counts(instances: Iterable[ActualLrp]) -> InstanceCounts:
    counts = InstanceCounts()
    for row in instances:
        if row.presence == ActualLrp.SUSPECT:
            counts.suspect += 1
        elif row.presence == ActualLrp.EVACUATING:
            counts.evacuating += 1
        else:
            name = ActualLrp.State.Name(row.state).lower()
            setattr(counts, name, getattr(counts, name) + 1)
    return counts


def _existing(state: StateView, process_guid: str) -> DesiredLrp:
    desired = state.desired_lrp(process_guid)
    if desired is None:
        raise DomainError(Reason.RESOURCE_NOT_FOUND, f'there is no LRP "{process_guid}"')
    return desired


def _definition(state: StateView, desired: DesiredLrp, revision: int) -> LrpDefinition:
    """As it was stored, with the instances as they are now: scaling changes only the row."""
    closed = state.lrp_definition(desired.process_guid, revision)
    definition = LrpDefinition.FromString(closed or b"")
    definition.instances = desired.instances
    return definition


def _closed(definition: LrpDefinition) -> tuple[DesiredLrp, bytes]:
    """The row made of a definition, and the definition, closed, that is stored beside it.

    The number of instances belongs to the row alone: another number is not another definition.
    """
    if problems := admission.problems(definition):
        raise invalid(problems)
    admission.fill_defaults(definition)
    row = admission.lrp_row(definition)
    definition.ClearField("instances")
    return row, definition.SerializeToString(deterministic=True)


def _wrong_control(request: api.ControlLrpRequest) -> Iterator[Problem]:
    verbs = api.ControlLrpRequest.Verb
    if request.verb not in verbs.values() or request.verb == verbs.INVALID:
        known = ", ".join(name for name in verbs.keys() if name != "INVALID")  # noqa: SIM118
        yield Problem("verb", f"is none of {known}")
    if request.to_version and request.verb != verbs.ROLLBACK:
        yield Problem("to_version", "is only for a ROLLBACK")
