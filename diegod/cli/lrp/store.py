"""A definition stored as an LRP, if it is still as somebody saw it, and seen coming up.

Does not belong here: where the definition is from (`apply.py`), watching (`watch.py`).
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from diegod.cli.lrp.noun import present, print_changed
from diegod.cli.lrp.watch import wait_until_up
from diegod.cli.terminal.errors import FAILED, REFUSED, CliError
from diegod.cli.terminal.session import Session
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import DesiredLrp

if TYPE_CHECKING:
    from diegod.client import Client


async def store(
    session: Session,
    client: "Client",
    definition: LrpDefinition,
    *,
    at: int | None,
    cause: str = "diegod lrp apply",
) -> DesiredLrp:
    """Desire it, if it is still as it was when somebody looked: at `at`, or now."""
    guid = definition.process_guid
    if at is None or at == 0:
        found = await present(client, guid)
        revision = found.desired_lrp.provenance.revision if found else 0
        if at == 0 and revision:
            raise CliError(
                f"{guid} is at revision {revision}, and --at 0 is for one that is not there yet. "
                f"diegod lrp plan",
                REFUSED,
            )
    else:
        revision = at
    reply = await client.lrps.desire(definition, expected_revision=revision, cause=cause)
    if reply.already_there:
        session.say(f"{guid}: no change")
    return reply.desired_lrp


async def watched(
    session: Session, client: "Client", stored: Sequence[DesiredLrp], *, detach: bool
) -> None:
    """See them come up together; then the records, for programs."""
    if not detach:
        await all_up(session, client, stored)
    print_changed(session, list(stored))


async def all_up(session: Session, client: "Client", lrps: Sequence[DesiredLrp]) -> None:
    """Wait for each; of several failures each is told, and the first decides the status."""
    waits = (wait_until_up(session, client, lrp) for lrp in lrps)
    results = await asyncio.gather(*waits, return_exceptions=True)
    failures = [each for each in results if isinstance(each, BaseException)]
    for failure in failures:
        if not isinstance(failure, CliError) or len(failures) == 1:
            raise failure
    if failures:
        first = failures[0]
        status = first.status if isinstance(first, CliError) else FAILED
        lines = [str(each) for each in failures]
        raise CliError(f"{len(failures)} of {len(lrps)} LRPs are not up", status, lines)
