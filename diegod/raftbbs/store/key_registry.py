"""Which keys a store is encrypted with, as the store itself says: table `keys`.

    label (1 byte)   name of the key and its check value; label 0: values that are not encrypted
    `pass`           how far the re-encryption of everything has come, while there is one

A store without rows here is plain. The rows are part of a copy that goes to another member or into
a backup, so that whoever opens it knows which keys it takes. Labels are the store's own: two
members may number the same key differently. A value is opened only if its label stands here, and a
label leaves only when no value has it any more (`rekeying`).

    open_to_read     with the keys at hand, or a refusal that names the missing one; writes nothing
    unlock           the same, and from now on values are closed under the active key
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from diegod.raftbbs.store.envelope import PLAIN, EnvelopeError
from diegod.raftbbs.store.environment import (
    KEYS_TABLE,
    Environment,
    ReadTransaction,
    Table,
    WriteTransaction,
)
from diegod.raftbbs.store.sealed import SealedEnvelope
from diegod.security.at_rest import Keyring, MasterKey

_PASS_KEY = b"pass"
_LABEL_MAX = 255


class KeysRefused(Exception):  # noqa: N818 - a refusal in the words of the operator
    """A store that can't be opened with the keys at hand. Says which, and what to do."""


@dataclass(frozen=True)
class KeyRow:
    """A key that values are closed with; without a name: they are plain."""

    name: str = ""
    check: str = ""


@dataclass(frozen=True)
class Pass:
    """One walk through all tables, after which everything is under `target`."""

    target: int
    table: str = ""  # the walk goes on there,
    key: str = ""  # behind this key (hexadecimal)
    walked: int = 0  # values behind it, over all tables


@dataclass(frozen=True)
class Registry:
    """What the table says. Without rows the store is plain."""

    rows: Mapping[int, KeyRow] = field(default_factory=dict)
    walk: Pass | None = None

    def named(self) -> tuple[str, ...]:
        """The names of the keys that are needed."""
        return tuple(row.name for label, row in self.rows.items() if label != PLAIN)


def read_registry(environment: Environment) -> Registry:
    """What the store says of its keys. Makes no table where there is none."""
    if KEYS_TABLE not in environment.table_names():
        return Registry()
    table = environment.table(KEYS_TABLE)
    try:
        with environment.begin_read() as transaction:
            return _read(transaction, table)
    except EnvelopeError as error:
        raise KeysRefused(str(error)) from None


def open_to_read(environment: Environment, keyring: Keyring) -> Registry:
    """Open a store, or a copy of one, with these keys; it is not to be written to."""
    registry = read_registry(environment)
    _refuse_missing(registry, keyring)
    environment.keyring = keyring
    if registry.rows:
        target = registry.walk.target if registry.walk else next(iter(registry.rows))
        environment.envelope = _envelope(registry, keyring, target)
    return registry


def unlock(environment: Environment, keyring: Keyring) -> None:
    """Open a store with these keys. Whatever is written from now on is under the active one.

    Where anything in the store is under another key, a pass through all of it is due; it is
    written down here, before the first value under the new key.
    """
    registry = open_to_read(environment, keyring)
    if not registry.rows and not keyring.active:
        return
    wanted, active = _with_active(registry, keyring)
    if wanted != registry:
        table = environment.table(KEYS_TABLE)
        with environment.begin_write() as transaction:
            write_registry(transaction, table, wanted)
    environment.envelope = _envelope(wanted, keyring, active)


def write_registry(transaction: WriteTransaction, table: Table, registry: Registry) -> None:
    """Make this what the store says of its keys."""
    transaction.clear(table)
    for label, row in registry.rows.items():
        transaction.put(table, bytes([label]), _json(row))
    write_pass(transaction, table, registry.walk)


def write_pass(transaction: WriteTransaction, table: Table, walk: Pass | None) -> None:
    if walk is None:
        transaction.delete(table, _PASS_KEY)
    else:
        transaction.put(table, _PASS_KEY, _json(walk))


def finished(registry: Registry, target: int) -> Registry:
    """What is left of a registry when everything is under this label."""
    return Registry({} if target == PLAIN else {target: registry.rows[target]})


def _with_active(registry: Registry, keyring: Keyring) -> tuple[Registry, int]:
    """The registry with the active key in it, and that key's label."""
    rows = dict(registry.rows) or {PLAIN: KeyRow()}
    if not keyring.active:
        active = PLAIN
        rows[PLAIN] = KeyRow()
    else:
        key = keyring.keys[keyring.active]
        row = KeyRow(key.name, key.check)
        active = next((label for label, each in rows.items() if each == row), 0) or _free(rows)
        rows[active] = row
    walk = registry.walk
    if rows.keys() == {active}:
        walk = None
    elif walk is None or walk.target != active:
        walk = Pass(active)
    return Registry(dict(sorted(rows.items())), walk), active


def _free(rows: Mapping[int, KeyRow]) -> int:
    free = next((label for label in range(1, _LABEL_MAX + 1) if label not in rows), None)
    if free is None:
        raise KeysRefused(
            f"the store is under {_LABEL_MAX} keys, more can't be: let `diegod bbs rekey` finish"
        )
    return free


def _refuse_missing(registry: Registry, keyring: Keyring) -> None:
    problems = [
        problem
        for label, row in registry.rows.items()
        if label != PLAIN and (problem := _problem(row, keyring.keys.get(row.name)))
    ]
    if problems:
        raise KeysRefused("\n".join(problems))


def _problem(row: KeyRow, key: MasterKey | None) -> str:
    if key is None:
        return (
            f'the store is encrypted with the key "{row.name}", which is not in '
            "[bbs.encryption.keys]. Put it back: a key can be dropped when `diegod bbs rekey` "
            "says so"
        )
    if key.check != row.check:
        return (
            f'the key "{row.name}" is not the one that the store is encrypted with: its file '
            "holds another. Put the right one back, and give a new key a new name"
        )
    return ""


def _envelope(registry: Registry, keyring: Keyring, active: int) -> SealedEnvelope:
    keys = {
        label: keyring.keys[row.name] for label, row in registry.rows.items() if label != PLAIN
    }
    return SealedEnvelope(active, keys, opens_plain=PLAIN in registry.rows)


def _read(transaction: ReadTransaction, table: Table) -> Registry:
    rows: dict[int, KeyRow] = {}
    walk: Pass | None = None
    for key, value in transaction.scan(table):
        if key == _PASS_KEY:
            walk = Pass(**json.loads(value))
        else:
            rows[key[0]] = KeyRow(**json.loads(value))
    return Registry(rows, walk)


def _json(record: KeyRow | Pass) -> bytes:
    return json.dumps(asdict(record), sort_keys=True).encode()
