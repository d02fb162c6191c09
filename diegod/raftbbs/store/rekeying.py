"""Everything in a store, encrypted anew under the active key: in slices, beside the daily work.

A walk goes through all tables in the order of their names, and puts every value that is not under
the target's label into a new envelope. Its position is written in the transaction of the slice, so
that a crash parts neither. What is written meanwhile is under the target already. At the end all
other labels leave the store's table of keys. Does not belong here: when a walk begins
(`key_registry.unlock`) and who gives it a transaction (the engine's step).
"""

from contextlib import closing
from dataclasses import dataclass, replace

from diegod.raftbbs.store.envelope import PLAIN
from diegod.raftbbs.store.environment import (
    KEYS_TABLE,
    Environment,
    Table,
    WriteTransaction,
)
from diegod.raftbbs.store.key_registry import (
    Pass,
    Registry,
    finished,
    read_registry,
    write_pass,
    write_registry,
)
from diegod.raftbbs.store.sealed import SealedEnvelope

NEVER = float("inf")
DONE_PERCENT = 100


@dataclass(frozen=True, slots=True)
class Slice:
    """What one step does at most: about 2 ms, at most every 20. So writes lose a tenth at worst."""

    values: int = 200  # encrypted anew,
    bytes: int = 256 << 10  # and not many more than these,
    looked_at: int = 4096  # and passed over, since they are under the right key
    pause_s: float = 0.02


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is. The keys are those that values in the store may still need."""

    percent: int = DONE_PERCENT
    active_key: str = ""
    key_names: tuple[str, ...] = ()


class Rekeying:
    """The walk of one open store; idle when there is nothing to do."""

    def __init__(self, environment: Environment, at_most: Slice | None = None) -> None:
        self._environment = environment
        self._at_most = at_most or Slice()
        self._registry: Registry = read_registry(environment)
        self._walk = self._registry.walk
        self._due_at = NEVER if self._walk is None else float("-inf")
        self._ending = False
        self._tables: list[Table] = []
        self._total = 0
        self.notices: list[str] = []
        if self._walk is not None:
            self._begin()
        self.progress = self._progress()
        """Replaced as a whole: any thread may look."""

    def due_at(self) -> float:
        """When the next slice is due; `NEVER` when there is none."""
        return self._due_at

    def go_on(self, transaction: WriteTransaction, now: float) -> None:
        """The next slice, within somebody's transaction."""
        walk = self._walk
        if walk is None:
            return
        left = _Left(self._at_most)
        keys = self._environment.table(KEYS_TABLE)
        for table in self._tables:
            if table.name >= walk.table:
                walk = _walked(transaction, table, walk, left)
                if left.is_spent:
                    break
        else:
            self._ending = True
            write_registry(transaction, keys, finished(self._registry, walk.target))
        if not self._ending:
            write_pass(transaction, keys, walk)
        self._walk = walk
        self._due_at = now + self._at_most.pause_s

    def committed(self) -> bool:
        """The transaction of the last slice is durable; whether the walk has come to its end."""
        if self._walk is None:
            return False
        self.progress = self._progress()
        if not self._ending:
            return False
        before, self._registry = self._registry, finished(self._registry, self._walk.target)
        self._ending, self._walk, self._due_at = False, None, NEVER
        envelope = self._environment.envelope
        assert isinstance(envelope, SealedEnvelope)
        self._environment.envelope = envelope.of_active_key_only()
        self.progress = self._progress()
        self.notices.extend(_ends(before, self._registry))
        return True

    def _begin(self) -> None:
        assert self._walk is not None
        environment = self._environment
        tables = [environment.table(name) for name in environment.table_names()]
        self._tables = [table for table in tables if not table.never_sealed]
        with environment.begin_read() as transaction:
            self._total = sum(transaction.count(table) for table in self._tables)
        target = self._registry.rows[self._walk.target].name
        how = f'encrypted with the key "{target}"' if target else "decrypted"
        self.notices.append(f"{self._total} values in the store are looked at, and {how}")

    def _progress(self) -> Progress:
        registry, walk = self._registry, self._walk
        if walk is None:
            active = next(iter(registry.named()), "")
            return Progress(DONE_PERCENT, active, registry.named())
        percent = DONE_PERCENT * walk.walked // max(self._total, walk.walked, 1)
        active = registry.rows[walk.target].name
        return Progress(min(percent, DONE_PERCENT - 1), active, registry.named())


class _Left:
    """What of a slice is left."""

    def __init__(self, at_most: Slice) -> None:
        self._values, self._bytes = at_most.values, at_most.bytes
        self._looked_at = at_most.looked_at

    def encrypted(self, stored: bytes) -> None:
        self._values -= 1
        self._bytes -= len(stored)

    def passed_over(self, stored: bytes) -> None:
        self._looked_at -= 1
        self._bytes -= len(stored) // 16  # it was only copied

    @property
    def is_spent(self) -> bool:
        return self._values <= 0 or self._bytes <= 0 or self._looked_at <= 0


def _walked(transaction: WriteTransaction, table: Table, walk: Pass, left: _Left) -> Pass:
    """Go on through this table, as far as the slice allows."""
    behind = bytes.fromhex(walk.key) if table.name == walk.table else b""
    start, key, looked_at = behind + b"\0" if behind else b"", b"", 0
    others: list[tuple[bytes, bytes]] = []
    with closing(transaction.scan_stored(table, start=start)) as following:
        for key, stored in following:
            looked_at += 1
            if stored[1:2] == bytes([walk.target]):
                left.passed_over(stored)
            else:
                left.encrypted(stored)
                others.append((key, stored))
            if left.is_spent:
                break
    for other, stored in others:  # after the scan: it would not like its rows to change
        transaction.rewrap(table, other, stored)
    if not looked_at:
        return walk
    return replace(walk, table=table.name, key=key.hex(), walked=walk.walked + looked_at)


def _ends(before: Registry, now: Registry) -> list[str]:
    """What an operator is told."""
    active = next(iter(now.named()), "")
    how = f'encrypted with the key "{active}"' if active else "not encrypted"
    said = [f"everything in the store is {how} now"]
    said += [
        f'the key "{name}" can be dropped here now; older backups still need it'
        for name in before.named()
        if name != active
    ]
    if PLAIN in before.rows and active:
        said.append(
            "pages of the file that are free may still hold what was not encrypted, until they are "
            "used again: `diegod bbs compact` leaves them out"
        )
    return said
