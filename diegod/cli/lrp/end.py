"""`diegod lrp rm`: the end of LRPs."""

import asyncio
import sys
from typing import Annotated

import typer

from diegod.cli.lrp.noun import app, find, print_changed
from diegod.cli.lrp.watch import wait_until_gone
from diegod.cli.record.views import instances_text
from diegod.cli.terminal.errors import FAILED
from diegod.cli.terminal.session import Session
from diegod.cli.terminal.verbs import verb


@verb(app, "rm")
async def rm(
    session: Session,
    names: Annotated[list[str], typer.Argument(metavar="NAME")],
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Do not wait until its instances have ended.")
    ] = False,
) -> int:
    """Stop every instance of LRPs and forget them; asks first on a terminal."""
    async with session.client() as client:
        lrps = [(await find(client, name)).desired_lrp for name in names]
        shown = ", ".join(f"{lrp.process_guid} ({instances_text(lrp.instances)})" for lrp in lrps)
        if not yes and sys.stdin.isatty() and not typer.confirm(f"Remove {shown}?", err=True):
            session.say("nothing was removed")
            return FAILED
        for lrp in lrps:
            await client.lrps.remove(lrp.process_guid, cause="diegod lrp rm")
            session.say(f"{lrp.process_guid} is removed; its instances are being stopped")
        if not detach:
            waits = (wait_until_gone(session, client, lrp, removed=True) for lrp in lrps)
            await asyncio.gather(*waits)
    print_changed(session, lrps)
    return 0
