"""What may come in as a frame."""

from typing import Any

import pytest

from diegod.internal.v1.raft_pb2 import (
    AppendEntries,
    AppendReply,
    LogEntry,
    PreVoteReply,
    PreVoteRequest,
    RaftFrame,
    RaftHello,
    ReadIndexReply,
    ReadIndexRequest,
    StaleTerm,
    VoteReply,
    VoteRequest,
)
from diegod.raftbbs.raft.api import COMMAND_BYTES_MAX
from diegod.raftbbs.raft.frames import (
    SNAPSHOT_CHUNK_BYTES_MAX,
    FrameRefused,
    append_entries,
    check,
    snapshot_chunk,
    snapshot_offer,
    snapshot_request,
)
from diegod.raftbbs.raft.snapshot import DIGEST_BYTES, Snapshot

DIGEST = b"d" * DIGEST_BYTES
HUGE = (1 << 62) + 1
LARGEST = b"\0" + b"x" * COMMAND_BYTES_MAX


def append(*entries: LogEntry, **fields: Any) -> RaftFrame:
    message: dict[str, Any] = {
        "term": 3,
        "has_previous": True,
        "previous_index": 5,
        "previous_term": 2,
    }
    return RaftFrame(append_entries=AppendEntries(**message | fields, entries=entries))


def entry(index: int, term: int = 3, command: bytes = b"\0x") -> LogEntry:
    return LogEntry(index=index, term=term, command=command)


@pytest.mark.parametrize(
    "frame",
    [
        RaftFrame(hello=RaftHello(cluster_id="c")),
        append(),
        append(entry(6, 2), entry(7), entry(8)),
        append(entry(6, command=b"\1"), entry(7, command=b"\0"), entry(8, command=LARGEST)),
        RaftFrame(append_reply=AppendReply(term=1, next_index=2, success=True)),
        RaftFrame(vote_request=VoteRequest(term=1)),
        RaftFrame(vote_reply=VoteReply(term=1)),
        RaftFrame(pre_vote_request=PreVoteRequest(term=1)),
        RaftFrame(pre_vote_reply=PreVoteReply(term=1)),
        RaftFrame(stale_term=StaleTerm(term=1)),
        RaftFrame(read_index_request=ReadIndexRequest(id=(1 << 64) - 1)),
        RaftFrame(read_index_reply=ReadIndexReply(id=(1 << 64) - 1, ok=True, index=3)),
        snapshot_offer(3, Snapshot(2, 3, 1, DIGEST)),
        snapshot_request(DIGEST, 0, SNAPSHOT_CHUNK_BYTES_MAX),
        snapshot_chunk(DIGEST, 1 << 40, b"x" * SNAPSHOT_CHUNK_BYTES_MAX),
    ],
)
def test_what_members_send_is_taken(frame: RaftFrame) -> None:
    assert check(RaftFrame.FromString(frame.SerializeToString())) == frame.WhichOneof("frame")


@pytest.mark.parametrize(
    ("frame", "complaint"),
    [
        (RaftFrame(), "unknown kind"),
        (append(has_previous=False), "snapshots are not taken"),
        (append(previous_index=0), "snapshots are not taken"),
        (append(previous_term=4), "from a later term"),
        (append(entry(7)), "entry 7 of term 3 out of order"),
        (append(entry(6), entry(8)), "entry 8 of term 3 out of order"),
        (append(entry(6), entry(6)), "entry 6 of term 3 out of order"),
        (append(entry(6, 1)), "entry 6 of term 1 out of order"),
        (append(entry(6, 3), entry(7, 2)), "entry 7 of term 2 out of order"),
        (append(entry(6, 4)), "entry 6 of term 4 out of order"),
        (append(entry(6, command=b"")), "a command of an unknown type"),
        (append(entry(6, command=b"\1x")), "a command of an unknown type"),
        (append(entry(6, command=b"\2x")), "a command of an unknown type"),
        (append(entry(6, command=b"\3x")), "a command of an unknown type"),
        (append(entry(6, command=LARGEST + b"x")), "a command of 1048578 bytes"),
        (append(*(entry(6 + n, command=LARGEST) for n in range(8))), "an append of 8388616 bytes"),
        (append(term=HUGE), "out of range"),
        (append(commit_index=HUGE), "out of range"),
        (append(round=HUGE), "out of range"),
        (append(previous_index=HUGE), "out of range"),
        (RaftFrame(append_reply=AppendReply(next_index=HUGE)), "out of range"),
        (RaftFrame(vote_request=VoteRequest(last_log_index=HUGE)), "out of range"),
        (RaftFrame(vote_reply=VoteReply(term=HUGE)), "out of range"),
        (RaftFrame(pre_vote_request=PreVoteRequest(last_log_term=HUGE)), "out of range"),
        (RaftFrame(pre_vote_reply=PreVoteReply(term=HUGE)), "out of range"),
        (RaftFrame(stale_term=StaleTerm(term=HUGE)), "out of range"),
        (RaftFrame(read_index_reply=ReadIndexReply(index=HUGE)), "out of range"),
    ],
)
def test_what_no_member_sends_is_refused(frame: RaftFrame, complaint: str) -> None:
    """F4c, F5, F12c, F15: other commands, gaps, pieces and giants don't reach the library."""
    with pytest.raises(FrameRefused, match=complaint):
        check(frame)


def test_an_append_says_all_that_the_library_said_and_the_round() -> None:
    message = {"term": 3, "commit_index": 4, "prevLogIdx": 5, "prevLogTerm": 2}
    frame = append_entries(message, [(b"\0x", 6, 3)], 9)
    assert frame == append(entry(6), commit_index=4, round=9)
