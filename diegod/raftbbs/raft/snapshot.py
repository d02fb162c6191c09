"""A copy of a member's whole state as a file: made, checked, and put in place of an older one.

For a member that is behind the beginning of the others' logs. The library has its own way of doing
this, which is not used: it moves commit indexes (F1), acknowledges what did not load (F6), clears
the log after a crash (F13), floods the peer (F14), has no digest (F16), and forks.

A copy is the environment of whoever made it. Of that, the tables of the state and one entry of the
log, the one that was applied last, are the cluster's; they are taken over. The table `meta` (birth
record, term, vote, peers' stores) is the member's own: the receiver's replaces it. An encrypted
copy is opened with the receiver's keys; what is not under its active key is encrypted anew after
its start.

    make       where the state is: a consistent copy, its digest, and the entry that it ends with
    prepare    where it is wanted, beside the ticks: verified, and stripped of what was another's
    install    within a step of the receiver: its own `meta` goes in, and one rename makes it the
               store. Before the rename the old store is whole, after it the new one is.

Does not belong here: who gets a copy (`serving`), and how it is fetched (`fetching`).
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from diegod.raftbbs import failpoints
from diegod.raftbbs.raft.api import Fatal
from diegod.raftbbs.raft.journal import (
    LOG_TABLE,
    HardState,
    keep_only,
    read_hard_state,
    read_term,
    write_hard_state,
)
from diegod.raftbbs.store import identity
from diegod.raftbbs.store.copies import opened_like
from diegod.raftbbs.store.durable import flush_file, flush_names
from diegod.raftbbs.store.environment import DATA_FILE, Environment, StoreFailed, StoreMissing
from diegod.raftbbs.store.identity import META_TABLE, StoreRefused
from diegod.raftbbs.store.key_registry import KeysRefused

OUTGOING_FOLDER = "outgoing"
INCOMING_FOLDER = "incoming"
"""Within the folder of the store: a rename works only within one file system."""

DIGEST_BYTES = 32

T = TypeVar("T")


class SnapshotRefused(Exception):  # noqa: N818 - a refusal, not a fault of ours
    """A copy that must not become this member's store. Says why."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a copy is: the last entry that it has applied, and what the file must be."""

    index: int
    term: int
    size: int
    digest: bytes


class Background(Protocol):
    """Does work that takes long beside the ticks."""

    def __call__(self, work: Callable[[], T], /) -> "Future[T]": ...


def inline(work: Callable[[], T]) -> "Future[T]":
    """A `Background` that does the work at once: for simulation."""
    future: Future[T] = Future()
    try:
        future.set_result(work())
    except Exception as error:
        future.set_exception(error)
    return future


def make(environment: Environment, folder: Path) -> Snapshot:
    """Copy what is committed now into a folder of its own. A writer may go on meanwhile."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    environment.copy(folder)
    failpoints.passes("mid_snapshot_copy")
    index, term = _ends_with(folder, environment)
    data = folder / DATA_FILE
    return Snapshot(index, term, data.stat().st_size, digest_of(data))


def prepare(environment: Environment, offered: Snapshot, folder: Path) -> None:
    """Verify a copy that has come, and strip it of what is another member's."""
    data = folder / DATA_FILE
    if data.stat().st_size != offered.size or digest_of(data) != offered.digest:
        raise SnapshotRefused("what has come has another digest than what was offered")
    if (ends := _ends_with(folder, environment)) != (offered.index, offered.term):
        raise SnapshotRefused(f"it ends with entry {ends}, not {(offered.index, offered.term)}")
    if environment.durable:
        flush_file(data)
    with opened_like(folder, environment) as staged:
        meta, log = staged.table(META_TABLE), staged.table(LOG_TABLE)
        with staged.begin_write() as transaction:
            keep_only(transaction, log, offered.index)
            transaction.clear(meta)


def install(environment: Environment, state: HardState, offered: Snapshot, folder: Path) -> None:
    """Make a prepared copy this member's store, with what the member promised.

    When it returns, the open environment is the past: nothing may be written to it any more.
    """
    meta = environment.table(META_TABLE)
    with environment.begin_read() as own:
        rows = list(own.scan(meta))
    state = replace(state, commit_index=offered.index, applied_index=offered.index)
    with opened_like(folder, environment) as staged:
        staged.before_commit = environment.before_commit
        staged_meta = staged.table(META_TABLE)
        with staged.begin_write() as transaction:
            for key, value in rows:
                transaction.put(staged_meta, key, value)
            write_hard_state(transaction, staged_meta, state)
    failpoints.passes("mid_install")
    os.replace(folder / DATA_FILE, environment.path / DATA_FILE)
    failpoints.passes("after_rename")
    if environment.durable:
        flush_names((folder, environment.path))


def digest_of(path: Path) -> bytes:
    """The digest of a file, by which a copy is known."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=DIGEST_BYTES)).digest()


def _ends_with(folder: Path, environment: Environment) -> tuple[int, int]:
    """Index and term of the last entry that a copy has applied; refuses another cluster's."""
    try:
        with opened_like(folder, environment) as copy:
            birth, ours = identity.read(copy), identity.read(environment)
            if birth.cluster_id != ours.cluster_id:
                raise SnapshotRefused(f"it is of the cluster {birth.cluster_id!r}")
            meta, log = copy.table(META_TABLE), copy.table(LOG_TABLE)
            with copy.begin_read() as transaction:
                state = read_hard_state(transaction, meta) or HardState()
                return state.applied_index, read_term(transaction, log, state.applied_index)
    except (StoreRefused, StoreMissing, StoreFailed, Fatal, KeysRefused, ValueError) as error:
        raise SnapshotRefused(f"it can't be read: {error}") from error
