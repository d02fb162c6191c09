"""Linearizable reads on any member, and proof of leadership."""

from collections.abc import Iterator

import pytest

from diegod.internal.v1.raft_pb2 import RaftFrame, ReadIndexReply
from diegod.raftbbs.raft.api import Limits
from tests.unit.raftbbs.raft.lab import Lab, lab
from tests.unit.raftbbs.raft.raw_library import raw_cluster


@pytest.fixture
def calm() -> Iterator[Lab]:
    """A leads, and everybody knows."""
    with lab() as table:
        table.elect("A", "BC")
        table.settle()
        for queue in table.queues.values():
            queue.clear()
        yield table


def _read(table: Lab, who: str) -> int:
    """Ask for a read; its number."""
    before = set(table.reads)
    table.step(who, reads=1)
    number = next(table._numbers) - 1
    assert number not in before
    return number


def _exchange(table: Lab, who: str, among: str = "ABC") -> None:
    """Let all frames arrive once, at one member first."""
    table.pump_all()
    for each in (*who, *(other for other in among if other not in who)):
        table.step(each)


def test_raw_a_cut_off_leader_answers_reads_from_the_past() -> None:
    """F8: the library has nothing but the state of whoever thinks it leads."""
    with raw_cluster() as raw:
        raw.elect("A", "BC")
        raw["A"].put(b"old")
        raw.settle("ABC")
        raw.link("A", "B", up=False)
        raw.link("A", "C", up=False)
        raw.elect("B", "C")
        raw["B"].put(b"new")
        raw.settle("BC")
        raw.settle("A", rounds=1)
        assert raw["A"].leads
        assert raw["A"].applied == [b"old"]


def test_a_read_on_the_leader_waits_for_a_round_that_began_after_it(calm: Lab) -> None:
    number = _read(calm, "A")
    assert number not in calm.reads
    _exchange(calm, "B")
    _exchange(calm, "A")
    assert calm.reads[number].ok
    assert calm.reads[number].index == calm.leadership("A").applied_index


def test_an_echo_of_an_earlier_round_answers_no_read(calm: Lab) -> None:
    calm.step("A", seconds=0.1)
    _exchange(calm, "B")  # B's and C's echoes of that heartbeat are on their way
    number = _read(calm, "A")
    calm.pump("B", "A")
    calm.pump("C", "A")
    calm.step("A")
    assert number not in calm.reads


def test_a_cut_off_leader_answers_no_read(calm: Lab) -> None:
    calm.isolate("A")
    calm.elect("B", "C")
    calm.step("B", b"new")
    calm.settle("BC")
    number = _read(calm, "A")
    for _ in range(30):
        calm.step("A", seconds=0.1)
    assert not calm.reads[number].ok


def test_a_new_leader_reads_nothing_before_its_first_entry_is_applied(calm: Lab) -> None:
    """It may not know yet what its predecessor committed."""
    calm.step("A", b"acknowledged")
    _exchange(calm, "BC")
    calm.pump("B", "A")
    calm.pump("C", "A")
    calm.step("A")  # acknowledged, and B does not know that it is committed
    assert [answer.result for answer in calm.answers.values()] == [b"acknowledged"]
    calm.isolate("A")
    for queue in calm.queues.values():
        queue.clear()
    calm.elect("B", "C")
    number = _read(calm, "B")
    calm.settle("BC")
    assert calm.reads[number].ok
    assert calm.reads[number].index == calm.leadership("B").log_last
    assert calm.applied("B") == [b"acknowledged"]


def test_a_follower_reads_what_it_has_applied_itself(calm: Lab) -> None:
    calm.step("A", b"written")
    _exchange(calm, "C")
    calm.pump("C", "A")
    calm.step("A")
    assert calm.applied("A") == [b"written"]
    calm.cut("A", "B")
    calm.link("A", "B")
    calm.members["B"].inbox.clear()
    number = _read(calm, "B")
    for _ in range(2):
        calm.pump("B", "A")
        calm.step("A")
        calm.pump("A", "C")
        calm.step("C")
        calm.pump("C", "A")
    calm.step("A")
    [answer] = [frame for frame in calm.queues["A", "B"] if frame.HasField("read_index_reply")]
    assert answer.read_index_reply.ok
    calm.members["B"].inbox.append(("A", answer))
    calm.queues["A", "B"].remove(answer)
    calm.step("B")
    assert number not in calm.reads  # the leader has answered, but B lacks the entry
    calm.settle()
    assert calm.reads[number].ok
    assert calm.applied("B") == [b"written"]


def test_reads_of_one_step_share_one_request(calm: Lab) -> None:
    calm.step("B", reads=50)
    assert calm.kinds("B", "A") == ["read_index_request"]
    calm.settle()
    assert len(calm.reads) == 50
    assert all(read.ok for read in calm.reads.values())


def test_without_a_leader_a_read_fails_at_once(calm: Lab) -> None:
    calm.now += 5
    _read(calm, "B")
    assert [read.ok for read in calm.reads.values()] == [False]


def test_without_a_connection_to_the_leader_a_read_fails_at_once(calm: Lab) -> None:
    calm.cut("B", "A")
    _read(calm, "B")
    assert [read.ok for read in calm.reads.values()] == [False]


def test_a_read_fails_when_the_connection_is_lost(calm: Lab) -> None:
    number = _read(calm, "B")
    calm.cut("B", "A")
    calm.step("B")
    assert not calm.reads[number].ok


def test_a_read_fails_when_another_member_leads(calm: Lab) -> None:
    number = _read(calm, "B")
    calm.queues["B", "A"].clear()
    calm.elect("C", "B")
    calm.settle("BC", rounds=1)
    assert not calm.reads[number].ok


def test_a_read_fails_after_two_seconds(calm: Lab) -> None:
    number = _read(calm, "B")
    calm.queues["B", "A"].clear()
    for _ in range(25):
        calm.pump("A", "B")
        calm.pump("A", "C")
        calm.pump("C", "A")
        for who in "ABC":
            calm.freeze()
            calm.step(who, seconds=0.1 / 3)
        calm.queues["B", "A"].clear()
        if number in calm.reads:
            break
    assert not calm.reads[number].ok


@pytest.mark.parametrize("sender", ["A", "C"])
def test_an_answer_that_was_not_asked_for_counts_for_nothing(calm: Lab, sender: str) -> None:
    number = _read(calm, "B")
    wanted = calm.queues["B", "A"][-1].read_index_request.id
    for id_ in [1, wanted + 1, *([wanted] if sender == "C" else [])]:
        reply = RaftFrame(read_index_reply=ReadIndexReply(id=id_, ok=True, index=1))
        calm.members["B"].inbox.append((sender, reply))
    calm.step("B")
    assert number not in calm.reads


def test_leadership_is_confirmed_by_a_round_that_began_after_the_request(calm: Lab) -> None:
    calm["A"].request_confirmation(7)
    calm.step("A")
    assert calm.confirmations == {}
    _exchange(calm, "B")
    _exchange(calm, "A")
    assert calm.confirmations[7].ok
    leadership = calm.leadership("A")
    assert 0 < leadership.confirmed_round <= leadership.round


@pytest.mark.parametrize("who", ["A", "B"])
def test_leadership_that_is_lost_is_not_confirmed(calm: Lab, who: str) -> None:
    calm.isolate("A")
    calm[who].request_confirmation(7)
    for _ in range(15):
        calm.step(who, seconds=0.1)
    assert not calm.confirmations[7].ok


def test_a_single_member_answers_at_once() -> None:
    with lab("A") as table:
        for _ in range(3):
            table.step("A")
        assert table.leadership("A").noop_applied
        table["A"].request_confirmation(7)
        number = _read(table, "A")
        assert table.reads[number].ok
        assert table.confirmations[7].ok


def test_a_leader_reads_what_it_has_applied_itself() -> None:
    """With a backlog of what is committed, leadership is proved long before all of it is there."""
    with lab(limits=Limits(apply_entries=2)) as table:
        table.elect("A", "BC")
        table.settle()
        table.step("A", *(b"%d" % number for number in range(12)))
        table.pump_all()
        for who in "BC":
            table.step(who)
        number = None
        for _ in range(20):
            table.pump_all()
            view = table.step("A").leadership
            if number is None and view.commit_index > view.applied_index + 6:
                number = _read(table, "A")
            for who in "BC":
                table.step(who)
            if number in table.reads:
                break
        assert number is not None
        read = table.reads[number]
        assert read.ok
        assert read.index <= table.leadership("A").applied_index
        assert len(table.applied("A")) == 12
