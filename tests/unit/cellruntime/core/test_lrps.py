"""The life of an instance on a cell, as transcripts, and Diego's table for it."""

import pytest

from diegod.cellruntime.core import events as e
from diegod.cellruntime.core.crash_points import Phase
from diegod.contracts.backend import Exit
from diegod.internal.v1.command_pb2 import Outcome
from diegod.models.errors import Reason
from diegod.v1.record_pb2 import ActualLrp
from tests.unit.cellruntime.core.play import OTHER, TCP, L, Play, instance


def test_the_way_up_of_an_instance_without_checks() -> None:
    play = Play()
    assert play.see(instance()) == [f"Prepare {L}", "Submit claim_instance"]
    assert play.answer(Outcome(actual_lrp=instance("CLAIMED", revision=10))) == []
    assert play.feed(e.Prepared(L, "10.9.0.3")) == [f"Record granted {L}"]
    assert play.feed(e.Recorded(L, Phase.GRANTED)) == [f"Create {L}"]
    assert play.feed(e.Created(L)) == [f"Record starting {L}"]
    assert play.feed(e.Recorded(L, Phase.STARTING)) == [f"Start {L}"]
    assert play.feed(e.Started(L, "10.9.0.3", 1.0)) == [
        f"Record started {L}",
        f"AwaitEnd {L}",
        "Submit start_instance",
    ]
    said = play.commands[-1].start_instance
    assert said.routable
    assert (said.net_info.address, said.net_info.instance_address) == ("10.0.0.1", "10.9.0.3")
    (port,) = said.net_info.ports
    assert (port.name, port.container_port, port.host_port) == ("http", 8080, 61000)
    assert play.answer(Outcome(actual_lrp=instance("RUNNING", revision=11))) == []
    assert play.machine.next_deadline() is None


def test_nothing_is_created_before_the_claim_is_granted() -> None:
    play = Play()
    play.see(instance())
    assert play.feed(e.Prepared(L)) == []
    assert play.unanswered() == []
    assert play.wait(5) == ["Submit claim_instance"]
    claimed = Outcome(actual_lrp=instance("CLAIMED", revision=10))
    assert play.answer(claimed) == [f"Record granted {L}"]


def test_a_refused_claim_destroys_what_was_prepared() -> None:
    play = Play()
    play.see(instance())
    assert play.refuse(Reason.ACTUAL_LRP_CANNOT_BE_CLAIMED) == []  # preparing is under way
    assert play.feed(e.Prepared(L)) == [f"Destroy {L}"]
    assert play.feed(e.Destroyed(L)) == []
    assert play.state(L) == "gone"
    play.feed(e.WatchedTo(9))
    assert play.state(L) == "none"


def test_it_is_running_for_the_bbs_when_its_checks_have_passed() -> None:
    play = Play()
    assert play.lrp_started(TCP) == [f"Record started {L}", f"AwaitEnd {L}", f"Probe 0 {L}"]
    assert play.feed(e.Probed(L, 0, "connection refused")) == []
    assert play.wait(0.5) == [f"Probe 0 {L}"]
    assert play.feed(e.Probed(L, 0, "")) == ["Submit start_instance"]


def test_it_crashes_when_it_is_not_healthy_in_time() -> None:
    play = Play()
    play.lrp_started(TCP)
    play.feed(e.Probed(L, 0, "connection refused on port 8080"))
    assert play.wait(60) == [f"Record ending {L}"]
    assert play.feed(e.Recorded(L, Phase.ENDING)) == [f"Destroy {L}"]
    assert play.feed(e.Destroyed(L)) == ["Submit crash_instance"]
    reason = "never healthy after 60 s: connection refused on port 8080"
    assert play.commands[-1].crash_instance.crash_reason == reason


def test_it_crashes_after_as_many_failures_in_a_row_as_were_allowed() -> None:
    play = Play()
    play.lrp_running(TCP)
    assert play.wait(10) == [f"Probe 0 {L}"]
    assert play.feed(e.Probed(L, 0, "no answer")) == []
    assert play.wait(10) == [f"Probe 0 {L}"]
    assert play.feed(e.Probed(L, 0, "no answer")) == [f"Record ending {L}"]
    play.feed(e.Recorded(L, Phase.ENDING))
    play.feed(e.Destroyed(L))
    assert play.commands[-1].crash_instance.crash_reason == "became unhealthy: no answer"


def test_an_exit_is_a_crash_whatever_its_status() -> None:
    play = Play()
    play.lrp_running()
    assert play.feed(e.Ended(L, Exit(0))) == [f"Record ending {L}"]
    assert play.feed(e.Recorded(L, Phase.ENDING)) == [f"Destroy {L}"]
    assert play.feed(e.Destroyed(L)) == ["Submit crash_instance"]
    assert play.commands[-1].crash_instance.crash_reason == "exited with status 0"
    crashed = instance("CRASHED", revision=12, cell_id="", placed_cell_id="")
    assert play.answer(Outcome(actual_lrp=crashed)) == [f"Forget {L}"]
    play.feed(e.Forgotten(L))
    assert play.machine.used.containers == 0


def test_it_is_stopped_as_its_definition_says_and_removed() -> None:
    play = Play()
    play.lrp_running()
    assert play.see(instance("RUNNING", revision=12, stopping=True)) == [f"Signal INT {L}"]
    assert play.wait(3) == [f"Signal KILL {L}"]
    assert play.feed(e.Ended(L, Exit(137))) == [f"Destroy {L}"]
    assert play.feed(e.Destroyed(L)) == ["Submit remove_instance"]


def test_a_crash_of_an_instance_that_is_to_stop_is_its_removal() -> None:
    play = Play()
    play.lrp_running()
    play.feed(e.Ended(L, Exit(1)))
    play.see(instance("RUNNING", revision=12, stopping=True))
    play.feed(e.Recorded(L, Phase.ENDING))
    assert play.feed(e.Destroyed(L)) == ["Submit remove_instance"]


def test_a_suspect_instance_keeps_running() -> None:
    play = Play()
    play.lrp_running()
    suspect = instance("RUNNING", revision=12, presence=ActualLrp.SUSPECT)
    assert play.see(suspect) == []
    assert play.list_rows(suspect) == []
    assert play.state(L) == "running"


def test_an_instance_that_the_bbs_has_lost_is_stopped_after_a_whole_list() -> None:
    play = Play()
    play.lrp_running()
    assert play.list_rows(revision=10) == []  # a member that is behind proves nothing
    assert play.list_rows(revision=50) == [f"Signal INT {L}"]


def test_an_instance_that_was_stopped_meanwhile_is_told_by_the_refusal() -> None:
    play = Play()
    play.lrp_started()
    assert play.refuse(Reason.RESOURCE_NOT_FOUND) == [f"Signal INT {L}"]
    play.feed(e.Ended(L, Exit(0)))
    assert play.feed(e.Destroyed(L)) == [f"Forget {L}"]


def test_a_younger_row_is_told_again_what_is_so() -> None:
    """After a restore of the BBS its rows may be from before the claim, or before the start."""
    play = Play()
    play.lrp_running()
    assert play.see(instance("UNCLAIMED", revision=2**40)) == ["Submit claim_instance"]
    claimed = instance("CLAIMED", revision=2**40 + 1)
    said = play.answer(Outcome(actual_lrp=claimed))
    assert said == ["Record started l-i9", "Submit start_instance"]  # a record of the new epoch


def test_an_older_row_is_not_believed() -> None:
    play = Play()
    play.lrp_running()
    assert play.see(instance("UNCLAIMED", revision=9)) == []
    assert play.see(instance("CLAIMED", revision=10)) == []


@pytest.mark.parametrize("step", [e.Step.PREPARE, e.Step.CREATE])
def test_what_fails_before_the_start_is_a_rejection(step: e.Step) -> None:
    play = Play()
    play.see(instance())
    play.answer(Outcome(actual_lrp=instance("CLAIMED", revision=10)))
    if step is e.Step.CREATE:
        play.feed(e.Prepared(L))
        play.feed(e.Recorded(L, Phase.GRANTED))
    assert play.feed(e.StepFailed(L, step, "no such rootfs")) == [f"Destroy {L}"]
    assert play.feed(e.Destroyed(L)) == ["Submit reject_instance"]
    assert play.commands[-1].reject_instance.rejection_reason == "no such rootfs"


def test_a_start_that_fails_is_a_crash() -> None:
    play = Play()
    play.see(instance())
    play.answer(Outcome(actual_lrp=instance("CLAIMED", revision=10)))
    for event in (
        e.Prepared(L),
        e.Recorded(L, Phase.GRANTED),
        e.Created(L),
        e.Recorded(L, Phase.STARTING),
        e.StepFailed(L, e.Step.START, "/nope: no such file"),
        e.Recorded(L, Phase.ENDING),
        e.Destroyed(L),
    ):
        play.feed(event)
    assert play.commands[-1].crash_instance.crash_reason == "/nope: no such file"


# Diego's table of instances: the row there × nothing here (see recovery for what is here).


@pytest.mark.parametrize(
    ("row", "first", "said"),
    [
        (instance("RUNNING", revision=11), f"Destroy {L}", "crash_instance"),
        (instance("RUNNING", revision=11, stopping=True), f"Destroy {L}", "remove_instance"),
        (instance("CLAIMED", revision=11, stopping=True), f"Destroy {L}", "remove_instance"),
    ],
)
def test_a_row_of_ours_and_no_container(row: ActualLrp, first: str, said: str) -> None:
    play = Play()
    assert play.list_rows(row) == [first]
    assert play.feed(e.Destroyed(L)) == [f"Submit {said}"]


def test_a_claimed_row_and_no_container_is_made_without_another_claim() -> None:
    play = Play()
    assert play.list_rows(instance("CLAIMED", revision=10)) == [f"Prepare {L}"]
    assert play.feed(e.Prepared(L)) == [f"Record granted {L}"]


@pytest.mark.parametrize(
    "row",
    [
        instance("CLAIMED", revision=10, cell_id=OTHER),
        instance("RUNNING", revision=10, cell_id=OTHER),
        instance("UNCLAIMED", revision=10, placed_cell_id=OTHER),
        instance("CRASHED", revision=10),
    ],
)
def test_somebody_else_s_row_and_no_container_is_nothing(row: ActualLrp) -> None:
    play = Play()
    assert play.list_rows(row) == []
    assert play.state(L) == "none"


@pytest.mark.parametrize(
    "row",
    [
        instance("RUNNING", revision=20, cell_id=OTHER),
        instance("CLAIMED", revision=20, cell_id=OTHER),
        instance("CRASHED", revision=20, cell_id="", placed_cell_id=""),
    ],
)
def test_somebody_else_s_row_and_a_running_container_stops_it(row: ActualLrp) -> None:
    play = Play()
    play.lrp_running()
    assert play.see(row) == [f"Signal INT {L}"]
    play.feed(e.Ended(L, Exit(0)))
    assert play.feed(e.Destroyed(L)) == [f"Forget {L}"]
