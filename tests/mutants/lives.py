"""What makes up the promises of tasks and LRPs: each is looked for by the whole simulated system.

Who may start a program, and when one may be ended. A promise that brain and BBS both keep is taken
from both: with the guard of one of them nothing goes wrong.
"""

from typing import Any

from diegod.cellruntime.core import ending
from diegod.cellruntime.core import events as e
from diegod.cellruntime.core.crash_points import Verb, Verdict
from diegod.cellruntime.core.lifecycle import State
from diegod.internal.v1.command_pb2 import Outcome
from diegod.v1.record_pb2 import ActualLrp, Task
from tests.mutants.mutant import Chance, Mutant
from tests.mutants.seen import Seen
from tests.mutants.surgery import all_of, around, rule, says

#: One of so many seeds of the whole system has to find it.
SYSTEM = Chance("ring", 60, must=True)
_CELL = "tests/unit/cellruntime/core/"
_BRAIN = "tests/unit/scheduler/core/"


def _silence_is_a_grant(handle: Any, machine: Any, event: Any, now: float) -> Any:
    """No answer to a start: it is taken for the one that was hoped for."""
    container = machine.containers.get(getattr(event, "handle", ""))
    if (
        isinstance(event, e.Unanswered)
        and container is not None
        and container.state is State.ASKING
        and isinstance(container.row, Task)
    ):
        row = Task()
        row.CopyFrom(container.row)
        row.state, row.cell_id, row.cell_incarnation = Task.RUNNING, row.placed_cell_id, 1 << 60
        event = e.Answered(event.handle, event.request_id, Outcome(task=row))
    return handle(machine, event, now)


def _concludes_at_once(lost: Any, s: Any, container: Any, reason: str) -> None:
    """What does not run now has never run: nothing is destroyed before that is said."""
    if container.state is State.ADOPTING:
        s.move(container, State.RUNNING, reason)  # from where the way to a report is open
    container.verdict = Verdict(Verb.REJECT, reason)
    ending.report_first(s, container, container.verdict, reason)


def _as_if_placed(start: Any, view: Any, command: Any, context: Any) -> Any:
    """Whatever the row says, it is placed on the cell that asks, under what it asks for."""

    def placed(row: Any) -> Any:
        if row is not None and row.state == Task.PENDING:
            row.placed_cell_id, row.attempt = context.caller_id, command.attempt
        return row

    return start(Seen(view, task=placed), command, context)


def _any_other_will_do(settle: Any, process: Any, slot: Any) -> None:
    """A suspect goes as soon as there is another one of its index, whether that runs or not."""
    for row in slot.suspects if slot.ordinary is not None else ():
        process.end(row, "its replacement runs")
    settle(process, slot)


def _made_is_as_good_as_healthy(why_ended: Any, process: Any, slot: Any, row: Any) -> str:
    """An evacuating instance goes as soon as another one was made in its place."""
    if slot.ordinary is not None:
        return "its replacement runs"
    found: str = why_ended(process, slot, row)
    return found


def _of_presence(presence: int) -> Any:
    """The BBS asks for no other instance before it ends one of this presence."""

    def never_kept(why_kept: Any, row: Any, *facts: Any) -> Any:
        return "" if row.presence == presence else why_kept(row, *facts)

    return never_kept


def _always_due(due: Any, view: Any, name: str, seen: int, slot_ns: int) -> Any:
    """Whatever has become of the schedule meanwhile, this slot is to be fired."""
    schedule = view.task_schedule(name)
    return schedule if schedule is not None else due(view, name, seen, slot_ns)


LIVES: tuple[Mutant, ...] = (
    Mutant(
        "runs-on-an-ambiguous-grant",
        "at most once",
        "a cell that was not answered starts the task all the same",
        around("cellruntime.core.machine:CellMachine.handle", _silence_is_a_grant),
        (
            f"{_CELL}test_tasks.py::"
            "test_an_unanswered_question_is_asked_again_and_nothing_runs_meanwhile",
        ),
        SYSTEM,
    ),
    Mutant(
        "restart-concludes-before-destroying",
        "at most once",
        "an agent that finds no program says that it never ran, while its start is under way",
        around("cellruntime.core.tasks:lost", _concludes_at_once),
        (f"{_CELL}test_recovery.py::test_what_is_not_there_is_destroyed_before_anything_is_said",),
        SYSTEM,
    ),
    Mutant(
        "withdrawn-placement-is-accepted",
        "at most once",
        "a cell starts under a placement that was withdrawn",
        rule("start_task", _as_if_placed),
        ("core/test_tasks.py::test_a_withdrawn_placement_is_refused_for_ever",),
        SYSTEM,
    ),
    Mutant(
        "suspect-removed-too-early",
        "LRPs",
        "an instance on a lost cell is given up before another one runs",
        all_of(
            around("scheduler.core.lrps.suspicion:settle_suspects", _any_other_will_do),
            around("models.retirement:why_kept", _of_presence(ActualLrp.SUSPECT)),
        ),
        (
            f"{_BRAIN}lrps/test_suspicion.py::TestALostCell::"
            "test_a_suspect_is_never_ended_before_its_replacement_runs",
        ),
        SYSTEM,
    ),
    Mutant(
        "evacuating-instance-stopped-too-early",
        "LRPs",
        "an instance ends before the one that replaces it is healthy",
        all_of(
            around("scheduler.core.lrps.evacuation:why_ended", _made_is_as_good_as_healthy),
            around("models.retirement:why_kept", _of_presence(ActualLrp.EVACUATING)),
        ),
        (
            f"{_BRAIN}lrps/test_evacuation.py::TestTheTable::"
            "test_while_the_other_one_is_claimed_it_serves",
        ),
        SYSTEM,
    ),
    Mutant(
        "cron-fired-twice",
        "schedules",
        "a slot is fired again by who does not know that it is done",
        around("raftbbs.core.schedules:_due", _always_due),
        ("core/test_schedules.py::test_two_brains_that_saw_the_same_slot_make_one_task",),
        SYSTEM,
    ),
    Mutant(
        "stale-brain-is-accepted",
        "LRPs",
        "a brain that has lost its lock decides on what it saw then",
        all_of(
            around("raftbbs.core.guards:lock_held", says(None)),
            around("raftbbs.core.guards:stale_row", says(None)),
        ),
        ("core/test_tasks.py::test_a_brain_without_the_lock_decides_nothing",),
        SYSTEM,
    ),
)
