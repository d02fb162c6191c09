"""Waiting at the terminal for an LRP to come up or to end. The work goes on without us too."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Protocol

from diegod.cli.lrp.ending import Ending
from diegod.cli.lrp.progress import Progress
from diegod.cli.record.views import instances_text
from diegod.cli.terminal.errors import CliError
from diegod.cli.terminal.session import Session
from diegod.cli.terminal.verdict import Verdict
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.event_pb2 import WatchReply
from diegod.v1.record_pb2 import ActualLrp, Change, DesiredLrp

if TYPE_CHECKING:
    from diegod.client import Client


class Watcher(Protocol):
    """Looks at one change after the other. `now` is any clock that does not jump."""

    def observe(self, change: Change, now: float) -> list[str]: ...

    def verdict(self, now: float) -> Verdict | None: ...

    def deadline(self, now: float) -> float | None: ...


async def wait_until_up(session: Session, client: "Client", desired: DesiredLrp) -> None:
    """Show how it comes up; CliError when it doesn't."""
    guid = desired.process_guid
    session.say(f"{guid}  {_headline(desired)}")
    progress = Progress(desired, session.clock.monotonic())
    verdict = await _watched(session, client, progress, guid)
    logs = f".   diegod lrp logs {guid} -f" if verdict.runs else ""
    session.say(f"{verdict.message}{logs}")


async def wait_until_replaced(
    session: Session, client: "Client", desired: DesiredLrp, old: ActualLrp
) -> None:
    """Until all instances run, and this one is gone."""
    gone = frozenset([old.instance_guid])
    progress = Progress(desired, session.clock.monotonic(), must_go=gone)
    verdict = await _watched(session, client, progress, desired.process_guid)
    session.say(verdict.message)


async def wait_until_gone(
    session: Session, client: "Client", desired: DesiredLrp, *, removed: bool
) -> None:
    """Until no instance is left; with `removed`, nor the LRP itself."""
    ending = Ending(desired, session.clock.monotonic(), removed=removed)
    verdict = await _watched(session, client, ending, desired.process_guid)
    session.say(verdict.message)


def _headline(desired: DesiredLrp) -> str:
    version = f"version {desired.version} · " if desired.version else ""
    if desired.mode == LrpDefinition.GLOBAL:
        wanted = "one instance on each cell"
    else:
        wanted = instances_text(desired.instances)
    return f"{version}{wanted}  (revision {desired.definition_revision})"


async def _watched(session: Session, client: "Client", watcher: Watcher, guid: str) -> Verdict:
    try:
        verdict = await _verdict(session, client.lrps.watch(guid), watcher)
    except asyncio.CancelledError:
        session.say(f"\n{guid} goes on without us. diegod lrp show {guid}")
        raise
    if verdict.status:
        raise CliError(verdict.message, verdict.status)
    return verdict


async def _verdict(
    session: Session, replies: AsyncIterator[WatchReply], watcher: Watcher
) -> Verdict:
    """Observe until there is one; also while nothing happens, at the watcher's own deadline."""
    clock = session.clock
    begun = False
    coming = asyncio.ensure_future(anext(replies))
    try:
        while True:
            at = watcher.deadline(clock.monotonic())
            timeout_s = None if at is None else max(0.0, at - clock.monotonic())
            await asyncio.wait((coming,), timeout=timeout_s)
            if coming.done():
                reply = coming.result()
                coming = asyncio.ensure_future(anext(replies))
                begun = begun or reply.rows_end
                _observe(session, watcher, reply)
            verdict = watcher.verdict(clock.monotonic())
            if begun and verdict is not None:
                return verdict
    finally:
        coming.cancel()


def _observe(session: Session, watcher: Watcher, reply: WatchReply) -> None:
    for change in [*reply.rows, *reply.changes]:
        for line in watcher.observe(change, session.clock.monotonic()):
            session.say(line)
