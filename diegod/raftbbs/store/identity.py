"""The birth record: which cluster and member a store belongs to, and who votes.

A store is made once, by `diegod bbs init` or `diegod dev`; a start only loads it. So a member whose
disk was lost or swapped does not come back as a voter that has forgotten its votes. Does not belong
here: the comparison between members (`raftbbs.raft.greeting`) and the lock on the folder.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from diegod.raftbbs.store import envelope, migration
from diegod.raftbbs.store.envelope import EnvelopeError
from diegod.raftbbs.store.environment import (
    MAP_SIZE_BYTES,
    Environment,
    StoreMissing,
    Table,
    WriteTransaction,
)

STORE_FORMAT = envelope.FORMAT
META_TABLE = "meta"
_KEY = b"birth"


class StoreRefused(Exception):  # noqa: N818 - a refusal in the words of the operator
    """This folder is not one to start from, or not one to make a store in. Says why."""


@dataclass(frozen=True)
class Voter:
    """One member that votes, and where it is reached."""

    id: str
    api_address: str
    raft_address: str


@dataclass(frozen=True)
class Birth:
    """What is said about a store when it is made; nothing in it changes while a member runs."""

    cluster_id: str
    cluster_name: str
    member_id: str
    store_id: str
    voters: tuple[Voter, ...]
    epoch: int = 1
    store_format: int = STORE_FORMAT

    def __post_init__(self) -> None:
        ids = [voter.id for voter in self.voters]
        if self.member_id not in ids or len(set(ids)) != len(ids):
            raise ValueError(f"the voters {ids} must name {self.member_id!r}, and nobody twice")
        if not (self.cluster_id and self.store_id):
            raise ValueError("a store needs a cluster id and a store id")

    @property
    def peers(self) -> tuple[str, ...]:
        """The other voters, in the order of their ids."""
        return tuple(sorted(voter.id for voter in self.voters if voter.id != self.member_id))


def create(folder: Path, birth: Birth, *, durable: bool = True) -> None:
    """Make the store of a new member in a folder that is empty or not there yet."""
    if folder.exists() and any(folder.iterdir()):
        raise StoreRefused(
            f"{folder} is not empty: a store is made only in an empty folder, so that none is lost"
        )
    environment = Environment.open(folder, create=True, durable=durable)
    try:
        meta = environment.table(META_TABLE)
        with environment.begin_write() as transaction:
            write(transaction, meta, birth)
    finally:
        environment.close()
    flush_names((folder, folder.parent))


def load(
    folder: Path,
    *,
    member_id: str | None = None,
    cluster_id: str | None = None,
    durable: bool = True,
    map_size: int = MAP_SIZE_BYTES,
) -> tuple[Environment, Birth]:
    """Open the store of a folder and say whose it is; refuse a missing or foreign one.

    A store of the previous format becomes one of this format. `member_id` and `cluster_id` are
    whom the caller believes to be; None asks nothing.
    """
    try:
        environment = Environment.open(folder, durable=durable, map_size=map_size)
    except StoreMissing:
        raise StoreRefused(_no_store(folder)) from None
    try:
        _bring_up(environment)
        birth = read(environment)
        _check_expected(folder, birth, member_id, cluster_id)
    except BaseException:
        environment.close()
        raise
    return environment, birth


def _bring_up(environment: Environment) -> None:
    try:
        if migration.is_previous(environment):
            migration.migrate(environment)
    except ValueError as error:
        raise StoreRefused(f"the store in {environment.path} can't be read: {error}") from None


def read(environment: Environment) -> Birth:
    """The birth record of an open store."""
    meta = environment.table(META_TABLE)
    try:
        with environment.begin_read() as transaction:
            stored = transaction.get(meta, _KEY)
    except EnvelopeError as error:
        raise StoreRefused(f"the store in {environment.path} can't be read: {error}") from None
    if stored is None:
        raise StoreRefused(
            f"the store in {environment.path} has no birth record: its making was interrupted; "
            "empty the folder and make it again"
        )
    return _from_json(stored)


def write(transaction: WriteTransaction, meta: Table, birth: Birth) -> None:
    """Make this the birth record of a store."""
    transaction.put(meta, _KEY, _to_json(birth))


def _check_expected(
    folder: Path, birth: Birth, member_id: str | None, cluster_id: str | None
) -> None:
    if cluster_id is not None and birth.cluster_id != cluster_id:
        raise StoreRefused(
            f"the store in {folder} belongs to the cluster {birth.cluster_id}, not to {cluster_id}"
        )
    if member_id is not None and birth.member_id != member_id:
        raise StoreRefused(
            f"the store in {folder} belongs to the member {birth.member_id!r}, not to {member_id!r}"
        )


def _no_store(folder: Path) -> str:
    if not folder.exists():
        state = f"the folder {folder} does not exist"
    elif any(folder.iterdir()):
        state = f"the folder {folder} holds no store of a BBS member"
    else:
        state = f"the folder {folder} is empty"
    return (
        f"{state}: `diegod bbs init` makes the store of a new cluster; a member that lost its "
        "store must not vote again under the same name"
    )


def _to_json(birth: Birth) -> bytes:
    return json.dumps(asdict(birth), sort_keys=True).encode()


def _from_json(payload: bytes) -> Birth:
    """Parse a record, the format first: the rest means something only in a known one."""
    record: dict[str, Any] = json.loads(payload)
    if record.get("store_format") != STORE_FORMAT:
        raise StoreRefused(
            f"the store has format {record.get('store_format')}, this version reads format "
            f"{STORE_FORMAT}: run the version of diegod that wrote it"
        )
    record["voters"] = tuple(Voter(**voter) for voter in record["voters"])
    return Birth(**{field.name: record[field.name] for field in fields(Birth)})


def flush_names(folders: Sequence[Path]) -> None:
    """Make the new names durable: a file is on disk only when its folder says so."""
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
