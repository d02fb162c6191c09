"""Entries for the log that change no row, so that nobody's history knows of them: each is refused,
since there is no such LRP. For faults that need a log to grow."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from diegod.models.errors import DomainError, Reason
from diegod.rpc.channel import GrpcDialer
from diegod.rpc.methods import method
from diegod.v1.lrp_pb2 import ScaleLrpRequest
from tests.chaos.arena import Arena

_SCALE = method("diegod.v1.LrpService/Scale")
_ANSWER_S = 1.0
_PAUSE_S = 0.05


@asynccontextmanager
async def pressure(arena: Arena, writers: int, cause_bytes: int = 0) -> AsyncIterator[None]:
    """So many writers at the leader, for the time of a block; each entry has at least that size."""
    dialer, cause = arena.site.dialer(), "x" * cause_bytes
    tasks = [asyncio.create_task(_write(arena, dialer, cause)) for _ in range(writers)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await dialer.close()


async def _write(arena: Arena, dialer: GrpcDialer, cause: str) -> None:
    for number in itertools.count():
        request = ScaleLrpRequest(
            request_id=f"nothing-{number}", process_guid="nothing", instances=1, cause=cause
        )
        leader = arena.tower.leader() or next(iter(arena.members))
        try:
            await dialer.call(arena.site.api(leader), _SCALE, request, _ANSWER_S)
        except DomainError as error:
            if error.reason is not Reason.RESOURCE_NOT_FOUND:
                await asyncio.sleep(_PAUSE_S)
