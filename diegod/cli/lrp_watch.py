"""Waiting at the terminal for an LRP to come up. Leaving changes nothing: the work goes on."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from diegod.cli.errors import CliError
from diegod.cli.lrp_progress import Progress, Verdict
from diegod.cli.session import Session
from diegod.cli.views import instances_text
from diegod.v1.event_pb2 import WatchReply
from diegod.v1.record_pb2 import DesiredLrp

if TYPE_CHECKING:
    from diegod.client import Client


async def wait_until_up(session: Session, client: "Client", desired: DesiredLrp) -> None:
    """Show how it comes up; CliError when it doesn't."""
    guid = desired.process_guid
    wanted = instances_text(desired.instances)
    session.say(f"{guid}  {wanted}  (revision {desired.definition_revision})")
    try:
        verdict = await _verdict(session, client.lrps.watch(guid), desired)
    except asyncio.CancelledError:
        session.say(f"\n{guid} goes on without us. diegod lrp show {guid}")
        raise
    if verdict.status:
        raise CliError(verdict.message, verdict.status)
    session.say(f"{verdict.message}.   diegod lrp logs {guid} -f")


async def _verdict(
    session: Session, replies: AsyncIterator[WatchReply], desired: DesiredLrp
) -> Verdict:
    """Observe until there is one; also while nothing happens, at the progress's own deadline."""
    clock = session.clock
    progress = Progress(desired, clock.monotonic())
    begun = False
    coming = asyncio.ensure_future(anext(replies))
    try:
        while True:
            at = progress.deadline()
            timeout_s = None if at is None else max(0.0, at - clock.monotonic())
            await asyncio.wait((coming,), timeout=timeout_s)
            if coming.done():
                reply = coming.result()
                coming = asyncio.ensure_future(anext(replies))
                begun = begun or reply.rows_end
                _observe(session, progress, reply)
            verdict = progress.verdict(clock.monotonic())
            if begun and verdict is not None:
                return verdict
    finally:
        coming.cancel()


def _observe(session: Session, progress: Progress, reply: WatchReply) -> None:
    for change in [*reply.rows, *reply.changes]:
        for line in progress.observe(change, session.clock.monotonic()):
            session.say(line)
