"""`diegod lrp …`: long-running processes."""

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diegod.cli.errors import FAILED, NOT_FOUND, USAGE, CliError
from diegod.cli.lrp_command import NameThenOptions
from diegod.cli.lrp_flags import check as check_flag
from diegod.cli.lrp_flags import port_mapping
from diegod.cli.lrp_table import lrp_fields
from diegod.cli.lrp_watch import wait_until_up
from diegod.cli.refs import chosen, split_instance
from diegod.cli.render import print_fields, print_json, print_row, print_rows, print_yaml
from diegod.cli.session import Output, Session
from diegod.cli.spec_input import admitted, environment, read_lrps
from diegod.cli.task import DEFAULT_ROOTFS, memory_of
from diegod.cli.verbs import DomainOption, WorkDomainOption, noun, verb
from diegod.cli.views import instance_ref, instance_view, instances_text, lrp_view
from diegod.models.errors import DomainError, Reason
from diegod.models.json_form import json_form, spec_form
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.lrp_pb2 import GetLrpReply
from diegod.v1.record_pb2 import ActualLrp, DesiredLrp

if TYPE_CHECKING:
    from diegod.client import Client

app = noun("LRPs: long-running processes, N instances each, kept running.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A guid or its prefix.")]
DetachOption = Annotated[bool, typer.Option("--detach", help="Do not wait until it is up.")]


@verb(app, "run", cls=NameThenOptions, runs_a_program=True)
async def run(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    command: Annotated[list[str], typer.Argument(metavar="COMMAND", help="What to run.")],
    instances: Annotated[int, typer.Option("-n", "--instances", metavar="N", min=0)] = 1,
    port: Annotated[list[str] | None, typer.Option("--port", metavar="PORT[:NAME]")] = None,
    check: Annotated[
        list[str] | None, typer.Option("--check", metavar="KIND:PORT[/PATH]", help="http or tcp.")
    ] = None,
    rootfs: Annotated[str, typer.Option("--rootfs")] = DEFAULT_ROOTFS,
    env: Annotated[list[str] | None, typer.Option("-e", "--env", metavar="NAME=VALUE")] = None,
    env_file: Annotated[list[Path] | None, typer.Option("--env-file", metavar="FILE")] = None,
    memory: Annotated[
        str, typer.Option("-m", "--memory-mb", metavar="MB", help="256, or 1g.")
    ] = "",
    domain: WorkDomainOption = None,
    detach: DetachOption = False,
) -> None:
    """Keep N instances of a program running; replaces the LRP of this name.

    Waits until all are up. To change it later: `lrp scale` for the number alone, `lrp run` or
    `lrp apply` for anything else.
    """
    definition = LrpDefinition(
        process_guid=name,
        domain=session.domain(domain),
        instances=instances,
        rootfs=rootfs,
        environment_variables=environment(env or [], env_file or [], os.environ),
        ports=[port_mapping(each) for each in port or []],
    )
    definition.action.run.path, definition.action.run.args[:] = command[0], command[1:]
    definition.check_definition.checks.extend(check_flag(each) for each in check or [])
    if memory:
        definition.memory_mb = memory_of(memory)
    admitted(definition)
    async with session.client() as client:
        await _apply(session, client, [definition], at=None, detach=detach)


@verb(app, "apply")
async def apply(
    session: Session,
    file: Annotated[list[str], typer.Argument(metavar="FILE", help='Spec files, or "-".')],
    at: Annotated[
        int | None,
        typer.Option("--at", metavar="REVISION", help="Only if it is still at this revision."),
    ] = None,
    detach: DetachOption = False,
) -> None:
    """Create or replace LRPs by spec files, and wait until they are up.

    `lrp apply` replaces the whole definition; `lrp scale` changes the number of instances only.
    """
    definitions = read_lrps(file)
    if at is not None and len(definitions) != 1:
        raise CliError(f"--at is for one LRP, not for {len(definitions)}", USAGE)
    async with session.client() as client:
        await _apply(session, client, definitions, at=at, detach=detach)


async def _apply(
    session: Session,
    client: "Client",
    definitions: list[LrpDefinition],
    *,
    at: int | None,
    detach: bool,
) -> None:
    """Desire them one after the other, then watch them come up together."""
    stored: list[DesiredLrp] = []
    for definition in definitions:
        revision = await _revision(client, definition.process_guid) if at is None else at
        reply = await client.lrps.desire(
            definition, expected_revision=revision, cause="diegod lrp apply"
        )
        if reply.already_there:
            session.say(f"{definition.process_guid}: no change")
        stored.append(reply.desired_lrp)
    if not detach:
        await asyncio.gather(*(wait_until_up(session, client, lrp) for lrp in stored))
    _print_changed(session, stored)


async def _revision(client: "Client", guid: str) -> int:
    """At which the LRP is now, so that nobody else's change is overwritten; 0: there is none."""
    try:
        return (await client.lrps.get(guid)).desired_lrp.provenance.revision
    except DomainError as error:
        if error.reason is Reason.RESOURCE_NOT_FOUND:
            return 0
        raise


def _print_changed(session: Session, lrps: list[DesiredLrp]) -> None:
    """People have been told by messages; programs get the records."""
    if session.output not in (Output.TABLE, Output.WIDE):
        print_rows(session, lrp_view(0), lrps)


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
    print_rows(session, instance_view(session.clock.wall()), in_order(rows))


def in_order(rows: list[ActualLrp]) -> list[ActualLrp]:
    return sorted(rows, key=lambda row: (row.process_guid, row.index, row.presence))


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
        rows = in_order(list(reply.instances))
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
    _print_changed(session, [after])


@verb(app, "rm")
async def rm(
    session: Session,
    names: Annotated[list[str], typer.Argument(metavar="NAME")],
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
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
    _print_changed(session, lrps)
    return 0


@verb(app, "logs")
async def logs(
    session: Session,
    ref: Annotated[str, typer.Argument(metavar="NAME[/INDEX]")],
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Until it has ended.")] = False,
    tail: Annotated[int, typer.Option("--tail", metavar="N", min=0, help="The last N lines.")] = 0,
) -> None:
    """Print what instances have written; each line behind its instance where there are several."""
    from diegod.cli.output import copy_labelled, copy_output

    name, index = split_instance(ref)
    async with session.client() as client:
        reply = await find(client, name)
        rows = [row for row in in_order(list(reply.instances)) if index in (None, row.index)]
        if not rows:
            guid = reply.desired_lrp.process_guid
            raise CliError(f"no instance {ref}. diegod lrp ps {guid}", NOT_FOUND)
        sources = [(row, client.logs(row, follow=follow, tail_lines=tail)) for row in rows]
        if len(sources) == 1:
            await copy_output(sources[0][1])
        else:
            width = max(len(instance_ref(row)) for row in rows)
            labelled = ((instance_ref(row).ljust(width), out) for row, out in sources)
            await asyncio.gather(*(copy_labelled(out, label) for label, out in labelled))


async def find(client: "Client", ref: str) -> GetLrpReply:
    """The LRP that is meant: by its guid, or by a prefix that no other has."""
    try:
        return await client.lrps.get(ref)
    except DomainError as error:
        if error.reason is not Reason.RESOURCE_NOT_FOUND:
            raise
    known = [lrp.process_guid for lrp in await client.lrps.list()]
    return await client.lrps.get(chosen(ref, known, "LRP"))
