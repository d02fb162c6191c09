"""What the BBS shows the brain: the snapshot, kept up to date by one watch, and what was touched.

Does not belong here: what to do about it (`brain`).
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

import structlog

from diegod.models.errors import DomainError, Reason
from diegod.scheduler.core.snapshot import Key, Snapshot
from diegod.scheduler.ports import Bbs
from diegod.v1.event_pb2 import WatchReply, WatchRequest
from diegod.v1.record_pb2 import Change
from diegod.world import Clock

_PAUSE_S = 0.2
#: Changes that are taken up without a break: some milliseconds.
_PORTION = 250
#: After so many the process is told that rows are here to stay.
_SETTLED = 5_000

log = structlog.get_logger("diegod.scheduler")


class Bulletin:
    def __init__(
        self, bbs: Bbs, clock: Clock, on_settled: Callable[[], None] = lambda: None
    ) -> None:
        """`on_settled`: many rows have come that will stay."""
        self._bbs = bbs
        self._clock = clock
        self._on_settled = on_settled
        self.snapshot = Snapshot()
        self.is_complete = False
        self.woken = asyncio.Event()
        self._beginning = Snapshot()
        self._seen_at = 0.0  # monotonic, when `snapshot.at` was seen
        self._is_read = False  # whether anybody will ask what was touched
        self._touched: dict[Key, None] = {}
        self._room_grew = False
        self._began = False
        self._free = asyncio.Event()  # whether the snapshot may change
        self._free.set()
        self._unsettled = 0  # changes since it was told

    @contextmanager
    def held(self) -> Iterator[None]:
        """The snapshot stays as it is, also while others have the loop; changes wait."""
        self._free.clear()
        try:
            yield
        finally:
            self._free.set()

    def now(self) -> float:
        """The last replicated stamp plus our own time since; 0, when nothing is late, before."""
        at = self.snapshot.at
        return at + self._clock.monotonic() - self._seen_at if at else 0.0

    def open(self) -> None:
        """From now on somebody acts on this, and begins with everything."""
        self._is_read = self._began = True
        self._touched, self._room_grew = {}, False

    def close(self) -> None:
        """A brain that stands by keeps its view up to date, and no list of what has changed."""
        self._is_read, self._touched = False, {}

    def take_touched(self) -> list[Key]:
        """What changes have touched since this was last asked."""
        keys, self._touched = list(self._touched), {}
        return keys

    def take_room_grew(self) -> bool:
        grew, self._room_grew = self._room_grew, False
        return grew

    def take_began(self) -> bool:
        """Whether everything is to be looked at: opened, or begun anew, since last asked."""
        began, self._began = self._began, False
        return began

    async def until_seen(self, revision: int) -> None:
        """Until the view is whole and at least as new as that."""
        while not self.is_complete or self.snapshot.revision < revision:
            self.woken.clear()
            await self.woken.wait()

    async def follow(self) -> None:
        """Watches for ever: goes on from the last revision, or from the beginning if it must."""
        while True:
            revision = self.snapshot.revision if self.is_complete else 0
            self._beginning = Snapshot()
            try:
                async for reply in self._bbs.watch(WatchRequest(from_revision=revision)):
                    await self._take(reply)
            except DomainError as error:
                log.info("watch.ended", reason=str(error.reason), message=error.message)
                if error.reason is Reason.COMPACTED:
                    self.is_complete = False
            await asyncio.sleep(_PAUSE_S)

    async def _take(self, reply: WatchReply) -> None:
        if self.is_complete:
            await self._take_changes(reply)
        else:
            await self._take_beginning(reply)
        self.woken.set()

    async def _take_changes(self, reply: WatchReply) -> None:
        for portion in _portions(reply.changes):
            await self._free.wait()
            self._apply(portion)
            await asyncio.sleep(0)
        await self._free.wait()
        self.snapshot.revision = max(self.snapshot.revision, reply.revision)

    def _apply(self, changes: Sequence[Change]) -> None:
        before = self.snapshot.at
        touched = self.snapshot.apply_changes(changes)
        if self.snapshot.at > before:
            self._seen_at = self._clock.monotonic()
        if self._is_read:
            self._touched.update(dict.fromkeys(touched.keys))
        self._room_grew |= touched.room_grew
        self._settle(len(changes))

    async def _take_beginning(self, reply: WatchReply) -> None:
        """Half a beginning is a state that never was: the old view stays until the new is whole."""
        beginning = self._beginning
        for changes in (reply.rows, reply.changes):
            for at in range(0, len(changes), _PORTION):
                portion = changes[at : at + _PORTION]
                beginning.apply_changes(portion)
                self._settle(len(portion))
                await asyncio.sleep(0)
        beginning.revision = max(beginning.revision, reply.revision)
        if reply.rows_end:
            await self._free.wait()
            self._begin(beginning)

    def _settle(self, count: int) -> None:
        self._unsettled += count
        if self._unsettled >= _SETTLED:
            self._unsettled = 0
            self._on_settled()

    def _begin(self, beginning: Snapshot) -> None:
        """Rows need not carry a stamp: then time goes on from the last one seen."""
        if beginning.at > self.snapshot.at:
            self._seen_at = self._clock.monotonic()
        else:
            beginning.at = self.snapshot.at
        self.snapshot, self._beginning = beginning, Snapshot()
        self.is_complete = self._began = self._room_grew = True


def _portions(changes: Sequence[Change]) -> Iterator[list[Change]]:
    """All of one revision together: what is between two of its changes never was."""
    portion: list[Change] = []
    for _, same in groupby(changes, key=lambda change: change.revision):
        portion += same
        if len(portion) >= _PORTION:
            yield portion
            portion = []
    if portion:
        yield portion
