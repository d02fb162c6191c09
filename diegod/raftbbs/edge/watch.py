"""EventService: rows as they are, then every change, from revision to revision without a gap."""

from collections.abc import AsyncIterator, Iterable, Iterator

from diegod.models.errors import DomainError, Reason
from diegod.raftbbs.core.stamps import stamp
from diegod.raftbbs.edge.access import Access
from diegod.raftbbs.feed import KINDS, Interest, Watcher, cells_of
from diegod.raftbbs.store.state import StateView
from diegod.rpc.handlers import Handlers
from diegod.security.identity import Principal, Role
from diegod.v1.definition_pb2 import LrpDefinition, TaskDefinition
from diegod.v1.event_pb2 import WatchReply, WatchRequest
from diegod.v1.record_pb2 import Change

#: How often a watcher hears that there was nothing to hear.
PROGRESS_S = 2.0
_ROWS_A_REPLY = 500


class EventService:
    def __init__(self, access: Access) -> None:
        self._access = access

    def handlers(self) -> Handlers:
        return {"diegod.v1.EventService/Watch": self.watch}

    async def watch(self, request: WatchRequest, caller: Principal) -> AsyncIterator[WatchReply]:
        interest = _interest(request, caller)
        feed = self._access.member.feed
        if not request.from_revision:
            # Whoever begins now sees at least what was acknowledged before.
            await self._access.read(stale=False)
        # Subscribed before anything is read: what happens meanwhile waits in the queue.
        watcher = feed.subscribe(interest)
        try:
            position = 0
            for reply in self._beginning(request, interest):
                position = max(position, reply.revision)
                yield self._for_reader(reply, caller)
            async for reply in self._live(watcher, max(position, request.from_revision)):
                yield self._for_reader(reply, caller)
        finally:
            feed.unsubscribe(watcher)

    def _beginning(self, request: WatchRequest, interest: Interest) -> Iterator[WatchReply]:
        """Up to the present: all rows, or what changed since the revision to resume from.

        Collected in one transaction, which is closed before anything is sent.
        """
        with self._access.state() as state:
            counters = state.counters()
            if request.from_revision:
                if request.from_revision < counters.compacted:
                    raise DomainError(
                        Reason.COMPACTED,
                        f"revision {request.from_revision} is no longer kept: list again",
                    )
                changes = [
                    change
                    for change in state.changes_after(request.from_revision)
                    if interest.matches(change)
                ]
                revision = max(request.from_revision, counters.revision)
                return iter([*_replies(changes, "changes"), WatchReply(revision=revision)])
            rows = [] if request.changes_only else list(_rows(state, interest))
            for row in rows:
                row.at.CopyFrom(stamp(counters.at_ns))  # so that a beginning says what time it is
            last = WatchReply(rows_end=True, revision=counters.revision)
            return iter([*_replies(rows, "rows"), last])

    async def _live(self, watcher: Watcher, position: int) -> AsyncIterator[WatchReply]:
        """Entries behind the position; a mark of progress where there is nothing else to say."""
        feed = self._access.member.feed
        while True:
            seen = feed.revision
            entry = await watcher.next(PROGRESS_S)
            if entry is None:
                # Every entry up to `seen` that concerns this watcher was in its queue by then.
                position = max(position, seen)
                yield WatchReply(revision=position)
            elif entry.revision > position:
                position = entry.revision
                yield WatchReply(changes=entry.changes, revision=position)

    def _for_reader(self, reply: WatchReply, caller: Principal) -> WatchReply:
        """A cell gets the definitions of what is placed on it, and of nothing else."""
        if caller.role is not Role.CELL or not (reply.rows or reply.changes):
            return reply
        with self._access.state() as state:
            for change in (*reply.rows, *reply.changes):
                if change.verb != Change.REMOVED:
                    _open_definition(state, change, caller.id)
        return reply


def _interest(request: WatchRequest, caller: Principal) -> Interest:
    unknown = [kind for kind in request.kinds if kind not in KINDS]
    if unknown:
        raise DomainError(
            Reason.INVALID_REQUEST, f"kinds: {', '.join(unknown)}: one of {', '.join(KINDS)}"
        )
    if caller.role is Role.CELL and request.cell_id != caller.id:
        raise DomainError(Reason.PERMISSION_DENIED, f"{caller} may watch only what is on it")
    return Interest(frozenset(request.kinds), request.domain, request.cell_id, request.guid)


def _rows(state: StateView, interest: Interest) -> Iterator[Change]:
    for change in _all_rows(state, interest.kinds or frozenset(KINDS)):
        if interest.matches(change):
            yield change


def _all_rows(state: StateView, kinds: Iterable[str]) -> Iterator[Change]:
    tables, transaction = state.tables, state.transaction
    if "cell" in kinds:
        for cell in tables.cells.scan(transaction):
            yield Change(verb=Change.CREATED, cell=cell, revision=cell.provenance.revision)
    if "domain" in kinds:
        for domain in tables.domains.scan(transaction):
            yield Change(verb=Change.CREATED, domain=domain, revision=domain.provenance.revision)
    if "lock" in kinds:
        for lock in tables.locks.scan(transaction):
            yield Change(verb=Change.CREATED, lock=lock, revision=lock.provenance.revision)
    if "desired_lrp" in kinds:
        for _, desired in tables.desired_lrps.scan(transaction):
            revision = desired.provenance.revision
            yield Change(verb=Change.CREATED, desired_lrp=desired, revision=revision)
    if "actual_lrp" in kinds:
        for _, actual in tables.actual_lrps.scan(transaction):
            revision = actual.provenance.revision
            yield Change(verb=Change.CREATED, actual_lrp=actual, revision=revision)
    if "task" in kinds:
        for _, task in tables.tasks.scan(transaction):
            yield Change(verb=Change.CREATED, task=task, revision=task.provenance.revision)


def _replies(changes: list[Change], field: str) -> Iterator[WatchReply]:
    for first in range(0, len(changes), _ROWS_A_REPLY):
        reply = WatchReply()
        getattr(reply, field).extend(changes[first : first + _ROWS_A_REPLY])
        yield reply


def _open_definition(state: StateView, change: Change, cell_id: str) -> None:
    """Filled into the watcher's own copy of the row, while the row is on that cell."""
    kind = change.WhichOneof("row")
    if kind == "task" and cell_id in cells_of(change.task):
        closed = state.task_definition(change.task.task_guid)
        change.task.definition.CopyFrom(TaskDefinition.FromString(closed or b""))
    elif kind == "actual_lrp" and cell_id in cells_of(change.actual_lrp):
        actual = change.actual_lrp
        closed = state.lrp_definition(actual.process_guid, actual.definition_revision)
        if closed is not None:
            actual.definition.CopyFrom(LrpDefinition.FromString(closed))
