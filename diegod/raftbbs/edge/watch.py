"""EventService: rows as they are, then every change, from revision to revision without a gap."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence

from diegod.models.errors import DomainError, Reason
from diegod.raftbbs.core.stamps import stamp
from diegod.raftbbs.edge.access import Access, unhurried
from diegod.raftbbs.feed import KINDS, FeedEntry, Interest, Watcher, cells_of
from diegod.raftbbs.store.counters import Counters
from diegod.raftbbs.store.state import StateView
from diegod.rpc.handlers import Handlers
from diegod.security.identity import Principal, Role
from diegod.v1.definition_pb2 import LrpDefinition, TaskDefinition
from diegod.v1.event_pb2 import WatchReply, WatchRequest
from diegod.v1.record_pb2 import Change

#: How often a watcher hears that there was nothing to hear.
PROGRESS_S = 2.0
#: Much less than a message may have: definitions that a cell gets are up to 256 KiB each.
_REPLY_BYTES = 1024 * 1024


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
            position = request.from_revision
            async for reply in self._beginning(request, interest, caller):
                position = max(position, reply.revision)
                yield reply
            async for reply in self._live(watcher, position, caller):
                yield reply
        finally:
            feed.unsubscribe(watcher)

    async def _beginning(
        self, request: WatchRequest, interest: Interest, caller: Principal
    ) -> AsyncIterator[WatchReply]:
        """Up to the present: all rows, or what changed since the revision to resume from."""
        async with self._access.moment() as state:
            counters = state.counters()
            changes: Iterator[Change | None]
            if request.from_revision:
                _require_kept(request.from_revision, counters)
                field, changes = "changes", state.changes_after(request.from_revision)
                end = WatchReply(revision=max(request.from_revision, counters.revision))
            else:
                field, changes = "rows", _rows(state, interest, counters)
                end = WatchReply(rows_end=True, revision=counters.revision)
            if request.from_revision or not request.changes_only:
                complete = _completion(state, caller)
                async for reply in _bundled(_matching(changes, interest), field, complete):
                    yield reply
        yield end

    async def _live(
        self, watcher: Watcher, position: int, caller: Principal
    ) -> AsyncIterator[WatchReply]:
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
                for reply in await self._told(entry, position, caller):
                    yield reply
                position = entry.revision

    async def _told(self, entry: FeedEntry, position: int, caller: Principal) -> list[WatchReply]:
        """One entry, in as many replies as its size takes; the last one says its revision."""
        with self._access.state() as state:
            news = _newer(entry.changes, position)
            bundles = _bundled(news, "changes", _completion(state, caller))
            replies = [reply async for reply in bundles] or [WatchReply()]
        replies[-1].revision = entry.revision
        return replies


def _interest(request: WatchRequest, caller: Principal) -> Interest:
    unknown = [kind for kind in request.kinds if kind not in KINDS]
    if unknown:
        raise DomainError(
            Reason.INVALID_REQUEST, f"kinds: {', '.join(unknown)}: one of {', '.join(KINDS)}"
        )
    if caller.role is Role.CELL and request.cell_id != caller.id:
        raise DomainError(Reason.PERMISSION_DENIED, f"{caller} may watch only what is on it")
    return Interest(frozenset(request.kinds), request.domain, request.cell_id, request.guid)


def _require_kept(revision: int, counters: Counters) -> None:
    if revision < counters.compacted:
        raise DomainError(Reason.COMPACTED, f"revision {revision} is no longer kept: list again")


async def _matching(changes: Iterator[Change | None], interest: Interest) -> AsyncIterator[Change]:
    async for change in unhurried(changes):
        if change is not None and interest.matches(change):
            yield change


async def _newer(changes: Sequence[Change], revision: int) -> AsyncIterator[Change]:
    """Of one entry, so without a pause: whoever tells it has a moment of the state open."""
    for change in changes:
        if change.revision > revision:
            yield change


def _rows(state: StateView, interest: Interest, counters: Counters) -> Iterator[Change | None]:
    """Every row of these kinds, with the time it is now: a beginning says what time it is.

    None for a row that certainly does not match: whoever counts rows to give way counts it, too.
    """
    names = (interest.domain, interest.cell_id, interest.guid)
    words = [name.encode() for name in names if name]
    for row in _all_rows(state, interest.kinds or frozenset(KINDS), words):
        if row is not None:
            row.at.CopyFrom(stamp(counters.at_ns))
        yield row


def _all_rows(
    state: StateView, kinds: Iterable[str], words: Sequence[bytes]
) -> Iterator[Change | None]:
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
    if "task_schedule" in kinds:
        for schedule in tables.task_schedules.scan(transaction):
            revision = schedule.provenance.revision
            yield Change(verb=Change.CREATED, task_schedule=schedule, revision=revision)
    if "desired_lrp" in kinds:
        for _, desired in tables.desired_lrps.scan(transaction):
            revision = desired.provenance.revision
            yield Change(verb=Change.CREATED, desired_lrp=desired, revision=revision)
    if "actual_lrp" in kinds:
        for actual in tables.actual_lrps.scan_for(transaction, words):
            yield actual and Change(
                verb=Change.CREATED, actual_lrp=actual, revision=actual.provenance.revision
            )
    if "task" in kinds:
        for task in tables.tasks.scan_for(transaction, words):
            yield task and Change(
                verb=Change.CREATED, task=task, revision=task.provenance.revision
            )


async def _bundled(
    changes: AsyncIterator[Change], field: str, complete: Callable[[Change], None]
) -> AsyncIterator[WatchReply]:
    """Replies that no connection finds too large. What is completed is the reader's own copy.

    Each reply of changes is a place to resume from, and ends with a whole revision: whoever is cut
    off behind it hears none of it again.
    """
    reply, size, last = WatchReply(), 0, 0
    async for change in changes:
        if size >= _REPLY_BYTES and (field == "rows" or change.revision != last):
            yield _resumable(reply)
            reply, size = WatchReply(), 0
        own = getattr(reply, field).add()
        own.CopyFrom(change)
        complete(own)
        size, last = size + own.ByteSize(), change.revision
    if size:
        yield _resumable(reply)


def _resumable(reply: WatchReply) -> WatchReply:
    if reply.changes:
        reply.revision = reply.changes[-1].revision
    return reply


def _completion(state: StateView, caller: Principal) -> Callable[[Change], None]:
    """A cell gets the definitions of what is placed on it; nobody gets any other."""
    if caller.role is not Role.CELL:
        return lambda change: None
    return lambda change: _open_definition(state, change, caller.id)


def _open_definition(state: StateView, change: Change, cell_id: str) -> None:
    """Filled into the row while it is on that cell."""
    kind = change.WhichOneof("row")
    if change.verb == Change.REMOVED:
        return
    if kind == "task" and cell_id in cells_of(change.task):
        closed = state.task_definition(change.task.task_guid)
        change.task.definition.CopyFrom(TaskDefinition.FromString(closed or b""))
    elif kind == "actual_lrp" and cell_id in cells_of(change.actual_lrp):
        actual = change.actual_lrp
        closed = state.lrp_definition(actual.process_guid, actual.definition_revision)
        if closed is not None:
            actual.definition.CopyFrom(LrpDefinition.FromString(closed))
