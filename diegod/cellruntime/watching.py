"""This cell's rows, as the BBS has them: watched from any member, resumed where it broke off.

Turns replies into events. What a row means is `core/rows.py`.
"""

import asyncio
from collections.abc import Callable

import structlog

from diegod.cellruntime.core import events as e
from diegod.cellruntime.ports import Bbs
from diegod.models.errors import DomainError, Reason
from diegod.v1.event_pb2 import WatchReply, WatchRequest
from diegod.v1.record_pb2 import ActualLrp, Change, Task
from diegod.world import Ids

KINDS = ("task", "actual_lrp")
_AGAIN_LOW_S, _AGAIN_HIGH_S = 0.1, 0.5

_log = structlog.get_logger(__name__)


class MemberBehindError(Exception):
    """A member's list is older than what was seen already; another one, or later, will do."""


class Watcher:
    def __init__(self, cell_id: str, bbs: Bbs, ids: Ids, tell: Callable[[e.Event], None]) -> None:
        self._cell_id = cell_id
        self._bbs = bbs
        self._ids = ids
        self._tell = tell
        self._resume_from = 0  # 0: list again
        self._seen_revision = 0
        self._listing: list[Change] = []

    async def keep_watching(self) -> None:
        """For as long as the agent lives."""
        while True:
            try:
                await self._watch()
            except DomainError as error:
                _log.info("watch.ended", why=error.message)
                if error.reason is Reason.COMPACTED:
                    self._resume_from = 0
            except MemberBehindError as error:
                _log.info("watch.ended", why=str(error))
            await asyncio.sleep(self._ids.uniform(_AGAIN_LOW_S, _AGAIN_HIGH_S))

    async def _watch(self) -> None:
        self._listing = []
        request = WatchRequest(kinds=KINDS, cell_id=self._cell_id, from_revision=self._resume_from)
        async for reply in self._bbs.watch(request):
            self._take(reply)

    def _take(self, reply: WatchReply) -> None:
        self._listing.extend(reply.rows)
        if reply.rows_end:
            self._end_of_list(reply.revision)
        for change in reply.changes:
            if event := _event(change):
                self._tell(event)
        if self._resume_from or reply.rows_end:
            self._resume_from = self._seen_revision = max(reply.revision, self._seen_revision)
            self._tell(e.WatchedTo(reply.revision))

    def _end_of_list(self, revision: int) -> None:
        if revision < self._seen_revision:
            raise MemberBehindError(f"a list of revision {revision}, after {self._seen_revision}")
        rows, self._listing = self._listing, []
        tasks: list[Task] = [row.task for row in rows if row.HasField("task")]
        instances: list[ActualLrp] = [r.actual_lrp for r in rows if r.HasField("actual_lrp")]
        self._tell(e.RowsListed(tuple(tasks), tuple(instances), revision))


def _event(change: Change) -> e.Event | None:
    removed = change.verb == Change.REMOVED
    if change.HasField("task"):
        return e.TaskChanged(change.task, change.revision, removed)
    if change.HasField("actual_lrp"):
        return e.InstanceChanged(change.actual_lrp, change.revision, removed)
    return None
