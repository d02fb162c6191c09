"""Rows of the BBS beside the containers here: what is new, what has changed, what was taken away.

Rows come by the watch of any member, so an older one may come after a newer one was heard as the
answer to a command. A row counts only if it is not older than what is known.
"""

from diegod.cellruntime.core import ending, lrps, recovery, starting, steps, tasks
from diegod.cellruntime.core import events as e
from diegod.cellruntime.core.container import Container, Row, View, note_away, note_row, view_of
from diegod.cellruntime.core.crash_points import Phase, Verb, Verdict
from diegod.cellruntime.core.keys import InstanceKey, TaskKey, instance_handle
from diegod.cellruntime.core.lifecycle import State
from diegod.cellruntime.core.states import CellState
from diegod.v1.record_pb2 import ActualLrp, Task


def listed(s: CellState, event: e.RowsListed, now: float) -> None:
    """The whole of this cell's rows: what is not among them is not this cell's any more."""
    for task in event.tasks:
        _task_seen(s, task, task.provenance.revision, now)
    for row in event.instances:
        _instance_seen(s, row, row.provenance.revision, now)
    here = {TaskKey(task.task_guid, task.attempt).handle for task in event.tasks}
    here |= {instance_handle(row.instance_guid) for row in event.instances}
    for container in list(s.containers.values()):
        if container.handle not in here and container.row_revision <= event.revision:
            _not_listed(s, container, event.revision, now)
    s.is_listed = True
    recovery.destroy_strays(s)
    s.watched_revision = max(s.watched_revision, event.revision)


def _not_listed(s: CellState, container: Container, revision: int, now: float) -> None:
    """Not this cell's any more, or unknown to a BBS that lost what came after a backup."""
    if lrps.is_forgotten(container, revision):
        lrps.forgotten(s, container)
    else:
        _taken_away(s, container, revision, now)


def task_changed(s: CellState, event: e.TaskChanged, now: float) -> None:
    if not event.removed:
        _task_seen(s, event.task, event.revision, now)
        return
    for handle in list(s.task_handles.get(event.task.task_guid, ())):
        _taken_away(s, s.containers[handle], event.revision, now)


def instance_changed(s: CellState, event: e.InstanceChanged, now: float) -> None:
    if not event.removed:
        _instance_seen(s, event.instance, event.revision, now)
    elif container := s.containers.get(instance_handle(event.instance.instance_guid)):
        _taken_away(s, container, event.revision, now)


def _task_seen(s: CellState, task: Task, revision: int, now: float) -> None:
    """One row, but perhaps containers of several attempts: the row takes all but one away."""
    for handle in list(s.task_handles.get(task.task_guid, ())):
        _compare(s, s.containers[handle], task, revision, now)
    key = TaskKey(task.task_guid, task.attempt)
    if key.handle not in s.containers:
        _take_on(s, key, task, revision)


def _instance_seen(s: CellState, row: ActualLrp, revision: int, now: float) -> None:
    key = InstanceKey(row.process_guid, row.index, row.instance_guid)
    container = s.containers.get(key.handle)
    if container is None:
        _take_on(s, key, row, revision)
        return
    if container.key != key:  # its record could not be read: the row tells the rest
        container.key = key
    _compare(s, container, row, revision, now)


def _take_on(s: CellState, key: TaskKey | InstanceKey, row: Row, revision: int) -> None:
    if view_of(row, key, s.facts.cell_id) is View.AWAY:
        return
    # An earlier life of the agent may have prepared it, and died before it wrote a record.
    container = s.add(
        Container(key.handle, key, State.WAITING, destroyed=key.handle not in s.strays)
    )
    note_row(container, row, revision, s.facts.cell_id)
    starting.begin(s, container)


def _compare(s: CellState, container: Container, row: Row, revision: int, now: float) -> None:
    if container.state is State.GONE:
        return
    if not note_row(container, row, revision, s.facts.cell_id):
        return
    if container.is_away:
        ending.went_away(s, container, now)
    elif container.state is State.ADOPTING and container.recorded is Phase.INTENT:
        _resume(s, container)
    elif container.is_task:
        tasks.row_seen(s, container, now)
    else:
        lrps.row_seen(s, container, now)


def _resume(s: CellState, container: Container) -> None:
    """The grant may have been asked for before the restart, and is asked for again."""
    if container.definition is None:
        verdict = Verdict(Verb.REJECT, "the cell was not given its definition")
        ending.close(s, container, verdict, verdict.reason)
    else:
        steps.prepare(s, container, "asked for before the agent was restarted")


def _taken_away(s: CellState, container: Container, revision: int, now: float) -> None:
    if container.state is State.GONE or revision < container.row_revision:
        return
    was_away = container.is_away
    note_away(container, revision)
    if not was_away:
        ending.went_away(s, container, now)
