"""A cell after a restore of the BBS: instances are reported and go on, tasks are not."""

from diegod.cellruntime.core import events as e
from diegod.cellruntime.core.container import View
from diegod.cellruntime.core.crash_points import Phase, Record, StopRule
from diegod.cellruntime.core.lifecycle import State
from diegod.contracts.backend import ContainerState, ContainerStatus
from diegod.internal.v1.command_pb2 import Outcome
from diegod.models.definition_digest import digest_of
from diegod.v1.record_pb2 import ActualLrp
from tests.unit.cellruntime.core.play import LRP_KEY, ME, TCP, L, Play, T, instance, task

EPOCH = 2**40


def _adopted(revision: int = EPOCH + 5) -> Outcome:
    row = instance("RUNNING", revision=revision, routable=True)
    return Outcome(revision=revision, actual_lrp=row)


def test_an_instance_that_a_later_epoch_does_not_know_is_reported() -> None:
    play = Play()
    play.lrp_running()
    assert play.list_rows(revision=EPOCH + 3) == ["Submit adopt_instance"]
    command = play.commands[-1].adopt_instance
    given = command.instance
    assert (given.process_guid, given.index, given.instance_guid) == ("web", 0, "i9")
    assert given.net_info.ports[0].host_port == 61000
    assert given.routable
    definition = instance("RUNNING").definition
    assert command.definition_digest == digest_of(definition)
    assert play.machine.containers[L].state is State.RUNNING


def test_adopted_it_is_this_cells_and_its_record_says_so() -> None:
    """So that an agent that is restarted does not report it again, should its row be gone."""
    play = Play()
    play.lrp_running()
    play.list_rows(revision=EPOCH + 3)
    assert play.answer(_adopted()) == ["Record started l-i9"]
    container = play.machine.containers[L]
    assert (container.view, container.row_revision) == (View.HELD, EPOCH + 5)
    assert play.list_rows(revision=EPOCH + 9) == ["Signal INT l-i9"]  # it is not listed any more


def test_it_is_asked_again_as_long_as_nothing_is_decided() -> None:
    play = Play()
    play.lrp_running()
    play.list_rows(revision=EPOCH + 3)
    assert play.refuse("Unavailable") == []
    assert play.list_rows(revision=EPOCH + 4) == []
    assert play.wait(10) == ["Submit adopt_instance"]
    assert play.machine.containers[L].state is State.RUNNING


def test_refused_it_is_stopped() -> None:
    play = Play()
    play.lrp_running()
    play.list_rows(revision=EPOCH + 3)
    assert play.refuse("ResourceConflict") == ["Signal INT l-i9"]


def test_within_an_epoch_what_is_not_listed_is_stopped() -> None:
    play = Play()
    play.lrp_running()
    assert play.list_rows(revision=1000) == ["Signal INT l-i9"]


def test_one_that_does_not_run_yet_is_not_reported() -> None:
    play = Play()
    play.see(instance("UNCLAIMED"))
    play.list_rows(revision=EPOCH + 3)
    assert not any(c.HasField("adopt_instance") for c in play.commands)
    play.feed(e.Prepared(L))
    assert play.machine.containers[L].state in (State.DESTROYING, State.ASKING)


def test_a_task_of_an_earlier_epoch_is_stopped() -> None:
    play = Play()
    play.task_running()
    play.list_rows(revision=EPOCH + 3)
    assert play.machine.containers[T].state is State.STOPPING
    assert not any(c.HasField("adopt_instance") for c in play.commands)


def test_a_task_that_a_restore_has_failed_is_never_started() -> None:
    """Whatever this cell was about to do under the attempt of the old epoch."""
    play = Play()
    play.see(task())
    play.see(task("COMPLETED", revision=EPOCH + 1, attempt=0, placed_cell_id=""))
    play.feed(e.Prepared(T))
    play.feed(e.Recorded(T, Phase.INTENT))
    assert not any(c.HasField("start_task") for c in play.commands)


def _record(row_revision: int) -> Record:
    return Record(
        handle=L,
        key=LRP_KEY,
        phase=Phase.STARTED,
        row_revision=row_revision,
        memory_mb=64,
        disk_mb=10,
        stop=StopRule("INT", 3.0),
        started_boottime_s=1.0,
    )


def _inspected() -> e.Inspected:
    return e.Inspected(L, ContainerStatus(L, ContainerState.RUNNING))


def test_an_agent_that_was_restarted_meanwhile_reports_what_its_record_knows() -> None:
    play = Play()
    play.feed(e.Recovered((_record(9),), (L,), 50.0))
    assert play.list_rows(revision=EPOCH + 3) == []  # whether it runs is not known yet
    said = play.feed(_inspected())
    assert "Submit adopt_instance" in said
    given = play.commands[-1].adopt_instance
    assert (given.instance.instance_guid, given.definition_digest) == ("i9", b"")


def test_what_was_inspected_first_is_reported_when_the_list_comes() -> None:
    play = Play()
    play.feed(e.Recovered((_record(9),), (L,), 50.0))
    play.feed(_inspected())
    assert play.list_rows(revision=EPOCH + 3) == ["Submit adopt_instance"]


def test_a_record_of_this_epoch_is_not_reported() -> None:
    play = Play()
    play.feed(e.Recovered((_record(EPOCH + 2),), (L,), 50.0))
    play.feed(_inspected())
    assert play.list_rows(revision=EPOCH + 3) == ["Signal INT l-i9"]


def test_one_that_ends_before_it_is_adopted_is_gone() -> None:
    play = Play()
    play.lrp_running()
    play.list_rows(revision=EPOCH + 3)
    play.feed(e.Ended(L, None))
    assert play.machine.containers[L].state is State.ENDING


def test_one_that_is_not_healthy_yet_says_so_when_it_is() -> None:
    play = Play()
    play.lrp_started(TCP)
    play.list_rows(revision=EPOCH + 3)
    assert not play.commands[-1].adopt_instance.instance.routable
    row = instance("CLAIMED", revision=EPOCH + 5, checks=(TCP,))
    play.answer(Outcome(revision=EPOCH + 5, actual_lrp=row))
    assert "Submit start_instance" in play.feed(e.Probed(L, 0, ""))


def test_a_known_row_of_the_new_epoch_is_recorded() -> None:
    play = Play()
    play.lrp_running()
    row = instance("RUNNING", revision=EPOCH + 1)
    assert (row.cell_id, row.state) == (ME, ActualLrp.RUNNING)
    assert play.list_rows(row, revision=EPOCH + 3) == ["Record started l-i9"]
    play.feed(e.Recorded(L, Phase.STARTED))
    assert play.list_rows(row, revision=EPOCH + 4) == []
