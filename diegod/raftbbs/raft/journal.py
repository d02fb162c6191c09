"""What Raft must not forget: the log, the term, the vote, the commit and the applied index.

Table `log`: be64 index -> term, checksum, command. Table `meta`, key `raft`:
checksum, term, commit index, applied index, vote. All of it is written in the transaction
of the step, together with the state that the entries made, so that no crash can part them.

The journal is also the last guard: whatever the library wants, a vote is given once a term, terms
and the commit index don't go back, and nothing committed is cut off. The log is not kept in memory,
except for its newest entries.
"""

import struct
import zlib
from dataclasses import dataclass, replace

from diegod.raftbbs.raft.api import Fatal, Limits
from diegod.raftbbs.raft.step_transaction import StepTransaction
from diegod.raftbbs.store.environment import Environment, ReadTransaction, Table, WriteTransaction
from diegod.raftbbs.store.identity import META_TABLE

REGULAR = b"\x00"
NO_OP = b"\x01"
LOG_TABLE = "log"

Entry = tuple[bytes, int, int]
"""Command, index, term: the library's order. The first byte of a command is its type."""

FIRST_INDEX = 1  # of the entry that every member is born with
_FIRST_ENTRY: Entry = (NO_OP, FIRST_INDEX, 0)
_STATE_KEY = b"raft"
_KEY = struct.Struct(">Q")
_RECORD = struct.Struct(">QI")  # term, checksum
_STATE = struct.Struct(">IQQQ")  # checksum, term, commit index, applied index

_READ_ENTRIES_MAX = 4096  # of one slice, for sending
_READ_BYTES_MAX = 4 << 20
_RECENT_ENTRIES_MAX = 8192
_RECENT_BYTES_MAX = 16 << 20
_CHECKED_AT_START = 1000  # applied entries that are read at start, beside all that are not applied


@dataclass(frozen=True, slots=True)
class HardState:
    """What a member promised, and how far it has come."""

    term: int = 0
    voted_for: str | None = None
    commit_index: int = FIRST_INDEX
    applied_index: int = FIRST_INDEX


def read_hard_state(transaction: ReadTransaction, meta: Table) -> HardState | None:
    """The hard state of a store, None when it never took part. Any thread may look."""
    stored = transaction.get(meta, _STATE_KEY)
    return None if stored is None else _decode_state(stored)


def write_hard_state(transaction: WriteTransaction, meta: Table, state: HardState) -> None:
    """Make this what the store's member promised."""
    transaction.put(meta, _STATE_KEY, _encode_state(state))


def read_term(transaction: ReadTransaction, log: Table, index: int) -> int:
    """The term of an entry of a store's log."""
    return _decode_entry(_stored(transaction, log, index), index)[2]


def read_entry(transaction: ReadTransaction, log: Table, index: int) -> Entry:
    """An entry of a store's log, checked."""
    return _decode_entry(_stored(transaction, log, index), index)


def last_index(transaction: ReadTransaction, log: Table) -> int:
    """Where a store's log ends; 0 where it has none."""
    key = transaction.last_key(log)
    return 0 if key is None else int(_KEY.unpack(key)[0])


def keep_only(transaction: WriteTransaction, log: Table, index: int) -> None:
    """Make one entry the whole log of a store."""
    stored = _stored(transaction, log, index)
    transaction.clear(log)
    transaction.put(log, _KEY.pack(index), stored)


class Journal:
    """The log as a sequence whose first element is the entry with index `first_index`."""

    def __init__(
        self, environment: Environment, transaction: StepTransaction, limits: Limits
    ) -> None:
        self._log = environment.table(LOG_TABLE)
        self._meta = environment.table(META_TABLE)
        self._transaction = transaction
        self._limits = limits
        self._recent: dict[int, Entry] = {}
        self._recent_bytes = 0
        self._saved = read_hard_state(transaction.reader, self._meta)
        self.state = self._saved or HardState()
        self._first = self._last = _FIRST_ENTRY
        if self._saved is None:
            self._be_born()
        else:
            self._check()

    # The log, as the library reads it.

    def __len__(self) -> int:
        return self._last[1] - self.first_index + 1

    def __getitem__(self, item: int | slice) -> Entry | list[Entry]:
        """One entry, or a bounded slice; the last entry by -1.

        A slice with an end is what the library wants to apply, one without is what it wants to
        send. Either is cut to what one step may handle; the library asks again for the rest.
        """
        if isinstance(item, slice):
            start = self.first_index + item.start
            if item.stop is None:
                return self._read(start, self.last_index + 1, _READ_ENTRIES_MAX, _READ_BYTES_MAX)
            stop = min(self.first_index + item.stop, self.last_index + 1)
            return self._read(start, stop, self._limits.apply_entries, self._limits.apply_bytes)
        if item == -1:
            return self._last
        return self._first if item == 0 else self.entry(self.first_index + item)

    @property
    def first_index(self) -> int:
        """What is before it was applied and cut off."""
        return self._first[1]

    @property
    def last_index(self) -> int:
        return self._last[1]

    @property
    def last_term(self) -> int:
        return self._last[2]

    def term_at(self, index: int) -> int:
        """The term of an entry that is in the log."""
        return self.entry(index)[2]

    def has(self, index: int, term: int) -> bool:
        """Whether this entry of this term is in the log; then all before it agree, too."""
        return self.first_index <= index <= self.last_index and self.term_at(index) == term

    def entry(self, index: int) -> Entry:
        """One entry; checked against its checksum when it comes from disk."""
        if index == self._last[1]:
            return self._last
        recent = self._recent.get(index)
        return recent if recent is not None else self._load(index)

    # Changes. Each is durable when the step is.

    def add(self, command: bytes, index: int, term: int) -> None:
        """Append the next entry."""
        if index != self.last_index + 1 or term < self.last_term:
            raise Fatal(f"entry {index} of term {term} does not follow {self._last[1:]}")
        self._transaction.writer.put(
            self._log, _KEY.pack(index), _encode_entry(command, index, term), append=True
        )
        self._remember((command, index, term))

    def cut_from(self, index: int) -> None:
        """Remove this entry and all after it."""
        if index <= self.state.commit_index:
            raise Fatal(f"entry {index} is committed (up to {self.state.commit_index}): not cut")
        for gone in range(index, self.last_index + 1):
            self._transaction.writer.delete(self._log, _KEY.pack(gone))
            self._forget(gone)
        self._last = self._recent.get(index - 1) or self._fetch(index - 1)

    def cut_to(self, index: int) -> None:
        """Remove all entries before this one, which is applied: the log begins with it."""
        if not self.first_index <= index <= self.state.applied_index:
            raise Fatal(
                f"the log from {self.first_index}, applied up to {self.state.applied_index}, can't "
                f"begin at {index}"
            )
        first = self.entry(index)
        for gone in range(self.first_index, index):
            self._transaction.writer.delete(self._log, _KEY.pack(gone))
            self._forget(gone)
        self._first = first

    def set_term(self, term: int, voted_for: str | None) -> None:
        """Enter a term, or vote in it."""
        state = self.state
        if term < state.term:
            raise Fatal(f"the term can't go back from {state.term} to {term}")
        if term == state.term and state.voted_for not in (None, voted_for):
            raise Fatal(f"the vote of term {term} was given to {state.voted_for}")
        self.state = replace(state, term=term, voted_for=voted_for)

    def set_commit_index(self, index: int) -> None:
        if not self.state.commit_index <= index <= self.last_index:
            raise Fatal(
                f"the commit index can't go from {self.state.commit_index} to {index}: the log "
                f"ends at {self.last_index}"
            )
        if index != self.state.commit_index:
            self.state = replace(self.state, commit_index=index)

    def set_applied_index(self, index: int) -> None:
        if not self.state.applied_index <= index <= self.state.commit_index:
            raise Fatal(f"the applied index can't be {index}: {self.state}")
        if index != self.state.applied_index:
            self.state = replace(self.state, applied_index=index)

    def save(self) -> None:
        """Write term, vote and indexes when they changed; before the commit of each step."""
        if self.state != self._saved:
            write_hard_state(self._transaction.writer, self._meta, self.state)
            self._saved = self.state

    # Reading and checking.

    def _read(self, start: int, stop: int, entries_max: int, bytes_max: int) -> list[Entry]:
        """Entries from start until before stop, within the bounds, but at least two if there."""
        found: list[Entry] = []
        size = 0
        for index in range(start, stop):
            entry = self.entry(index)
            size += len(entry[0])
            if len(found) >= 2 and (size > bytes_max or len(found) >= entries_max):
                break
            found.append(entry)
        return found

    def _load(self, index: int) -> Entry:
        if not self.first_index <= index <= self.last_index:
            raise IndexError(index)
        return self._fetch(index)

    def _fetch(self, index: int) -> Entry:
        stored = _stored(self._transaction.reader, self._log, index)
        return _decode_entry(stored, index)

    def _remember(self, entry: Entry) -> None:
        self._last = entry
        self._recent[entry[1]] = entry
        self._recent_bytes += len(entry[0])
        while len(self._recent) > _RECENT_ENTRIES_MAX or self._recent_bytes > _RECENT_BYTES_MAX:
            self._forget(next(iter(self._recent)))

    def _forget(self, index: int) -> None:
        entry = self._recent.pop(index, None)
        if entry is not None:
            self._recent_bytes -= len(entry[0])

    def _be_born(self) -> None:
        """Begin the log of a store that never took part."""
        if self._transaction.reader.count(self._log):
            raise Fatal("there is a log but no term and vote: the store is damaged")
        command, index, term = _FIRST_ENTRY
        self._transaction.writer.put(
            self._log, _KEY.pack(index), _encode_entry(command, index, term)
        )

    def _check(self) -> None:
        """Refuse a store that can't be right; read what the next steps depend on."""
        reader = self._transaction.reader
        first_key, last_key = reader.first_key(self._log), reader.last_key(self._log)
        if first_key is None or last_key is None:
            raise Fatal("the log is empty though this member took part: the store is damaged")
        first_index, last_index = _KEY.unpack(first_key)[0], _KEY.unpack(last_key)[0]
        if reader.count(self._log) != last_index - first_index + 1:
            raise Fatal("the log has a gap: the store is damaged")
        self._first, self._last = self._fetch(first_index), self._fetch(last_index)
        state = self.state
        if first_index > state.applied_index:
            raise Fatal(f"{state} does not fit a log that begins at {first_index}: a damaged store")
        if not (state.applied_index <= state.commit_index <= last_index):
            raise Fatal(f"{state} does not fit a log that ends at {last_index}: a damaged store")
        if state.term < self.last_term:
            raise Fatal(f"term {state.term} is older than the log's {self.last_term}: damaged")
        for index in range(max(first_index, state.applied_index - _CHECKED_AT_START), last_index):
            self._load(index)


def _stored(transaction: ReadTransaction, log: Table, index: int) -> bytes:
    stored = transaction.get(log, _KEY.pack(index))
    if stored is None:
        raise Fatal(f"entry {index} is missing in the log: the store is damaged")
    return stored


def _checksum(command: bytes, index: int, term: int) -> int:
    return zlib.crc32(command, zlib.crc32(b"%d %d" % (index, term)))


def _encode_entry(command: bytes, index: int, term: int) -> bytes:
    return _RECORD.pack(term, _checksum(command, index, term)) + command


def _decode_entry(payload: bytes, index: int) -> Entry:
    term, checksum = _RECORD.unpack_from(payload)
    command = payload[_RECORD.size :]
    if checksum != _checksum(command, index, term):
        raise Fatal(f"entry {index} of the log has a wrong checksum: the store is damaged")
    return command, index, term


def _encode_state(state: HardState) -> bytes:
    vote = b"" if state.voted_for is None else b"v" + state.voted_for.encode()
    body = _STATE.pack(0, state.term, state.commit_index, state.applied_index)[4:] + vote
    return zlib.crc32(body).to_bytes(4, "big") + body


def _decode_state(payload: bytes) -> HardState:
    if len(payload) < _STATE.size or zlib.crc32(payload[4:]) != int.from_bytes(payload[:4], "big"):
        raise Fatal("term and vote have a wrong checksum: the store is damaged")
    _, term, commit_index, applied_index = _STATE.unpack_from(payload)
    vote = payload[_STATE.size :]
    return HardState(term, vote[1:].decode() if vote else None, commit_index, applied_index)
