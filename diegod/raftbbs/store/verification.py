"""The rows of a store and how they fit together: the one set of rules about that.

    verify      before a member serves a store: refused with the first thing that is wrong
    Verification.problems    of a store at rest (`raftbbs.backup.checking`): the first of each part

The structure of the file was checked before LMDB opened it (`structure`): from here on, what a scan
finds, a lookup finds. Now every value is opened through its envelope, every row is parsed, and the
tables are held against one another: a row and its guid lead to each other, definitions belong to
rows, an instance is found under its process, the counters are not behind what they count, and rows
are what their last change made of them (`freshness`). Tables
that map to one another are compared by sums of hashes: that takes one scan of each and no memory.

What the log says is read by the journal when it opens. Does not belong here: what the rows mean.
"""

import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from google.protobuf.message import DecodeError

from diegod.raftbbs.store import freshness, tombstones
from diegod.raftbbs.store.counters import HASH_BYTES, Counters
from diegod.raftbbs.store.envelope import EnvelopeError
from diegod.raftbbs.store.environment import Environment, ReadTransaction, Table
from diegod.raftbbs.store.state import StateView, process_key
from diegod.raftbbs.store.tables import (
    KeyedRows,
    NumberedRows,
    R,
    Tables,
    number_key,
    number_of,
)
from diegod.raftbbs.store.versions import (
    VERSIONS_KEPT,
    version_key,
)
from diegod.v1.record_pb2 import (
    ActualLrp,
    Change,
    DesiredLrp,
    LrpVersion,
    Task,
    TaskSchedule,
    Transition,
)

_NUMBER_BYTES = 8


class RowsDamaged(Exception):  # noqa: N818 - it says what was found
    """Rows that no member of ours has left like this. Says which table is wrong."""


@dataclass(slots=True)
class _Sum:
    """An order-free digest of many byte strings: how many, and the sum of their hashes."""

    count: int = 0
    total: int = 0

    def add(self, item: bytes) -> None:
        self.count += 1
        self.total += hash(item)


def verify(environment: Environment, names: Sequence[str] = ()) -> int:
    """How many values a store has, all of them right. Raises RowsDamaged.

    `names` are all tables that the file has; of those that hold no rows only the envelopes count.
    """
    tables = Tables.open(environment)
    named = [environment.table(name) for name in names]
    with environment.begin_read() as transaction:
        verification = Verification(tables, transaction)
        for problem in verification.problems(named):
            raise RowsDamaged(problem)
        return verification.values


class Verification:
    """One pass over all tables, in one view of the store."""

    def __init__(
        self,
        tables: Tables,
        transaction: ReadTransaction,
        newest_changes: int | None = freshness.NEWEST,
    ) -> None:
        """`newest_changes`: how many of them the rows are held against; None: all."""
        self._tables = tables
        self._newest_changes = newest_changes
        self._transaction = transaction
        self._counters = Counters()
        self._reading = tables.counters
        self._read: set[str] = set()
        self.values = 0

    def problems(self, named: Iterable[Table] = ()) -> Iterator[str]:
        """The first thing that is wrong in each part; what is behind it is not read.

        Of the tables that are named and hold no rows, that each value can be opened is all.
        """
        for part in self._parts():
            yield from self._first_problem(part)
        for table in named:
            if table.name not in self._read:
                yield from self._first_problem(partial(self._open_values, table))

    def _parts(self) -> Sequence[Callable[[], None]]:
        tables = self._tables
        return (
            self._read_counters,
            self._tasks,
            self._tombstones,
            self._schedules,
            self._desired_lrps,
            self._actual_lrps,
            self._lrp_versions,
            lambda: self._keyed(tables.cells, lambda cell: cell.cell_id),
            self._removed_cells,
            lambda: self._keyed(tables.domains, lambda domain: domain.domain),
            lambda: self._keyed(tables.locks, lambda lock: lock.name),
            self._changes,
            self._latest,
            self._stories,
            self._comparisons,
        )

    def _first_problem(self, part: Callable[[], None]) -> Iterator[str]:
        try:
            part()
        except (RowsDamaged, EnvelopeError) as error:
            yield str(error)
        except (DecodeError, ValueError, struct.error) as error:
            yield f"the table {self._reading.name} has what is none of its rows: {error}"

    def _read_counters(self) -> None:
        self._counters = StateView(self._tables, self._transaction).counters()
        compacted, revision = self._counters.compacted, self._counters.revision
        _require(compacted <= revision, self._tables.counters, "has compacted what is to come")

    def _open_values(self, table: Table) -> None:
        deque(self._scan(table), maxlen=0)

    def _tasks(self) -> None:
        tables, numbers = self._tables, _Sum()

        def look(number: bytes, row: Task) -> str:
            numbers.add(number)
            return row.task_guid

        self._numbered(tables.tasks, look)
        definitions = _Sum()
        for key, _ in self._scan(tables.task_definitions):
            definitions.add(key)
        _require(definitions == numbers, tables.task_definitions, "is not of the tasks that are")

    def _tombstones(self) -> None:
        """By guid and by end they are the same ones."""
        tables, by_guid, by_end = self._tables, _Sum(), _Sum()
        for guid, stored in self._scan(tables.tombstones):
            by_guid.add(tombstones.key_by_end(number_of(stored), guid))
        for key, _ in self._scan(tables.tombstones_by_end):
            by_end.add(key)
        _require(by_guid == by_end, tables.tombstones_by_end, "is not of the guids that are kept")

    def _schedules(self) -> None:
        """Each has its definition and that of its tasks, and nothing else has one."""
        tables, names = self._tables, _Sum()

        def name_of(schedule: TaskSchedule) -> str:
            names.add(schedule.name.encode())
            return schedule.name

        self._keyed(tables.task_schedules, name_of)
        for table in (tables.schedule_definitions, tables.schedule_task_definitions):
            found = _Sum()
            for key, _ in self._scan(table):
                found.add(key)
            _require(found == names, table, "is not of the schedules that are")

    def _stories(self) -> None:
        stories, newest = self._tables.stories, self._counters.revision
        for _, stored in self._scan(stories):
            line = Transition.FromString(stored)
            _require(line.revision <= newest, stories, "tells what has not been")

    def _desired_lrps(self) -> None:
        """Each has the definition that it runs; definitions lie in the order of their LRPs."""
        tables, transaction = self._tables, self._transaction
        definitions = self._scan(tables.lrp_definitions)
        following = next(definitions, (b"", b""))[0]

        def look(number: bytes, row: DesiredLrp) -> str:
            nonlocal following
            current, found = number + number_key(row.definition_revision), False
            while following[:_NUMBER_BYTES] == number:
                found |= following == current
                following = next(definitions, (b"", b""))[0]
            _require(found, tables.lrp_definitions, f"lacks one of {row.process_guid!r}")
            version = version_key(number, row.version)
            is_there = transaction.get(tables.lrp_versions, version) is not None
            has_history = is_there or not row.version
            _require(has_history, tables.lrp_versions, f"lacks one of {row.process_guid!r}")
            return row.process_guid

        self._numbered(tables.desired_lrps, look)
        _require(not following, tables.lrp_definitions, "has one of no LRP")

    def _lrp_versions(self) -> None:
        """Of each LRP the last ones up to its present one, each with its definition."""
        tables, transaction = self._tables, self._transaction
        number, following, present = b"", 0, 0
        for key, stored in self._scan(tables.lrp_versions):
            if key[:_NUMBER_BYTES] != number:
                _require(following == present, tables.lrp_versions, "lacks the last of an LRP")
                number = key[:_NUMBER_BYTES]
                present, following = self._kept_versions(number)
            version = LrpVersion.FromString(stored)
            following += 1
            in_order = version.version == following and version_key(number, following) == key
            _require(in_order, tables.lrp_versions, "has one that is not the next of its LRP")
            definition = number + number_key(version.definition_revision)
            is_kept = transaction.get(tables.lrp_definitions, definition) is not None
            _require(is_kept, tables.lrp_versions, "names a definition that is not kept")
        _require(following == present, tables.lrp_versions, "lacks the last of an LRP")

    def _kept_versions(self, number: bytes) -> tuple[int, int]:
        """The present version of an LRP, and the one before the oldest that is kept."""
        row = self._tables.desired_lrps.at(self._transaction, number)
        _require(row is not None, self._tables.lrp_versions, "has one of no LRP")
        present = row.version if row is not None else 0
        return present, max(0, present - VERSIONS_KEPT)

    def _removed_cells(self) -> None:
        for _, stored in self._scan(self._tables.removed_cells):
            number_of(stored)

    def _actual_lrps(self) -> None:
        tables, expected = self._tables, _Sum()

        def look(number: bytes, row: ActualLrp) -> str:
            expected.add(process_key(row, number))
            return row.instance_guid

        self._numbered(tables.actual_lrps, look)
        found = _Sum()
        for key, _ in self._scan(tables.instances_of_process):
            found.add(key)
        _require(found == expected, tables.instances_of_process, "is not of the instances that are")

    def _numbered(self, rows: NumberedRows[R], look: Callable[[bytes, R], str]) -> None:
        """Rows and the table of their guids lead to one another. `look` gives a row's guid."""
        by_number, by_guid, parse = _Sum(), _Sum(), rows.message.FromString
        number = b""
        for number, stored in self._scan(rows.rows):
            by_number.add(number + look(number, parse(stored)).encode())
        for guid, stored in self._scan(rows.numbers):
            by_guid.add(stored + guid)
        _require(by_number == by_guid, rows.numbers, f"does not lead to all in {rows.rows.name}")
        last = number_of(number) if number else 0
        _require(last <= self._counters.numbers, rows.rows, "goes beyond the last number")

    def _keyed(self, rows: KeyedRows[R], name_of: Callable[[R], str]) -> None:
        for key, stored in self._scan(rows.rows):
            row = rows.message.FromString(stored)
            _require(name_of(row).encode() == key, rows.rows, "has a row under another name")

    def _changes(self) -> None:
        """They are as many as is said, and none is of a revision that has not been, or is gone."""
        changes, counters = self._tables.changes, self._counters
        first = self._transaction.first_key(changes)
        is_kept = first is None or number_of(first) > counters.compacted
        _require(is_kept, changes, "has one that was compacted")
        key, count = b"", 0
        for key, stored in self._scan(changes):
            count += 1
            revision = Change.FromString(stored).revision
            _require(number_of(key) == revision, changes, "has one under another revision")
        _require(count == counters.changes, changes, f"has {count}, not {counters.changes}")
        is_known = not key or number_of(key) <= counters.revision
        _require(is_known, changes, "is ahead of the counters")

    def _latest(self) -> None:
        found = freshness.outdated_row(self._tables, self._transaction, self._newest_changes)
        if found:
            raise RowsDamaged(found)

    def _comparisons(self) -> None:
        for _, stored in self._scan(self._tables.comparisons):
            _require(len(stored) == HASH_BYTES, self._tables.comparisons, "has one that is none")

    def _scan(self, table: Table) -> Iterator[tuple[bytes, bytes]]:
        self._reading = table
        self._read.add(table.name)
        self.values += self._transaction.count(table)
        return self._transaction.whole(table)


def _require(right: bool, table: Table, what: str) -> None:
    if not right:
        raise RowsDamaged(f"the table {table.name} {what}")
