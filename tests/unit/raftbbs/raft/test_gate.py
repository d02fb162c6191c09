"""What passes between the library and its peers; the raw library's flaws F1, F2, F6 and F12c."""

import pytest

from diegod.internal.v1.raft_pb2 import (
    AppendEntries,
    AppendReply,
    LogEntry,
    RaftFrame,
    RaftHello,
    ReadIndexRequest,
)
from diegod.raftbbs.raft import journal
from diegod.raftbbs.raft.api import COMMAND_BYTES_MAX, AnswerStatus, Fatal, Limits
from tests.unit.raftbbs.raft.lab import Lab, lab
from tests.unit.raftbbs.raft.raw_library import SUCCESS, RawCluster, raw_cluster
from tests.unit.raftbbs.raft.scenarios import acknowledge_late


def _part_and_compact(raw: RawCluster, answers: list[tuple[bytes, int]]) -> None:
    """A leads and keeps writing alone; B and C go on and compact their logs."""
    raw.elect("A", "BC")
    raw.settle("ABC")
    raw["A"].put(b"base")
    raw.settle("ABC")
    raw.link("A", "B", up=False)
    raw.link("A", "C", up=False)
    for number in range(3):
        raw["A"].put(b"lost%d" % number, lambda result, why: answers.append((result, why)))
    raw.settle("A")
    raw.elect("B", "C")
    for number in range(6):
        raw["B"].put(b"kept%d" % number)
    raw.settle("BC")
    raw["B"].forceLogCompaction()
    raw.settle("BC")


def test_raw_a_snapshot_commits_lost_entries() -> None:
    """F1: a follower that is sent a snapshot answers success for entries that no majority has."""
    answers: list[tuple[bytes, int]] = []
    with raw_cluster() as raw:
        _part_and_compact(raw, answers)
        raw.link("A", "B")
        for _ in range(6):
            raw.tick("B")
            raw.pump("B", "A", 1)
            raw.tick("A")
            raw.pump("A", "B")
        told = {result for result, why in answers if why == SUCCESS}
        assert told
        assert not told & set(raw["B"].applied)


def test_entries_that_no_majority_has_are_never_acknowledged() -> None:
    with lab() as table:
        table.elect("A", "BC")
        table.settle()
        table.isolate("A")
        table.step("A", b"lost0")
        table.step("A", b"lost1")
        table.elect("B", "C")
        for number in range(6):
            table.step("B", b"kept%d" % number)
        table.settle("BC")
        table.join("A")
        table.settle()
        assert table.applied("A") == table.applied("B") == [b"kept%d" % n for n in range(6)]
        lost = [table.answers[1].status, table.answers[2].status]
        assert lost == [AnswerStatus.NOT_LEADER] * 2


def test_an_append_without_a_previous_entry_is_refused() -> None:
    """F1, F6, F14: what would begin a snapshot does not get in."""
    with lab() as table:
        table.elect("A", "BC")
        table.settle()
        snapshot = RaftFrame(append_entries=AppendEntries(term=1, commit_index=99, round=1))
        table.members["B"].inbox.append(("A", snapshot))
        result = table.step("B")
        assert "snapshots are not taken" in result.refused[0].reason
        assert result.leadership.commit_index == 2


def test_raw_a_snapshot_that_does_not_load_is_acknowledged() -> None:
    """F6: the leader then commits with a majority that does not exist."""

    def no_space() -> None:
        raise OSError(28, "No space left on device")

    with raw_cluster() as raw:
        _part_and_compact(raw, [])
        for number in range(8):
            raw["A"].put(b"more%d" % number)
        raw.settle("A")
        raw.link("B", "C", up=False)
        raw["A"].get("serializer").deserialize = no_space
        raw.link("A", "B")
        told: list[int] = []
        raw["B"].put(b"acknowledged", lambda result, why: told.append(why))
        for _ in range(8):
            raw.tick("B")
            raw.pump("B", "A")
            raw.pump("A", "B")
        assert told == [SUCCESS]
        assert b"acknowledged" not in [entry[0][1:] for entry in raw["A"].get("raftLog")[:]]


def test_raw_an_acknowledgement_of_an_earlier_term_counts() -> None:
    """F2: the reply carries no term, so any leadership of the same member believes it."""
    with raw_cluster() as raw:
        raw.elect("A", "BC")
        raw.settle("ABC")
        raw["A"].put(b"on one member")
        raw.tick("A")
        commit = raw["A"].raftCommitIndex
        late = {"type": "next_node_idx", "next_node_idx": 4, "reset": False, "success": True}
        raw["A"].transport._onMessageReceived(raw["B"].selfNode, late)
        raw.tick("A")
        assert raw["A"].raftCommitIndex == commit + 1


def test_an_acknowledgement_of_an_earlier_term_does_not_count() -> None:
    with lab("ABCDE") as table:
        assert acknowledge_late(table) == 0


def test_an_acknowledgement_beyond_the_log_ends_the_leader() -> None:
    with lab() as table:
        table.elect("A", "BC")
        table.settle()
        reply = RaftFrame(append_reply=AppendReply(term=1, next_index=99, success=True, round=1))
        table.members["A"].inbox.append(("B", reply))
        with pytest.raises(Fatal, match="B acknowledges entries up to 98 of 2"):
            table.step("A")
        with pytest.raises(Fatal, match="its process must end"):
            table.step("A")


@pytest.mark.parametrize(
    "reply",
    [
        AppendReply(term=1, next_index=1, reset=True, round=1),
        AppendReply(term=1, next_index=0, round=1),
        AppendReply(term=1, next_index=9, reset=True, round=1),
        AppendReply(term=1, next_index=3, success=True, round=10**6),
    ],
    ids=["before the log", "zero", "behind the log", "a round that was never sent"],
)
def test_a_reply_that_no_follower_sends_is_refused(reply: AppendReply) -> None:
    with lab() as table:
        table.elect("A", "BC")
        table.settle()
        table.members["A"].inbox.append(("B", RaftFrame(append_reply=reply)))
        assert len(table.step("A").refused) == 1


def test_a_second_leader_of_a_term_is_refused() -> None:
    with lab() as table:
        table.elect("A", "BC")
        table.settle()
        usurper = AppendEntries(term=1, has_previous=True, previous_index=2, previous_term=1)
        for who in "AB":
            table.members[who].inbox.append(("C", RaftFrame(append_entries=usurper)))
            refusal = table.step(who).refused[0]
            assert refusal.reason == "A already leads in its term 1"
        assert table.leadership("A").leads


@pytest.mark.parametrize("peer", ["D", ""])
def test_a_stranger_is_refused(peer: str) -> None:
    with lab() as table:
        hello = RaftHello(cluster_id="cluster", member_id=peer, store_id="new", store_format=2)
        table.members["A"].inbox.append((peer, RaftFrame(hello=hello)))
        reason = "it is not a member of this cluster (any more)"
        assert table.step("A").refused[0].reason == reason


def test_a_frame_before_the_hello_is_refused() -> None:
    with lab() as table:
        table.crash("A")
        table.members["A"] = table.member_class(table, "A")
        request = RaftFrame(read_index_request=ReadIndexRequest(id=1))
        table.members["A"].inbox.append(("B", request))
        assert table.step("A").refused[0].reason == "it has not said hello"


def test_raw_an_entry_a_little_larger_than_a_batch_breaks_the_receiver() -> None:
    """F12c: the end of a large entry is judged by the wrong length."""
    with raw_cluster("AB", appendEntriesBatchSizeBytes=65536) as raw:
        raw.elect("A", "B")
        raw.settle("AB")
        raw["A"].put(b"y" * 131050)
        with pytest.raises(EOFError):
            raw.settle("AB")


def test_the_largest_command_arrives_whole() -> None:
    largest = b"y" * COMMAND_BYTES_MAX
    with lab() as table:
        table.elect("A", "BC")
        table.settle()
        table.step("A", largest, largest, largest, largest, largest, b"last")
        table.settle()
        assert table.applied("B") == table.applied("C") == [largest] * 5 + [b"last"]


def _entries_on_the_way(table: Lab, peer: str) -> list[int]:
    return [
        entry.index for frame in table.queues["A", peer] for entry in frame.append_entries.entries
    ]


def test_entries_on_their_way_are_not_sent_again() -> None:
    """The library goes back to each acknowledgement, and would send the rest once more."""
    with lab() as table:
        table.elect("A", "BC")
        table.settle()
        sent = []
        for number in range(3):
            table.step("A", b"%d" % number)
            sent += _entries_on_the_way(table, "B")
            table.pump("A", "B")
        for _ in range(4):
            table.step("B")
            table.pump("B", "A")
            table.step("A", seconds=0.1)
            sent += _entries_on_the_way(table, "B")
            table.pump("A", "B")
        assert sent == [3, 4, 5]


def test_a_member_that_lacks_much_gets_it_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_READ_BYTES_MAX", 5000)
    with lab(limits=Limits(in_flight_bytes=20_000)) as table:
        table.elect("A", "BC")
        table.settle()
        table.isolate("C")
        for _ in range(200):
            table.step("A", b"x" * 1000)
        table.settle("AB")
        table.join("C")
        most = 0
        for _ in range(60):
            table.settle(rounds=1)
            table.step("A", seconds=0.1)
            waiting = _entries_on_the_way(table, "C")
            most = max(most, len(waiting))
        assert 0 < most <= 25
        assert len(table.applied("C")) == 200


def test_one_reset_is_followed_by_one_resending() -> None:
    """Each frame on its way to a member that lost one gets a reset: the first is enough."""
    with lab() as table:
        table.elect("A", "BC")
        table.settle()
        table.queues["B", "A"].clear()
        table.step("A", b"lost on its way")
        table.queues["A", "B"].clear()
        for _ in range(4):
            table.step("A", seconds=0.1)
        table.pump("A", "B")
        table.step("B")
        assert table.kinds("B", "A").count("append_reply") == 4
        sent = []
        for _ in range(4):
            table.pump("B", "A", 1)
            table.step("A")
            sent += _entries_on_the_way(table, "B")
            table.pump("A", "B")
        assert sent == [3]


def test_a_leader_of_an_old_term_is_told_so() -> None:
    """It hears of the new one from whomever it sends to, and its entries are not taken."""
    with lab() as table:
        table.elect("A", "BC")
        table.settle()
        table.isolate("A")
        table.elect("B", "C")
        table.settle("BC")
        table.queues["C", "A"].clear()
        end = table.leadership("C").log_last
        late = AppendEntries(
            term=1,
            has_previous=True,
            previous_index=end,
            previous_term=1,
            entries=[LogEntry(index=end + 1, term=1, command=b"\0late")],
        )
        table.link("C", "A")
        table.members["C"].inbox.append(("A", RaftFrame(append_entries=late)))
        table.step("C")
        [told] = [frame for frame in table.queues["C", "A"] if frame.HasField("stale_term")]
        assert told.stale_term.term == 2
        assert table.leadership("C").log_last == end
