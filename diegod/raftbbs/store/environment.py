"""One LMDB environment: tables, transactions, and a single exception for a store that failed.

The only importer of `lmdb`. It knows keys and values as bytes; what they mean is said elsewhere.
Every value lies in an envelope, closed by `put` and opened by `get` and `scan`, so that nobody can
forget it. Not here: the lock on the data folder (the caller takes it before it opens anything),
what an envelope is (`envelope`), and which keys a store needs (`key_registry`).

Facts that shape this module:

* Every commit is flushed to disk (`sync` on). Without it the first power failure can leave a file
  that makes LMDB abort the process. `durable=False` is for simulation, where a crash is modelled.
* A write transaction belongs to the thread that began it. There is one writer at a time.
* After a failed commit nothing is retried: the kernel may have dropped the pages it failed to
  write. Whoever gets `StoreFailed` ends the process; the file holds what was committed before.
"""

import os
import struct
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import lmdb

from diegod.raftbbs import failpoints
from diegod.raftbbs.store.envelope import PLAIN_ENVELOPE, Envelope
from diegod.security.at_rest import NO_KEYS, Keyring

KEY_BYTES_MAX = 511  # LMDB's own limit
MAP_SIZE_BYTES = 64 << 30  # address space, not disk: the file grows as it is used
_TABLES_MAX = 32
_LMDB_0_9 = 0  # the file format of liblmdb 0.9; later ones can't be read back by it
DATA_FILE = "data.mdb"
KEYS_TABLE = "keys"
_NEVER_SEALED = ("meta", KEYS_TABLE)  # nothing secret, and read before any key is known
_WRITTEN = struct.Struct(">HI")  # lengths of key and value, in the digest of a write set
_META_PAGES = 2
_DELETED = 0xFFFFFFFF  # as the length of a value


class StoreFailed(Exception):  # noqa: N818 - it names an event: after it the process ends
    """The store can't take or give data: the disk is full or broken. The process must end."""


class StoreMissing(Exception):  # noqa: N818 - a refusal in the words of the operator
    """There is no store in this folder."""


class Hash(Protocol):
    """What a digest of `hashlib` is good for."""

    def update(self, data: bytes, /) -> None: ...


class Table:
    """A named table of one environment. Pass it to the methods of a transaction."""

    __slots__ = ("handle", "hashed", "name", "never_sealed", "place")

    def __init__(self, name: str, handle: "lmdb._Database", hashed: bool) -> None:
        self.name = name
        self.handle = handle
        self.place = name.encode() + b"\0"
        """With a key behind it: where a value belongs, as its envelope knows it."""
        self.hashed = hashed
        """Whether what is written here is part of a write set's digest."""
        self.never_sealed = name in _NEVER_SEALED
        """Whether its values are plain, whatever the store is."""

    def __repr__(self) -> str:
        return f"Table({self.name!r})"


class ReadTransaction:
    """The store as it was when this began. Close it soon: LMDB keeps old pages for it."""

    def __init__(self, transaction: "lmdb.Transaction[bytes]", envelope: Envelope) -> None:
        self._transaction = transaction
        self._envelope = envelope

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()

    def get(self, table: Table, key: bytes) -> bytes | None:
        """The value of a key, None when it has none. Raises EnvelopeError."""
        stored = self.stored(table, key)
        if stored is None:
            return None
        return self._envelope_in(table).unwrap(table.place + key, stored)

    def stored(self, table: Table, key: bytes) -> bytes | None:
        """The value of a key in its envelope."""
        if not 0 < len(key) <= KEY_BYTES_MAX:
            raise _illegal_key(key)
        try:
            return self._transaction.get(key, db=table.handle)
        except lmdb.Error as error:
            raise _failed("read", error) from error

    def scan(
        self,
        table: Table,
        prefix: bytes = b"",
        *,
        start: bytes | None = None,
        stop: bytes | None = None,
        reverse: bool = False,
    ) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values in key order: those under a prefix, or from `start` until before `stop`.

        A row that the same transaction changes behind the scan is not seen again; one that it
        adds ahead of the scan is. Raises EnvelopeError.
        """
        unwrap, place = self._envelope_in(table).unwrap, table.place
        for key, stored in self.scan_stored(
            table, prefix, start=start, stop=stop, reverse=reverse
        ):
            yield key, unwrap(place + key, stored)

    def scan_stored(
        self,
        table: Table,
        prefix: bytes = b"",
        *,
        start: bytes | None = None,
        stop: bytes | None = None,
        reverse: bool = False,
    ) -> Generator[tuple[bytes, bytes], None, None]:
        """As `scan`, with the values in their envelopes."""
        first, end = (prefix, _after_prefix(prefix)) if prefix else (start or b"", stop)
        try:
            with self._transaction.cursor(db=table.handle) as cursor:
                yield from (_down if reverse else _up)(cursor, first, end)
        except lmdb.Error as error:
            raise _failed("read", error) from error

    def whole(self, table: Table) -> Iterator[tuple[bytes, bytes]]:
        """Every key and value, faster than `scan`: nothing may be written meanwhile. Raises
        EnvelopeError."""
        unwrap, place = self._envelope_in(table).unwrap, table.place
        try:
            with self._transaction.cursor(db=table.handle) as cursor:
                for key, stored in cursor.iternext():
                    yield key, unwrap(place + key, stored)
        except lmdb.Error as error:
            raise _failed("read", error) from error

    def first_key(self, table: Table) -> bytes | None:
        """The least key of a table, None when the table is empty."""
        try:
            with self._transaction.cursor(db=table.handle) as cursor:
                return cursor.key() if cursor.first() else None
        except lmdb.Error as error:
            raise _failed("read", error) from error

    def last_key(self, table: Table) -> bytes | None:
        """The greatest key of a table, None when the table is empty."""
        try:
            with self._transaction.cursor(db=table.handle) as cursor:
                return cursor.key() if cursor.last() else None
        except lmdb.Error as error:
            raise _failed("read", error) from error

    def count(self, table: Table) -> int:
        """How many rows a table has."""
        try:
            return self._transaction.stat(table.handle)["entries"]
        except lmdb.Error as error:
            raise _failed("read", error) from error

    def abort(self) -> None:
        """End the transaction; what it wrote never was. Doing so twice is harmless."""
        self._transaction.abort()

    def _envelope_in(self, table: Table) -> Envelope:
        return PLAIN_ENVELOPE if table.never_sealed else self._envelope


class WriteTransaction(ReadTransaction):
    """All or nothing. As a context it commits, unless an exception leaves the block."""

    def __init__(self, transaction: "lmdb.Transaction[bytes]", environment: "Environment") -> None:
        super().__init__(transaction, environment.envelope)
        self._environment = environment
        self._open = True
        self.digest: Hash | None = None
        """Fed with everything that is written to tables that are `hashed`."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None and self._open:
            self.commit()
        else:
            self.abort()

    def put(self, table: Table, key: bytes, value: bytes, *, append: bool = False) -> None:
        """Set a key. `append` promises that the key is greater than all others: it is faster."""
        place = table.place + key
        self.put_stored(table, key, self._envelope_in(table).wrap(place, value), append=append)
        if self.digest is not None and table.hashed:
            self.digest.update(place + _WRITTEN.pack(len(key), len(value)) + value)

    def put_stored(self, table: Table, key: bytes, stored: bytes, *, append: bool = False) -> None:
        """Set a key to a value that is in its envelope already."""
        if not 0 < len(key) <= KEY_BYTES_MAX:
            raise _illegal_key(key)
        try:
            written = self._transaction.put(key, stored, append=append, db=table.handle)
        except lmdb.Error as error:
            raise _failed("write", error) from error
        if not written:
            raise ValueError(f"the key {key!r} is not greater than the last one of {table.name}")

    def rewrap(self, table: Table, key: bytes, stored: bytes) -> None:
        """Put a value of this table, as it was found, into an envelope as they are made now."""
        envelope, place = self._envelope_in(table), table.place + key
        self.put_stored(table, key, envelope.wrap(place, envelope.unwrap(place, stored)))

    def delete(self, table: Table, key: bytes) -> bool:
        """Remove a key; whether it was there."""
        if not 0 < len(key) <= KEY_BYTES_MAX:
            raise _illegal_key(key)
        if table.hashed and self.digest is not None:
            self.digest.update(table.place + key + _WRITTEN.pack(len(key), _DELETED))
        try:
            return self._transaction.delete(key, db=table.handle)
        except lmdb.Error as error:
            raise _failed("write", error) from error

    def clear(self, table: Table) -> None:
        """Remove all keys of a table."""
        try:
            self._transaction.drop(table.handle, delete=False)
        except lmdb.Error as error:
            raise _failed("write", error) from error

    def commit(self) -> None:
        """Make everything durable: one flush to disk, however much was written."""
        if self._environment.before_commit is not None:
            self._environment.before_commit()
        failpoints.passes("before_commit")
        self._end()
        try:
            self._transaction.commit()
        except lmdb.Error as error:
            raise _failed("commit", error) from error
        failpoints.passes("after_commit")

    def abort(self) -> None:
        self._end()
        super().abort()

    def _end(self) -> None:
        if self._open:
            self._open = False
            self._environment.writing_thread = None


class Environment:
    """An open store. `Environment.open` opens one; there is one a process and folder."""

    def __init__(
        self, path: Path, environment: lmdb.Environment, durable: bool, map_size: int
    ) -> None:
        self.path = path
        self.durable = durable
        self.map_size = map_size
        self._environment = environment
        self._tables: dict[str, Table] = {}
        self.envelope: Envelope = PLAIN_ENVELOPE
        """How values are closed and opened, by transactions that begin from now on."""
        self.keyring: Keyring = NO_KEYS
        """The keys at hand, for this store and for copies of it; see `key_registry`."""
        self.before_commit: Callable[[], None] | None = None
        """Called before each commit. A simulation raises from it: a crash at the worst moment."""
        self.writing_thread: int | None = None
        """The thread that has the write transaction."""

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        create: bool = False,
        durable: bool = True,
        map_size: int = MAP_SIZE_BYTES,
    ) -> Self:
        """Open the store of a folder; `create` makes one, otherwise it must be there.

        `durable=False` flushes nothing: for simulation only.
        """
        if not create and not (path / DATA_FILE).exists():
            raise StoreMissing(f"there is no store in {path}")
        if create:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            environment = lmdb.open(
                str(path),
                map_size=map_size if sys.maxsize > 2**32 else min(map_size, 1 << 30),
                max_dbs=_TABLES_MAX,
                max_spare_txns=8,
                mode=0o600,
                sync=durable,
                metasync=durable,
                create=create,
                lib_version=_LMDB_0_9,
            )
        except lmdb.Error as error:
            raise _failed(f"open {path}", error) from error
        _keep_from_children(path)
        return cls(path, environment, durable, map_size)

    def table(self, name: str, *, hashed: bool = False) -> Table:
        """The table of this name, made when it is missing; `hashed` once a call has said so.

        Ask before the first transaction that uses it: a transaction knows only the tables that were
        open when it began.
        """
        if name not in self._tables:
            self._refuse_to_wait_for_itself()
            try:
                handle = self._environment.open_db(name.encode())
                self._tables[name] = Table(name, handle, hashed)
            except lmdb.Error as error:
                raise _failed(f"open the table {name}", error) from error
        table = self._tables[name]
        table.hashed = table.hashed or hashed
        return table

    def table_names(self) -> list[str]:
        """The names of all tables that there are, in order."""
        try:
            with self._environment.begin() as transaction, transaction.cursor() as cursor:
                return [name.decode() for name in cursor.iternext(values=False)]
        except lmdb.Error as error:
            raise _failed("read", error) from error

    @property
    def tables(self) -> tuple[Table, ...]:
        """Those that were asked for, in that order."""
        return tuple(self._tables.values())

    def begin_read(self) -> ReadTransaction:
        """A view of what is committed now. Any thread may have one."""
        envelope = self.envelope  # before the view: it opens what was there and what comes
        try:
            return ReadTransaction(self._environment.begin(), envelope)
        except lmdb.Error as error:
            raise _failed("begin to read", error) from error

    def begin_write(self) -> WriteTransaction:
        """The one write transaction; waits while another thread has it."""
        self._refuse_to_wait_for_itself()
        try:
            transaction = WriteTransaction(self._environment.begin(write=True), self)
        except lmdb.Error as error:
            raise _failed("begin to write", error) from error
        self.writing_thread = threading.get_ident()
        return transaction

    def copy(self, folder: Path) -> None:
        """A compact copy of what is committed now, into an empty folder."""
        try:
            self._environment.copy(str(folder), compact=True)
        except lmdb.Error as error:
            raise _failed(f"copy to {folder}", error) from error

    def used_bytes(self) -> int:
        """How much of the file LMDB has used, free pages among it."""
        pages = self._environment.info()["last_pgno"] + 1
        return pages * self._environment.stat()["psize"]

    def free_disk_bytes(self) -> int:
        """How much the file system of the store can still take, for this process."""
        try:
            file_system = os.statvfs(self.path)
        except OSError as error:
            raise StoreFailed(f"the disk of the store does not answer: {error}") from error
        return file_system.f_bavail * file_system.f_frsize
    def needed_bytes(self) -> int:
        """How much of it a compact copy would have, as far as the tables are known here."""
        psize = self._environment.stat()["psize"]
        with self._environment.begin() as transaction:
            stats = [self._environment.stat()]
            stats += [transaction.stat(table.handle) for table in self.tables]
        pages = sum(s["branch_pages"] + s["leaf_pages"] + s["overflow_pages"] for s in stats)
        return psize * (_META_PAGES + pages)

    def _refuse_to_wait_for_itself(self) -> None:
        """LMDB would wait for this thread's own transaction, for ever and without a word."""
        if self.writing_thread == threading.get_ident():
            raise RuntimeError("this thread has a write transaction that is not ended")

    def close(self) -> None:
        """Close the store. An open transaction is lost."""
        self._environment.close()


def _failed(action: str, error: lmdb.Error) -> StoreFailed:
    return StoreFailed(f"the store can't {action}: {error}")


def _illegal_key(key: bytes) -> ValueError:
    return ValueError(f"a key has 1 to {KEY_BYTES_MAX} bytes, this one has {len(key)}")


def _after_prefix(prefix: bytes) -> bytes | None:
    """The least key behind all keys with this prefix; None when there can't be one."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None


def _up(
    cursor: "lmdb.Cursor[bytes]", first: bytes, end: bytes | None
) -> Iterator[tuple[bytes, bytes]]:
    found = cursor.set_range(first) if first else cursor.first()
    while found:
        key, value = cursor.item()
        if end is not None and key >= end:
            return
        yield key, value
        found = cursor.next()


def _down(
    cursor: "lmdb.Cursor[bytes]", first: bytes, end: bytes | None
) -> Iterator[tuple[bytes, bytes]]:
    found = cursor.prev() if end is not None and cursor.set_range(end) else cursor.last()
    while found:
        key, value = cursor.item()
        if key < first:
            return
        yield key, value
        found = cursor.prev()


def _keep_from_children(path: Path) -> None:
    """Close LMDB's files on exec: it leaves the data file open for every child process."""
    listing = Path("/proc/self/fd")
    if not listing.exists():
        return
    for entry in os.listdir(listing):
        try:
            target = os.readlink(listing / entry)
        except OSError:
            continue  # closed since it was listed, as the listing's own descriptor is
        if os.path.dirname(target) == os.path.realpath(path):
            os.set_inheritable(int(entry), False)
