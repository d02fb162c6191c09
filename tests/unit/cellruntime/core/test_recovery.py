"""What an agent does with the records it finds: every phase × what is there × what the BBS says."""

import pytest

from diegod.cellruntime.core import events as e
from diegod.cellruntime.core.crash_points import Phase, Record, StopRule, Verb, Verdict
from diegod.contracts.backend import ContainerState, ContainerStatus, Exit, PortSpec
from diegod.internal.v1.command_pb2 import Outcome
from diegod.v1.record_pb2 import ActualLrp
from tests.unit.cellruntime.core.play import (
    LRP_KEY,
    TASK_KEY,
    TCP,
    L,
    Play,
    T,
    instance,
    task,
)


def task_record(phase: Phase, verdict: Verdict | None = None) -> Record:
    return Record(T, TASK_KEY, phase, 7, 8, 64, 10, started_boottime_s=900.0, verdict=verdict)


def lrp_record(phase: Phase) -> Record:
    ports = (PortSpec("http", 8080, 61002),)
    stop = StopRule("INT", 3.0)
    return Record(L, LRP_KEY, phase, 10, 0, 64, 10, ports, "10.9.0.3", stop, 900.0)


def recovered(*records: Record, strays: tuple[str, ...] = ()) -> e.Recovered:
    handles = tuple(record.handle for record in records) + strays
    return e.Recovered(records, handles, boottime=1000.0)


def status(handle: str, state: ContainerState) -> ContainerStatus:
    ended = Exit(3) if state is ContainerState.EXITED else None
    pid = 42 if state is ContainerState.RUNNING else 0
    return ContainerStatus(handle, state, pid, "10.9.0.3", ended)


def test_intent_is_prepared_and_asked_for_again() -> None:
    play = Play()
    assert play.feed(recovered(task_record(Phase.INTENT))) == []
    assert play.list_rows(task("RUNNING", revision=8)) == [f"Prepare {T}"]
    assert play.feed(e.Prepared(T)) == ["Submit start_task"]
    granted = task("RUNNING", revision=8, cell_incarnation=0)  # by an earlier life
    assert play.answer(Outcome(task=granted)) == [f"Record granted {T}"]


def test_intent_whose_row_is_gone_is_destroyed() -> None:
    play = Play()
    play.feed(recovered(task_record(Phase.INTENT)))
    assert play.list_rows() == [f"Destroy {T}"]
    assert play.feed(e.Destroyed(T)) == [f"Forget {T}"]


def test_granted_is_destroyed_before_it_is_rejected() -> None:
    play = Play()
    assert play.feed(recovered(task_record(Phase.GRANTED))) == [f"Destroy {T}"]
    assert play.feed(e.Destroyed(T)) == ["Submit reject_task"]
    assert "never started" in play.commands[-1].reject_task.rejection_reason


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.STARTED])
def test_what_runs_is_adopted(phase: Phase) -> None:
    play = Play()
    assert play.feed(recovered(task_record(phase))) == [f"Inspect {T}"]
    out = play.feed(e.Inspected(T, status(T, ContainerState.RUNNING)))
    recording = [f"Record started {T}"] if phase is Phase.STARTING else []
    assert out == [*recording, f"AwaitEnd {T}"]
    assert play.list_rows(task("RUNNING", revision=8)) == []
    assert play.state(T) == "running"


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.STARTED])
def test_what_has_ended_meanwhile_is_adopted_and_reported(phase: Phase) -> None:
    play = Play()
    play.feed(recovered(task_record(phase)))
    play.feed(e.Inspected(T, status(T, ContainerState.EXITED)))
    assert play.feed(e.Ended(T, Exit(3))) == ["Submit complete_task"]
    report = play.commands[-1].complete_task
    assert (report.exit_status_known, report.exit_status) == (True, 3)


@pytest.mark.parametrize("found", [None, ContainerState.PREPARED, ContainerState.LOST])
@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.STARTED])
def test_what_is_not_there_is_destroyed_before_anything_is_said(
    phase: Phase, found: ContainerState | None
) -> None:
    play = Play()
    play.feed(recovered(task_record(phase)))
    out = play.feed(e.Inspected(T, status(T, found) if found else None))
    assert out == [f"Record ending {T}"]
    assert play.feed(e.Recorded(T, Phase.ENDING)) == [f"Destroy {T}"]
    assert play.feed(e.Destroyed(T)) == ["Submit complete_task"]
    assert play.commands[-1].complete_task.outcome_unknown


def test_a_failed_re_attach_never_kills() -> None:
    play = Play()
    play.feed(recovered(task_record(Phase.STARTED)))
    for _ in range(10):
        assert play.feed(e.StepFailed(T, e.Step.INSPECT, "connection refused")) == []
        assert play.wait(5) == [f"Inspect {T}"]
    assert play.state(T) == "adopting"


def test_a_recorded_verdict_is_said_word_for_word() -> None:
    verdict = Verdict(Verb.COMPLETE, "timed out", failed=True)
    play = Play()
    assert play.feed(recovered(task_record(Phase.ENDING, verdict))) == [f"Destroy {T}"]
    assert play.feed(e.Destroyed(T)) == ["Submit complete_task"]
    assert play.commands[-1].complete_task.failure_reason == "timed out"


def test_the_time_limit_counts_from_the_start_and_not_from_the_restart() -> None:
    play = Play()  # now is 100, the start was 100 s ago
    play.feed(recovered(task_record(Phase.STARTED)))
    play.feed(e.Inspected(T, status(T, ContainerState.RUNNING)))
    play.list_rows(task("RUNNING", revision=8, execution_timeout_ms=130_000))
    assert play.machine.next_deadline() == 130.0


def test_an_adopted_instance_changes_nothing_at_the_bbs() -> None:
    play = Play()
    play.feed(recovered(lrp_record(Phase.STARTED)))
    play.feed(e.Inspected(L, status(L, ContainerState.RUNNING)))
    assert play.list_rows(instance("RUNNING", revision=11, checks=(TCP,))) == [f"Probe 0 {L}"]
    assert play.feed(e.Probed(L, 0, "")) == []
    assert play.commands == []


def test_an_adopted_instance_that_was_not_running_yet_must_get_healthy() -> None:
    play = Play()
    play.feed(recovered(lrp_record(Phase.STARTING)))
    play.feed(e.Inspected(L, status(L, ContainerState.RUNNING)))
    assert play.list_rows(instance("CLAIMED", revision=10, checks=(TCP,))) == [f"Probe 0 {L}"]
    assert play.feed(e.Probed(L, 0, "")) == ["Submit start_instance"]
    (port,) = play.commands[-1].start_instance.net_info.ports
    assert port.host_port == 61002


def test_its_host_port_is_not_given_to_anybody_else() -> None:
    play = Play()
    play.feed(recovered(lrp_record(Phase.STARTED)))
    used = [play.machine.state.ledger.reserve(f"l-{n}", 1, 1, 1) for n in range(3)]
    assert used == [(61000,), (61001,), (61003,)]


def test_an_instance_that_ended_meanwhile_has_crashed() -> None:
    play = Play()
    play.feed(recovered(lrp_record(Phase.STARTED)))
    assert play.feed(e.Inspected(L, status(L, ContainerState.EXITED))) == [f"AwaitEnd {L}"]
    assert play.feed(e.Ended(L, Exit(3))) == [f"Record ending {L}"]
    play.feed(e.Recorded(L, Phase.ENDING))
    play.feed(e.Destroyed(L))
    assert play.commands[-1].crash_instance.crash_reason == "exited with status 3"


# Diego's table of instances: the row there × an adopted container here.


@pytest.mark.parametrize(
    ("row", "out"),
    [
        (None, [f"Signal INT {L}"]),
        (instance("UNCLAIMED", revision=20), ["Submit claim_instance"]),
        (instance("CLAIMED", revision=20), ["Submit start_instance"]),
        (instance("CLAIMED", revision=20, cell_id="cell-2"), [f"Signal INT {L}"]),
        (instance("RUNNING", revision=20), []),
        (instance("RUNNING", revision=20, stopping=True), [f"Signal INT {L}"]),
        (instance("RUNNING", revision=20, presence=ActualLrp.SUSPECT), []),
        (instance("RUNNING", revision=20, cell_id="cell-2"), [f"Signal INT {L}"]),
        (instance("CRASHED", revision=20, cell_id=""), [f"Signal INT {L}"]),
    ],
)
def test_a_running_container_and_its_row(row: ActualLrp | None, out: list[str]) -> None:
    play = Play()
    play.feed(recovered(lrp_record(Phase.STARTED)))
    play.feed(e.Inspected(L, status(L, ContainerState.RUNNING)))
    assert play.list_rows(*([row] if row else [])) == out


def test_strays_are_destroyed_only_after_a_whole_list() -> None:
    play = Play()
    assert play.feed(recovered(strays=("t-old-3", "trial-1", L))) == []
    assert play.see(task()) == [f"Prepare {T}"]
    out = play.list_rows(task(), instance("CLAIMED", revision=10))
    assert out == [f"Prepare {L}", "Destroy t-old-3", "Destroy trial-1"]
    play.feed(e.Destroyed("t-old-3"))
    assert play.state("t-old-3") == "none"


def test_what_was_prepared_before_the_restart_is_destroyed_before_it_is_rejected() -> None:
    play = Play()
    play.feed(recovered(strays=(L,)))
    without_definition = instance()
    without_definition.ClearField("definition")  # its LRP was removed meanwhile
    assert play.list_rows(without_definition) == [f"Destroy {L}"]
    assert play.feed(e.Destroyed(L)) == ["Submit reject_instance"]


def test_a_list_older_than_the_record_takes_nothing_away() -> None:
    play = Play()
    play.feed(recovered(task_record(Phase.STARTED)))
    play.feed(e.Inspected(T, status(T, ContainerState.RUNNING)))
    assert play.list_rows(revision=6) == []
    assert play.state(T) == "running"
