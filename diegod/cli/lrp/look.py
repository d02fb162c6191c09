"""`diegod lrp ls|ps|show|scale|logs`: looking at long-running processes, and scaling them."""

import asyncio
from collections.abc import Awaitable
from typing import Annotated

import typer

from diegod.cli.lrp.noun import NameArgument, app, find, print_changed
from diegod.cli.lrp.table import lrp_fields
from diegod.cli.record.refs import split_instance
from diegod.cli.record.surroundings import standings_of_instances
from diegod.cli.record.views import (
    instance_ref,
    instance_view,
    instances_in_order,
    instances_text,
    lrp_view,
)
from diegod.cli.terminal.errors import NO_ANSWER, NOT_FOUND, CliError
from diegod.cli.terminal.render import print_fields, print_json, print_row, print_rows, print_yaml
from diegod.cli.terminal.session import Output, Session
from diegod.cli.terminal.verbs import DomainOption, verb
from diegod.models.errors import DomainError, Reason
from diegod.models.json_form import json_form, spec_form


@verb(app, "ls", aliases=["list"])
async def ls(session: Session, domain: DomainOption = None) -> None:
    """List desired LRPs, with how many of their instances run."""
    async with session.client() as client:
        lrps = await client.lrps.list(domain=session.domain(domain))
    print_rows(session, lrp_view(session.clock.wall()), lrps)


@verb(app, "ps")
async def ps(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="[NAME]")] = "",
    domain: DomainOption = None,
    cell: Annotated[str, typer.Option("--cell", metavar="CELL")] = "",
) -> None:
    """List actual instances, of one LRP or of all."""
    async with session.client() as client:
        guid = (await find(client, name)).desired_lrp.process_guid if name else ""
        wanted = "" if name else session.domain(domain)
        rows = await client.lrps.instances(process_guid=guid, cell_id=cell, domain=wanted)
        now, standings = session.clock.wall(), None
        if session.output is Output.WIDE:
            standings = await standings_of_instances(client, rows, now)
    print_rows(session, instance_view(now, standings), instances_in_order(rows))


@verb(app, "show")
async def show(session: Session, name: NameArgument) -> None:
    """Show an LRP and its instances; -o yaml is its spec."""
    async with session.client() as client:
        reply = await find(client, name)
    desired = reply.desired_lrp
    if session.output is Output.YAML:
        desired.definition.instances = desired.instances  # as scaled since
        print_yaml(spec_form(desired.definition))
    elif session.output is Output.JSON:
        print_json(json_form(reply, secrets=True))
    elif session.output is Output.NAME:
        print_row(session, lrp_view(0), desired)
    else:
        print_fields(lrp_fields(desired))
        print()
        rows = instances_in_order(list(reply.instances))
        print_rows(session, instance_view(session.clock.wall()), rows)


@verb(app, "scale")
async def scale(
    session: Session,
    name: NameArgument,
    instances: Annotated[int, typer.Argument(metavar="N", min=0)],
) -> None:
    """Change how many instances an LRP has, and nothing else."""
    async with session.client() as client:
        before = (await find(client, name)).desired_lrp
        after = await client.lrps.scale(
            before.process_guid,
            instances,
            expected_revision=before.provenance.revision,
            cause="diegod lrp scale",
        )
    session.say(f"{after.process_guid}: {before.instances} → {instances_text(after.instances)}")
    print_changed(session, [after])


@verb(app, "logs")
async def logs(
    session: Session,
    ref: Annotated[str, typer.Argument(metavar="NAME[/INDEX]")],
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Until it has ended.")] = False,
    tail: Annotated[int, typer.Option("--tail", metavar="N", min=0, help="The last N lines.")] = 0,
) -> None:
    """Print what instances have written; each line behind its instance where there are several."""
    from diegod.cli.terminal.output import copy_labelled, copy_output

    name, index = split_instance(ref)
    async with session.client() as client:
        reply = await find(client, name)
        rows = [row for row in reply.instances if index in (None, row.index)]
        rows = instances_in_order(rows)
        if not rows:
            guid = reply.desired_lrp.process_guid
            raise CliError(f"no instance {ref}. diegod lrp ps {guid}", NOT_FOUND)
        sources = [(row, client.logs(row, follow=follow, tail_lines=tail)) for row in rows]
        if len(sources) == 1:
            await copy_output(sources[0][1])
            return
        width = max(len(instance_ref(row)) for row in rows)
        copies = [
            (instance_ref(row), copy_labelled(out, instance_ref(row).ljust(width)))
            for row, out in sources
        ]
        whole = await asyncio.gather(*(_is_whole(session, ref, copy) for ref, copy in copies))
    if not all(whole):
        lacking = whole.count(False)
        raise CliError(f"the output of {lacking} of {len(whole)} instances is not whole", NO_ANSWER)


async def _is_whole(session: Session, ref: str, copy: Awaitable[None]) -> bool:
    """What can't be had of one instance takes nothing away from the others."""
    try:
        await copy
    except DomainError as error:
        if error.reason is Reason.RESOURCE_NOT_FOUND:
            return True  # it has not begun, or its output is no longer kept
        session.say(f"{ref}: {error.message}")
        return False
    return True
