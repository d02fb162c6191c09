"""A task is cancelled at any point of its life here: nothing starts after, nothing stays, nothing
wrong is said; and why a task failed is said for programs, too."""

from collections.abc import Callable

import pytest

from diegod.cellruntime.core import events as e
from diegod.cellruntime.core import instructions as i
from diegod.cellruntime.core.crash_points import Phase
from diegod.cellruntime.core.lifecycle import State
from diegod.contracts.backend import ContainerState, ContainerStatus, Exit
from diegod.internal.v1.command_pb2 import Outcome
from diegod.v1.definition_pb2 import TaskDefinition
from diegod.v1.record_pb2 import Task
from tests.unit.cellruntime.core.play import RUN, Play, T, task

CANCELLED = task("COMPLETED", revision=40, cell_id="", failed=True, failure=Task.CANCELLED)
RESULT = TaskDefinition(task_guid="job", rootfs="dir:/", action=RUN, result_file="/result")


def _waiting() -> Play:
    """For the room of one that is leaving."""
    play = Play(containers=1)
    leaving = Task()
    leaving.CopyFrom(task(attempt=3, revision=3))
    leaving.task_guid = "other"
    play.see(leaving)
    play.feed(e.StepFailed("t-other-3", e.Step.PREPARE, "no"))
    play.see(task())
    return play


def _up_to(*events: e.Event, way: Callable[[Play], object]) -> Callable[[], Play]:
    def build() -> Play:
        play = Play()
        way(play)
        for event in events:
            play.feed(event)
        return play

    return build


def _reading() -> Play:
    play = Play()
    play.see(task(definition=RESULT))
    play.feed(e.Prepared(T))
    play.feed(e.Recorded(T, Phase.INTENT))
    play.answer(Outcome(task=task("RUNNING", revision=8, definition=RESULT)))
    for event in (
        e.Recorded(T, Phase.GRANTED),
        e.Created(T),
        e.Recorded(T, Phase.STARTING),
        e.Started(T, "", 5.0),
        e.Ended(T, Exit(0)),
    ):
        play.feed(event)
    return play


def _adopting(phase: Phase) -> Callable[[], Play]:
    def build() -> Play:
        before = Play()
        before.task_running()
        record = before.container(T).record(phase)
        play = Play()
        play.feed(e.Recovered((record,), (T,), 1010.0))
        return play

    return build


def _timing_out(play: Play) -> None:
    play.task_running(execution_timeout_ms=1000)
    play.wait(1)


BUILD: dict[State, Callable[[], Play]] = {
    State.WAITING: _waiting,
    State.PREPARING: _up_to(way=lambda play: play.see(task())),
    State.ASKING: _up_to(way=Play.task_asking),
    State.GRANTED: _up_to(way=Play.task_granted),
    State.CREATING: _up_to(e.Recorded(T, Phase.GRANTED), way=Play.task_granted),
    State.CREATED: _up_to(e.Recorded(T, Phase.GRANTED), e.Created(T), way=Play.task_granted),
    State.STARTING: _up_to(way=Play.task_starting),
    State.RUNNING: _up_to(way=Play.task_running),
    State.READING: _reading,
    State.ENDING: _up_to(way=_timing_out),
    State.STOPPING: _up_to(e.Recorded(T, Phase.ENDING), way=_timing_out),
    State.DESTROYING: _up_to(
        e.StepFailed(T, e.Step.PREPARE, "no"), way=lambda play: play.see(task())
    ),
    State.REPORTING: _up_to(e.Ended(T, Exit(0)), way=Play.task_running),
    State.ADOPTING: _adopting(Phase.STARTED),
}


class World:
    """Carries out whatever it is told, truthfully, and forgets nothing."""

    def __init__(self, play: Play) -> None:
        self.play = play
        self.started: list[str] = []
        self.runs = play.state(T) in (
            State.STARTING,  # the call was made, and its answer is on its way
            State.RUNNING,
            State.ENDING,
            State.STOPPING,
            State.ADOPTING,
        )
        #: Whether anything of it may be on the backend.
        self.here = play.state(T) != State.WAITING

    def carry_on(self, out: list[i.Instruction]) -> None:
        queue = list(out)
        for _ in range(200):
            while queue:
                event = self.answer(queue.pop(0))
                queue += self.play.instructions(event) if event else []
            if (deadline := self.play.machine.next_deadline()) is None:
                return
            self.play.now = deadline
            queue += self.play.instructions(e.Due())

    def answer(self, step: i.Instruction) -> e.Event | None:
        if step.handle != T:
            return None
        match step:
            case i.Start():
                self.started.append(step.handle)
            case i.Signal():
                self.runs = False
                return e.Ended(T, Exit(143))
            case i.Destroy():
                self.runs = self.here = False
                return e.Destroyed(T)
            case i.Forget():
                return e.Forgotten(T)
            case i.WriteRecord():
                return e.Recorded(T, step.record.phase)
            case i.Create():
                return e.Created(T)
            case i.Submit():
                self.play.commands.append(step.command)
        return None


#: What was on its way when the news came, and is answered after it.
PENDING_ANSWER: dict[State, e.Event] = {
    State.PREPARING: e.Prepared(T),
    State.GRANTED: e.Recorded(T, Phase.GRANTED),
    State.CREATING: e.Created(T),
    State.CREATED: e.Recorded(T, Phase.STARTING),
    State.STARTING: e.Started(T, "", 5.0),
    State.READING: e.ResultRead(T, b"42"),
    State.ENDING: e.Recorded(T, Phase.ENDING),
    State.DESTROYING: e.Destroyed(T),
    State.ADOPTING: e.Inspected(T, ContainerStatus(T, ContainerState.RUNNING, pid=7)),
}


@pytest.mark.parametrize("news", ["changed", "removed", "listed"])
@pytest.mark.parametrize("state", BUILD)
def test_a_task_that_is_cancelled_is_ended_and_nothing_is_said_of_it(
    state: State, news: str
) -> None:
    play = BUILD[state]()
    assert play.state(T) == state
    said = len(play.commands)
    world = World(play)
    if news == "listed":
        out = play.instructions(e.RowsListed((), (), 40))
    else:
        out = play.instructions(e.TaskChanged(CANCELLED, 40, news == "removed"))
    if (late := PENDING_ANSWER.get(state)) is not None:
        out += play.instructions(late)
        world.here = world.here and not isinstance(late, e.Destroyed)
    world.carry_on(out)
    play.feed(e.WatchedTo(40))
    assert world.started == []
    assert not world.runs
    assert not world.here
    assert play.state(T) == "none"
    verbs = [command.WhichOneof("command") for command in play.commands[said:]]
    assert [verb for verb in verbs if verb != "start_task"] == []


@pytest.mark.parametrize("state", [State.ASKING, State.REPORTING])
def test_the_answer_to_a_question_of_a_cancelled_task_changes_nothing(state: State) -> None:
    play = BUILD[state]()
    play.see(CANCELLED)
    assert play.answer(Outcome(task=task("RUNNING", revision=8))) == []
    assert play.state(T) == State.DESTROYING


def test_a_cancelled_task_is_ended_as_its_definition_says() -> None:
    play = Play()
    definition = TaskDefinition(
        task_guid="job", rootfs="dir:/", action=RUN, stop_signal="INT", stop_timeout_ms=2500
    )
    play.see(task(definition=definition))
    play.feed(e.Prepared(T))
    play.feed(e.Recorded(T, Phase.INTENT))
    play.answer(Outcome(task=task("RUNNING", revision=8, definition=definition)))
    for event in (
        e.Recorded(T, Phase.GRANTED),
        e.Created(T),
        e.Recorded(T, Phase.STARTING),
        e.Started(T, "", 5.0),
    ):
        play.feed(event)
    assert play.see(CANCELLED) == [f"Signal INT {T}"]
    assert play.machine.next_deadline() == play.now + 2.5
    assert play.wait(2.5) == [f"Signal KILL {T}"]


@pytest.mark.parametrize("definite", [True, False])
def test_why_it_failed_is_said_for_programs(definite: bool) -> None:
    play = Play()
    play.task_starting()
    play.feed(e.StepFailed(T, e.Step.START, "no such file", definite=definite))
    play.feed(e.Recorded(T, Phase.ENDING))
    play.feed(e.Destroyed(T))
    expected = Task.PROGRAM if definite else Task.AGENT_LOST_IT
    assert play.commands[-1].complete_task.failure == expected


@pytest.mark.parametrize(
    ("status", "failure"), [(0, Task.NONE), (1, Task.PROGRAM), (137, Task.PROGRAM)]
)
def test_a_program_s_own_end(status: int, failure: Task.Failure.ValueType) -> None:
    play = Play()
    play.task_running()
    play.feed(e.Ended(T, Exit(status)))
    assert play.commands[-1].complete_task.failure == failure


def test_a_time_limit_is_a_failure_of_its_own() -> None:
    play = BUILD[State.STOPPING]()
    play.feed(e.Ended(T, Exit(0)))  # it ended well, and too late
    play.feed(e.Destroyed(T))
    said = play.commands[-1].complete_task
    assert (said.failed, said.failure) == (True, Task.TIMED_OUT)
