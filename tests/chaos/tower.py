"""Who leads, as the members say themselves; asked several times a second."""

import asyncio
import time
from collections.abc import Callable, Sequence

from diegod.models.errors import DomainError
from diegod.rpc.methods import method
from diegod.v1.cluster_pb2 import GetBbsStatusReply, GetBbsStatusRequest
from tests.chaos.site import Site

_EVERY_S = 0.2
_ANSWER_S = 0.5
_FRESH_S = 1.5
_STATUS = method("diegod.v1.ClusterService/GetBbsStatus")


class Tower:
    def __init__(self, site: Site, complain: Callable[[str], None]) -> None:
        self._site = site
        self._complain = complain
        self._dialer = site.dialer()
        self._seen: dict[str, tuple[float, GetBbsStatusReply]] = {}
        self.leaders: dict[int, str] = {}
        """By term, who was seen to lead."""

    async def watch(self) -> None:
        """For ever."""
        while True:
            await asyncio.gather(*(self._look(member) for member in self._site.addresses))
            await asyncio.sleep(_EVERY_S)

    async def close(self) -> None:
        await self._dialer.close()

    async def status(self, member: str, timeout_s: float = _ANSWER_S) -> GetBbsStatusReply:
        request = GetBbsStatusRequest()
        reply: GetBbsStatusReply = await self._dialer.call(
            self._site.api(member), _STATUS, request, timeout_s
        )
        return reply

    def leader(self) -> str:
        """Who says so, of the latest term; "" where nobody has said so just now."""
        fresh_after = time.monotonic() - _FRESH_S
        claims = [
            (reply.term, member)
            for member, (at, reply) in self._seen.items()
            if at >= fresh_after and reply.leader_id == member
        ]
        return max(claims, default=(0, ""))[1]

    def last(self, member: str) -> GetBbsStatusReply | None:
        """The latest that this member said of itself."""
        return self._seen[member][1] if member in self._seen else None

    async def same_revision(self, members: Sequence[str]) -> int:
        """Their revision, once all have applied all that is committed; 0 while they differ."""
        try:
            replies = await asyncio.gather(*(self.status(member, 2.0) for member in members))
        except DomainError:
            return 0
        places = {(each.revision, each.applied_index, each.commit_index) for each in replies}
        is_even = len(places) == 1 and all(each.leader_id for each in replies)
        return replies[0].revision if is_even else 0

    async def _look(self, member: str) -> None:
        try:
            reply = await self.status(member)
        except DomainError:
            return
        self._seen[member] = time.monotonic(), reply
        if reply.leader_id == member:
            other = self.leaders.setdefault(reply.term, member)
            if other != member:
                self._complain(f"{other} and {member} both lead in term {reply.term}")
