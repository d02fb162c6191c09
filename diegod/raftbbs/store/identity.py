"""The birth record: which cluster and member a store belongs to, and who votes.

A store is made once, by `diegod bbs init` or `diegod dev`; a start only loads it. So a member whose
disk was lost or swapped does not come back as a voter that has forgotten its votes. Does not belong
here: the comparison between members (`raftbbs.raft.greeting`) and the lock on the folder.
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from diegod.raftbbs.store import envelope, migration
from diegod.raftbbs.store.durable import flush_names
from diegod.raftbbs.store.envelope import EnvelopeError
from diegod.raftbbs.store.environment import (
    MAP_SIZE_BYTES,
    Environment,
    ReadTransaction,
    StoreMissing,
    Table,
    WriteTransaction,
)
from diegod.raftbbs.store.key_registry import KeysRefused, unlock
from diegod.security.at_rest import NO_KEYS, Keyring

STORE_FORMAT = envelope.FORMAT
META_TABLE = "meta"
_KEY = b"birth"
_ADDED = ("learners", "members_revision")  # fields that not every store has


class StoreRefused(Exception):  # noqa: N818 - a refusal in the words of the operator
    """This folder is not one to start from, or not one to make a store in. Says why."""


@dataclass(frozen=True)
class Voter:
    """One member, and where it is reached; its store where that is known, else the one it says."""

    id: str
    api_address: str
    raft_address: str
    store_id: str = ""


@dataclass(frozen=True)
class Birth:
    """What is said about a store when it is made; nothing in it changes while a member runs.

    Members are added and removed later: what the state says of them counts (`store/members.py`). A
    member that joined has the record of that time here, since its state begins before it.
    """

    cluster_id: str
    cluster_name: str
    member_id: str
    store_id: str
    voters: tuple[Voter, ...]
    epoch: int = 1
    store_format: int = STORE_FORMAT
    learners: tuple[Voter, ...] = ()  # receive everything and don't vote yet
    members_revision: int = 0  # of the record that voters and learners are from; 0: the first

    def __post_init__(self) -> None:
        ids = [member.id for member in (*self.voters, *self.learners)]
        if self.member_id not in ids or len(set(ids)) != len(ids):
            raise ValueError(f"the members {ids} must name {self.member_id!r}, and nobody twice")
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
    keyring: Keyring = NO_KEYS,
) -> tuple[Environment, Birth]:
    """Open the store of a folder and say whose it is; refuse a missing or foreign one.

    A store of the previous format becomes one of this format. `member_id` and `cluster_id` are
    whom the caller believes to be; None asks nothing. From now on the store is written under the
    active key of `keyring`.
    """
    try:
        environment = Environment.open(folder, durable=durable, map_size=map_size)
    except StoreMissing:
        raise StoreRefused(_no_store(folder)) from None
    try:
        _bring_up(environment)
        birth = read(environment)
        _check_expected(folder, birth, member_id, cluster_id)
        unlock(environment, keyring)
    except KeysRefused as error:
        environment.close()
        raise StoreRefused(str(error)) from None
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


def known_store(transaction: ReadTransaction, meta: Table, peer: str) -> str:
    """The store that a peer said first, as this member remembers it; "" for none yet."""
    stored = transaction.get(meta, _store_key(peer))
    return "" if stored is None else stored.decode()


def remember_store(transaction: WriteTransaction, meta: Table, peer: str, store_id: str) -> None:
    transaction.put(meta, _store_key(peer), store_id.encode())


def _store_key(peer: str) -> bytes:
    return b"store/" + peer.encode()
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
        f"{state}: `diegod bbs init` makes the store of a new cluster, `diegod bbs join ADDRESS` "
        "one for an existing cluster; a member that lost its store joins with --replace"
    )


def _to_json(birth: Birth) -> bytes:
    """Without what is as in stores that were made before there was such a field."""
    record = asdict(birth)
    for name in _ADDED:
        if not record[name]:
            del record[name]
    for member in (*record["voters"], *record.get("learners", ())):
        if not member["store_id"]:
            del member["store_id"]
    return json.dumps(record, sort_keys=True).encode()


def _from_json(payload: bytes) -> Birth:
    """Parse a record, the format first: the rest means something only in a known one."""
    record: dict[str, Any] = json.loads(payload)
    if record.get("store_format") != STORE_FORMAT:
        raise StoreRefused(
            f"the store has format {record.get('store_format')}, this version reads format "
            f"{STORE_FORMAT}: run the version of diegod that wrote it"
        )
    for name in ("voters", "learners"):
        record[name] = tuple(Voter(**member) for member in record.get(name, ()))
    given = [field.name for field in fields(Birth) if field.name in record]
    return Birth(**{name: record[name] for name in given})
