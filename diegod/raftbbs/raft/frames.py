"""The library's messages as `RaftFrame` records, and the check of what comes in.

Nothing is taken on trust from a peer, not even one with a good certificate: types, ranges, order
and sizes are checked before anything else sees a frame. Nothing here is pickled; a command is bytes
from end to end.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from diegod.internal.v1.raft_pb2 import (
    AppendEntries,
    AppendReply,
    LogEntry,
    PreVoteReply,
    PreVoteRequest,
    Quarantine,
    RaftFrame,
    ReadIndexReply,
    ReadIndexRequest,
    SnapshotChunk,
    SnapshotOffer,
    SnapshotRequest,
    StaleTerm,
    TimeoutNow,
    VoteReply,
    VoteRequest,
)
from diegod.raftbbs.raft.api import COMMAND_BYTES_MAX
from diegod.raftbbs.raft.journal import FIRST_INDEX, NO_OP, REGULAR, Entry
from diegod.raftbbs.raft.snapshot import DIGEST_BYTES, Snapshot

FRAME_BYTES_MAX = 8 << 20
"""The largest frame. The library's batches end below 5 MiB."""

SNAPSHOT_CHUNK_BYTES_MAX = 1 << 20

_NUMBER_MAX = 1 << 62  # of terms, indexes and rounds: no sum of them overflows 64 bits


class FrameRefused(ValueError):  # noqa: N818 - a refusal, not a fault of ours
    """A frame that no correct member sends, or not on this connection. Says what is wrong."""


# Out.


def append_entries(message: Mapping[str, Any], entries: Sequence[Entry], round_: int) -> RaftFrame:
    """An append with these entries, the rest from the library's message."""
    return RaftFrame(
        append_entries=AppendEntries(
            term=message["term"],
            commit_index=message["commit_index"],
            has_previous=True,
            previous_index=message["prevLogIdx"],
            previous_term=message["prevLogTerm"],
            entries=[LogEntry(index=i, term=t, command=c) for c, i, t in entries],
            round=round_,
        )
    )


def append_reply(
    term: int, next_index: int, round_: int, *, success: bool = False, reset: bool = False
) -> RaftFrame:
    return RaftFrame(
        append_reply=AppendReply(
            term=term, next_index=next_index, reset=reset, success=success, round=round_
        )
    )


def vote_request(message: Mapping[str, Any], *, transfer: bool = False) -> RaftFrame:
    return RaftFrame(
        vote_request=VoteRequest(
            term=message["term"],
            last_log_term=message["last_log_term"],
            last_log_index=message["last_log_index"],
            transfer=transfer,
        )
    )


def vote_reply(term: int) -> RaftFrame:
    return RaftFrame(vote_reply=VoteReply(term=term))


def pre_vote_request(term: int, last_log_term: int, last_log_index: int) -> RaftFrame:
    return RaftFrame(
        pre_vote_request=PreVoteRequest(
            term=term, last_log_term=last_log_term, last_log_index=last_log_index
        )
    )


def pre_vote_reply(term: int) -> RaftFrame:
    return RaftFrame(pre_vote_reply=PreVoteReply(term=term))


def stale_term(term: int) -> RaftFrame:
    return RaftFrame(stale_term=StaleTerm(term=term))


def timeout_now(term: int) -> RaftFrame:
    return RaftFrame(timeout_now=TimeoutNow(term=term))


def read_index_request(id_: int) -> RaftFrame:
    return RaftFrame(read_index_request=ReadIndexRequest(id=id_))


def read_index_reply(id_: int, *, ok: bool, index: int = 0) -> RaftFrame:
    return RaftFrame(read_index_reply=ReadIndexReply(id=id_, ok=ok, index=index))


def snapshot_offer(term: int, snapshot: Snapshot) -> RaftFrame:
    return RaftFrame(
        snapshot_offer=SnapshotOffer(
            term=term,
            index=snapshot.index,
            index_term=snapshot.term,
            size=snapshot.size,
            digest=snapshot.digest,
        )
    )


def snapshot_request(digest: bytes, offset: int, length: int) -> RaftFrame:
    return RaftFrame(snapshot_request=SnapshotRequest(digest=digest, offset=offset, length=length))


def snapshot_chunk(digest: bytes, offset: int, data: bytes) -> RaftFrame:
    return RaftFrame(snapshot_chunk=SnapshotChunk(digest=digest, offset=offset, data=data))


def quarantine(term: int, hash_index: int, digest: bytes) -> RaftFrame:
    return RaftFrame(quarantine=Quarantine(term=term, hash_index=hash_index, hash=digest))


# In.


def check(frame: RaftFrame) -> str:
    """The kind of a frame whose numbers, order and sizes are in range."""
    kind = frame.WhichOneof("frame")
    if kind is None:
        raise FrameRefused("a frame of an unknown kind")
    if kind == "append_entries":
        _check_append(frame.append_entries)
    elif kind == "append_reply":
        reply = frame.append_reply
        _check_numbers(reply.term, reply.next_index, reply.round)
        if reply.hash:
            _check_hash(reply.hash_index, reply.hash)
    elif kind in ("vote_request", "pre_vote_request"):
        vote: VoteRequest | PreVoteRequest = getattr(frame, kind)
        _check_numbers(vote.term, vote.last_log_term, vote.last_log_index)
    elif kind in ("vote_reply", "pre_vote_reply", "stale_term", "timeout_now"):
        _check_numbers(getattr(frame, kind).term)
    elif kind == "read_index_reply":
        _check_numbers(frame.read_index_reply.index)
    elif kind == "snapshot_offer":
        _check_offer(frame.snapshot_offer)
    elif kind == "snapshot_request":
        request = frame.snapshot_request
        _check_piece(request.digest, request.offset, request.length)
    elif kind == "snapshot_chunk":
        chunk = frame.snapshot_chunk
        _check_piece(chunk.digest, chunk.offset, len(chunk.data))
    elif kind == "quarantine":
        _check_numbers(frame.quarantine.term)
        _check_hash(frame.quarantine.hash_index, frame.quarantine.hash)
    return kind


def _check_numbers(*numbers: int) -> None:
    if max(numbers) > _NUMBER_MAX:
        raise FrameRefused(f"a number out of range: {max(numbers)}")


def _check_offer(offer: SnapshotOffer) -> None:
    _check_numbers(offer.term, offer.index, offer.index_term, offer.size)
    if len(offer.digest) != DIGEST_BYTES or not offer.size:
        raise FrameRefused("a snapshot without a size or a digest")
    if offer.index <= FIRST_INDEX or offer.index_term > offer.term:
        raise FrameRefused(f"a snapshot up to entry {offer.index} of term {offer.index_term}")


def _check_hash(index: int, digest: bytes) -> None:
    _check_numbers(index)
    if len(digest) != DIGEST_BYTES:
        raise FrameRefused(f"a hash of a state with {len(digest)} bytes")


def _check_piece(digest: bytes, offset: int, length: int) -> None:
    _check_numbers(offset)
    if len(digest) != DIGEST_BYTES or not 0 < length <= SNAPSHOT_CHUNK_BYTES_MAX:
        raise FrameRefused(f"a piece of a snapshot with {length} bytes")


def _check_append(message: AppendEntries) -> None:
    _check_numbers(message.term, message.commit_index, message.previous_index, message.round)
    if not message.has_previous or message.previous_index < FIRST_INDEX:
        raise FrameRefused(
            "an append without a previous entry: the library's snapshots are not taken"
        )
    if message.previous_term > message.term:
        raise FrameRefused("an append whose previous entry is from a later term")
    index, term, size = message.previous_index, message.previous_term, 0
    for entry in message.entries:
        index += 1
        if entry.index != index or not term <= entry.term <= message.term:
            raise FrameRefused(f"an entry {entry.index} of term {entry.term} out of order")
        term = entry.term
        size += len(entry.command)
        _check_command(entry.command)
    if size > FRAME_BYTES_MAX:
        raise FrameRefused(f"an append of {size} bytes")


def _check_command(command: bytes) -> None:
    if command[:1] == REGULAR:
        if len(command) > COMMAND_BYTES_MAX + 1:
            raise FrameRefused(f"a command of {len(command)} bytes")
    elif command != NO_OP:
        raise FrameRefused("a command of an unknown type")
