"""The state of the cluster over one transaction: the core's view of it, and what writes it.

`StateView` reads; `StateWriter` records what the core decided: rows, definitions, the change feed,
and the counters, all in the transaction of the entry that caused them.
"""

import hashlib
import struct
from collections.abc import Iterator, Sequence
from itertools import islice

from diegod.internal.v1.command_pb2 import Members
from diegod.raftbbs.core.agreement import Comparison
from diegod.raftbbs.core.decision import KIND_OF, Row, RowChange
from diegod.raftbbs.core.stamps import stamp
from diegod.raftbbs.store import members, schedules, stories, tombstones, versions
from diegod.raftbbs.store.counters import HASH_BYTES, Counters
from diegod.raftbbs.store.envelope import FORMAT
from diegod.raftbbs.store.environment import ReadTransaction, WriteTransaction
from diegod.raftbbs.store.tables import Tables, number_key, number_of
from diegod.v1.record_pb2 import (
    ActualLrp,
    Cell,
    Change,
    DesiredLrp,
    Domain,
    Lock,
    LrpVersion,
    Provenance,
    Task,
    TaskSchedule,
    Transition,
)

_COUNTERS_KEY = b"counters"
_INCARNATION_KEY = b"incarnation"
_HASHED = struct.Struct(">QqQI")
_FORMAT_HASHED = b"diegod cluster format %d"

#: The first format of the cluster in which all members come to the same hash of their states.
COMPARED_FROM_FORMAT = 2
#: The first format in which members write down what became of a row.
STORIES_FROM_FORMAT = 2
#: Members compare the hashes of their states where the index of the log is a multiple of this.
COMPARED_EVERY = 1000
_COMPARISONS_KEPT = 8


class FormatUnknown(Exception):  # noqa: N818 - it names an event: this member can't go on
    """The cluster has a format that this version does not know."""


class StateView:
    """Reads of one moment; see `diegod.raftbbs.core.view`."""

    def __init__(self, tables: Tables, transaction: ReadTransaction) -> None:
        self.tables = tables
        self.transaction = transaction

    def counters(self) -> Counters:
        stored = self.transaction.get(self.tables.counters, _COUNTERS_KEY)
        return Counters() if stored is None else Counters.unpacked(stored)

    def cluster_format(self) -> int:
        return self.counters().cluster_format

    def last_comparison(self) -> Comparison | None:
        """The last point at which this state can be compared with another member's."""
        key = self.transaction.last_key(self.tables.comparisons)
        return None if key is None else self.comparison(number_of(key))

    def comparison(self, index: int) -> Comparison | None:
        """The hash at this index, if it is one of the last that are kept."""
        found = self.transaction.get(self.tables.comparisons, number_key(index))
        return None if found is None else Comparison(index, found)

    def task(self, task_guid: str) -> Task | None:
        return self.tables.tasks.get(self.transaction, task_guid)

    def task_definition(self, task_guid: str) -> bytes | None:
        number = self.tables.tasks.number(self.transaction, task_guid)
        if number is None:
            return None
        return self.transaction.get(self.tables.task_definitions, number)

    def tombstone(self, task_guid: str) -> int | None:
        return tombstones.read(self.tables, self.transaction, task_guid)

    def task_schedule(self, name: str) -> TaskSchedule | None:
        return self.tables.task_schedules.get(self.transaction, name)

    def schedule_definition(self, name: str) -> bytes | None:
        return self.transaction.get(self.tables.schedule_definitions, name.encode())

    def schedule_task_definition(self, name: str) -> bytes | None:
        return self.transaction.get(self.tables.schedule_task_definitions, name.encode())

    def story(self, row: Row) -> list[Transition]:
        """What became of the row of this name, the oldest first; of an instance, of its index.

        Only the names of `row` count. [] is of a row that is as it was created, or never was.
        """
        return stories.read(self.tables, self.transaction, row)

    def desired_lrp(self, process_guid: str) -> DesiredLrp | None:
        return self.tables.desired_lrps.get(self.transaction, process_guid)

    def lrp_definition(self, process_guid: str, definition_revision: int) -> bytes | None:
        number = self.tables.desired_lrps.number(self.transaction, process_guid)
        if number is None:
            return None
        key = number + number_key(definition_revision)
        return self.transaction.get(self.tables.lrp_definitions, key)

    def lrp_versions(self, process_guid: str) -> Sequence[LrpVersion]:
        number = self.tables.desired_lrps.number(self.transaction, process_guid)
        return [] if number is None else versions.read(self.tables, self.transaction, number)

    def actual_lrp(self, instance_guid: str) -> ActualLrp | None:
        return self.tables.actual_lrps.get(self.transaction, instance_guid)

    def instances(self, process_guid: str) -> Sequence[ActualLrp]:
        return self._instances_under(_process_prefix(process_guid))

    def instances_at(self, process_guid: str, index: int) -> Sequence[ActualLrp]:
        return self._instances_under(_index_prefix(process_guid, index))

    def has_instances(self, process_guid: str) -> bool:
        return next(self._each_instance(_process_prefix(process_guid)), None) is not None

    def cell(self, cell_id: str) -> Cell | None:
        return self.tables.cells.get(self.transaction, cell_id)

    def removed_incarnation(self) -> int:
        stored = self.transaction.get(self.tables.removed_cells, _INCARNATION_KEY)
        return 0 if stored is None else number_of(stored)

    def domain(self, domain: str) -> Domain | None:
        return self.tables.domains.get(self.transaction, domain)

    def lock(self, name: str) -> Lock | None:
        return self.tables.locks.get(self.transaction, name)

    def members(self) -> Members:
        return members.read(self.tables, self.transaction)

    def changes_after(self, revision: int) -> Iterator[Change]:
        start = number_key(revision + 1)
        for _, stored in self.transaction.scan(self.tables.changes, start=start):
            yield Change.FromString(stored)

    def _instances_under(self, prefix: bytes) -> Sequence[ActualLrp]:
        return list(self._each_instance(prefix))

    def _each_instance(self, prefix: bytes) -> Iterator[ActualLrp]:
        for key, _ in self.transaction.scan(self.tables.instances_of_process, prefix):
            row = self.tables.actual_lrps.at(self.transaction, key[-8:])
            if row is not None:
                yield row


class StateWriter(StateView):
    """The state while one entry is applied to it. `close` writes the counters."""

    transaction: WriteTransaction

    def __init__(self, tables: Tables, transaction: WriteTransaction, history_changes: int) -> None:
        super().__init__(tables, transaction)
        self.now = self.counters()
        self._history_changes = history_changes
        self._hash = hashlib.blake2b(self.now.state_hash, digest_size=HASH_BYTES)
        transaction.digest = self._hash

    def advance_time(self, at_ns: int) -> None:
        self.now.at_ns = max(self.now.at_ns, at_ns)

    def cluster_format(self) -> int:
        return self.now.cluster_format  # what an earlier command of this entry raised is in here

    def raise_format(self, cluster_format: int) -> None:
        """From here on, whatever members did before, those of this format have the same hash."""
        if cluster_format > FORMAT:
            raise FormatUnknown(
                f"the cluster has format {cluster_format}, this version of diegod knows formats up "
                f"to {FORMAT}: upgrade this member"
            )
        self.now.cluster_format = cluster_format
        self._hash = hashlib.blake2b(_FORMAT_HASHED % cluster_format, digest_size=HASH_BYTES)
        self.transaction.digest = self._hash
        for key, _ in list(self.transaction.scan(self.tables.comparisons)):
            self.transaction.delete(self.tables.comparisons, key)

    def record(self, changes: Sequence[RowChange], provenance: Provenance) -> list[Change]:
        """Write the changes of one command under the revision of its provenance."""
        self.now.revision = provenance.revision
        return [self._record(change, provenance, ordinal) for ordinal, change in enumerate(changes)]

    def record_members(self, record: Members) -> None:
        """Write a new record of members under its own revision."""
        self.now.revision = record.revision
        members.write(self.tables, self.transaction, record)

    def count_collected_task(self) -> None:
        self.now.collected_tasks += 1

    def close(self, index: int) -> None:
        """End the entry with this index of the log."""
        self.transaction.digest = None
        self._close_hash(index)
        self._compact()
        write_counters(self.tables, self.transaction, self.now)

    def _close_hash(self, index: int) -> None:
        now = self.now
        self._hash.update(_HASHED.pack(now.revision, now.at_ns, now.numbers, now.cluster_format))
        now.state_hash = self._hash.digest()
        if index % COMPARED_EVERY == 0:
            comparisons, transaction = self.tables.comparisons, self.transaction
            transaction.put(comparisons, number_key(index), now.state_hash)
            stale = max(0, index - _COMPARISONS_KEPT * COMPARED_EVERY)
            for key, _ in list(transaction.scan(comparisons, stop=number_key(stale))):
                transaction.delete(comparisons, key)

    def _record(self, decided: RowChange, provenance: Provenance, ordinal: int) -> Change:
        row = decided.row
        row.provenance.CopyFrom(provenance)
        if self.now.cluster_format >= STORIES_FROM_FORMAT:
            stories.tell(self, decided.verb, row, self.now.at_ns)
        if decided.verb == Change.REMOVED:
            self._remove(row)
            self._keep_guid(decided)
            stories.forget_what_is_gone(self, row)
        else:
            self._put(row, decided, is_new=decided.verb == Change.CREATED)
        change = Change(
            revision=provenance.revision,
            at=stamp(self.now.at_ns),
            verb=decided.verb,
            by=provenance.by,
            cause=provenance.cause,
            left_cell_id=decided.left_cell_id,
        )
        getattr(change, KIND_OF[type(row)]).CopyFrom(row)
        key = number_key(provenance.revision) + bytes([ordinal])
        self.transaction.put(self.tables.changes, key, change.SerializeToString(), append=True)
        self.now.changes += 1
        return change

    def _keep_guid(self, decided: RowChange) -> None:
        """Of a task that was deleted. What was kept long enough goes, a few at a time."""
        if not isinstance(decided.row, Task) or not decided.guid_free_at_ns:
            return
        tombstones.write(
            self.tables, self.transaction, decided.row.task_guid, decided.guid_free_at_ns
        )
        for guid in tombstones.prune(self.tables, self.transaction, self.now.at_ns):
            stories.forget(self.tables, self.transaction, Task(task_guid=guid))

    def _put(self, row: Row, decided: RowChange, *, is_new: bool) -> None:
        match row:
            case Task():
                self._put_task(row, decided.definition, is_new)
            case TaskSchedule():
                schedules.write(self.tables, self.transaction, row, decided)
            case DesiredLrp():
                self._put_desired(row, decided, is_new)
            case ActualLrp():
                self._put_actual(row, is_new)
            case Cell():
                self.tables.cells.put(self.transaction, row.cell_id, row)
            case Domain():
                self.tables.domains.put(self.transaction, row.domain, row)
            case Lock():
                self.tables.locks.put(self.transaction, row.name, row)

    def _put_task(self, row: Task, definition: bytes | None, is_new: bool) -> None:
        tasks, transaction = self.tables.tasks, self.transaction
        if not is_new:
            tasks.update(transaction, row.task_guid, row)
            return
        number = tasks.insert(transaction, self._next_number(), row.task_guid, row)
        transaction.put(self.tables.task_definitions, number, definition or b"", append=True)
        if tombstones.remove(self.tables, transaction, row.task_guid):
            stories.forget(self.tables, transaction, row)  # it was another task's

    def _put_desired(self, row: DesiredLrp, decided: RowChange, is_new: bool) -> None:
        desired, transaction = self.tables.desired_lrps, self.transaction
        if is_new:
            number = desired.insert(transaction, self._next_number(), row.process_guid, row)
        else:
            number = desired.update(transaction, row.process_guid, row)
        if decided.definition is not None:
            key = number + number_key(row.definition_revision)
            transaction.put(self.tables.lrp_definitions, key, decided.definition)
        if decided.versions:
            versions.write(self.tables, transaction, number, row, decided.versions)
        if decided.versions or decided.definition is not None:
            instances = self._each_instance(_process_prefix(row.process_guid))
            versions.drop_unused_definitions(self.tables, transaction, number, row, instances)

    def _put_actual(self, row: ActualLrp, is_new: bool) -> None:
        actual, transaction = self.tables.actual_lrps, self.transaction
        if not is_new:
            actual.update(transaction, row.instance_guid, row)
            return
        number = actual.insert(transaction, self._next_number(), row.instance_guid, row)
        transaction.put(self.tables.instances_of_process, process_key(row, number), b"\0")

    def _remove(self, row: Row) -> None:
        transaction = self.transaction
        match row:
            case Task():
                number = self.tables.tasks.delete(transaction, row.task_guid)
                if number is not None:
                    transaction.delete(self.tables.task_definitions, number)
            case DesiredLrp():
                number = self.tables.desired_lrps.delete(transaction, row.process_guid)
                if number is not None:
                    versions.delete(self.tables, transaction, number)
            case ActualLrp():
                number = self.tables.actual_lrps.delete(transaction, row.instance_guid)
                if number is not None:
                    key = process_key(row, number)
                    transaction.delete(self.tables.instances_of_process, key)
            case Cell():
                self.tables.cells.delete(transaction, row.cell_id)
                highest = max(row.incarnation, self.removed_incarnation())
                stored = number_key(highest)
                transaction.put(self.tables.removed_cells, _INCARNATION_KEY, stored)
            case Domain():
                self.tables.domains.delete(transaction, row.domain)
            case Lock():
                self.tables.locks.delete(transaction, row.name)
            case TaskSchedule():
                schedules.delete(self.tables, transaction, row.name)

    def _next_number(self) -> int:
        self.now.numbers += 1
        return self.now.numbers

    def _compact(self) -> None:
        """Keep no more of the history than was asked for; what is gone is said by `compacted`."""
        excess = self.now.changes - self._history_changes
        if excess <= 0:
            return
        oldest = self.transaction.scan(self.tables.changes)
        keys = [key for key, _ in islice(oldest, excess)]
        for key in keys:
            self.transaction.delete(self.tables.changes, key)
        self.now.changes -= excess
        self.now.compacted = number_of(keys[-1])


def write_counters(tables: Tables, transaction: WriteTransaction, counters: Counters) -> None:
    """Make these the counters of the state."""
    transaction.put(tables.counters, _COUNTERS_KEY, counters.packed())


def _process_prefix(process_guid: str) -> bytes:
    return process_guid.encode() + b"\0"


def _index_prefix(process_guid: str, index: int) -> bytes:
    return _process_prefix(process_guid) + index.to_bytes(4, "big")


def process_key(row: ActualLrp, number: bytes) -> bytes:
    return _index_prefix(row.process_guid, row.index) + number
