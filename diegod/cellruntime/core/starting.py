"""The road up: from a row that is placed here to a running program.

The order of records and steps is the protocol of `docs/architecture`: nothing is created before
the grant is on disk, nothing is started before it is on disk that it is about to be.
"""

from diegod.cellruntime.core import ending, lrps, steps, story, tasks
from diegod.cellruntime.core import events as e
from diegod.cellruntime.core import instructions as i
from diegod.cellruntime.core.container import Container, View
from diegod.cellruntime.core.crash_points import Phase, StopRule, Verb, Verdict
from diegod.cellruntime.core.ledger import Shortage
from diegod.cellruntime.core.lifecycle import LEAVING, State
from diegod.cellruntime.core.states import CellState
from diegod.cellruntime.core.work import Definition
from diegod.contracts.backend import PortSpec
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import ActualLrp, Task


def begin(s: CellState, container: Container) -> None:
    """A row has come that there is no container for."""
    if container.is_stopping:
        container.verdict = Verdict(Verb.REMOVE)
        steps.destroy(s, container, "asked to stop, and never made")
    elif container.view is View.HELD and not _is_only_claimed(container):
        lost = tasks.without_container if container.is_task else lrps.without_container
        lost(s, container)
    elif (problem := _unrunnable(container)) is not None:
        ending.reject(s, container, problem)
    else:
        admit(s, container)


def _is_only_claimed(container: Container) -> bool:
    """Claimed by an earlier life of this agent and never created: no record was written."""
    return isinstance(container.row, ActualLrp) and container.row.state == ActualLrp.CLAIMED


def _unrunnable(container: Container) -> str | None:
    if container.definition is None:
        return "the cell was not given its definition"
    if container.definition.action.WhichOneof("action") != "run":
        return "this cell is of an older version and can't perform its action"
    return None


def admit(s: CellState, container: Container) -> None:
    """Find room for it, or wait for somebody who is leaving, or say that there is none."""
    definition = container.definition
    assert definition is not None
    mappings = definition.ports if isinstance(definition, LrpDefinition) else ()
    reserved = s.ledger.reserve(
        container.handle, definition.memory_mb, definition.disk_mb, len(mappings)
    )
    if isinstance(reserved, Shortage):
        if not any(other.state in LEAVING for other in s.containers.values()):
            ending.reject(s, container, reserved.reason)
        return
    container.memory_mb, container.disk_mb = definition.memory_mb, definition.disk_mb
    container.ports = tuple(
        PortSpec(mapping.name, mapping.container_port, host_port)
        for mapping, host_port in zip(mappings, reserved, strict=True)
    )
    container.stop = _stop_rule(definition)
    container.result_file = tasks.result_file(definition)
    _prepare(s, container)


def _stop_rule(definition: Definition) -> StopRule:
    default = StopRule()
    given_s = definition.stop_timeout_ms / 1000
    timeout_s = given_s if definition.HasField("stop_timeout_ms") else default.timeout_s
    return StopRule(definition.stop_signal or default.signal, timeout_s)


def _prepare(s: CellState, container: Container) -> None:
    container.asked_under = s.incarnation
    steps.prepare(s, container, "placed here")
    if not container.is_task and container.view is View.OFFERED:
        lrps.claim(s, container)


def admit_waiting(s: CellState) -> None:
    """Somebody may have left: those who wait try again, in the order in which they came."""
    for container in list(s.containers.values()):
        if container.state is State.WAITING:
            admit(s, container)


def prepared(s: CellState, event: e.Prepared, now: float) -> None:
    container = s.in_state(event.handle, State.PREPARING)
    if container is None:
        return
    container.address = event.address or container.address
    if container.is_away:
        ending.close(s, container, None, container.why_away)
    elif container.is_task:
        tasks.prepared(s, container)
    else:
        lrps.prepared(s, container)


def recorded(s: CellState, event: e.Recorded, now: float) -> None:
    """On disk: the step that was announced may be taken."""
    container = s.containers.get(event.handle)
    if container is None or container.state in (State.FORGETTING, State.GONE):
        return
    container.recorded = event.phase
    match event.phase, container.state:
        case Phase.INTENT, State.ASKING:
            tasks.ask_for_grant(s, container)
        case (Phase.GRANTED, State.GRANTED) | (Phase.STARTING, State.CREATED):
            _go_on(s, container)
        case Phase.ENDING, State.ENDING:
            ending.verdict_recorded(s, container, now)
        case _:
            pass


def _go_on(s: CellState, container: Container) -> None:
    if container.is_away:
        ending.close(s, container, None, container.why_away)
    elif container.is_stopping:
        ending.close(s, container, Verdict(Verb.REMOVE), "asked to stop before it was started")
    elif container.state is State.GRANTED:
        s.move(container, State.CREATING)
        s.emit(i.Create(container.work()))
    else:
        steps.start(s, container)


def created(s: CellState, event: e.Created, now: float) -> None:
    container = s.in_state(event.handle, State.CREATING)
    if container is not None:
        s.move(container, State.CREATED)
        steps.record(s, container, Phase.STARTING)


def started(s: CellState, event: e.Started, now: float) -> None:
    container = s.in_state(event.handle, State.STARTING)
    if container is None:
        return
    container.address = event.address or container.address
    container.started_at, container.started_boottime_s = now, event.boottime
    s.move(container, State.RUNNING, "started")
    s.note(container, story.started(event.pid, container.address))
    steps.record(s, container, Phase.STARTED)
    s.emit(i.AwaitEnd(container.handle))
    running(s, container, now)


def running(s: CellState, container: Container, now: float) -> None:
    if container.is_task:
        tasks.running(s, container, now)
    else:
        lrps.running(s, container, now)


def grant_expired(s: CellState, event: e.GrantExpired, now: float) -> None:
    """Nothing was started, and once it is destroyed nothing will be: it may be placed anew.

    If the BBS has counted this cell as lost meanwhile, it has failed the task, and the rejection is
    refused.
    """
    container = s.in_state(event.handle, State.STARTING)
    if container is not None:
        reason = tasks.GRANT_TOO_LATE
        ending.close(s, container, Verdict(Verb.REJECT, reason), reason)


def step_failed(s: CellState, container: Container, event: e.StepFailed) -> None:
    """A step on the way up: what is known never to have started may be placed anew."""
    verdict = Verdict(Verb.REJECT, event.reason)
    if event.step is e.Step.START:
        verdict = _start_failed(container, event)
    ending.close(s, container, verdict, event.reason)


def _start_failed(container: Container, event: e.StepFailed) -> Verdict:
    if not container.is_task:
        return lrps.crashed(event.reason)
    if event.definite:
        return tasks.failed(event.reason, Task.PROGRAM)
    return tasks.unknown(event.reason)
