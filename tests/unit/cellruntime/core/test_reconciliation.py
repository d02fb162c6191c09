"""Diego's tables of what a cell does about a container and its row, each cell of them one row here.

Where our answer differs from Diego's, the comment says why. Three differences run through all:
a program is asked to end (Diego's "delete" kills it at once); what is destroyed is destroyed before
a word is said of it; and a step that is under way is waited for, and its answer leads on, so the
answer is given here together with the news.
"""

from collections.abc import Callable
from typing import Any

import pytest

from diegod.cellruntime.core import events as e
from diegod.cellruntime.core.crash_points import Phase
from diegod.contracts.backend import ContainerState, ContainerStatus, Exit
from diegod.internal.v1.command_pb2 import Outcome
from diegod.v1.record_pb2 import ActualLrp, Task
from tests.unit.cellruntime.core.play import OTHER, L, Play, T, instance, task

Builds = tuple[Callable[[Play], object], e.Event | None]

# Tasks: "Rep reconciliation" of lrp-task-states-and-transitions.md.


def _task_failed_before_its_start(play: Play) -> None:
    play.task_granted()
    play.feed(e.Recorded(T, Phase.GRANTED))
    play.feed(e.StepFailed(T, e.Step.CREATE, "no"))


def _task_completed(play: Play) -> None:
    play.task_running()
    play.feed(e.Ended(T, Exit(0)))


#: Diego's states of a container: how ours comes to be in it, and the answer that is on its way.
TASK_HERE: dict[str, Builds] = {
    "RESERVED": (lambda play: play.see(task()), e.Prepared(T)),
    "CREATED": (Play.task_starting, e.Started(T, "", 5.0)),
    "RUNNING": (Play.task_running, None),
    "COMPLETED": (_task_completed, None),
    "COMPLETED retryable": (_task_failed_before_its_start, e.Destroyed(T)),
    "none": (lambda play: None, None),
}
TASK_THERE: dict[str, Task | None] = {
    "missing": None,
    "PENDING": task(revision=20),
    "RUNNING α": task("RUNNING", revision=20),
    "RUNNING ω": task("RUNNING", revision=20, cell_id=OTHER),
    "COMPLETED": task("COMPLETED", revision=20, cell_id=""),
    "RESOLVING": task("RESOLVING", revision=20, cell_id=""),
}
RUNS = [f"Record started {T}", f"AwaitEnd {T}"]
TASKS: dict[tuple[str, str], list[str]] = {
    ("RESERVED", "missing"): [f"Destroy {T}"],
    # The intention is on disk before the BBS is asked.
    ("RESERVED", "PENDING"): [f"Record intent {T}"],
    # Diego: nothing. A row that says RUNNING is no grant: the answer to our own question is.
    ("RESERVED", "RUNNING α"): [f"Record intent {T}"],
    ("RESERVED", "RUNNING ω"): [f"Destroy {T}"],
    ("RESERVED", "COMPLETED"): [f"Destroy {T}"],
    ("RESERVED", "RESOLVING"): [f"Destroy {T}"],
    ("CREATED", "missing"): [*RUNS, f"Signal TERM {T}"],
    # Diego: set RUNNING α. Ours was granted before it was created, so that row is no news.
    ("CREATED", "PENDING"): RUNS,
    ("CREATED", "RUNNING α"): RUNS,
    ("CREATED", "RUNNING ω"): [*RUNS, f"Signal TERM {T}"],
    ("CREATED", "COMPLETED"): [*RUNS, f"Signal TERM {T}"],
    ("CREATED", "RESOLVING"): [*RUNS, f"Signal TERM {T}"],
    ("RUNNING", "missing"): [f"Signal TERM {T}"],
    ("RUNNING", "PENDING"): [],  # as above
    ("RUNNING", "RUNNING α"): [],
    ("RUNNING", "RUNNING ω"): [f"Signal TERM {T}"],
    ("RUNNING", "COMPLETED"): [f"Signal TERM {T}"],
    ("RUNNING", "RESOLVING"): [f"Signal TERM {T}"],
    ("COMPLETED", "missing"): [f"Destroy {T}"],
    ("COMPLETED", "PENDING"): [],  # its end is being told; it is destroyed when that was heard
    ("COMPLETED", "RUNNING α"): [],
    ("COMPLETED", "RUNNING ω"): [f"Destroy {T}"],
    ("COMPLETED", "COMPLETED"): [f"Destroy {T}"],
    ("COMPLETED", "RESOLVING"): [f"Destroy {T}"],
    ("COMPLETED retryable", "missing"): [f"Forget {T}"],
    ("COMPLETED retryable", "PENDING"): ["Submit reject_task"],
    ("COMPLETED retryable", "RUNNING α"): ["Submit reject_task"],
    ("COMPLETED retryable", "RUNNING ω"): [f"Forget {T}"],
    ("COMPLETED retryable", "COMPLETED"): [f"Forget {T}"],
    ("COMPLETED retryable", "RESOLVING"): [f"Forget {T}"],
    ("none", "missing"): [],
    ("none", "PENDING"): [f"Prepare {T}"],  # placed here: that is how work comes to our cells
    ("none", "RUNNING α"): [f"Destroy {T}"],  # then failed, outcome unknown: see below
    ("none", "RUNNING ω"): [],
    ("none", "COMPLETED"): [],
    ("none", "RESOLVING"): [],
}


@pytest.mark.parametrize(("here", "there"), TASKS)
def test_table_of_tasks(here: str, there: str) -> None:
    build, answer = TASK_HERE[here]
    play = Play()
    build(play)
    row = TASK_THERE[there]
    news = task("COMPLETED", revision=20) if row is None else row
    out = play.see(news, removed=row is None)
    assert out + (play.feed(answer) if answer else []) == TASKS[here, there]


def test_the_table_of_tasks_is_whole() -> None:
    assert set(TASKS) == {(here, there) for here in TASK_HERE for there in TASK_THERE}


def test_a_task_without_its_container_is_failed_and_says_why() -> None:
    play = Play()
    play.see(task("RUNNING", revision=20))
    assert play.feed(e.Destroyed(T)) == ["Submit complete_task"]
    said = play.commands[-1].complete_task
    assert (said.failed, said.outcome_unknown, said.failure) == (True, True, Task.AGENT_LOST_IT)
    assert said.failure_reason.startswith("its container is gone from the cell")


# Instances: the "Alternate view" of the same note, merged with its long table.


def _created(play: Play) -> None:
    play.see(instance())
    play.answer(Outcome(actual_lrp=instance("CLAIMED", revision=10)))
    play.feed(e.Prepared(L))
    play.feed(e.Recorded(L, Phase.GRANTED))


def _stopped(play: Play) -> None:
    play.lrp_running()
    play.see(instance("RUNNING", revision=12, stopping=True))
    play.feed(e.Ended(L, Exit(0)))


def _crashed(play: Play) -> None:
    play.lrp_running()
    play.feed(e.Ended(L, Exit(1)))
    play.feed(e.Recorded(L, Phase.ENDING))


LRP_HERE: dict[str, Builds] = {
    "RESERVED": (lambda play: play.see(instance()), e.Prepared(L)),
    "CREATED": (_created, e.Created(L)),
    "RUNNING": (Play.lrp_running, None),
    "COMPLETED stopped": (_stopped, e.Destroyed(L)),
    "COMPLETED crashed": (_crashed, e.Destroyed(L)),
    "none": (lambda play: None, None),
}
NOWHERE: dict[str, Any] = {"cell_id": "", "placed_cell_id": ""}
LRP_THERE: dict[str, ActualLrp | None] = {
    "missing": None,
    "UNCLAIMED": instance(revision=20),
    "UNCLAIMED elsewhere": instance(revision=20, placed_cell_id=OTHER),
    "CLAIMED α": instance("CLAIMED", revision=20),
    "CLAIMED ω": instance("CLAIMED", revision=20, cell_id=OTHER),
    "RUNNING α": instance("RUNNING", revision=20),
    "RUNNING ω": instance("RUNNING", revision=20, cell_id=OTHER),
    "CRASHED": instance("CRASHED", revision=20, **NOWHERE),
}
DELETED = ("missing", "UNCLAIMED elsewhere", "CLAIMED ω", "RUNNING ω", "CRASHED")
LRPS: dict[tuple[str, str], list[str]] = {
    **{("RESERVED", there): [f"Destroy {L}"] for there in DELETED},
    ("RESERVED", "UNCLAIMED"): [],  # the claim was asked for when it was taken on; it waits for it
    ("RESERVED", "CLAIMED α"): [f"Record granted {L}"],
    # Diego: set CLAIMED α, then run. A row that is RUNNING here before it was made is one that an
    # earlier life had; making it takes the row where it belongs.
    ("RESERVED", "RUNNING α"): [f"Record granted {L}"],
    **{("CREATED", there): [f"Record starting {L}"] for there in DELETED},  # and then: see below
    ("CREATED", "UNCLAIMED"): [f"Record starting {L}"],
    ("CREATED", "CLAIMED α"): [f"Record starting {L}"],
    ("CREATED", "RUNNING α"): [f"Record starting {L}"],  # Diego: set CLAIMED α; it soon runs
    # Diego: where the row is missing, or CLAIMED by another cell, what runs takes it over. An
    # instance guid of ours names one placement: a row that is not ours is another instance's, and
    # a missing one was removed on purpose. (Rows lost by a restore are another matter: see
    # test_epochs.)
    **{("RUNNING", there): [f"Signal INT {L}"] for there in DELETED},
    ("RUNNING", "UNCLAIMED"): ["Submit claim_instance"],  # then start_instance: in two steps
    ("RUNNING", "CLAIMED α"): ["Submit start_instance"],
    ("RUNNING", "RUNNING α"): [],
    **{("COMPLETED stopped", there): [f"Forget {L}"] for there in DELETED},
    # Diego: delete. A row that does not ask for the end any more was made by a restore; that the
    # instance is gone is said of it all the same.
    ("COMPLETED stopped", "UNCLAIMED"): ["Submit remove_instance"],
    ("COMPLETED stopped", "CLAIMED α"): ["Submit remove_instance"],
    ("COMPLETED stopped", "RUNNING α"): ["Submit remove_instance"],
    **{("COMPLETED crashed", there): [f"Forget {L}"] for there in DELETED},
    # Diego: where the row is missing it calls crash, and is told that there is none.
    ("COMPLETED crashed", "UNCLAIMED"): ["Submit crash_instance"],  # refused, and then forgotten
    ("COMPLETED crashed", "CLAIMED α"): ["Submit crash_instance"],
    ("COMPLETED crashed", "RUNNING α"): ["Submit crash_instance"],
    **{("none", there): [] for there in DELETED},
    ("none", "UNCLAIMED"): [f"Prepare {L}", "Submit claim_instance"],
    # Diego: delete the row. It was claimed by an earlier life that wrote no record of having made
    # it, so it is made now.
    ("none", "CLAIMED α"): [f"Prepare {L}"],
    # Diego: delete the row. Ours is a crash, so that the crash policy sees what keeps vanishing.
    ("none", "RUNNING α"): [f"Destroy {L}"],
}


@pytest.mark.parametrize(("here", "there"), LRPS)
def test_table_of_instances(here: str, there: str) -> None:
    build, answer = LRP_HERE[here]
    play = Play()
    build(play)
    row = LRP_THERE[there]
    news = instance("CRASHED", revision=20) if row is None else row
    out = play.see(news, removed=row is None)
    assert out + (play.feed(answer) if answer else []) == LRPS[here, there]


def test_the_table_of_instances_is_whole() -> None:
    assert set(LRPS) == {(here, there) for here in LRP_HERE for there in LRP_THERE}


@pytest.mark.parametrize("there", DELETED)
def test_what_is_not_wanted_any_more_is_destroyed_instead_of_started(there: str) -> None:
    """The second step of the column CREATED."""
    play = Play()
    _created(play)
    row = LRP_THERE[there]
    play.see(instance("CRASHED", revision=20) if row is None else row, removed=row is None)
    play.feed(e.Created(L))
    assert play.feed(e.Recorded(L, Phase.STARTING)) == [f"Destroy {L}"]
    assert not play.container(L).start_issued


# Evacuation. Who replaces whom is the brain's to decide, by the presence of rows; a cell sees its
# own row and nothing else, and what runs there runs on until `stopping`, or the row's end.

EVACUATING, SUSPECT = ActualLrp.EVACUATING, ActualLrp.SUSPECT
#: ordinary row, evacuating row (Diego's table) -> what cell α sees of that here, what it does
EVACUATION: dict[tuple[str, str], tuple[ActualLrp | None, list[str]]] = {
    # Diego's cell creates the evacuating row and unclaims the other: ours has nothing to do.
    ("RUNNING α", "-"): (instance("RUNNING", revision=20, presence=EVACUATING), []),
    ("UNCLAIMED", "RUNNING α"): (instance("RUNNING", revision=20, presence=EVACUATING), []),
    ("CLAIMED ω", "RUNNING α"): (instance("RUNNING", revision=20, presence=EVACUATING), []),
    # Diego: delete row and container. The brain asks for its end, and the cell removes the row
    # when it has ended.
    ("RUNNING ω", "RUNNING α"): (
        instance("RUNNING", revision=20, presence=EVACUATING, stopping=True),
        [f"Signal INT {L}"],
    ),
    # Diego: delete both. A replacement that crashes is no reason to end what still serves.
    ("CRASHED", "RUNNING α"): (instance("RUNNING", revision=20, presence=EVACUATING), []),
    ("missing", "RUNNING α"): (
        instance("RUNNING", revision=20, presence=EVACUATING, stopping=True),
        [f"Signal INT {L}"],
    ),
    # Of one index there is at most one evacuating row: ours is gone.
    ("any", "RUNNING β"): (None, [f"Signal INT {L}"]),
    # Diego: α's takes the place of β's. Here an ordinary one is made evacuating only when there
    # is no other, and until then runs on.
    ("RUNNING α", "RUNNING β"): (instance("RUNNING", revision=20), []),
}


@pytest.mark.parametrize(("ordinary", "evacuating"), EVACUATION)
def test_table_of_evacuation(ordinary: str, evacuating: str) -> None:
    row, expected = EVACUATION[ordinary, evacuating]
    play = Play()
    play.lrp_running()
    news = instance("RUNNING", revision=20) if row is None else row
    assert play.see(news, removed=row is None) == expected


@pytest.mark.parametrize("presence", [EVACUATING, SUSPECT])
class TestWhateverThePresence:
    """The container of a row that is EVACUATING or SUSPECT is like any other to its cell."""

    def test_it_runs_on_also_after_a_whole_list(
        self, presence: ActualLrp.Presence.ValueType
    ) -> None:
        play = Play()
        play.lrp_running()
        row = instance("RUNNING", revision=12, presence=presence)
        assert play.list_rows(row) == []
        assert play.state(L) == "running"

    def test_the_next_agent_adopts_it(self, presence: ActualLrp.Presence.ValueType) -> None:
        before = Play()
        before.lrp_running()
        record = before.container(L).record(Phase.STARTED)
        play = Play()
        assert play.feed(e.Recovered((record,), (L,), 1010.0)) == [f"Inspect {L}"]
        running = ContainerStatus(L, ContainerState.RUNNING, pid=7)
        assert play.feed(e.Inspected(L, running)) == [f"AwaitEnd {L}"]
        assert play.list_rows(instance("RUNNING", revision=12, presence=presence)) == []
        assert play.state(L) == "running"

    def test_its_crash_is_reported(self, presence: ActualLrp.Presence.ValueType) -> None:
        play = Play()
        play.lrp_running()
        play.see(instance("RUNNING", revision=12, presence=presence))
        play.feed(e.Ended(L, Exit(3)))
        play.feed(e.Recorded(L, Phase.ENDING))
        assert play.feed(e.Destroyed(L)) == ["Submit crash_instance"]
        gone = instance("RUNNING", revision=13, **NOWHERE)
        assert play.answer(Outcome(actual_lrp=gone)) == [f"Forget {L}"]

    def test_it_is_stopped_when_it_is_asked_for(
        self, presence: ActualLrp.Presence.ValueType
    ) -> None:
        play = Play()
        play.lrp_running()
        play.see(instance("RUNNING", revision=12, presence=presence))
        stopping = instance("RUNNING", revision=13, presence=presence, stopping=True)
        assert play.see(stopping) == [f"Signal INT {L}"]
        play.feed(e.Ended(L, Exit(0)))
        assert play.feed(e.Destroyed(L)) == ["Submit remove_instance"]

    def test_it_may_become_ordinary_again(self, presence: ActualLrp.Presence.ValueType) -> None:
        play = Play()
        play.lrp_running()
        play.see(instance("RUNNING", revision=12, presence=presence))
        assert play.see(instance("RUNNING", revision=13)) == []
