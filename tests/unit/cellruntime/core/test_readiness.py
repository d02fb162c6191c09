"""What the BBS hears of an instance that is up and not ready, ready, and not ready any more."""

from typing import Any

from diegod.cellruntime.core import events as e
from diegod.cellruntime.core.crash_points import Phase
from diegod.contracts.backend import ContainerState, ContainerStatus
from diegod.internal.v1.command_pb2 import Outcome, StartInstance
from diegod.v1.definition_pb2 import Check, CheckDefinition, HttpCheck, TcpCheck
from diegod.v1.record_pb2 import ActualLrp
from tests.unit.cellruntime.core.play import L, Play, instance

UP = Check(tcp_check=TcpCheck(port=8080), interval_ms=500)
READY = Check(http_check=HttpCheck(port=8080), interval_ms=2000, failure_threshold=2)
CHECKS = CheckDefinition(startup_checks=[UP], readiness_checks=[READY])
START, READINESS = 0, 1


def web(state: str = "UNCLAIMED", **fields: Any) -> ActualLrp:
    return instance(state, more=CHECKS, **fields)


def started() -> Play:
    play = Play()
    play.see(web())
    play.answer(Outcome(actual_lrp=web("CLAIMED", revision=10)))
    for event in (
        e.Prepared(L),
        e.Recorded(L, Phase.GRANTED),
        e.Created(L),
        e.Recorded(L, Phase.STARTING),
        e.Started(L, "10.9.0.3", 1000.0),
        e.Recorded(L, Phase.STARTED),
    ):
        play.feed(event)
    return play


def said(play: Play) -> StartInstance:
    return play.commands[-1].start_instance


def ready() -> Play:
    play = started()
    play.feed(e.Probed(L, START, ""))
    play.answer(Outcome(actual_lrp=web("RUNNING", revision=11, routable=False)))
    play.wait(0)
    play.feed(e.Probed(L, READINESS, ""))
    play.answer(Outcome(actual_lrp=web("RUNNING", revision=12)))
    return play


def test_it_runs_first_and_is_routable_when_it_is_ready() -> None:
    play = started()
    assert play.feed(e.Probed(L, START, "")) == ["Submit start_instance"]
    assert not said(play).routable
    assert play.answer(Outcome(actual_lrp=web("RUNNING", revision=11, routable=False))) == []
    assert play.wait(0) == [f"Probe {READINESS} {L}"]
    assert play.feed(e.Probed(L, READINESS, "503")) == []
    assert play.wait(0.5) == [f"Probe {READINESS} {L}"]
    assert play.feed(e.Probed(L, READINESS, "")) == ["Submit start_instance"]
    assert said(play).routable
    assert play.commands[-1].cause == "its readiness checks pass"
    assert play.answer(Outcome(actual_lrp=web("RUNNING", revision=12))) == []


def test_what_is_not_ready_any_more_is_taken_out_and_never_ended() -> None:
    play = ready()
    for _ in range(20):
        play.wait(2)
        play.feed(e.Probed(L, READINESS, "503 from /"))
    assert play.state(L) == "running"
    assert not said(play).routable
    assert play.commands[-1].cause == "not ready: 503 from /"
    count = len(play.commands)
    play.answer(Outcome(actual_lrp=web("RUNNING", revision=13, routable=False)))
    assert len(play.commands) == count  # said once
    assert play.feed(e.Probed(L, READINESS, "")) == ["Submit start_instance"]
    assert said(play).routable


def test_each_change_is_a_request_of_its_own_also_while_the_last_is_unanswered() -> None:
    play = ready()
    for _ in range(2):
        play.feed(e.Probed(L, READINESS, "503"))
    assert play.feed(e.Probed(L, READINESS, "")) == []  # the news before it is still on its way
    assert not said(play).routable
    answer = Outcome(actual_lrp=web("RUNNING", revision=13, routable=False))
    assert play.answer(answer) == ["Submit start_instance"]
    assert said(play).routable
    ids = [command.request_id for command in play.commands]
    assert len(ids) == len(set(ids))


def test_the_next_agent_goes_on_from_what_the_bbs_was_told() -> None:
    record = ready().container(L).record(Phase.STARTED)
    for routable in (True, False):
        heir = Play()
        heir.feed(e.Recovered((record,), (L,), 1010.0))
        heir.feed(e.Inspected(L, ContainerStatus(L, ContainerState.RUNNING, pid=7)))
        row = web("RUNNING", revision=12, routable=routable)
        assert heir.list_rows(row) == [f"Probe {READINESS} {L}"]  # and nothing is said
        heir.feed(e.Probed(L, READINESS, "503"))
        assert len(heir.commands) == 0
        heir.feed(e.Probed(L, READINESS, ""))
        assert [c.start_instance.routable for c in heir.commands] == ([] if routable else [True])


def test_an_instance_that_never_comes_up_names_its_startup_check() -> None:
    play = started()
    play.feed(e.Probed(L, START, "connection refused on port 8080"))
    play.wait(60)
    play.feed(e.Recorded(L, Phase.ENDING))
    play.feed(e.Destroyed(L))
    reason = "never healthy after 60 s: connection refused on port 8080"
    assert play.commands[-1].crash_instance.crash_reason == reason
