"""The machine of a cell: one event in, instructions out.

Only the dispatch is here: which handler an event goes to, and what is done after each event. The
rules are in `rows.py`, `starting.py`, `ending.py`, `tasks.py`, `lrps.py` and `recovery.py`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from diegod.cellruntime.core import (
    commands,
    ending,
    lrps,
    recovery,
    rows,
    starting,
    steps,
    tasks,
)
from diegod.cellruntime.core import events as e
from diegod.cellruntime.core import instructions as i
from diegod.cellruntime.core.container import Container
from diegod.cellruntime.core.crash_points import Phase
from diegod.cellruntime.core.instructions import Instruction
from diegod.cellruntime.core.ledger import Ledger
from diegod.cellruntime.core.lifecycle import MAY_RUN, State
from diegod.cellruntime.core.states import CellFacts, CellState, Move
from diegod.cellruntime.core.story import Note
from diegod.v1.record_pb2 import Resources


class CellMachine:
    """All decisions of a cell. The same events at the same times give the same instructions."""

    def __init__(self, facts: CellFacts, capacity: Resources, host_ports: range) -> None:
        self.state = CellState(facts, Ledger(capacity, host_ports))

    @property
    def containers(self) -> Mapping[str, Container]:
        return self.state.containers

    @property
    def used(self) -> Resources:
        return self.state.ledger.used()

    def handle(self, event: e.Event, now: float) -> list[Instruction]:
        """What is to be done now that this has happened."""
        _HANDLERS[type(event)](self.state, event, now)
        starting.admit_waiting(self.state)
        _drop_gone(self.state)
        out, self.state.out = self.state.out, []
        return out

    def next_deadline(self) -> float | None:
        """When the machine wants to hear `Due`, if nothing happens before."""
        times = (container.next_deadline() for container in self.state.containers.values())
        return min((time for time in times if time is not None), default=None)

    def take_moves(self) -> list[Move]:
        """Every change of state since the last call, for the log."""
        moves, self.state.moves = self.state.moves, []
        return moves

    def take_notes(self) -> list[Note]:
        """What is to be said of containers since the last call, for people."""
        notes, self.state.notes = self.state.notes, []
        return notes


def _registered(s: CellState, event: e.Registered, now: float) -> None:
    """Whatever waits for its next try is said at once: somebody listens again."""
    s.incarnation = event.incarnation
    for container in s.containers.values():
        if container.question and container.question.ask_again_at is not None:
            steps.ask_again(s, container)


def _watched_to(s: CellState, event: e.WatchedTo, now: float) -> None:
    s.watched_revision = max(s.watched_revision, event.revision)


def _drop_gone(s: CellState) -> None:
    """What is gone is remembered until no row older than its end can come any more."""
    for container in list(s.containers.values()):
        if container.state is State.GONE and container.row_revision <= s.watched_revision:
            s.drop(container)


def _answered(s: CellState, event: e.Answered, now: float) -> None:
    container = _asked(s, event.handle, event.request_id)
    if container is None or container.question is None:
        return
    if event.outcome.reason and not commands.refused_for_good(event.outcome):
        steps.ask_later(container.question, now)
    elif container.state is State.REPORTING:
        ending.report_answered(s, container, event.outcome)
    elif container.is_task:
        tasks.grant_answered(s, container, event.outcome)
    else:
        lrps.answered(s, container, event.outcome, now)


def _unanswered(s: CellState, event: e.Unanswered, now: float) -> None:
    container = _asked(s, event.handle, event.request_id)
    if container is not None and container.question is not None:
        steps.ask_later(container.question, now)


def _asked(s: CellState, handle: str, request_id: str) -> Container | None:
    """The container that still waits for the answer to this very question."""
    container = s.containers.get(handle)
    if container is None or container.question is None:
        return None
    return container if container.question.command.request_id == request_id else None


def _ended(s: CellState, event: e.Ended, now: float) -> None:
    container = s.in_state(event.handle, *MAY_RUN)
    if container is None:
        return
    container.ended = True
    if container.state is State.STOPPING:
        steps.destroy(s, container, "stopped")
    elif container.state is State.RUNNING and event.exit is None:
        (tasks.lost if container.is_task else lrps.lost)(s, container, recovery.EXIT_LOST)
    elif container.state is State.RUNNING and event.exit is not None:
        (tasks.ended if container.is_task else lrps.ended)(s, container, event.exit)


def _result_read(s: CellState, event: e.ResultRead, now: float) -> None:
    if container := s.in_state(event.handle, State.READING):
        tasks.result_read(s, container, event.content)


def _destroyed(s: CellState, event: e.Destroyed, now: float) -> None:
    if container := s.in_state(event.handle, State.DESTROYING):
        ending.destroyed(s, container)


def _forgotten(s: CellState, event: e.Forgotten, now: float) -> None:
    if container := s.in_state(event.handle, State.FORGETTING):
        ending.gone(s, container)


def _probed(s: CellState, event: e.Probed, now: float) -> None:
    if container := s.in_state(event.handle, State.RUNNING):
        lrps.probed(s, container, event.index, event.problem, now)


#: The failed steps on the way up, and the one state in which each answer counts.
_ON_THE_WAY_UP: dict[tuple[e.Step, Phase | None], State] = {
    (e.Step.PREPARE, None): State.PREPARING,
    (e.Step.RECORD, Phase.INTENT): State.ASKING,
    (e.Step.RECORD, Phase.GRANTED): State.GRANTED,
    (e.Step.CREATE, None): State.CREATING,
    (e.Step.RECORD, Phase.STARTING): State.CREATED,
    (e.Step.START, None): State.STARTING,
}
#: Steps that must succeed in the end.
_TRIED_AGAIN: dict[e.Step, State] = {
    e.Step.INSPECT: State.ADOPTING,
    e.Step.DESTROY: State.DESTROYING,
    e.Step.FORGET: State.FORGETTING,
}


def _step_failed(s: CellState, event: e.StepFailed, now: float) -> None:
    container = s.containers.get(event.handle)
    if container is None:
        return
    if _ON_THE_WAY_UP.get((event.step, event.phase)) is container.state:
        starting.step_failed(s, container, event)
    elif event.step is e.Step.READ and container.state is State.READING:
        tasks.result_unreadable(s, container, event.reason)
    elif _TRIED_AGAIN.get(event.step) is container.state:
        steps.try_again_later(container, now)
    elif event.step is e.Step.WAIT and container.state in MAY_RUN:
        container.await_again_at = now + steps.RETRY_MAX_S
    elif event.phase is Phase.ENDING and container.state is State.ENDING:
        # Only a restart of the agent in the next moment could miss the record.
        ending.verdict_recorded(s, container, now)


def _due(s: CellState, event: e.Due, now: float) -> None:
    for container in list(s.containers.values()):
        if container.question and _is_due(container.question.ask_again_at, now):
            steps.ask_again(s, container)
        if _is_due(container.await_again_at, now):
            container.await_again_at = None
            s.emit(i.AwaitEnd(container.handle))
        if _is_due(container.wake_at, now):
            container.wake_at = None
            _wake(s, container, now)
        if container.monitor and _is_due(container.monitor.next_deadline(), now):
            lrps.probe_due(s, container, now)


def _is_due(deadline: float | None, now: float) -> bool:
    return deadline is not None and deadline <= now


def _wake(s: CellState, container: Container, now: float) -> None:
    match container.state:
        case State.RUNNING:
            tasks.time_limit_reached(s, container)
        case State.STOPPING:
            ending.stop_overdue(s, container, now)
        case State.ADOPTING:
            s.emit(i.Inspect(container.handle))
        case State.DESTROYING:
            s.emit(i.Destroy(container.handle))
        case State.FORGETTING:
            s.emit(i.Forget(container.handle))
        case _:
            pass


_Handler = Callable[[CellState, Any, float], None]

_HANDLERS: dict[type[Any], _Handler] = {
    e.Recovered: recovery.recovered,
    e.HandlesFound: recovery.handles_found,
    e.Registered: _registered,
    e.RowsListed: rows.listed,
    e.TaskChanged: rows.task_changed,
    e.InstanceChanged: rows.instance_changed,
    e.WatchedTo: _watched_to,
    e.Answered: _answered,
    e.Unanswered: _unanswered,
    e.Due: _due,
    e.Prepared: starting.prepared,
    e.Recorded: starting.recorded,
    e.Created: starting.created,
    e.Started: starting.started,
    e.GrantExpired: starting.grant_expired,
    e.Inspected: recovery.inspected,
    e.Ended: _ended,
    e.ResultRead: _result_read,
    e.Destroyed: _destroyed,
    e.Forgotten: _forgotten,
    e.Probed: _probed,
    e.StepFailed: _step_failed,
}
