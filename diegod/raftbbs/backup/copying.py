"""A copy of a store with its manifest: consistent, made beside a writer that goes on."""

import shutil
from collections.abc import Callable
from pathlib import Path

import diegod
from diegod.raftbbs.backup.file import BackupRefused, Manifest, data_digest
from diegod.raftbbs.raft.journal import LOG_TABLE, HardState, read_hard_state, read_term
from diegod.raftbbs.store import identity
from diegod.raftbbs.store.copies import opened_copy
from diegod.raftbbs.store.environment import DATA_FILE, Environment
from diegod.raftbbs.store.identity import META_TABLE
from diegod.raftbbs.store.key_registry import read_registry
from diegod.raftbbs.store.state import StateView
from diegod.raftbbs.store.tables import Tables

#: What else is left on the disk beside a copy: writes go on while it is made.
_SPARE_BYTES = 64 << 20


def take(environment: Environment, folder: Path, now_s: float) -> Manifest:
    """Copy what is committed into a folder of its own, and say what it is."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    environment.copy(folder)
    with opened_copy(
        folder,
        environment.keyring,
        durable=environment.durable,
        map_size=environment.map_size,
    ) as copy:
        described = _described(copy)
    size, digest = data_digest(folder / DATA_FILE)
    return described(now_s, size, digest)


def require_room(environment: Environment, folder: Path) -> None:
    """Refuse where a copy would not fit: a full disk ends the member."""
    needed, free = environment.needed_bytes(), shutil.disk_usage(folder).free
    if free < needed + needed // 10 + _SPARE_BYTES:
        raise BackupRefused(
            f"a copy of {needed >> 20} MB has no room in {folder}: {free >> 20} MB are free"
        )


def counts_of(environment: Environment) -> dict[str, int]:
    """How many values each table has."""
    with environment.begin_read() as transaction:
        return {table.name: transaction.count(table) for table in environment.tables}


def _described(copy: Environment) -> Callable[[float, int, str], Manifest]:
    """The manifest but for what is known only when the copy is closed."""
    birth = identity.read(copy)
    tables, meta, log = Tables.open(copy), copy.table(META_TABLE), copy.table(LOG_TABLE)
    key_names, counts = read_registry(copy).named(), counts_of(copy)
    with copy.begin_read() as transaction:
        counters = StateView(tables, transaction).counters()
        state = read_hard_state(transaction, meta)
        term = read_term(transaction, log, state.applied_index) if state is not None else 0
    return lambda now_s, size, digest: Manifest(
        cluster_id=birth.cluster_id,
        cluster_name=birth.cluster_name,
        member_id=birth.member_id,
        epoch=birth.epoch,
        revision=counters.revision,
        applied_index=(state or HardState()).applied_index,
        applied_term=term,
        replicated_time_ns=counters.at_ns,
        taken_at_s=now_s,
        store_format=birth.store_format,
        state_hash=counters.state_hash.hex(),
        counts=counts,
        key_names=key_names,
        version=diegod.__version__,
        size=size,
        digest=digest,
    )
