"""The mark on a store whose state was found to be wrong: no start serves it any more.

A file beside the store's data, so that it is there whatever the data has become. It is made when
the member leaves (`raftbbs.raft.comparing` says when that is) and never taken away by diegod: the
store is kept for whoever looks for the cause, and its member is replaced.
"""

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from diegod.raftbbs.store.durable import flush_names
from diegod.raftbbs.store.identity import StoreRefused

MARK_FILE = "quarantined"


@dataclass(frozen=True)
class Mark:
    """What was found, and when, by this machine's clock."""

    index: int
    own_hash: str
    agreed_hash: str
    at: str

    @staticmethod
    def of(index: int, own: bytes, agreed: bytes, wall_s: float) -> "Mark":
        at = datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="seconds")
        return Mark(index, own.hex(), agreed.hex(), at)


def put(folder: Path, mark: Mark) -> None:
    """Mark a store, durably. Raises OSError."""
    descriptor = os.open(
        folder / MARK_FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
    )
    try:
        os.write(descriptor, json.dumps(asdict(mark), sort_keys=True).encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    flush_names((folder,))


def refuse_marked(folder: Path) -> None:
    """Raises StoreRefused for a store that has a mark, whatever is in it."""
    try:
        content = (folder / MARK_FILE).read_bytes()
    except FileNotFoundError:
        return
    raise StoreRefused(
        f"the store in {folder} is quarantined: {_found(content)}. It is not served again: move "
        f"{folder} away, keep it for whoever looks for the cause, and replace this member with "
        "`diegod bbs join ADDRESS --replace`"
    )


def _found(content: bytes) -> str:
    try:
        mark = Mark(**json.loads(content))
    except (ValueError, TypeError):
        return f"its file {MARK_FILE} does not say why"
    return (
        f"at {mark.at} its state at entry {mark.index} was {mark.own_hash[:12] or 'unknown'}, a "
        f"majority of the members had {mark.agreed_hash[:12]}"
    )
