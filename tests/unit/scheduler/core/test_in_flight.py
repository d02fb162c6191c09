"""What is under way is not decided twice, and its room is not given away."""

from diegod.internal.v1.command_pb2 import Outcome
from diegod.scheduler.core.auction import Placement, hold
from diegod.scheduler.core.batch import waiting
from diegod.scheduler.core.cell_table import CellTable
from diegod.scheduler.core.in_flight import InFlight
from diegod.scheduler.core.snapshot import PROCESS, TASK, Key
from tests.unit.scheduler.core.lots import RULES, task
from tests.unit.scheduler.core.worlds import World


def a_creation() -> tuple[World, InFlight]:
    world = World()
    world.people.lrp("web", 1)
    in_flight = InFlight(patience_s=10, retry_s=1)
    (decision,) = world.repairs().decisions
    in_flight.sent(decision, None, now=0)
    return world, in_flight


def test_what_was_sent_is_not_new_until_the_watch_shows_it() -> None:
    world, in_flight = a_creation()
    (decision,) = world.repairs().decisions
    assert in_flight.new([decision]) == []
    world.carry_out([decision])
    in_flight.answered(decision, Outcome(revision=world.board.revision), now=0)
    assert len(in_flight) == 1  # done, but the snapshot does not show it yet
    assert in_flight.land(world.snapshot(), now=0) == []
    assert len(in_flight) == 0
    assert world.repairs().decisions == ()


def test_the_watch_may_be_faster_than_the_answer() -> None:
    world = World()
    world.people.cell("cell-1")
    world.people.lrp("web", 1)
    world.settle()
    world.people.scale("web", 0)
    (decision,) = world.repairs().decisions
    in_flight = InFlight()
    in_flight.sent(decision, None, now=0)
    world.carry_out([decision])
    assert in_flight.land(world.snapshot(), now=0) == []
    in_flight.answered(decision, Outcome(revision=world.board.revision), now=0)
    assert len(in_flight) == 0


def test_what_was_refused_may_be_decided_again_a_little_later() -> None:
    world, in_flight = a_creation()
    (decision,) = world.repairs().decisions
    in_flight.answered(decision, Outcome(reason="ResourceConflict"), now=5)
    assert in_flight.land(world.snapshot(), now=5.9) == []
    assert in_flight.next_at() == 6
    assert in_flight.land(world.snapshot(), now=6) == [Key(PROCESS, "web")]
    assert in_flight.new([decision]) == [decision]


def test_an_unknown_outcome_is_waited_for_and_then_decided_again() -> None:
    world, in_flight = a_creation()
    assert in_flight.land(world.snapshot(), now=9.9) == []
    assert in_flight.land(world.snapshot(), now=10) == [Key(PROCESS, "web")]


def test_the_room_of_a_placement_is_taken_until_it_is_known_not_to_be() -> None:
    world = World()
    world.people.cell("cell-1", memory_mb=500)
    world.people.task("backup", memory_mb=400)
    (placement,) = hold_auction(world)
    decision = placement.decision()
    in_flight = InFlight()
    in_flight.sent(decision, placement, now=0)
    other = task("other", 400)

    def refused() -> bool:
        cells = CellTable.of(world.snapshot())
        in_flight.book_into(cells)
        return bool(hold([other], cells, RULES).refusals)

    assert refused()
    in_flight.not_made(decision, now=0)
    assert not refused()


def hold_auction(world: World) -> tuple[Placement, ...]:

    lots = waiting(world.snapshot(), world.board.now)
    return hold(lots, CellTable.of(world.snapshot()), RULES).placements


def test_it_knows_the_rows_that_something_is_under_way_for() -> None:
    world = World()
    world.people.cell("cell-1")
    world.people.task("backup")
    (placement,) = hold_auction(world)
    in_flight = InFlight()
    in_flight.sent(placement.decision(), placement, now=0)
    assert in_flight.rows() == {"backup"}
    assert placement.decision().key == Key(TASK, "backup")


def test_what_is_said_of_an_lrp_is_under_way_until_its_row_has_changed() -> None:
    world = World()
    world.people.cell("cell-1")
    world.people.lrp("web", 1)
    world.converge()
    world.auction()
    world.people.obey()
    (decision,) = world.repairs().decisions
    assert decision.about.action == "FinishRollout"
    assert decision.about.guid == "web"
    in_flight = InFlight()
    in_flight.sent(decision, None, now=0)
    assert in_flight.new(world.repairs().decisions) == []
    in_flight.land(world.snapshot(), now=0)
    assert len(in_flight) == 1
    world.people.scale("web", 2)  # somebody else changed the row: it was decided on another one
    in_flight.land(world.snapshot(), now=0)
    assert len(in_flight) == 0


def test_what_may_have_happened_is_in_it_and_what_did_not_is_not() -> None:
    world, in_flight = a_creation()
    (decision,) = world.repairs().decisions
    assert decision.about in in_flight
    assert list(in_flight) == [decision.about]
    in_flight.not_made(decision, now=0)
    assert decision.about not in in_flight
    assert list(in_flight) == []
    assert in_flight.new([decision]) == []  # it is not decided again at once all the same
