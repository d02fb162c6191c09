"""The road down: stopping, destroying, telling the BBS, forgetting.

Two orders. A program whose end is known is reported first and destroyed afterwards, since the
backend keeps its exit status until then. Everything else is *destroyed first*: nothing is said of
a container as long as something of it may still run.
"""

from diegod.cellruntime.core import commands, steps, story
from diegod.cellruntime.core import instructions as i
from diegod.cellruntime.core.commands import refused_for_good
from diegod.cellruntime.core.container import Container, View, note_away, note_row
from diegod.cellruntime.core.crash_points import Phase, Verb, Verdict
from diegod.cellruntime.core.lifecycle import State
from diegod.cellruntime.core.states import CellState
from diegod.internal.v1.command_pb2 import Outcome

#: After a KILL, how long its end is waited for before the container is destroyed regardless.
KILL_GRACE_S = 1.0


def close(
    s: CellState,
    container: Container,
    verdict: Verdict | None,
    why: str,
    *,
    stop_first: bool = False,
) -> None:
    """End it: destroy, then say `verdict` (None: nothing is left to be said).

    Where a program may have run, the verdict is recorded before the evidence is destroyed.
    """
    container.verdict = None if container.is_away else verdict
    container.stop_first = stop_first
    container.question = None
    container.monitor = None
    if container.verdict and container.start_issued:
        s.move(container, State.ENDING, why)
        steps.record(s, container, Phase.ENDING)
    else:
        steps.destroy(s, container, why)


def verdict_recorded(s: CellState, container: Container, now: float) -> None:
    verdict = container.verdict
    if container.stop_first and not container.ended:
        stop(s, container, verdict.reason if verdict else "", now, verdict=verdict)
    else:
        steps.destroy(s, container, "its verdict is recorded")


def stop(
    s: CellState, container: Container, why: str, now: float, *, verdict: Verdict | None = None
) -> None:
    """Ask the program to end; when it has, or does not in time, the container is destroyed."""
    container.verdict = verdict
    container.question = None
    container.monitor = None
    s.move(container, State.STOPPING, why)
    rule = container.stop
    s.note(container, story.asked_to_end(rule.signal, rule.timeout_s, why))
    container.wake_at = now + rule.timeout_s
    s.emit(i.Signal(container.handle, rule.signal))


def stop_overdue(s: CellState, container: Container, now: float) -> None:
    """It did not end in time: kill it, and if even that is not seen to work, destroy it."""
    if container.killed:
        steps.destroy(s, container, "killed, and its end was not seen")
        return
    container.killed = True
    s.note(container, story.killed(container.stop.timeout_s))
    container.wake_at = now + KILL_GRACE_S
    s.emit(i.Signal(container.handle, "KILL"))


def report_first(s: CellState, container: Container, verdict: Verdict, why: str) -> None:
    """Say how it ended, and destroy it when that has been heard."""
    container.verdict = verdict
    container.question = None
    if container.is_away:
        steps.destroy(s, container, why)
    else:
        _report(s, container, verdict, why)


def destroyed(s: CellState, container: Container) -> None:
    container.destroyed = True
    container.ended = True
    verdict = _final_verdict(container)
    if verdict is None or container.reported:
        forget(s, container, "destroyed")
    else:
        container.verdict = verdict
        _report(s, container, verdict, "destroyed")


def reject(s: CellState, container: Container, reason: str) -> None:
    """It can't be made here. What an earlier life of the agent has left of it goes first."""
    verdict = Verdict(Verb.REJECT, reason)
    if container.destroyed:
        _report(s, container, verdict, reason)
    else:
        close(s, container, verdict, reason)


def report_answered(s: CellState, container: Container, outcome: Outcome) -> None:
    """Heard, or refused for good because the row is somebody else's by now: both end it."""
    row = outcome.task if outcome.HasField("task") else outcome.actual_lrp
    is_row = outcome.HasField("task") or outcome.HasField("actual_lrp")
    if not refused_for_good(outcome) and is_row:
        note_row(container, row, row.provenance.revision, s.facts.cell_id)
    note_away(container, outcome.revision)
    reported(s, container, outcome.message if refused_for_good(outcome) else "the BBS knows")


def reported(s: CellState, container: Container, why: str) -> None:
    container.reported = True
    container.question = None
    if container.destroyed:
        forget(s, container, why)
    else:
        steps.destroy(s, container, why)


def forget(s: CellState, container: Container, why: str) -> None:
    if not container.record_issued:
        gone(s, container, why)
        return
    s.move(container, State.FORGETTING, why)
    s.emit(i.Forget(container.handle))


def gone(s: CellState, container: Container, why: str = "") -> None:
    s.move(container, State.GONE, why)
    note_away(container, container.row_revision)
    container.recorded = None
    s.ledger.release(container.handle)


def went_away(s: CellState, container: Container, now: float) -> None:
    """The BBS wants nothing of it here any more. Where a step is under way, its answer leads on."""
    why = container.why_away
    match container.state:
        case State.WAITING if container.destroyed:
            gone(s, container, why)
        case State.WAITING:
            steps.destroy(s, container, why)
        case State.ASKING:
            steps.destroy(s, container, why)
        case State.RUNNING:
            stop(s, container, why, now)
        case State.READING:
            steps.destroy(s, container, why)
        case State.ADOPTING if container.recorded is Phase.INTENT:
            steps.destroy(s, container, why)
        case State.STOPPING | State.DESTROYING:
            container.verdict = None
        case State.REPORTING:
            reported(s, container, why)
        case _:
            pass


def _report(s: CellState, container: Container, verdict: Verdict, why: str) -> None:
    s.move(container, State.REPORTING, why)
    steps.ask(s, container, commands.report(container, verdict))


def _final_verdict(container: Container) -> Verdict | None:
    """What is left to be said once it is destroyed: the row may have changed meanwhile."""
    if container.view is View.AWAY:
        return None
    if container.is_stopping:
        return Verdict(Verb.REMOVE)
    return container.verdict
