"""What concerns the machine as a whole: room, late rows, and any order of events."""

from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

from diegod.cellruntime.core import events as e
from diegod.cellruntime.core.crash_points import Phase
from diegod.contracts.backend import ContainerState, ContainerStatus, Exit
from diegod.internal.v1.command_pb2 import Outcome
from diegod.models.errors import Reason
from diegod.v1.definition_pb2 import TaskDefinition
from tests.unit.cellruntime.core.play import (
    ME,
    OTHER,
    RUN,
    TCP,
    L,
    Play,
    T,
    instance,
    task,
)


def big(guid: str, attempt: int) -> Any:
    definition = TaskDefinition(task_guid=guid, action=RUN, memory_mb=700, disk_mb=1)
    row = task(attempt=attempt, revision=attempt, definition=definition)
    row.task_guid = guid
    return row


def test_work_without_room_is_rejected() -> None:
    play = Play()
    play.see(big("a", 21))
    assert play.see(big("b", 22)) == ["Submit reject_task"]
    reason = play.commands[-1].reject_task.rejection_reason
    assert reason == "no room on the cell (memory_mb: 700 wanted, 324 free)"
    play.answer(Outcome(task=task("PENDING", revision=23, attempt=0)))
    play.feed(e.WatchedTo(23))
    assert play.state("t-b-22") == "none"


def test_work_waits_for_the_room_of_one_that_is_leaving() -> None:
    play = Play()
    play.see(big("a", 21))
    gone = big("a", 21)
    gone.state, gone.provenance.revision = gone.COMPLETED, 30
    play.see(gone)
    play.feed(e.Prepared("t-a-21"))
    assert play.see(big("b", 31)) == []
    assert play.state("t-b-31") == "waiting"
    assert play.feed(e.Destroyed("t-a-21")) == ["Prepare t-b-31"]


def test_a_late_row_does_not_bring_a_finished_task_back() -> None:
    """The watch of a member that is behind may show it running after it was reported."""
    play = Play()
    play.task_running()
    play.feed(e.Ended(T, Exit(0)))
    play.answer(Outcome(task=task("COMPLETED", revision=12)))
    play.feed(e.Destroyed(T))
    play.feed(e.Forgotten(T))
    assert play.see(task("RUNNING", revision=8)) == []
    play.feed(e.WatchedTo(8))
    assert play.state(T) == "gone"
    play.see(task("COMPLETED", revision=12))
    play.feed(e.WatchedTo(12))
    assert play.state(T) == "none"


def test_answers_to_what_is_over_are_ignored() -> None:
    play = Play()
    never_asked: list[e.Event] = [e.Prepared(T), e.Started(T, "", 0.0), e.Probed(T, 0, "")]
    for event in never_asked:
        assert play.feed(event) == []
    play.task_running()
    long_past: list[e.Event] = [e.Prepared(T), e.Created(T), e.Destroyed(T), e.GrantExpired(T)]
    for event in long_past:
        assert play.feed(event) == []
    assert play.state(T) == "running"


def test_a_definition_that_is_missing_is_rejected() -> None:
    row = task()
    row.ClearField("definition")
    play = Play()
    assert play.see(row) == ["Submit reject_task"]


def test_the_story_of_a_container_can_be_told() -> None:
    play = Play()
    play.task_asking()
    assert [str(move.after) for move in play.machine.take_moves()] == ["preparing", "asking"]
    assert play.machine.take_moves() == []


# Any events in any order, also impossible ones: the invariants hold after each.

HANDLES = st.sampled_from([T, L])
EXITS = st.sampled_from([None, Exit(0), Exit(1)])
ROWS = st.sampled_from(["PENDING", "RUNNING", "COMPLETED"])
LRP_ROWS = st.sampled_from(["UNCLAIMED", "CLAIMED", "RUNNING", "CRASHED"])
CELLS = st.sampled_from([ME, OTHER])
REVISIONS = st.integers(1, 60)
TASK_ROWS = st.builds(
    lambda state, cell, attempt, revision: task(
        state, revision=revision, attempt=attempt, placed_cell_id=cell
    ),
    ROWS,
    CELLS,
    st.sampled_from([7, 8]),
    REVISIONS,
)
INSTANCE_ROWS = st.builds(
    lambda state, cell, revision, stopping: instance(
        state, revision=revision, placed_cell_id=cell, stopping=stopping, checks=(TCP,)
    ),
    LRP_ROWS,
    CELLS,
    REVISIONS,
    st.booleans(),
)
OUTCOMES = st.one_of(
    st.builds(lambda row: Outcome(task=row), TASK_ROWS),
    st.builds(lambda row: Outcome(actual_lrp=row), INSTANCE_ROWS),
    st.builds(
        lambda reason: Outcome(reason=reason),
        st.sampled_from([Reason.WRONG_ATTEMPT, Reason.NOT_LEADER, Reason.STALE_INCARNATION]),
    ),
)
STATUSES = st.one_of(
    st.none(),
    st.sampled_from(list(ContainerState)).map(
        lambda state: ContainerStatus(
            "", state, exit=Exit(0) if state is ContainerState.EXITED else None
        )
    ),
)
REQUESTS = st.builds(
    lambda handle, verb: (handle, f"{handle}.{verb}"),
    HANDLES,
    st.sampled_from(["start", "claim", "complete", "reject", "crash", "remove"]),
)
EVENTS = st.one_of(
    st.builds(lambda row: e.TaskChanged(row, row.provenance.revision), TASK_ROWS),
    st.builds(lambda row: e.InstanceChanged(row, row.provenance.revision), INSTANCE_ROWS),
    st.builds(lambda row: e.TaskChanged(row, row.provenance.revision, True), TASK_ROWS),
    st.builds(
        lambda tasks, rows, revision: e.RowsListed(tuple(tasks), tuple(rows), revision),
        st.lists(TASK_ROWS, max_size=1),
        st.lists(INSTANCE_ROWS, max_size=1),
        REVISIONS,
    ),
    st.builds(e.WatchedTo, REVISIONS),
    st.builds(
        lambda request, outcome: e.Answered(request[0], request[1], outcome), REQUESTS, OUTCOMES
    ),
    st.builds(lambda request: e.Unanswered(request[0], request[1], "cut"), REQUESTS),
    st.just(e.Due()),
    st.builds(e.Prepared, HANDLES),
    st.builds(e.Recorded, HANDLES, st.sampled_from(list(Phase))),
    st.builds(e.Created, HANDLES),
    st.builds(e.Started, HANDLES, st.just("10.9.0.2"), st.just(1.0)),
    st.builds(e.GrantExpired, HANDLES),
    st.builds(e.Inspected, HANDLES, STATUSES),
    st.builds(e.Ended, HANDLES, EXITS),
    st.builds(e.Destroyed, HANDLES),
    st.builds(e.Forgotten, HANDLES),
    st.builds(e.Probed, HANDLES, st.just(0), st.sampled_from(["", "refused"])),
    st.builds(
        e.StepFailed,
        HANDLES,
        st.sampled_from(list(e.Step)),
        st.just("no"),
        st.booleans(),
        st.one_of(st.none(), st.sampled_from(list(Phase))),
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(EVENTS, st.integers(0, 20)), max_size=60))
def test_no_order_of_events_breaks_an_invariant(story: list[e.Event | int]) -> None:
    """A number stands for one of the answers that take a container on."""
    play = Play()
    for event in story:
        play.now += 1.0
        if isinstance(event, int):
            choices = likely(play)
            event = choices[event % len(choices)]
        play.feed(event)  # checks the invariants
    starts = sum(container.start_issued for container in play.machine.containers.values())
    assert starts <= len(play.machine.containers)


def likely(play: Play) -> list[e.Event]:
    events: list[e.Event] = [e.TaskChanged(task(revision=60), 60)]
    for handle, container in play.machine.containers.items():
        if container.question is not None:
            row = task("RUNNING", revision=60) if handle == T else None
            other = instance("CLAIMED", revision=60, checks=(TCP,))
            outcome = Outcome(task=row) if row else Outcome(actual_lrp=other)
            events.append(e.Answered(handle, container.question.command.request_id, outcome))
        events += [e.Prepared(handle), e.Created(handle), e.Destroyed(handle)]
        events += [e.Started(handle, "", 1.0), e.Forgotten(handle)]
        events += [e.Recorded(handle, phase) for phase in Phase]
    return events
