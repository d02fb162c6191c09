"""ClusterService's part about a member's store as a file: a backup of it, and a smaller one."""

import asyncio
import shutil
from collections.abc import AsyncIterator

from diegod.models.errors import DomainError, Reason
from diegod.raftbbs.backup import file
from diegod.raftbbs.backup.copying import require_room, take
from diegod.raftbbs.backup.file import BackupRefused, Manifest
from diegod.raftbbs.core import membership
from diegod.raftbbs.edge.access import Access
from diegod.raftbbs.store.environment import DATA_FILE, StoreFailed
from diegod.rpc.handlers import Handlers
from diegod.security.identity import Principal
from diegod.v1 import cluster_pb2 as api
from diegod.world import Clock, SystemClock

_SERVICE = "diegod.v1.ClusterService"
SAVE_FOLDER = "saving"
#: How long an answer may need to get out before this process ends.
_ANSWER_S = 0.5
#: A store of which less than this part is free, or less than so many bytes, is not worth a restart.
GAIN_MIN = 0.1
GAIN_BYTES_MIN = 1 << 20


class BackupService:
    def __init__(self, access: Access, clock: Clock | None = None) -> None:
        self._access = access
        self._clock = clock or SystemClock()
        self._one_at_a_time = asyncio.Lock()

    def handlers(self) -> Handlers:
        return {
            f"{_SERVICE}/SaveSnapshot": self.save_snapshot,
            f"{_SERVICE}/Compact": self.compact,
        }

    async def save_snapshot(
        self, request: api.SaveSnapshotRequest, caller: Principal
    ) -> AsyncIterator[api.SaveSnapshotReply]:
        """With everything that was acknowledged before the call, unless a stale one will do."""
        await self._access.read(request.stale)
        folder = self._access.member.environment.path / SAVE_FOLDER
        async with self._one_at_a_time:
            try:
                manifest = await self._access.member.apart(self._take)
                with (folder / DATA_FILE).open("rb") as data:
                    for piece in file.pieces(manifest, data):
                        yield api.SaveSnapshotReply(data=piece)
            except (BackupRefused, StoreFailed, OSError) as error:
                raise DomainError(Reason.RESOURCE_EXHAUSTED, f"no backup: {error}") from None
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    async def compact(self, request: api.CompactRequest, caller: Principal) -> api.CompactReply:
        """Answers, and then ends this process: its supervisor starts it again at once.

        A member that leads others is refused: it gives its leadership away first.
        """
        member = self._access.member
        environment = member.environment
        before, needed = environment.used_bytes(), environment.needed_bytes()
        if before - needed >= max(before * GAIN_MIN, GAIN_BYTES_MIN):
            if member.leadership.leads and len(membership.voters(member.members)) > 1:
                refusal = membership.leads_now(member.birth.member_id)
                raise DomainError(refusal.reason, refusal.message)
            try:
                require_room(environment, environment.path)
            except BackupRefused as error:
                raise DomainError(Reason.RESOURCE_EXHAUSTED, f"not compacted: {error}") from None
            asyncio.get_running_loop().call_later(_ANSWER_S, member.shrink_store)
        return api.CompactReply(store_bytes=before, needed_bytes=needed)

    def _take(self) -> Manifest:
        environment = self._access.member.environment
        require_room(environment, environment.path)
        return take(environment, environment.path / SAVE_FOLDER, self._clock.wall())
