"""After a restart of the agent: from records and handles back to containers.

Nothing is concluded from a container that has not been adopted or destroyed, since a call of the
agent before this one may still be at work on it.
"""

from diegod.cellruntime.core import events as e
from diegod.cellruntime.core import instructions as i
from diegod.cellruntime.core import lrps, starting, steps, tasks
from diegod.cellruntime.core.container import Container, View
from diegod.cellruntime.core.crash_points import Phase, Record, Verb, Verdict
from diegod.cellruntime.core.keys import key_of_handle
from diegod.cellruntime.core.lifecycle import State
from diegod.cellruntime.core.states import CellState
from diegod.contracts.backend import ContainerState, ContainerStatus
from diegod.models.epochs import epoch_of

NEVER_STARTED = "never started: the cell's agent was restarted before it could be"
EXIT_LOST = "its process is gone, and its exit status was lost"
IN_DOUBT = "the cell's agent was restarted while it was being started; whether it ran is not known"

_ADOPTABLE = (ContainerState.RUNNING, ContainerState.EXITED)


def recovered(s: CellState, event: e.Recovered, now: float) -> None:
    for record in event.records:
        container = s.add(_from_record(record, event.boottime, now))
        host_ports = [port.host_port for port in record.ports]
        s.ledger.adopt(record.handle, record.memory_mb, record.disk_mb, host_ports)
        _take_up(s, container, record)
    explained = {record.handle for record in event.records}
    s.strays = tuple(handle for handle in event.handles if handle not in explained)


def _from_record(record: Record, boottime: float, now: float) -> Container:
    ran_for_s = max(0.0, boottime - record.started_boottime_s)
    return Container(
        handle=record.handle,
        key=record.key,
        state=State.ADOPTING,
        row_revision=record.row_revision,
        memory_mb=record.memory_mb,
        disk_mb=record.disk_mb,
        ports=record.ports,
        address=record.address,
        fencing_token=record.fencing_token,
        recorded=record.phase,
        recorded_epoch=epoch_of(record.row_revision),
        record_issued=True,
        stop=record.stop,
        result_file=record.result_file,
        start_issued=record.phase not in (Phase.INTENT, Phase.GRANTED),
        started_at=now - ran_for_s if record.started_boottime_s else now,
        started_boottime_s=record.started_boottime_s or boottime,
        destroyed=False,
        verdict=record.verdict,
    )


def _take_up(s: CellState, container: Container, record: Record) -> None:
    match record.phase:
        case Phase.INTENT:
            pass  # whether it is still wanted, and what it is, comes with its row
        case Phase.GRANTED:
            container.verdict = Verdict(Verb.REJECT, NEVER_STARTED)
            steps.destroy(s, container, NEVER_STARTED)
        case Phase.STARTING | Phase.STARTED:
            s.emit(i.Inspect(container.handle))
        case Phase.ENDING:
            steps.destroy(s, container, "its verdict was recorded before the restart")


def inspected(s: CellState, event: e.Inspected, now: float) -> None:
    container = s.in_state(event.handle, State.ADOPTING)
    if container is None or container.recorded is Phase.INTENT:
        return
    status = event.status
    if status is not None and status.state in _ADOPTABLE:
        _adopt(s, container, status, now)
    else:
        lost = tasks.lost if container.is_task else lrps.lost
        lost(s, container, IN_DOUBT if container.recorded is Phase.STARTING else EXIT_LOST)


def _adopt(s: CellState, container: Container, status: ContainerStatus, now: float) -> None:
    container.address = status.address or container.address
    s.move(container, State.RUNNING, "adopted")
    if container.recorded is Phase.STARTING:
        steps.record(s, container, Phase.STARTED)
    s.emit(i.AwaitEnd(container.handle))
    if container.is_away or status.state is ContainerState.RUNNING:
        starting.running(s, container, now)


def handles_found(s: CellState, event: e.HandlesFound, now: float) -> None:
    s.strays = event.handles
    destroy_strays(s)


def destroy_strays(s: CellState) -> None:
    """Once the rows have been seen in full, what no record and no row explains is removed."""
    if not s.is_listed:
        return
    for handle in s.strays:
        if handle not in s.containers:
            stray = Container(handle, key_of_handle(handle), State.ADOPTING, view=View.AWAY)
            stray.destroyed = False
            steps.destroy(s, s.add(stray), "no record and no row explains it")
    s.strays = ()
