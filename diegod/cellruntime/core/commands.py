"""What a cell says to the BBS about a container, as commands.

A request id is made from the handle and what is said, so the same thing said again after a restart
of the agent is recognised by the BBS. The incarnation is entered by the agent when it sends.
"""

from diegod.cellruntime.core.container import Container
from diegod.cellruntime.core.crash_points import Verb, Verdict
from diegod.cellruntime.core.keys import InstanceKey, TaskKey
from diegod.cellruntime.core.states import CellFacts
from diegod.internal.v1 import command_pb2 as c
from diegod.models.definition_digest import digest_of
from diegod.models.errors import Reason
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import ActualLrp, MappedPort, NetInfo

#: A refusal that will not change, however often one asks: the row is not what the cell thinks.
#: Everything else (no leader, an expired certificate, a registration to be renewed) says nothing
#: about the row, and is asked again.
DEFINITE_REFUSALS = frozenset(
    {
        Reason.INVALID_REQUEST,
        Reason.RESOURCE_NOT_FOUND,
        Reason.RESOURCE_CONFLICT,
        Reason.INVALID_STATE_TRANSITION,
        Reason.RUNNING_ON_DIFFERENT_CELL,
        Reason.WRONG_ATTEMPT,
        Reason.ACTUAL_LRP_CANNOT_BE_CLAIMED,
        Reason.ACTUAL_LRP_CANNOT_BE_STARTED,
        Reason.ACTUAL_LRP_CANNOT_BE_CRASHED,
        Reason.ACTUAL_LRP_CANNOT_BE_REMOVED,
    }
)


_CAUSE_CHARS_MAX = 200


def refused_for_good(outcome: c.Outcome) -> bool:
    return outcome.reason in DEFINITE_REFUSALS


def start_task(container: Container) -> c.Command:
    key = container.key
    assert isinstance(key, TaskKey)
    return c.Command(
        request_id=f"{container.handle}.start",
        cause="placed here and prepared",
        start_task=c.StartTask(task_guid=key.task_guid, attempt=key.attempt),
    )


def claim_instance(container: Container) -> c.Command:
    key = container.key
    assert isinstance(key, InstanceKey)
    return c.Command(
        request_id=f"{container.handle}.claim",
        cause="placed here",
        claim_instance=c.ClaimInstance(instance_guid=key.instance_guid),
    )


def start_instance(container: Container, facts: CellFacts, routable: bool) -> c.Command:
    return c.Command(
        request_id=f"{container.handle}.start",
        cause="it runs and is healthy",
        start_instance=_start_instance(container, facts, routable),
    )


def change_routable(container: Container, facts: CellFacts, routable: bool) -> c.Command:
    """Of an instance that is RUNNING. The row's revision tells this change from the one before."""
    why = container.monitor.why_not_routable() if container.monitor else ""
    return c.Command(
        request_id=f"{container.handle}.routable-{container.row_revision}",
        cause="its readiness checks pass" if routable else f"not ready: {why}"[:_CAUSE_CHARS_MAX],
        start_instance=_start_instance(container, facts, routable),
    )


def _start_instance(container: Container, facts: CellFacts, routable: bool) -> c.StartInstance:
    key = container.key
    assert isinstance(key, InstanceKey)
    return c.StartInstance(
        instance_guid=key.instance_guid, net_info=net_info(container, facts), routable=routable
    )


def adopt_instance(container: Container, facts: CellFacts) -> c.Command:
    """It runs here, whatever the BBS was made to forget. What is not known any more stays empty."""
    key = container.key
    assert isinstance(key, InstanceKey)
    row = container.row if isinstance(container.row, ActualLrp) else ActualLrp()
    routable = container.monitor is None or container.monitor.routable
    instance = ActualLrp(
        process_guid=key.process_guid,
        index=key.index,
        domain=row.domain,
        instance_guid=key.instance_guid,
        definition_revision=row.definition_revision,
        net_info=net_info(container, facts),
        routable=routable,
    )
    definition = container.definition
    digest = digest_of(definition) if isinstance(definition, LrpDefinition) else b""
    return c.Command(
        request_id=f"{container.handle}.adopt",
        cause="it runs, and this epoch does not know it",
        adopt_instance=c.AdoptInstance(instance=instance, definition_digest=digest),
    )


def net_info(container: Container, facts: CellFacts) -> NetInfo:
    """Where the instance is reached; its own address is the cell's where it has no other."""
    own = container.address if facts.network_namespace else facts.address
    ports = [
        MappedPort(name=p.name, container_port=p.container_port, host_port=p.host_port)
        for p in container.ports
    ]
    return NetInfo(address=facts.address, instance_address=own, ports=ports)


def report(container: Container, verdict: Verdict) -> c.Command:
    """The command that says how it ended."""
    command = c.Command(
        request_id=f"{container.handle}.{verdict.verb}",
        cause=verdict.reason or ("stopped, as asked" if verdict.verb is Verb.REMOVE else "ended"),
    )
    if isinstance(container.key, TaskKey):
        _report_task(command, container.key, verdict)
    elif isinstance(container.key, InstanceKey):
        _report_instance(command, container.key, verdict)
    return command


def _report_task(command: c.Command, key: TaskKey, verdict: Verdict) -> None:
    if verdict.verb is Verb.REJECT:
        command.reject_task.CopyFrom(
            c.RejectTask(
                task_guid=key.task_guid, attempt=key.attempt, rejection_reason=verdict.reason
            )
        )
        return
    command.complete_task.CopyFrom(
        c.CompleteTask(
            task_guid=key.task_guid,
            attempt=key.attempt,
            failed=verdict.failed,
            failure_reason=verdict.reason,
            outcome_unknown=verdict.outcome_unknown,
            exit_status_known=verdict.exit_status is not None,
            exit_status=verdict.exit_status or 0,
            failure=verdict.failure,
            result=verdict.result,
        )
    )


def _report_instance(command: c.Command, key: InstanceKey, verdict: Verdict) -> None:
    guid = key.instance_guid
    if verdict.verb is Verb.REJECT:
        command.reject_instance.CopyFrom(
            c.RejectInstance(instance_guid=guid, rejection_reason=verdict.reason)
        )
    elif verdict.verb is Verb.REMOVE:
        command.remove_instance.CopyFrom(c.RemoveInstance(instance_guid=guid))
    else:
        command.crash_instance.CopyFrom(
            c.CrashInstance(instance_guid=guid, crash_reason=verdict.reason)
        )
