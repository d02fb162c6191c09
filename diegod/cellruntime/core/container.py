"""What the machine knows of one container, and what a row of the BBS means for it.

Only data and questions about it. Who changes it: `starting.py`, `tasks.py`, `lrps.py`, `ending.py`.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from diegod.cellruntime.core.crash_points import Phase, Record, StopRule, Verdict
from diegod.cellruntime.core.health import Monitor
from diegod.cellruntime.core.keys import InstanceKey, Key, StrayKey, TaskKey
from diegod.cellruntime.core.lifecycle import State
from diegod.cellruntime.core.work import Definition, Work
from diegod.contracts.backend import Exit, PortSpec
from diegod.internal.v1.command_pb2 import Command
from diegod.v1.record_pb2 import ActualLrp, Task

Row = Task | ActualLrp


class View(StrEnum):
    """What the newest known row says of a container."""

    UNSEEN = "unseen"  # no row has been seen
    OFFERED = "offered"  # placed here: PENDING, UNCLAIMED
    HELD = "held"  # started or claimed here: RUNNING, CLAIMED
    FORGOTTEN = "forgotten"  # a BBS of a later epoch does not know it: it is to be adopted
    AWAY = "away"  # over, gone, or somebody else's: nothing of it should be here


@dataclass
class Question:
    """A command whose answer is waited for; asked again until there is one."""

    command: Command
    tries: int = 1
    ask_again_at: float | None = None  # None: under way


@dataclass
class Container:
    handle: str
    key: Key
    state: State
    #: The newest row, and the revision up to which it is known to hold.
    row: Row | None = None
    row_revision: int = 0
    view: View = View.UNSEEN
    #: Of the newest row that carried one.
    definition: Definition | None = None
    memory_mb: int = 0
    disk_mb: int = 0
    ports: tuple[PortSpec, ...] = ()
    address: str = ""
    fencing_token: int = 0
    #: The incarnation under which the start was first asked for in this life of the agent; 0 where
    #: an earlier life left a record that it had asked.
    asked_under: int = 0
    #: The furthest phase that is on disk for certain; None: there is no record.
    recorded: Phase | None = None
    #: The epoch of the row that the newest record was written under.
    recorded_epoch: int = 0
    #: There is a record, or one is being written.
    record_issued: bool = False
    stop: StopRule = field(default_factory=StopRule)
    result_file: str = ""
    #: How its program ended, where that is known and not yet said.
    exit: Exit | None = None
    question: Question | None = None
    #: Start has been asked of the backend. Never twice, and never unset.
    start_issued: bool = False
    started_at: float | None = None
    started_boottime_s: float = 0.0
    #: Its program is known to run no more.
    ended: bool = False
    #: Nothing of it is on the backend: not yet, or no longer.
    destroyed: bool = True
    reported: bool = False
    verdict: Verdict | None = None
    #: When ENDING is done: ask it to stop first (True), or destroy it at once.
    stop_first: bool = False
    killed: bool = False
    monitor: Monitor | None = None
    readiness_changes: int = 0
    #: The timer of the present state: a kill, a time limit, the next try of a step that failed.
    wake_at: float | None = None
    tries: int = 0
    #: When to wait for its end again, after waiting has failed.
    await_again_at: float | None = None

    @property
    def is_task(self) -> bool:
        return isinstance(self.key, TaskKey)

    @property
    def is_away(self) -> bool:
        return self.view is View.AWAY

    @property
    def why_away(self) -> str:
        """For the person who asks why it was ended: cancelled, for one."""
        row = self.row
        if isinstance(row, Task) and row.state == Task.COMPLETED and row.failure_reason:
            return row.failure_reason
        return "its row is no longer this cell's"

    @property
    def is_stopping(self) -> bool:
        """The BBS has asked for the end of this instance."""
        return isinstance(self.row, ActualLrp) and self.row.stopping and not self.is_away

    def work(self) -> Work:
        assert self.definition is not None
        assert not isinstance(self.key, StrayKey)
        return Work(self.key, self.definition, self.ports, self.address, self.fencing_token)

    def record(self, phase: Phase) -> Record:
        return Record(
            handle=self.handle,
            key=self.key,
            phase=phase,
            row_revision=self.row_revision,
            fencing_token=self.fencing_token,
            memory_mb=self.memory_mb,
            disk_mb=self.disk_mb,
            ports=self.ports,
            address=self.address,
            stop=self.stop,
            started_boottime_s=self.started_boottime_s,
            result_file=self.result_file,
            verdict=self.verdict if phase is Phase.ENDING else None,
        )

    def next_deadline(self) -> float | None:
        times = (
            self.wake_at,
            self.await_again_at,
            self.question.ask_again_at if self.question else None,
            self.monitor.next_deadline() if self.monitor else None,
        )
        return min((time for time in times if time is not None), default=None)


def view_of(row: Row, key: Key, cell_id: str) -> View:
    """What a row says of the container with this key on this cell."""
    if isinstance(row, Task) and isinstance(key, TaskKey):
        return _view_of_task(row, key, cell_id)
    if isinstance(row, ActualLrp) and isinstance(key, InstanceKey):
        return _view_of_instance(row, key, cell_id)
    return View.AWAY


def _view_of_task(task: Task, key: TaskKey, cell_id: str) -> View:
    if task.attempt != key.attempt:
        return View.AWAY
    if task.state == Task.PENDING and task.placed_cell_id == cell_id:
        return View.OFFERED
    if task.state == Task.RUNNING and task.cell_id == cell_id:
        return View.HELD
    return View.AWAY


def _view_of_instance(row: ActualLrp, key: InstanceKey, cell_id: str) -> View:
    """A SUSPECT row is still this cell's: its instance serves until a replacement runs."""
    if row.instance_guid != key.instance_guid:
        return View.AWAY
    if row.state == ActualLrp.UNCLAIMED and row.placed_cell_id == cell_id:
        return View.OFFERED
    if row.state in (ActualLrp.CLAIMED, ActualLrp.RUNNING) and row.cell_id == cell_id:
        return View.HELD
    return View.AWAY


def note_row(container: Container, row: Row, revision: int, cell_id: str) -> bool:
    """Take in what a row says; False: it is older than what is known."""
    if revision < container.row_revision:
        return False
    container.row, container.row_revision = row, revision
    container.view = view_of(row, container.key, cell_id)
    if row.HasField("definition"):
        container.definition = row.definition
    return True


def note_away(container: Container, revision: int) -> None:
    """The row is gone, or nothing that concerns this container any more."""
    container.view = View.AWAY
    container.row_revision = max(container.row_revision, revision)
