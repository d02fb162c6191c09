"""The copy of a leader's state that this member, far behind, fetches: piece by piece, by offset.

The leader offers; what is fetched lies in a file named by its digest, so that a transfer goes on
where it was after a lost connection, and even after a restart. When all of it is there, it is
verified and prepared beside the ticks. Then the engine installs it, if it still is what this member
needs, and the process begins again.

Fetching promises nothing: no commit index, no acknowledgement follows from it.
"""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from diegod.internal.v1.raft_pb2 import RaftFrame, SnapshotChunk, SnapshotOffer
from diegod.raftbbs.raft import frames
from diegod.raftbbs.raft.api import Limits, Timing
from diegod.raftbbs.raft.journal import Journal
from diegod.raftbbs.raft.snapshot import (
    INCOMING_FOLDER,
    Background,
    Snapshot,
    SnapshotRefused,
    prepare,
)
from diegod.raftbbs.store.environment import DATA_FILE, Environment, StoreFailed

_PART = ".part"
_NEVER = float("-inf")

Send = Callable[[str, RaftFrame], bool]


@dataclass(slots=True)
class _Transfer:
    """What has come of one copy, and what was asked for ahead."""

    source: str
    snapshot: Snapshot
    file: int
    received: int
    requested: int
    heard_at: float


class Fetching:
    """At most one transfer, or one copy that is being prepared."""

    def __init__(
        self,
        environment: Environment,
        journal: Journal,
        background: Background,
        timing: Timing,
        limits: Limits,
        send: Send,
    ) -> None:
        self._environment = environment
        self._journal = journal
        self._background = background
        self._timing = timing
        self._limits = limits
        self._send = send
        self.folder: Path = environment.path / INCOMING_FOLDER
        self._transfer: _Transfer | None = None
        self._preparing: tuple[Snapshot, Future[None]] | None = None
        self._not_before = _NEVER
        self.notices: list[str] = []
        self._keep_only(_is_part)

    def is_needed(self, snapshot: Snapshot) -> bool:
        """Whether it is newer than what this member knows to be committed, and holds what its log
        does not. With its last entry in the log, others may count on what follows there."""
        journal = self._journal
        if snapshot.index <= journal.state.commit_index:
            return False
        return not journal.has(snapshot.index, snapshot.term)

    def on_offer(self, peer: str, offer: SnapshotOffer, now: float) -> None:
        """The leader of the current term has a copy for us: fetch it, or go on with it."""
        snapshot = Snapshot(offer.index, offer.index_term, offer.size, offer.digest)
        if self._preparing is not None or now < self._not_before or not self.is_needed(snapshot):
            return
        transfer = self._transfer
        if transfer is None or (transfer.source, transfer.snapshot) != (peer, snapshot):
            self._begin(peer, snapshot, now)
        elif now - transfer.heard_at > self._timing.snapshot_retry_s:
            transfer.requested, transfer.heard_at = transfer.received, now
        self._go_on(now)

    def on_chunk(self, peer: str, chunk: SnapshotChunk, now: float) -> None:
        """A piece; one that was not asked for, or was asked for twice, is nothing."""
        transfer = self._transfer
        if transfer is None or (transfer.source, transfer.snapshot.digest) != (peer, chunk.digest):
            return
        if chunk.offset != transfer.received:
            return
        if chunk.offset + len(chunk.data) > transfer.snapshot.size:
            raise frames.FrameRefused("a piece of a snapshot goes beyond its size")
        try:
            written = os.pwrite(transfer.file, chunk.data, chunk.offset)
        except OSError as error:
            self._give_up(f"it can't be written: {error.strerror}", now)
            return
        transfer.received += written
        transfer.heard_at = now
        self._go_on(now)

    def lost(self, peer: str) -> None:
        """The connection is gone with what was asked for; the next offer takes it up again."""
        if self._transfer is not None and self._transfer.source == peer:
            self.close()

    def prepared(self, now: float) -> Snapshot | None:
        """Once a step: the copy that only has to be installed."""
        if self._preparing is None or not self._preparing[1].done():
            return None
        (snapshot, future), self._preparing = self._preparing, None
        try:
            future.result()
        except (SnapshotRefused, StoreFailed, OSError) as error:
            self._give_up(str(error), now)
            return None
        if not self.is_needed(snapshot):
            self._give_up("it is not newer than what this member has", now)
            return None
        return snapshot

    def close(self) -> None:
        """Let go of the file; what it has is there for the next transfer of the same copy."""
        if self._transfer is not None:
            os.close(self._transfer.file)
            self._transfer = None

    def _begin(self, peer: str, snapshot: Snapshot, now: float) -> None:
        self.close()
        name = snapshot.digest.hex() + _PART
        self._keep_only(lambda found: found == name)
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            file = os.open(self.folder / name, flags, 0o600)
        except OSError as error:
            self._give_up(f"it can't be written: {error.strerror}", now)
            return
        there = min(os.fstat(file).st_size, snapshot.size)
        self._transfer = _Transfer(peer, snapshot, file, there, there, now)
        whence = f" from byte {there}" if there else ""
        self.notices.append(
            f"this member is far behind: it fetches the state up to entry {snapshot.index} "
            f"({snapshot.size} bytes) from {peer}{whence}"
        )

    def _go_on(self, now: float) -> None:
        """Ask for more, as far ahead as is allowed; when all is there, prepare it."""
        transfer, limits = self._transfer, self._limits
        if transfer is None:
            return
        size, window = transfer.snapshot.size, limits.snapshot_chunks * limits.snapshot_chunk_bytes
        if transfer.received == size:
            self._complete(transfer, now)
            return
        while transfer.requested < min(size, transfer.received + window):
            length = min(limits.snapshot_chunk_bytes, size - transfer.requested)
            digest = transfer.snapshot.digest
            request = frames.snapshot_request(digest, transfer.requested, length)
            if not self._send(transfer.source, request):
                return
            transfer.requested += length

    def _complete(self, transfer: _Transfer, now: float) -> None:
        self.close()
        snapshot, folder, environment = transfer.snapshot, self.folder, self._environment
        try:
            os.replace(folder / (snapshot.digest.hex() + _PART), folder / DATA_FILE)
        except OSError as error:
            self._give_up(f"it can't be moved: {error.strerror}", now)
            return

        self._preparing = (
            snapshot,
            self._background(lambda: prepare(environment, snapshot, folder)),
        )

    def _give_up(self, why: str, now: float) -> None:
        self.close()
        self._keep_only(lambda found: False)
        self._not_before = now + self._timing.snapshot_retry_s
        self.notices.append(f"the copy of the leader's state was not taken: {why}")

    def _keep_only(self, wanted: Callable[[str], bool]) -> None:
        """Remove what earlier transfers have left, except for files of these names."""
        if not self.folder.is_dir():
            return
        for entry in sorted(self.folder.iterdir()):
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            elif not wanted(entry.name):
                entry.unlink(missing_ok=True)


def _is_part(name: str) -> bool:
    return name.endswith(_PART)
