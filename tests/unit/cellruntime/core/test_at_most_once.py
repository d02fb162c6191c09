"""The property that everything else is for: whatever happens, in whatever order, nothing starts
twice, and nothing is said of a container that is still there.

A truthful world: the BBS applies its real rules, the backend and the disk do what they were told,
but when each answer comes, whether a command's answer is lost, when the agent dies and when a
person or a brain interferes is hypothesis's to choose. What was under way when the agent died may
still happen later.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import hypothesis.strategies as st
from hypothesis import given, settings

from diegod.cellruntime.core import CellMachine
from diegod.cellruntime.core import events as e
from diegod.cellruntime.core import instructions as i
from diegod.cellruntime.core.crash_points import Record
from diegod.cellruntime.core.invariants import violations
from diegod.cellruntime.core.states import CellFacts
from diegod.contracts.backend import ContainerState, ContainerStatus, Exit
from diegod.v1.definition_pb2 import Action, LrpDefinition, RunAction, TaskDefinition
from diegod.v1.record_pb2 import Change, Resources, Task
from tests.unit.cellruntime.board import Board

ME = "cell-1"
RUN = Action(run=RunAction(path="/bin/job"))
JOB = TaskDefinition(task_guid="job", rootfs="dir:/", action=RUN, result_file="/result")
Effect = Callable[[], e.Event | None]


@dataclass(frozen=True)
class UnderWay:
    kind: str
    handle: str
    effect: Effect


class World:
    """One cell, one task, one instance."""

    def __init__(self) -> None:
        self.board = Board()
        self.board.register(ME)
        self.board.desire_task(JOB)
        self.board.desire_lrp(LrpDefinition(process_guid="web", rootfs="dir:/", action=RUN))
        self.disk: dict[str, Record] = {}
        self.host: dict[str, ContainerStatus] = {}
        self.starts: Counter[str] = Counter()
        self.task_starts = 0
        self.destroyed: set[str] = set()
        self.now = 0.0
        self.late: list[Effect] = []
        self.under_way: list[UnderWay] = []
        self.live()

    # The agent's lives.

    def live(self) -> None:
        """What the last life had under way may happen at any time from now on, unheard."""
        self.late += [step.effect for step in self.under_way if step.kind != "AwaitEnd"]
        self.under_way = []
        facts = CellFacts(ME, "10.0.0.1", network_namespace=False)
        capacity = Resources(memory_mb=9999, disk_mb=9999, containers=9)
        self.machine = CellMachine(facts, capacity, range(61000, 61010))
        self.feed(e.Recovered(tuple(self.disk.values()), tuple(self.host), self.now))
        self.incarnation = self.board.register(ME).cell.incarnation
        self.feed(e.Registered(self.incarnation))
        self.list_rows()

    def list_rows(self) -> None:
        rows = self.board.rows_of(ME)
        tasks = tuple(row.task for row in rows if row.HasField("task"))
        instances = tuple(row.actual_lrp for row in rows if row.HasField("actual_lrp"))
        self.watched = self.board.revision
        self.feed(e.RowsListed(tasks, instances, self.watched))

    def watch(self) -> None:
        """The next change of the feed, however late."""
        for change in self.board.changes_after(self.watched)[:1]:
            self.watched = change.revision
            removed = change.verb == Change.REMOVED
            if change.HasField("task"):
                self.feed(e.TaskChanged(change.task, change.revision, removed))
            else:
                self.feed(e.InstanceChanged(change.actual_lrp, change.revision, removed))
            self.feed(e.WatchedTo(change.revision))

    def feed(self, event: e.Event) -> None:
        for instruction in self.machine.handle(event, self.now):
            kind = "Record" if isinstance(instruction, i.Forget | i.WriteRecord) else ""
            kind = kind or type(instruction).__name__
            effect = self._effect(instruction)
            self.under_way.append(UnderWay(kind, instruction.handle, effect))
        assert violations(self.machine) == []

    def carry_out(self, choice: int, *, lose_answer: bool) -> None:
        """One of the things under way happens, and is heard of, or not."""
        if not self.under_way:
            return
        chosen = self.under_way[choice % len(self.under_way)]
        if chosen.kind == "Record":  # the executor writes the records of a container in turn
            same = (chosen.kind, chosen.handle)
            chosen = next(x for x in self.under_way if (x.kind, x.handle) == same)
        self.under_way.remove(chosen)
        event = chosen.effect()
        if lose_answer and isinstance(event, e.Answered):
            event = e.Unanswered(event.handle, event.request_id, "cut")
        if event is not None:
            self.feed(event)

    # What instructions do.

    def _effect(self, instruction: i.Instruction) -> Effect:
        handle = instruction.handle
        match instruction:
            case i.Submit():
                command = instruction.command
                command.cell_incarnation = self.incarnation
                return lambda: e.Answered(
                    handle, command.request_id, self.board.apply(f"cell/{ME}", command)
                )
            case i.WriteRecord():
                record, life = instruction.record, self.machine
                return lambda: self._write(record, life)
            case i.Forget():
                life = self.machine
                return lambda: self._forget(handle, life)
            case i.Prepare() | i.Create():
                answer = e.Prepared if isinstance(instruction, i.Prepare) else e.Created
                return lambda: self._prepare(handle, answer(handle))
            case i.Start():
                return lambda: self._start(handle)
            case i.Destroy():
                return lambda: self._destroy(handle)
            case i.Inspect():
                return lambda: e.Inspected(handle, self.host.get(handle))
            case i.AwaitEnd():
                return lambda: self._ended(handle)
            case i.Signal():
                return lambda: self._end(handle, Exit(143))
            case i.ReadResult():
                return lambda: self._read_result(handle)
            case i.Probe():
                return lambda: e.Probed(handle, instruction.index, "")

    def _write(self, record: Record, life: CellMachine) -> e.Event | None:
        """A dead agent's write never happens: its thread died with it."""
        if life is self.machine:
            self.disk[record.handle] = record
        return e.Recorded(record.handle, record.phase)

    def _forget(self, handle: str, life: CellMachine) -> e.Event:
        if life is self.machine:
            self.disk.pop(handle, None)
        return e.Forgotten(handle)

    def _prepare(self, handle: str, answer: e.Event) -> e.Event:
        """A call of a dead agent finds nothing to work on once the container was destroyed."""
        if handle not in self.destroyed and handle not in self.host:
            self.host[handle] = ContainerStatus(handle, ContainerState.PREPARED)
        return answer

    def _start(self, handle: str) -> e.Event:
        status = self.host.get(handle)
        if status is not None and status.state is ContainerState.PREPARED:
            self.starts[handle] += 1
            self.task_starts += handle.startswith("t-")
            self.host[handle] = replace(status, state=ContainerState.RUNNING, pid=42)
        elif status is not None:
            self.starts[handle] += 1  # asked for again: a real backend might have obeyed
        return e.Started(handle, "127.0.0.1", self.now)

    def _destroy(self, handle: str) -> e.Event:
        self.host.pop(handle, None)
        self.destroyed.add(handle)
        return e.Destroyed(handle)

    def _end(self, handle: str, how: Exit) -> None:
        status = self.host.get(handle)
        if status is not None and status.state is ContainerState.RUNNING:
            self.host[handle] = replace(status, state=ContainerState.EXITED, pid=0, exit=how)

    def _ended(self, handle: str) -> e.Event | None:
        status = self.host.get(handle)
        if status is None or status.state is ContainerState.RUNNING:
            self.under_way.append(UnderWay("AwaitEnd", handle, lambda: self._ended(handle)))
            return None
        return e.Ended(handle, status.exit)

    def _read_result(self, handle: str) -> e.Event:
        status = self.host.get(handle)
        assert status is None or status.state is ContainerState.EXITED, "read while it runs"
        if status is None:
            return e.StepFailed(handle, e.Step.READ, "it is not there")
        return e.ResultRead(handle, b"42")

    # What others do.

    def interfere(self, choice: int) -> None:
        task = self.board.rows.get(("task", "job"))
        actions: list[Callable[[], object]] = [lambda: self._end_all(choice)]
        if task is not None and task.state == Task.PENDING and not task.placed_cell_id:
            actions.append(lambda: self.board.place_task("job", ME))
        if task is not None and task.state == Task.PENDING and task.placed_cell_id:
            actions.append(lambda: self.board.withdraw_task("job"))
        if not self.board.instances("web"):
            actions.append(lambda: self.board.create_instance("web", 0))
        for row in self.board.instances("web"):
            guid = row.instance_guid
            if not row.placed_cell_id and row.state == row.UNCLAIMED:
                actions.append(lambda guid=guid: self.board.place_instance(guid, ME))  # type: ignore[misc]
            if row.cell_id:
                actions.append(lambda guid=guid: self.board.retire_instance(guid))  # type: ignore[misc]
        actions[choice % len(actions)]()

    def _end_all(self, status: int) -> None:
        for handle in list(self.host):
            self._end(handle, Exit(status % 3))

    def pass_time(self) -> None:
        self.now += 5.0
        self.feed(e.Due())

    def come_to_rest(self) -> None:
        """From now on everything works: programs end, answers come."""
        for effect in self.late:
            effect()
        for _ in range(60):
            self.watch()
            self.feed(e.HandlesFound(tuple(self.host)))
            self._end_all(0)
            for _ in range(len(self.under_way)):
                self.carry_out(0, lose_answer=False)
            self.pass_time()

    def check(self) -> None:
        assert all(count <= 1 for count in self.starts.values()), self.starts
        row = self.board.rows["task", "job"]
        running = [h for h, s in self.host.items() if s.state is ContainerState.RUNNING]
        tasks = [handle for handle in running if handle.startswith("t-")]
        if row.state == Task.COMPLETED and row.exit_status_known:
            assert not tasks, "reported with its exit status, and runs"
        if row.state == Task.PENDING:
            assert not tasks, "may be placed anew, and runs"


ACTIONS = st.one_of(
    st.tuples(st.just("carry out"), st.integers(0, 30)),
    st.tuples(st.just("carry out"), st.integers(0, 3)),
    st.tuples(st.just("lose"), st.integers(0, 30)),
    st.tuples(st.just("watch"), st.just(0)),
    st.tuples(st.just("interfere"), st.integers(0, 30)),
    st.tuples(st.just("time"), st.just(0)),
    st.tuples(st.just("die"), st.just(0)),
    st.tuples(st.just("late"), st.integers(0, 30)),
    st.tuples(st.just("list"), st.just(0)),
)


def act(world: World, action: str, choice: int) -> None:
    match action:
        case "carry out" | "lose":
            world.carry_out(choice, lose_answer=action == "lose")
        case "watch":
            world.watch()
        case "interfere":
            world.interfere(choice)
        case "time":
            world.pass_time()
        case "die":
            world.live()
        case "late" if world.late:
            world.late.pop(choice % len(world.late))()
        case "list":
            world.list_rows()


@settings(max_examples=400, deadline=None)
@given(st.lists(ACTIONS, min_size=10, max_size=120))
def test_nothing_is_started_twice_and_everything_comes_to_an_end(
    story: list[tuple[str, int]],
) -> None:
    world = World()
    world.board.place_task("job", ME)
    world.board.place_instance(world.board.create_instance("web", 0), ME)
    for action, choice in story:
        act(world, action, choice)
        world.check()
    world.come_to_rest()
    world.check()
    assert not [h for h, s in world.host.items() if s.state is ContainerState.RUNNING]
    task = world.board.rows["task", "job"]
    assert task.state == Task.COMPLETED or not task.placed_cell_id
    assert not [handle for handle in world.machine.containers if handle.startswith("t-")]
    assert not [handle for handle in (*world.host, *world.disk) if handle.startswith("t-")]


def test_the_world_itself_runs_a_task_from_beginning_to_end() -> None:
    """Otherwise the property would hold of a world in which nothing happens."""
    world = World()
    world.board.place_task("job", ME)
    world.come_to_rest()
    task = world.board.rows["task", "job"]
    assert (task.state, task.failed, task.exit_status_known) == (Task.COMPLETED, False, True)
    assert world.task_starts == 1
