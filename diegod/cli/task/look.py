"""`diegod task ls|show|logs|wait`: looking at one-off work."""

from typing import Annotated

import typer

from diegod.cli.record.surroundings import standings_of_tasks
from diegod.cli.record.views import task_view
from diegod.cli.task.noun import RefArgument, RefsArgument, app, find
from diegod.cli.task.table import task_fields
from diegod.cli.terminal.errors import FAILED, USAGE, CliError
from diegod.cli.terminal.render import print_fields, print_json, print_row, print_rows, print_yaml
from diegod.cli.terminal.session import Output, Session
from diegod.cli.terminal.verbs import DomainOption, verb
from diegod.models.json_form import json_form, spec_form
from diegod.v1.record_pb2 import Task


@verb(app, "ls", aliases=["list"])
async def ls(
    session: Session,
    domain: DomainOption = None,
    state: Annotated[str, typer.Option("--state", metavar="STATE")] = "",
    cell: Annotated[str, typer.Option("--cell", metavar="CELL")] = "",
) -> None:
    """List tasks."""
    wanted = _state(state)
    async with session.client() as client:
        tasks = await client.tasks.list(domain=session.domain(domain), cell_id=cell, state=wanted)
        now, standings = session.clock.wall(), None
        if session.output is Output.WIDE:
            standings = await standings_of_tasks(client, tasks, now)
    print_rows(session, task_view(now, standings), tasks)


def _state(name: str) -> Task.State.ValueType:
    known = [name for name, value in Task.State.items() if value != Task.INVALID]
    if name and name.upper() not in known:
        raise CliError(f'--state: "{name}" is not one of {", ".join(known)}', USAGE)
    return Task.State.Value(name.upper()) if name else Task.INVALID


@verb(app, "show")
async def show(session: Session, ref: RefArgument) -> None:
    """Show one task; -o yaml is its spec."""
    async with session.client() as client:
        task = await find(client, ref)
    if session.output is Output.YAML:
        print_yaml(spec_form(task.definition))
    elif session.output is Output.JSON:
        print_json(json_form(task, secrets=True))
    elif session.output is Output.NAME:
        print_row(session, task_view(0), task)
    else:
        print_fields(task_fields(task))


@verb(app, "logs")
async def logs(
    session: Session,
    ref: RefArgument,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Until it has ended.")] = False,
    tail: Annotated[int, typer.Option("--tail", metavar="N", min=0, help="The last N lines.")] = 0,
) -> None:
    """Print what a task has written, byte for byte."""
    from diegod.cli.terminal.output import copy_output

    async with session.client() as client:
        task = await find(client, ref)
        await copy_output(client.logs(task, follow=follow, tail_lines=tail))


@verb(app, "wait")
async def wait(session: Session, refs: RefsArgument) -> int:
    """Wait until the tasks have ended; 1 if any of them failed."""
    async with session.client() as client:
        guids = [(await find(client, ref)).task_guid for ref in refs]
        by_guid = {task.task_guid: task async for task in client.tasks.ends(guids)}
    ended = [by_guid[guid] for guid in guids]
    print_rows(session, task_view(session.clock.wall()), ended)
    return FAILED if any(task.failed for task in ended) else 0
