"""What is wrong with a store that is at rest: a list, for whoever takes, keeps or restores a copy.

How rows fit together is said in one place (`store.verification`), which is also asked at each start
of a member. Here the rest is added: the pages of the file, the birth record, and the log, which a
member otherwise reads through its journal. Nothing is changed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf.message import DecodeError

from diegod.internal.v1.command_pb2 import Batch
from diegod.raftbbs.backup.copying import counts_of
from diegod.raftbbs.raft.api import Fatal
from diegod.raftbbs.raft.journal import LOG_TABLE, REGULAR, read_entry, read_hard_state
from diegod.raftbbs.store import identity, structure
from diegod.raftbbs.store.copies import opened_copy
from diegod.raftbbs.store.environment import (
    Environment,
    ReadTransaction,
    StoreFailed,
    StoreMissing,
    Table,
)
from diegod.raftbbs.store.identity import META_TABLE, StoreRefused
from diegod.raftbbs.store.key_registry import KeysRefused
from diegod.raftbbs.store.pages import PagesDamaged
from diegod.raftbbs.store.tables import Tables, number_of
from diegod.raftbbs.store.verification import Verification
from diegod.security.at_rest import Keyring


@dataclass
class Checked:
    """What a store has, and what is wrong with it: at most one thing for each of its parts."""

    counts: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def check_folder(folder: Path, keyring: Keyring) -> Checked:
    """Of a store that nobody has open. Its pages come first: LMDB would trust them."""
    try:
        structure.check(folder)
        with opened_copy(folder, keyring) as environment:
            return check(environment)
    except FileNotFoundError:
        return Checked(problems=[f"there is no store in {folder}"])
    except (PagesDamaged, StoreFailed, StoreMissing, KeysRefused, OSError) as error:
        return Checked(problems=str(error).splitlines())


def check(environment: Environment) -> Checked:
    """Read everything. What is found is in the result."""
    tables = Tables.open(environment)
    meta, log = environment.table(META_TABLE), environment.table(LOG_TABLE)
    named = [environment.table(name) for name in environment.table_names()]
    checked = Checked(counts_of(environment))
    with environment.begin_read() as transaction:
        checked.problems += Verification(tables, transaction, newest_changes=None).problems(named)
        checked.problems += _first("birth record", _birth(environment))
        checked.problems += _first("log", _log(transaction, meta, log))
    return checked


def _first(part: str, problems: Iterator[str]) -> Iterator[str]:
    try:
        for problem in problems:
            yield f"{part}: {problem}"
            return
    except (Fatal, StoreRefused, DecodeError, LookupError, ValueError) as error:
        yield f"{part}: {error}"


def _birth(environment: Environment) -> Iterator[str]:
    identity.read(environment)
    yield from ()


def _log(transaction: ReadTransaction, meta: Table, log: Table) -> Iterator[str]:
    """Without a gap from its first entry to its last, and around what was applied."""
    state = read_hard_state(transaction, meta)
    if state is None:
        if transaction.count(log):
            yield "there are entries, but neither term nor vote"
        return
    expected = None
    for key, _ in transaction.scan(log):
        index = number_of(key)
        if expected is not None and index != expected:
            yield f"entry {expected} is missing"
        command, _, _ = read_entry(transaction, log, index)
        if command[:1] == REGULAR:
            Batch.FromString(command[1:])
        expected = index + 1
    if expected is None or not state.applied_index < expected:
        yield f"entry {state.applied_index}, the last that was applied, is missing"
