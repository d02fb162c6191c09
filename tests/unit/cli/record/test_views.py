"""What stands in the columns, where it isn't a field as it is."""

from diegod.cli.record.views import lrp_note, other_states, running_of
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import InstanceCounts, Rollout
from tests.unit.cli.records import an_lrp_row


def test_a_global_lrp_wants_as_many_as_it_has() -> None:
    row = an_lrp_row(instances=1)
    row.mode = LrpDefinition.GLOBAL
    row.counts.CopyFrom(InstanceCounts(running=2))
    assert running_of(row) == "2/2"
    row.counts.suspect = 1
    assert running_of(row) == "2/3", "its cell is missing, and no other takes its place"


def test_the_list_says_what_goes_on() -> None:
    row = an_lrp_row()
    assert lrp_note(row) == ""
    row.rollout.state, row.rollout.reason = Rollout.PAUSED, "too slow"
    assert lrp_note(row) == "rollout PAUSED: too slow"
    row.stopped = True
    assert lrp_note(row) == "stopped"
    row.removing = True
    assert lrp_note(row) == "being removed"


def test_what_still_serves_while_its_replacement_starts_is_told() -> None:
    row = an_lrp_row()
    row.counts.CopyFrom(InstanceCounts(running=2, claimed=1, evacuating=1))
    assert other_states(row) == "1 claimed, 1 evacuating"
