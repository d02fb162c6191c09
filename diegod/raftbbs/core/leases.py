"""Leases of cells and locks, in the memory of the leader: heartbeats are not log entries.

A lease is known by what the rows say (a PRESENT cell under an incarnation, an owned lock under a
token). It runs out `ttl + grace` after its last confirmed renewal; what follows is a replicated
compare-and-set on the sequence that was seen here. A new leader, or one whose own tick came late,
gives every lease its full time again: it can't know what was renewed meanwhile. A lease whose end
was proposed is not renewed any more: its holder would count on time that it no longer has.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from diegod.v1.record_pb2 import Cell, Change, Lock

#: kind ("cell" or "lock") and name.
Key = tuple[str, str]

GRACE_S = 1.0
LATE_TICK_S = 1.0


@dataclass
class Lease:
    sequence: int
    deadline_s: float
    ended: bool = False  # its end was proposed: it may be over at any moment


@dataclass
class LeaseTable:
    ttl_s: float
    _leases: dict[Key, Lease] = field(default_factory=dict)
    _last_tick_s: float | None = None

    def observe(self, changes: Iterable[Change], now: float) -> None:
        """Keep the table in step with rows that were changed just now."""
        for change in changes:
            if change.WhichOneof("row") == "cell":
                self._observe_cell(change.cell, now)
            elif change.WhichOneof("row") == "lock":
                self._observe_lock(change.lock, now)

    def rearm(self, cells: Iterable[Cell], locks: Iterable[Lock], now: float) -> None:
        """This member leads from now on: everything present has its full time."""
        self._leases.clear()
        self._last_tick_s = now
        for cell in cells:
            self._observe_cell(cell, now)
        for lock in locks:
            self._observe_lock(lock, now)

    def renew(self, key: Key, sequence: int, now: float) -> bool:
        """A renewal that a majority confirmed. False: the lease is not, or no longer, this one."""
        lease = self._leases.get(key)
        if lease is None or lease.sequence != sequence or lease.ended:
            return False
        lease.deadline_s = self._full_time(now)
        return True

    def expired(self, now: float) -> Iterator[tuple[Key, int]]:
        """What has run out; asked on every tick of the leader. Each is named once a TTL."""
        late = self._last_tick_s is not None and now - self._last_tick_s > LATE_TICK_S
        self._last_tick_s = now
        for key, lease in self._leases.items():
            if late:
                lease.deadline_s = self._full_time(now)
            elif lease.deadline_s <= now:
                lease.deadline_s = self._full_time(now)
                lease.ended = True
                yield key, lease.sequence

    def next_deadline(self) -> float:
        return min((lease.deadline_s for lease in self._leases.values()), default=float("inf"))

    def _full_time(self, now: float) -> float:
        return now + self.ttl_s + GRACE_S

    def _observe_cell(self, cell: Cell, now: float) -> None:
        self._observe(("cell", cell.cell_id), cell.incarnation, cell.state == Cell.PRESENT, now)

    def _observe_lock(self, lock: Lock, now: float) -> None:
        self._observe(("lock", lock.name), lock.token, bool(lock.owner), now)

    def _observe(self, key: Key, sequence: int, held: bool, now: float) -> None:
        if not held:
            self._leases.pop(key, None)
        elif key not in self._leases or self._leases[key].sequence != sequence:
            self._leases[key] = Lease(sequence, self._full_time(now))
