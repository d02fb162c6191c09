"""How much may be on its way to one peer."""

from diegod.raftbbs.raft.flow import Flow


def test_room_ends_when_the_bound_is_reached_and_comes_back() -> None:
    flow = Flow(100)
    flow.sent(5, 60)
    assert flow.has_room
    flow.sent(9, 60)
    assert not flow.has_room
    flow.acknowledged(4)
    assert not flow.has_room
    flow.acknowledged(8)
    assert flow.has_room
    flow.sent(10, 40)
    assert not flow.has_room
    flow.clear()
    assert flow.has_room
