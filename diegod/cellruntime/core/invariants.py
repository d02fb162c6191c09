"""What is always true of a cell machine, between any two events.

Run after every event of the tests and of the simulation. Each sentence that is returned is a bug.
"""

from collections.abc import Iterator

from diegod.cellruntime.core.container import Container
from diegod.cellruntime.core.crash_points import Phase
from diegod.cellruntime.core.lifecycle import NOT_STARTED, State
from diegod.cellruntime.core.machine import CellMachine
from diegod.cellruntime.core.states import CellState

_GRANTED_BEFORE = (State.CREATING, State.CREATED, State.STARTING)
_HOLDS_NOTHING = (State.WAITING, State.GONE)


def violations(machine: CellMachine) -> list[str]:
    state = machine.state
    found = [*_of_ledger(state), *_of_tasks(state)]
    for container in state.containers.values():
        found += [f"{container.handle} ({container.state}): {text}" for text in _of(container)]
    return found


def _of(c: Container) -> Iterator[str]:
    if c.state in (State.STARTING, State.RUNNING) and not c.start_issued:
        yield "runs, and was never started"
    if c.state in NOT_STARTED and c.start_issued:
        yield "was started, and is on its way up again"
    if c.state is State.STARTING and c.recorded is not Phase.STARTING:
        yield "is being started without a record of it"
    if c.state in _GRANTED_BEFORE and c.is_task and not c.fencing_token:
        yield "is being made without a grant"
    if c.state is State.REPORTING and not c.destroyed and not c.ended:
        yield "is reported while it may still run"
    if c.state is State.READING and (c.exit is None or not c.is_task):
        yield "has a result that is read, and has not ended"
    if c.state is State.REPORTING and c.question is None:
        yield "is being reported, and nothing was said"
    if c.state is State.STOPPING and c.wake_at is None:
        yield "is being stopped without a time limit"
    if c.state is State.GONE and (c.recorded or not c.destroyed):
        yield "is gone, and something is left of it"
    if c.monitor and c.state is not State.RUNNING:
        yield "is monitored, and does not run"


def _of_ledger(s: CellState) -> Iterator[str]:
    """Ledger and containers tell the same, and no host port has two holders."""
    holdings = s.ledger.holdings
    ports = [port for holding in holdings.values() for port in holding.host_ports]
    if len(ports) != len(set(ports)):
        yield "a host port is held twice"
    for handle in holdings:
        if handle not in s.containers or s.containers[handle].state in _HOLDS_NOTHING:
            yield f"{handle} holds capacity, and is not here"
    for container in s.containers.values():
        held = holdings.get(container.handle)
        if held and held.host_ports != tuple(port.host_port for port in container.ports):
            yield f"{container.handle} uses other ports than it holds"
        is_here = container.start_issued and container.state is not State.GONE
        if is_here and container.ports and held is None:
            yield f"{container.handle} uses ports and holds none"


def _of_tasks(s: CellState) -> Iterator[str]:
    indexed = sorted(handle for handles in s.task_handles.values() for handle in handles)
    here = sorted(c.handle for c in s.containers.values() if c.is_task)
    if indexed != here:
        yield f"the index of tasks has {indexed}, and here are {here}"
