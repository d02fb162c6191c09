"""`diegod task …`: one-off work: running one, and looking at them.

The other verbs are registered by the modules that are imported for it.
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from diegod.cli.definition.files import admitted, environment
from diegod.cli.record.surroundings import standings_of_tasks
from diegod.cli.record.views import task_view
from diegod.cli.task import end, schedule, submit
from diegod.cli.task.noun import RefArgument, RefsArgument, app, find, memory_of
from diegod.cli.task.submit import desired
from diegod.cli.task.table import task_fields
from diegod.cli.terminal.errors import FAILED, USAGE, CliError
from diegod.cli.terminal.render import print_fields, print_json, print_row, print_rows, print_yaml
from diegod.cli.terminal.session import Output, Session
from diegod.cli.terminal.verbs import DomainOption, WorkDomainOption, verb
from diegod.models.json_form import json_form, spec_form
from diegod.v1.definition_pb2 import TaskDefinition
from diegod.v1.record_pb2 import Task
from diegod.world import RandomIds

__all__ = ["app", "end", "find", "memory_of", "schedule", "submit"]

DEFAULT_ROOTFS = "preloaded:busybox"


@verb(app, "run", runs_a_program=True)
async def run(
    session: Session,
    command: Annotated[list[str], typer.Argument(metavar="COMMAND", help="What to run.")],
    guid: Annotated[str, typer.Option("--guid", help="The task's name; else one is made.")] = "",
    rootfs: Annotated[str, typer.Option("--rootfs")] = DEFAULT_ROOTFS,
    env: Annotated[list[str] | None, typer.Option("-e", "--env", metavar="NAME=VALUE")] = None,
    env_file: Annotated[list[Path] | None, typer.Option("--env-file", metavar="FILE")] = None,
    memory: Annotated[
        str, typer.Option("-m", "--memory-mb", metavar="MB", help="256, or 1g.")
    ] = "",
    timeout_s: Annotated[
        float,
        typer.Option("--timeout-s", metavar="S", min=0, help="Kill it after this long; 0: never."),
    ] = 0,
    cell: Annotated[str, typer.Option("--on", metavar="CELL", help="On this cell alone.")] = "",
    result_file: Annotated[
        str, typer.Option("--result-file", metavar="PATH", help="Its first 10 KiB are the result.")
    ] = "",
    callback: Annotated[
        str, typer.Option("--callback", metavar="URL", help="POSTed to when it has ended.")
    ] = "",
    domain: WorkDomainOption = None,
    detach: Annotated[bool, typer.Option("--detach", help="Print its guid and leave.")] = False,
    remove: Annotated[bool, typer.Option("--rm", help="Delete its record at the end.")] = False,
) -> int:
    """Run a program once, show its output, exit with its status.

    Our own failures are 124 (timed out), 125 (could not run it, or the outcome is unknown),
    126 and 127 (the program can't be executed, does not exist).
    """
    session.invocation.passes_status = not detach
    definition = TaskDefinition(
        task_guid=guid or f"task-{RandomIds().new_id()[:12]}",
        domain=session.domain(domain),
        rootfs=rootfs,
        environment_variables=environment(env or [], env_file or [], os.environ),
    )
    definition.action.run.path, definition.action.run.args[:] = command[0], command[1:]
    if memory:
        definition.memory_mb = memory_of(memory)
    if timeout_s:
        definition.execution_timeout_ms = round(timeout_s * 1000)
    if cell:
        definition.placement.cell_id = cell
    definition.result_file, definition.completion_callback_url = result_file, callback
    admitted(definition)
    if detach:
        return await desired(session, [definition], wait=False)
    from diegod.cli.task.attached import run_attached

    return await run_attached(session, definition, remove=remove)


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
