"""The change feed: who watches, and what each is told.

The changes of one entry go to a watcher all together and in order. A watcher's filter is a set of
keys in a table, not a predicate to be asked for every change. A watcher that does not read is
dropped; it resumes from its last revision, and has slowed nobody.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from diegod.models.errors import DomainError, Reason
from diegod.v1.record_pb2 import ActualLrp, Change, DesiredLrp, Task, TaskSchedule

KINDS = ("task", "desired_lrp", "actual_lrp", "cell", "domain", "lock", "task_schedule")
_QUEUED_ENTRIES_MAX = 10_000

#: The names that rows are watched by, for each kind that has one.
_GUIDS: Mapping[type, Sequence[str]] = {
    Task: ("task_guid",),
    TaskSchedule: ("name",),
    DesiredLrp: ("process_guid",),
    ActualLrp: ("process_guid", "instance_guid"),
}

#: What a key of an interest is of ("cell" or "guid"), and the key.
_Channel = tuple[str, str]
_EVERYTHING: _Channel = ("", "")


@dataclass(frozen=True)
class Interest:
    """What a watcher wants to hear of. Empty fields want everything."""

    kinds: frozenset[str] = frozenset()
    domain: str = ""
    cell_id: str = ""
    guid: str = ""

    def matches(self, change: Change) -> bool:
        kind = change.WhichOneof("row") or ""
        if self.kinds and kind not in self.kinds:
            return False
        row = getattr(change, kind)
        if self.domain and getattr(row, "domain", self.domain) != self.domain:
            return False
        if self.guid and self.guid not in _guids(row):
            return False
        return not self.cell_id or self.cell_id in (*cells_of(row), change.left_cell_id)


@dataclass(frozen=True)
class FeedEntry:
    """The changes of one log entry, up to and with this revision."""

    revision: int
    changes: Sequence[Change]


@dataclass(eq=False)
class Watcher:
    interest: Interest
    entries: asyncio.Queue[FeedEntry | None] = field(
        default_factory=lambda: asyncio.Queue(_QUEUED_ENTRIES_MAX)
    )
    ended: DomainError | None = None

    async def next(self, timeout_s: float) -> FeedEntry | None:
        """The next entry; None after `timeout_s` without one. Raises when the watch has ended."""
        try:
            async with asyncio.timeout(timeout_s):  # wait_for can lose a cancellation
                entry = await self.entries.get()
        except TimeoutError:
            return None
        if entry is None:
            raise self.ended or DomainError(Reason.UNAVAILABLE, "the watch has ended")
        return entry

    def end(self, error: DomainError) -> None:
        self.ended = error
        while not self.entries.empty():
            self.entries.get_nowait()
        self.entries.put_nowait(None)


class Feed:
    """Everybody who watches this member. Lives on the event loop."""

    def __init__(self) -> None:
        self.revision = 0
        self._watchers: dict[Watcher, None] = {}
        self._channels: dict[_Channel, dict[Watcher, None]] = {}

    def __len__(self) -> int:
        return len(self._watchers)

    def subscribe(self, interest: Interest) -> Watcher:
        watcher = Watcher(interest)
        self._watchers[watcher] = None
        self._channels.setdefault(_channel_of(interest), {})[watcher] = None
        return watcher

    def unsubscribe(self, watcher: Watcher) -> None:
        self._watchers.pop(watcher, None)
        name = _channel_of(watcher.interest)
        channel = self._channels.get(name, {})
        channel.pop(watcher, None)
        if not channel:
            self._channels.pop(name, None)  # a guid is watched for a while, then never again

    def publish(self, revision: int, changes: Sequence[Change]) -> None:
        """Tell everybody concerned; called once an entry, after its transaction is on disk."""
        self.revision = revision
        if not self._watchers:
            return
        heard: dict[Watcher, list[Change]] = {}
        for change in changes:
            for watcher in self._concerned(change):
                heard.setdefault(watcher, []).append(change)
        for watcher, its_changes in heard.items():
            self._tell(watcher, FeedEntry(revision, its_changes))

    def end_all(self, error: DomainError) -> None:
        """This member can't vouch for being up to date: let everybody go elsewhere."""
        for watcher in list(self._watchers):
            watcher.end(error)

    def _tell(self, watcher: Watcher, entry: FeedEntry) -> None:
        if watcher.entries.full():
            self.unsubscribe(watcher)
            watcher.end(DomainError(Reason.UNAVAILABLE, "the watcher was too slow: resume"))
        else:
            watcher.entries.put_nowait(entry)

    def _concerned(self, change: Change) -> Iterator[Watcher]:
        row = getattr(change, change.WhichOneof("row") or "task")
        names = [_EVERYTHING]
        names += [("guid", guid) for guid in _guids(row)]
        names += [("cell", cell_id) for cell_id in (*cells_of(row), change.left_cell_id) if cell_id]
        for name in dict.fromkeys(names):
            for watcher in self._channels.get(name, ()):
                if watcher.interest.matches(change):
                    yield watcher


def _channel_of(interest: Interest) -> _Channel:
    """The one channel that carries everything this interest could match."""
    if interest.cell_id:
        return "cell", interest.cell_id
    return ("guid", interest.guid) if interest.guid else _EVERYTHING


def cells_of(row: object) -> tuple[str, ...]:
    """The cells that a row is on, or is placed on."""
    return (getattr(row, "cell_id", ""), getattr(row, "placed_cell_id", ""))


def _guids(row: object) -> tuple[str, ...]:
    return tuple(getattr(row, name) for name in _GUIDS.get(type(row), ()))
