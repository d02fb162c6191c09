"""The copy of this member's state that peers behind the beginning of its log are served from.

One copy serves all of them: it is made when the first peer needs it, offered with each heartbeat
that such a peer answers, read piece by piece as it is asked for, and kept for a while after it was
last used. As long as it is kept, so is the log from its index: a peer that has installed it goes on
from there.
"""

import os
import shutil
from concurrent.futures import Future
from pathlib import Path

from diegod.internal.v1.raft_pb2 import RaftFrame, SnapshotRequest
from diegod.raftbbs.raft import frames
from diegod.raftbbs.raft.api import Fatal, Limits, Timing
from diegod.raftbbs.raft.journal import Journal
from diegod.raftbbs.raft.snapshot import (
    OUTGOING_FOLDER,
    Background,
    Snapshot,
    SnapshotRefused,
    make,
)
from diegod.raftbbs.store.environment import DATA_FILE, Environment, StoreFailed

_NEVER = float("-inf")


class Serving:
    """At most one copy, and what is known of it."""

    def __init__(
        self,
        environment: Environment,
        journal: Journal,
        background: Background,
        timing: Timing,
        limits: Limits,
    ) -> None:
        self._environment = environment
        self._journal = journal
        self._background = background
        self._timing = timing
        self._limits = limits
        self._folder: Path = environment.path / OUTGOING_FOLDER
        self._making: Future[Snapshot] | None = None
        self._copy: Snapshot | None = None
        self._file: int | None = None
        self._is_outdated = False
        self._used_at = _NEVER
        self._not_before = _NEVER
        self.pinned_index: int | None = None
        """The log is kept from here, for whoever gets the copy."""
        self.notices: list[str] = []
        shutil.rmtree(self._folder, ignore_errors=True)  # an earlier life's

    def offer(self, term: int, now: float) -> RaftFrame | None:
        """What a peer that needs a copy is told; None while there is none yet."""
        self._used_at = now
        if self._copy is not None:
            return frames.snapshot_offer(term, self._copy)
        if self._making is None and now >= self._not_before:
            self.pinned_index = self._journal.state.applied_index
            self._making = self._background(lambda: make(self._environment, self._folder))
        return None

    def piece(self, request: SnapshotRequest, now: float) -> RaftFrame | None:
        """A piece of the copy; None when another one was meant: the next offer tells."""
        if self._copy is None or self._file is None or request.digest != self._copy.digest:
            return None
        self._used_at = now
        length = min(request.length, self._limits.snapshot_chunk_bytes)
        data = os.pread(self._file, length, request.offset)
        return frames.snapshot_chunk(request.digest, request.offset, data) if data else None

    def look(self, now: float) -> None:
        """Once a step: whether a copy is made, failed, or no longer wanted."""
        if self._making is not None:
            if self._making.done():
                self._made(self._making, now)
        elif self._copy is not None and (self._is_unused(now) or self._is_a_burden()):
            self._drop()

    def drop(self) -> None:
        """Never serve what was copied up to now: it needs keys that are about to be dropped."""
        self._is_outdated = self._making is not None
        if self._copy is not None:
            self._drop()

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _made(self, making: "Future[Snapshot]", now: float) -> None:
        self._making = None
        try:
            copy = making.result()
            self._file = os.open(self._folder / DATA_FILE, os.O_RDONLY | os.O_CLOEXEC)
        except (StoreFailed, SnapshotRefused, OSError) as error:
            self._not_before = now + self._timing.snapshot_retry_s
            self.pinned_index = None
            self.notices.append(f"no copy of the state for a member that is far behind: {error}")
            return
        if self.pinned_index is None or copy.index < self.pinned_index:
            raise Fatal(f"a copy up to {copy.index} was begun at {self.pinned_index}")
        self._copy, self._used_at = copy, now
        self.pinned_index = copy.index
        self.notices.append(f"made a copy of the state up to entry {copy.index}, {copy.size} bytes")
        if self._is_outdated:
            self._is_outdated = False
            self._drop()

    def _is_unused(self, now: float) -> bool:
        return now - self._used_at > self._timing.snapshot_kept_s

    def _is_a_burden(self) -> bool:
        """Rather a new copy later than a log that is full because of an old one."""
        return len(self._journal) > self._limits.log_entries // 2

    def _drop(self) -> None:
        self.close()
        self._copy = self.pinned_index = None
        folder = self._folder
        self._background(lambda: shutil.rmtree(folder, ignore_errors=True))
