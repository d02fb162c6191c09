"""What is special about instances of LRPs: the claim, health, and what the BBS hears of them.

An instance is claimed while it is being prepared, and created only once it is claimed.
"""

from diegod.cellruntime.core import commands, ending, steps, story
from diegod.cellruntime.core import instructions as i
from diegod.cellruntime.core.checks import Checks, timeout_s
from diegod.cellruntime.core.commands import refused_for_good
from diegod.cellruntime.core.container import Container, View, note_away, note_row
from diegod.cellruntime.core.crash_points import Phase, Verb, Verdict
from diegod.cellruntime.core.health import Finding, Monitor
from diegod.cellruntime.core.keys import InstanceKey
from diegod.cellruntime.core.lifecycle import State
from diegod.cellruntime.core.states import CellState
from diegod.cellruntime.core.tasks import exit_reason
from diegod.contracts.backend import Exit
from diegod.internal.v1.command_pb2 import Outcome
from diegod.models.epochs import epoch_of
from diegod.v1.definition_pb2 import Check, LrpDefinition
from diegod.v1.record_pb2 import ActualLrp

_START_TIMEOUT_MS = 60_000


def crashed(reason: str) -> Verdict:
    return Verdict(Verb.CRASH, reason)


def claim(s: CellState, container: Container) -> None:
    steps.ask(s, container, commands.claim_instance(container))


def prepared(s: CellState, container: Container) -> None:
    if container.view is View.HELD:
        _claimed(s, container)
    else:
        s.move(container, State.ASKING, "prepared, not claimed yet")


def _claimed(s: CellState, container: Container) -> None:
    container.question = None
    s.move(container, State.GRANTED, "claimed")
    steps.record(s, container, Phase.GRANTED)


def answered(s: CellState, container: Container, outcome: Outcome, now: float) -> None:
    """The answer to a claim, or to 'it is running'."""
    container.question = None
    if refused_for_good(outcome):
        note_away(container, container.row_revision)
        ending.went_away(s, container, now)
        return
    row = outcome.actual_lrp
    note_row(container, row, row.provenance.revision, s.facts.cell_id)
    row_seen(s, container, now)


def row_seen(s: CellState, container: Container, now: float) -> None:
    """A newer row that is still this cell's, or the news that it is not."""
    if container.is_away:
        ending.went_away(s, container, now)
    elif container.state is State.ASKING and container.view is View.HELD:
        _claimed(s, container)
    elif container.state is State.RUNNING:
        running(s, container, now)


def is_forgotten(container: Container, revision: int) -> bool:
    """Whether a list of a later epoch lacks an instance that runs, rather than ends it.

    A task is never one: what a restore has failed is not to go on.
    """
    return (
        isinstance(container.key, InstanceKey)
        and container.key.process_guid != ""
        and container.start_issued
        and container.state in (State.RUNNING, State.ADOPTING)
        and not container.is_away
        and epoch_of(container.row_revision) < epoch_of(revision)
    )


def forgotten(s: CellState, container: Container) -> None:
    """Report it, now or as soon as it is known to run."""
    if container.view is View.FORGOTTEN:
        return
    container.view = View.FORGOTTEN
    container.question = None  # what was asked is of a row that is not there
    if container.state is State.RUNNING:
        _report(s, container)


def _report(s: CellState, container: Container) -> None:
    if container.question is None:
        steps.ask(s, container, commands.adopt_instance(container, s.facts))


def running(s: CellState, container: Container, now: float) -> None:
    """Its program runs: compare what is so with what the BBS believes, and close the gap."""
    if container.is_away:
        ending.stop(s, container, container.why_away, now)
    elif container.view is View.FORGOTTEN:
        _report(s, container)
    elif container.is_stopping:
        ending.stop(s, container, "asked to stop", now, verdict=Verdict(Verb.REMOVE))
    else:
        _is_held(s, container, now)


def _is_held(s: CellState, container: Container, now: float) -> None:
    """It is this cell's: watch its health, and let the BBS know what it does not yet."""
    _record_epoch(s, container)
    if container.definition is not None and isinstance(container.row, ActualLrp):
        if container.monitor is None:
            container.monitor = _monitor(container, container.row, now)
            probe_due(s, container, now)
        _tell(s, container, container.row)


def _record_epoch(s: CellState, container: Container) -> None:
    """After a restart of the agent the record must tell that this epoch has known it."""
    is_held = container.view is View.HELD and container.recorded is Phase.STARTED
    if is_held and container.recorded_epoch < epoch_of(container.row_revision):
        steps.record(s, container, Phase.STARTED)


def _tell(s: CellState, container: Container, row: ActualLrp) -> None:
    """After a restore of the BBS a row can be younger than the instance: it is told again."""
    monitor = container.monitor
    if container.question is not None or monitor is None:
        return
    if container.view is View.OFFERED:
        claim(s, container)
    elif row.state == ActualLrp.CLAIMED and monitor.healthy:
        steps.ask(s, container, commands.start_instance(container, s.facts, monitor.routable))
    elif row.state == ActualLrp.RUNNING and row.routable != monitor.routable:
        steps.ask(s, container, commands.change_routable(container, s.facts, monitor.routable))


def _checks(container: Container) -> Checks:
    definition = container.definition
    if not isinstance(definition, LrpDefinition):
        return Checks()
    return Checks.of(definition.check_definition)


def _monitor(container: Container, row: ActualLrp, now: float) -> Monitor:
    """What the BBS has as RUNNING, or as routable, was so before the agent was restarted."""
    is_running = row.state == ActualLrp.RUNNING
    return Monitor(
        _checks(container),
        now,
        _start_timeout_s(container),
        started_at=container.started_at,
        healthy=is_running,
        ready=is_running and row.routable,
    )


def _start_timeout_s(container: Container) -> float:
    definition = container.definition
    if not isinstance(definition, LrpDefinition) or not definition.HasField("start_timeout_ms"):
        return _START_TIMEOUT_MS / 1000
    return definition.start_timeout_ms / 1000


def probe_due(s: CellState, container: Container, now: float) -> None:
    monitor = container.monitor
    if monitor is None or container.state is not State.RUNNING:
        return
    if finding := monitor.given_up(now):
        _give_up(s, container, finding)
        return
    checks = _checks(container).every
    for index in monitor.on_timer(now):
        s.emit(_probe(container, index, checks[index]))


def _probe(container: Container, index: int, check: Check) -> i.Probe:
    return i.Probe(
        container.handle, index, check, container.address, container.ports, timeout_s(check)
    )


def probed(s: CellState, container: Container, index: int, problem: str, now: float) -> None:
    if container.monitor is None:
        return
    was_routable = container.monitor.routable
    finding = container.monitor.on_result(index, problem, now)
    if finding is None or finding.healthy:
        s.note(container, "healthy" if finding else "")
        _note_readiness(s, container, container.monitor, was_routable)
        running(s, container, now)
    else:
        _give_up(s, container, finding)


def _note_readiness(
    s: CellState, container: Container, monitor: Monitor, was_routable: bool
) -> None:
    if monitor.routable != was_routable and _checks(container).readiness:
        container.readiness_changes += 1
        why = monitor.why_not_routable()
        s.note(container, story.readiness(monitor.routable, why, container.readiness_changes))


def _give_up(s: CellState, container: Container, finding: Finding) -> None:
    ending.close(s, container, crashed(finding.reason), finding.reason)


def ended(s: CellState, container: Container, how: Exit) -> None:
    lost(s, container, exit_reason(how))


def lost(s: CellState, container: Container, reason: str) -> None:
    ending.close(s, container, crashed(reason), reason)


def without_container(s: CellState, container: Container) -> None:
    """The row says RUNNING here, and there is no record."""
    reason = "its container is gone from the cell, and so is every record of it"
    container.verdict = crashed(reason)
    steps.destroy(s, container, reason)
